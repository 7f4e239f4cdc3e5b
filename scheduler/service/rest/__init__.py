"""Slurm's REST interface (slurmrestd's /slurm and /slurmdb, v0.0.42) over the methods of the service.

A table of routes (routes.py) says what there is: the door finds a request's route in it, and the OpenAPI
document is made of it.
"""
