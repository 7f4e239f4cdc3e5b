"""Readers of shared workload traces."""
