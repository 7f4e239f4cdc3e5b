"""Accounts, QOS and what follows from them: who may use how much, and who comes first."""
