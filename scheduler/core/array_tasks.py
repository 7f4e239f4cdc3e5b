"""Counts of an array's tasks, and the moment at which the whole array is over. Used by `apply` only."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core import waiting
from packhorse.scheduler.core.conditions import WHOLE
from packhorse.scheduler.core.state import ArrayTasks, State
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.job import Active, ArrayJob, Ended, Job, JobState, Pending


def task_moved(state: State, old: Job, new: Job) -> None:
    """A task went from one phase to another: counts, and room under the array's limit."""
    tasks = state.tasks[new.array_id]
    before = tasks.n_active
    count(tasks, old, -1)
    count(tasks, new, 1)
    if tasks.n_active == before:
        return
    array = state.arrays[new.array_id]
    if array.remaining and waiting.array_limit(array):
        state.pending_columns.set_room(array.id, waiting.room_of(state, array))


def task_ended(state: State, job: Job, end: Ended, at: Instant) -> None:
    """A task is over for good, its counts moved already: what that means for the array and its waiters."""
    array = state.arrays[job.array_id]
    failed_first = end.state is not JobState.COMPLETED and not array.failed
    if failed_first:
        array = replace(array, failed=True)
        state.arrays[array.id] = array
    if not finish_array(state, array, at) and state.dependents and (failed_first or not array.remaining):
        waiting.notify(state, (array.id, WHOLE), at)


def finish_array(state: State, array: ArrayJob, at: Instant) -> bool:
    """If nothing of the array waits or runs any more, it is finished from now on."""
    tasks = state.tasks[array.id]
    if array.remaining or tasks.n_pending or tasks.n_active or array.id in state.finished:
        return False
    state.finished[array.id] = at
    waiting.leave_singletons(state, array, at)
    if state.dependents:
        waiting.notify(state, (array.id, WHOLE), at)
    return True


def task_left_memory(state: State, job: Job) -> None:
    """A finished task was forgotten."""
    del state.tasks[job.array_id].by_index[job.index]


def count(tasks: ArrayTasks, job: Job, sign: int) -> None:
    """Add the task to the counts of its phase, or take it away (sign -1)."""
    phase = job.phase
    if isinstance(phase, Pending):
        tasks.n_pending += sign
    elif isinstance(phase, Active):
        tasks.n_active += sign
        if not phase.started_at:
            tasks.n_configuring += sign
