"""Dependencies: whether a condition on other jobs holds, cannot hold any more, or is still open.

Judged inside `apply` whenever the other job starts or ends, and once at submission; the verdict is
part of the waiting job from then on, so that it outlives the other job's stay in memory. A job that is
not known (never was, or is forgotten) counts as having satisfied any condition, as in Slurm.

Slurm's rules, with these choices where its manual is silent: a condition on an array is about all of
its tasks (afterok fails with the first that failed, afternotok holds once all are over and one did not
end well); a requeued job has not ended; with `?` the first condition to hold decides, its delay
included; singleton waits for earlier jobs only, an array being one job.
"""

from __future__ import annotations

from enum import Enum

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId
from packhorse.scheduler.model.job import (
    Active,
    ArrayJob,
    Condition,
    DependencyKind,
    Ended,
    Job,
    JobState,
    Owner,
    Pending,
)

WHOLE = -1
EACH = -2
"""Index under which arrays wait for another array's tasks one by one."""

Key = tuple[JobId, int]
Waiter = Job | ArrayJob


class Verdict(Enum):
    """What is known about a condition."""

    MET = "met"
    OPEN = "open"
    FAILED = "failed"


Judged = tuple[Verdict, Instant]
"""The verdict, and the instant before which the job must not start even so (0: none)."""

_MET: Judged = (Verdict.MET, UNKNOWN)
_OPEN: Judged = (Verdict.OPEN, UNKNOWN)
_FAILED: Judged = (Verdict.FAILED, UNKNOWN)


def judge(state: State, waiter: Waiter, condition: Condition, at: Instant) -> Judged:
    """Where the condition stands as of now."""
    kind = condition.kind
    if kind is DependencyKind.SINGLETON:
        members = ensure_members(state, waiter.owner, waiter.spec.name)
        own = order_of(waiter)
        return _OPEN if any(order < own for order in members.values()) else _MET
    other = state.jobs.get(condition.job)
    if other is not None:
        return _of_job(condition, other.phase)
    array = state.arrays.get(condition.job)
    if array is None:
        return _MET
    if condition.index == WHOLE:
        return _of_array(state, condition, array, at)
    task = state.tasks[array.id].by_index.get(condition.index)
    if task is not None:
        return _of_job(condition, state.jobs[task].phase)
    if indices.contains(array.remaining, condition.index):
        return _OPEN
    if indices.contains(array.cancelled, condition.index):
        return _of_end(condition, JobState.CANCELLED, at)
    return _MET


def judge_index(state: State, condition: Condition, index: int, at: Instant) -> Verdict:
    """Where an aftercorr condition stands for one index of the waiting array."""
    array = state.arrays.get(condition.job)
    if array is None:
        return Verdict.MET
    task = state.tasks[array.id].by_index.get(index)
    if task is not None:
        return _of_job(condition, state.jobs[task].phase)[0]
    if indices.contains(array.remaining, index):
        return Verdict.OPEN
    return Verdict.FAILED if indices.contains(array.cancelled, index) else Verdict.MET


def key_of(waiter: Waiter, condition: Condition) -> Key:
    """Under which key the waiter is told of changes to what the condition is about."""
    if (
        isinstance(waiter, ArrayJob)
        and condition.kind is DependencyKind.AFTERCORR
        and condition.index == WHOLE
    ):
        return condition.job, EACH
    return condition.job, condition.index


def effective(waiter: Waiter, condition: Condition, state: State) -> Condition:
    """The condition as this waiter sees it: aftercorr of an array's task is about one index, and about
    a job that is no array it means afterok."""
    if condition.kind is not DependencyKind.AFTERCORR or condition.index != WHOLE:
        return condition
    if condition.job in state.jobs:
        return Condition(DependencyKind.AFTEROK, condition.job)
    if isinstance(waiter, Job) and waiter.array_id and condition.job in state.arrays:
        return Condition(DependencyKind.AFTERCORR, condition.job, waiter.index)
    return condition


def order_of(waiter: Waiter) -> int:
    """The number that says which of two jobs came first: a task came with its array."""
    return (waiter.array_id or waiter.id) if isinstance(waiter, Job) else waiter.id


def ensure_members(state: State, owner: Owner, name: str) -> dict[JobId, int]:
    """The unfinished jobs and arrays of this user and name; from now on kept up to date."""
    key = (owner.uid, name)
    members = state.singletons.get(key)
    if members is None:
        members = {
            job.id: job.id
            for job in state.jobs.values()
            if not job.array_id
            and job.spec.name == name
            and job.owner.uid == owner.uid
            and not isinstance(job.phase, Ended)
        }
        members.update(
            (array.id, array.id)
            for array in state.arrays.values()
            if array.spec.name == name and array.owner.uid == owner.uid and array.id not in state.finished
        )
        state.singletons[key] = members
    return members


def _of_job(condition: Condition, phase: Pending | Active | Ended) -> Judged:
    if isinstance(phase, Ended):
        return _of_end(condition, phase.state, phase.started_at or phase.ended_at)
    if condition.kind is DependencyKind.AFTER and isinstance(phase, Active) and phase.started_at:
        return Verdict.MET, _delayed(condition, phase.started_at)
    return _OPEN


def _of_end(condition: Condition, end: JobState, started_at: Instant) -> Judged:
    match condition.kind:
        case DependencyKind.AFTER:
            return Verdict.MET, _delayed(condition, started_at)
        case DependencyKind.AFTEROK | DependencyKind.AFTERCORR:
            return _MET if end is JobState.COMPLETED else _FAILED
        case DependencyKind.AFTERNOTOK:
            return _FAILED if end is JobState.COMPLETED else _MET
        case _:
            return _MET


def _of_array(state: State, condition: Condition, array: ArrayJob, at: Instant) -> Judged:
    tasks = state.tasks[array.id]
    started = not (array.remaining or tasks.n_pending or tasks.n_configuring)
    over = started and not tasks.n_active
    match condition.kind:
        case DependencyKind.AFTER:
            return (Verdict.MET, _delayed(condition, at)) if started else _OPEN
        case DependencyKind.AFTEROK | DependencyKind.AFTERCORR:
            if array.failed:
                return _FAILED
            return _MET if over else _OPEN
        case DependencyKind.AFTERNOTOK:
            if not over:
                return _OPEN
            return _MET if array.failed else _FAILED
        case _:
            return _MET if over else _OPEN


def _delayed(condition: Condition, started_at: Instant) -> Instant:
    return Instant(started_at + condition.delay_s * US) if condition.delay_s else UNKNOWN
