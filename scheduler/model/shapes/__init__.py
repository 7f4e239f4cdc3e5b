"""Answers in the shape of Slurm 24.11's data parser v0.0.42, made of rows of our tables.

One place for `--json` and `--yaml` of the commands and for the REST interface of the scheduler, so that they
cannot differ; the OpenAPI document is made of the same shapes. Standard library only: the commands load it.
"""
