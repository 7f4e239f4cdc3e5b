"""Applying events to what waits: submission, arrays, holds, updates, forgetting."""

from __future__ import annotations

from itertools import groupby

from msgspec.structs import replace

from packhorse.scheduler.core import indices, waiting
from packhorse.scheduler.core.accounts import charging, holding
from packhorse.scheduler.core.active import set_timers
from packhorse.scheduler.core.array_tasks import finish_array, task_left_memory
from packhorse.scheduler.core.batch.arrivals import Arrival
from packhorse.scheduler.core.conditions import EACH, WHOLE, Verdict, judge_index, key_of
from packhorse.scheduler.core.pending_columns import PendingRow
from packhorse.scheduler.core.preempt.apply_room import ends_at
from packhorse.scheduler.core.reclaim.apply_loans import expect_again, suspect
from packhorse.scheduler.core.state import ArrayTasks, State
from packhorse.scheduler.core.transitions import require
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.errors import InvalidTransition
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.job import (
    Active,
    ArrayJob,
    Condition,
    Ended,
    Held,
    Job,
    JobSpec,
    JobState,
    Owner,
    Pending,
)


def jobs_submitted(state: State, event: ev.JobsSubmitted) -> None:
    _claim(state, event, event.first_id, len(event.items))
    owner = state.interned.owner(event.owner)
    specs = [state.interned.spec(spec) for spec in event.specs]
    rows: list[PendingRow] = []
    id = event.first_id
    since_us = event.at - state.config.origin
    for item, run in groupby(event.items):
        spec = specs[item.spec]
        if item.name is not None or item.args is not None:
            name = spec.name if item.name is None else item.name
            args = spec.args if item.args is None else item.args
            spec = state.interned.variant(spec, name, args)
        n = len(list(run))
        state.arrivals.see(since_us, Arrival(owner.uid, max(spec.time_limit_s, 0)), n)
        _enqueue_alike(state, event, owner, spec, id, n, rows)
        holding.submitted(state, spec, owner, n)
        id = JobId(id + n)
    state.pending_columns.add_many(rows)


def array_submitted(state: State, event: ev.ArraySubmitted) -> None:
    _claim(state, event, event.id, 1)
    spec = state.interned.spec(event.spec)
    state.tasks[event.id] = ArrayTasks()
    array = ArrayJob(
        id=event.id,
        spec=spec,
        owner=state.interned.owner(event.owner),
        submitted_at=event.at,
        array=event.array,
        remaining=event.array.ranges,
        phase=waiting.first_phase(spec, event.at),
    )
    arrival = Arrival(array.owner.uid, max(spec.time_limit_s, 0))
    state.arrivals.see(event.at - state.config.origin, arrival, 1)
    waiting.enqueue(state, array, event.at)
    holding.submitted(state, spec, array.owner, indices.size(array.remaining))


def array_task_split(state: State, event: ev.ArrayTaskSplit) -> None:
    array = _array(state, event, event.array)
    if not indices.contains(array.remaining, event.index):
        raise InvalidTransition(event, f"array {array.id} has no waiting index {event.index}")
    _claim(state, event, event.job, 1)
    phase = array.phase
    if array.blocked and indices.contains(array.blocked, event.index):
        phase = _with_counterparts(state, array, event.index, phase, event)
    job = Job(
        id=event.job,
        spec=array.spec,
        owner=array.owner,
        submitted_at=array.submitted_at,
        phase=waiting.with_eligibility(phase, event.at),
        array_id=array.id,
        index=event.index,
    )
    tasks = state.tasks[array.id]
    tasks.by_index[event.index] = job.id
    tasks.n_pending += 1
    state.jobs[job.id] = job
    waiting.watch(state, job)
    state.pending_columns.add(waiting.row_of(state, job))
    _shrink(
        state,
        array,
        replace(
            array,
            remaining=indices.remove(array.remaining, event.index),
            blocked=indices.remove(array.blocked, event.index),
            never=indices.remove(array.never, event.index),
        ),
    )


def array_remainder_cancelled(state: State, event: ev.ArrayRemainderCancelled) -> None:
    array = _array(state, event, event.array)
    gone = event.ranges
    if indices.subtract(gone, array.remaining):
        raise InvalidTransition(event, f"array {array.id}: not all of these indices wait")
    left = replace(
        array,
        remaining=indices.subtract(array.remaining, gone),
        blocked=indices.subtract(array.blocked, gone),
        never=indices.subtract(array.never, gone),
        cancelled=indices.union(array.cancelled, gone),
        failed=True,
        late=indices.union(array.late, gone) if event.end is JobState.DEADLINE else array.late,
    )
    _shrink(state, array, left)
    holding.submitted(state, array.spec, array.owner, -indices.size(gone))
    if state.dependents:
        for key in [key for key in state.dependents if key[0] == array.id and key[1] >= 0]:
            if indices.contains(gone, key[1]):
                waiting.notify(state, key, event.at)
        waiting.fail_each(state, array.id, gone)
        waiting.notify(state, (array.id, WHOLE), event.at)
    finish_array(state, left, event.at)


def jobs_eligible(state: State, event: ev.JobsEligible) -> None:
    for id in event.jobs:
        waiter = _waiter(state, event, id)
        phase = waiting.pending_phase(waiter)
        after = waiting.with_eligibility(phase, event.at)
        if after is phase:
            raise InvalidTransition(event, f"{id} has something else in its way, or nothing")
        waiting.set_phase(state, waiter, after, event.at)


def job_held(state: State, event: ev.JobHeld) -> None:
    waiter = _waiter(state, event, event.job)
    state.estimates.void(waiter.id)
    phase = replace(waiting.pending_phase(waiter), held=event.held, error="")
    waiting.set_phase(state, waiter, phase, event.at)


def job_quarantined(state: State, event: ev.JobQuarantined) -> None:
    waiter = _waiter(state, event, event.job)
    state.estimates.void(waiter.id)
    phase = replace(waiting.pending_phase(waiter), held=Held.QUARANTINED, error=event.error)
    waiting.set_phase(state, waiter, phase, event.at)


def job_released(state: State, event: ev.JobReleased) -> None:
    """A released job may also try again the nodes that would not launch it."""
    waiter = _waiter(state, event, event.job)
    phase = replace(waiting.pending_phase(waiter), held=Held.NO, error="")
    if isinstance(waiter, Job) and waiter.refusals:
        waiting.change(state, waiter, replace(waiter, avoid=(), refusals=0, phase=phase), event.at)
    else:
        waiting.set_phase(state, waiter, phase, event.at)


def job_updated(state: State, event: ev.JobUpdated) -> None:
    spec = state.interned.spec(event.spec)
    job = state.jobs.get(event.job)
    if job is not None and isinstance(job.phase, Active):
        _update_active(state, event, job, job.phase, spec)
        return
    waiter = _waiter(state, event, event.job)
    state.estimates.void(waiter.id)
    phase = waiting.pending_phase(waiter)
    renamed = spec.name != waiter.spec.name
    if spec.begin_at != waiter.spec.begin_at:
        phase = replace(phase, begin_at=spec.begin_at)
    new = replace(waiter, spec=spec, phase=phase)
    if isinstance(new, ArrayJob) and event.array_limit is not None:
        new = replace(new, array=replace(new.array, limit=event.array_limit))
    if spec.dependency != waiter.spec.dependency:
        new = replace(new, phase=replace(phase, unmet=(), failed=(), never=False))
        new = waiting.judge_dependency(state, new, event.at)
    waiting.change(state, waiter, new, event.at)
    holding.updated(state, waiter, new)
    if renamed:
        waiting.leave_singletons(state, waiter, event.at)
        waiting.join_singletons(state, new)
        waiting.rejudge_singleton(state, new.id, event.at)


def job_reopened(state: State, event: ev.JobReopened) -> None:
    job = _job(state, event, event.job)
    require(event, job)
    end = job.phase
    assert isinstance(end, Ended)
    del state.finished[job.id]
    phase = Pending(begin_at=event.begin_at, held=event.held)
    # Cancelled while it waited, it has an accounting row without an attempt: that number is used up.
    attempts = job.attempts + (1 if end.attempt is None else 0)
    restarts = job.restarts + (1 if end.started_at else 0)
    job = replace(
        job,
        phase=waiting.with_eligibility(phase, event.at),
        attempts=attempts,
        restarts=restarts,
        ran_us=0,  # it does all of its work again
        oom_retries=0,  # what it asks for by now stays
    )
    state.jobs[job.id] = job
    holding.submitted(state, job.spec, job.owner, 1)
    if job.array_id:
        state.tasks[job.array_id].n_pending += 1
        _reopen_array(state, job.array_id)
    waiting.join_singletons(state, job)
    waiting.watch(state, job)
    state.pending_columns.add(waiting.row_of(state, job))
    if state.dependents:
        waiting.notify(state, (job.id, WHOLE), event.at)
        if job.array_id:
            waiting.notify(state, (job.array_id, job.index), event.at)
            waiting.notify_each(state, job.array_id, job.index, event.at)
            waiting.notify(state, (job.array_id, WHOLE), event.at)


def jobs_forgotten(state: State, event: ev.JobsForgotten) -> None:
    for id in event.jobs:
        if state.finished.pop(id, None) is None:
            raise InvalidTransition(event, f"{id} is not finished")
        job = state.jobs.pop(id, None)
        if job is not None:
            require(event, job)
            if job.array_id:
                task_left_memory(state, job)
        else:
            array = _array(state, event, id)
            if state.tasks[id].by_index:
                raise InvalidTransition(event, f"array {id} still has tasks in memory")
            waiting.unwatch(state, array)
            del state.arrays[id]
            del state.tasks[id]


def _enqueue_alike(
    state: State,
    event: ev.JobsSubmitted,
    owner: Owner,
    spec: JobSpec,
    first: JobId,
    n: int,
    rows: list[PendingRow],
) -> None:
    """n jobs of one spec and nothing to tell them apart: one phase, one row repeated.

    rows: gets the rows of those that have not been given one yet.
    """
    phase = waiting.first_phase(spec, event.at)
    at = event.at
    jobs = [Job(JobId(id), spec, owner, at, phase) for id in range(first, first + n)]
    single = spec.dependency is not None or spec.gang is not None
    timed = spec.deadline_at or spec.switches_wait_s >= 0
    if single or timed or state.singletons or not phase.eligible_at:
        for job in jobs:
            waiting.enqueue(state, job, at)
        return
    state.jobs.update(zip(range(first, first + n), jobs, strict=True))  # type: ignore[arg-type]
    row = waiting.row_of(state, jobs[0])
    rows.append(row)
    rows += [row._replace(id=job.id) for job in jobs[1:]]


def _claim(state: State, event: ev.Event, first: JobId, n: int) -> None:
    """Ids are given out once, in order."""
    if first != state.next_job_id or n < 1:
        raise InvalidTransition(event, f"the next id is {state.next_job_id}")
    state.next_job_id = JobId(first + n)


def _shrink(state: State, array: ArrayJob, left: ArrayJob) -> None:
    """Store the array with fewer indices waiting; without any its row goes."""
    state.arrays[array.id] = left
    if left.remaining:
        # Its first tasks may have ended since it was submitted.
        state.pending_columns.expect(left.id, waiting.expected_us(state, left))
    if left.remaining and not left.blocked:
        state.pending_columns.set_count(left.id, waiting.startable(left), waiting.room_of(state, left))
    elif left.remaining:
        waiting.refresh_row(state, left)
    else:
        waiting.dequeue(state, array)


def _with_counterparts(
    state: State, array: ArrayJob, index: int, phase: Pending, event: ev.ArrayTaskSplit
) -> Pending:
    """The array's phase for one blocked index: what it waits for, index by index, becomes its own."""
    assert array.spec.dependency is not None
    own = [
        Condition(condition.kind, condition.job, index)
        for condition in array.spec.dependency.conditions
        if key_of(array, condition)[1] == EACH
    ]
    if indices.contains(array.never, index):
        return replace(phase, failed=(*phase.failed, *own), never=True)
    open = [c for c in own if judge_index(state, c, index, event.at) is Verdict.OPEN]
    return replace(phase, unmet=(*phase.unmet, *open))


def _update_active(state: State, event: ev.JobUpdated, job: Job, active: Active, spec: JobSpec) -> None:
    if spec.time_limit_s != job.spec.time_limit_s:
        active = replace(active, end_by=event.end_by)
        state.running_columns.set_end(job.id, ends_at(state, active))
    new = replace(job, spec=spec, phase=active)
    state.jobs[job.id] = new
    state.preempting.put(new)
    holding.updated(state, job, new)
    if (spec.account, spec.qos) != (job.spec.account, job.spec.qos):
        charging.charge(state, new, event.at)
        for one, sign in ((job, -1), (new, 1)):
            if one.spec.account:
                state.usage.take(one.spec.account, active.placements, sign)
            if active.suspended_at:
                state.usage.take_cpus(one, active.placements, -sign)
    if spec.time_limit_s != job.spec.time_limit_s:
        expect_again(state, job.id, active)
    if (spec.no_lend, spec.account) != (job.spec.no_lend, job.spec.account):
        suspect(state, active)
    set_timers(state, new, active)
    if spec.name != job.spec.name:
        waiting.leave_singletons(state, job, event.at)
        waiting.join_singletons(state, new)


def _reopen_array(state: State, id: JobId) -> None:
    """One of its tasks will run again: the array is not over, and may yet have ended well."""
    array = state.arrays[id]
    ends = (state.jobs[task].phase for task in state.tasks[id].by_index.values())
    failed = bool(array.cancelled) or any(
        isinstance(phase, Ended) and phase.state is not JobState.COMPLETED for phase in ends
    )
    array = state.arrays[id] = replace(array, failed=failed)
    state.finished.pop(id, None)
    waiting.join_singletons(state, array)


def _job(state: State, event: ev.Event, id: JobId) -> Job:
    job = state.jobs.get(id)
    if job is None:
        raise InvalidTransition(event, f"no job {id}")
    return job


def _array(state: State, event: ev.Event, id: JobId) -> ArrayJob:
    array = state.arrays.get(id)
    if array is None:
        raise InvalidTransition(event, f"no array {id}")
    return array


def _waiter(state: State, event: ev.Event, id: JobId) -> Job | ArrayJob:
    job = state.jobs.get(id)
    if job is not None:
        if not isinstance(job.phase, Pending):
            require(event, job)
            raise InvalidTransition(event, f"job {id} is {job.state.value}")
        return job
    array = _array(state, event, id)
    if not array.remaining:
        raise InvalidTransition(event, f"nothing of array {id} waits")
    return array
