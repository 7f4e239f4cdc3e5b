"""Invariants of what waiting jobs were told (core/check.py)."""

from __future__ import annotations

from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.job import Active


def check_estimates(state: State) -> None:
    """Estimates are filed under their jobs, in order of time, and those of jobs that run are scored."""
    for (id, last), told in state.estimates.told.items():
        at = [one.at for one in told]
        if not at or at != sorted(at):
            raise InvariantBroken(f"job {id}: estimates made at {at}")
        for _, estimate in told:
            if (estimate.job, estimate.last) != (id, last):
                raise InvariantBroken(f"job {id} was told an estimate of job {estimate.job}")
            if not estimate.low <= estimate.median <= estimate.high:
                raise InvariantBroken(f"job {id}: {estimate} is no interval")
        job = state.jobs.get(id)
        if job is not None and isinstance(job.phase, Active):
            raise InvariantBroken(f"job {id} runs, and what it was told is not scored")
