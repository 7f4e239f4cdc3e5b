"""Job numbers as people write them for `packhorse` commands."""

from __future__ import annotations

from typing import Any

from packhorse.cli.slurm.jobids import JobIdError, job_ref
from packhorse.scheduler.model.errors import BadValue


def parse_job_ref(text: str) -> dict[str, Any]:
    """`17`, `17_3`, and `17_[3-5]` as squeue shows what waits of an array, as the JobRef message; raises
    BadValue."""
    try:
        return job_ref(text)
    except JobIdError:
        message = f'"{text}" is not a job: write a number as in 17, or an array task as in 17_3'
        raise BadValue(message) from None
