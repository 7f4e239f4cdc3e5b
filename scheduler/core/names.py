"""Jobs as people write them: 17, and 17_3 for a task of array 17, whatever number the task has inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.job import ArrayJob, Job

if TYPE_CHECKING:
    from packhorse.scheduler.core.state import State


def name_of(waiter: Job | ArrayJob) -> str:
    """Of a job, or of an array."""
    if isinstance(waiter, Job) and waiter.array_id:
        return f"{waiter.array_id}_{waiter.index}"
    return str(waiter.id)


def name_in(state: State, id: JobId) -> str:
    """Of the job with this number; the number, if nobody knows the job any more."""
    job = state.jobs.get(id)
    return name_of(job) if job is not None else str(id)
