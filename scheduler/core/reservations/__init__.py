"""Reservations: which nodes are set aside when and for whom, and what that means for everybody's jobs."""
