"""What a call is aimed at: jobs by number, whole arrays, or some indices of an array."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.indices import Ranges
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.input import Caller, Target
from packhorse.scheduler.model.job import ArrayJob, Ended, Job
from packhorse.scheduler.model.reply import Outcome, RefusalCode

UNKNOWN_JOB = "Invalid job id specified"


class Aim(NamedTuple):
    """Jobs of their own, and waiting indices of an array that have no job yet."""

    jobs: tuple[Job, ...] = ()
    array: ArrayJob | None = None
    ranges: Ranges = ()

    @property
    def whole(self) -> bool:
        """All that waits of the array is meant."""
        return self.array is not None and self.ranges == self.array.remaining


def resolve(state: State, target: Target) -> Aim | None:
    """What the target names; None if there is no such thing (any more). Tasks in order of index."""
    if target.indices is None:
        job = state.jobs.get(target.job)
        if job is not None:
            return Aim((job,))
        array = state.arrays.get(target.job)
        if array is None:
            return None
        return Aim(_tasks(state, array), array, array.remaining)
    array = state.arrays.get(target.job)
    if array is None:
        # A task may be called by its own number and index as well.
        job = state.jobs.get(target.job)
        if job is not None and job.array_id and indices.contains(target.indices.ranges, job.index):
            return Aim((job,))
        return None
    ranges = indices.intersect(array.remaining, target.indices.ranges)
    jobs = _tasks(state, array, target.indices.ranges)
    if not jobs and not ranges and not indices.intersect(array.cancelled, target.indices.ranges):
        return None
    return Aim(jobs, array, ranges)


def owner_uid(aim: Aim) -> int:
    """Whose jobs these are (an array has one owner)."""
    return aim.jobs[0].owner.uid if aim.jobs else aim.array.owner.uid if aim.array else -1


def may_act(caller: Caller, aim: Aim) -> bool:
    """Own jobs, or everybody's for administrators."""
    return caller.admin or owner_uid(aim) == caller.owner.uid


def finished(aim: Aim) -> bool:
    """Nothing of it waits or runs."""
    return not aim.ranges and all(isinstance(job.phase, Ended) for job in aim.jobs)


def done(target: Target) -> Outcome:
    """It was done."""
    return Outcome(target.ref)


def not_found(target: Target) -> Outcome:
    """There is no such job in memory."""
    return Outcome(
        target.ref,
        RefusalCode.NOT_FOUND,
        f"job {target.ref} is not known: never submitted, or finished long ago (see sacct)",
        UNKNOWN_JOB,
    )


def denied(target: Target, slurm: str) -> Outcome:
    """Somebody else's job."""
    return Outcome(
        target.ref,
        RefusalCode.DENIED,
        f"job {target.ref} belongs to another user; its owner or an administrator may do this",
        slurm,
    )


def wrong_state(target: Target, message: str, slurm: str) -> Outcome:
    """Not in the state it is in."""
    return Outcome(target.ref, RefusalCode.WRONG_STATE, f"job {target.ref} {message}", slurm)


def _tasks(state: State, array: ArrayJob, ranges: Ranges | None = None) -> tuple[Job, ...]:
    """The array's tasks that are jobs of their own; those of some indices only if ranges are given."""
    by_index = state.tasks[array.id].by_index
    wanted: Iterable[int] = by_index
    if ranges is not None:
        if indices.size(ranges) < len(by_index):
            wanted = [index for index in indices.each(ranges) if index in by_index]
        else:
            wanted = [index for index in by_index if indices.contains(ranges, index)]
    return tuple(state.jobs[by_index[index]] for index in sorted(wanted))
