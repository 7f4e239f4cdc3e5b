"""Applying events to jobs that hold an allocation: grant, start, stop, end, requeue."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core import waiting
from packhorse.scheduler.core.accounts import charging, holding
from packhorse.scheduler.core.active import set_rank_timer, set_timers, suspended_us
from packhorse.scheduler.core.array_tasks import task_ended, task_moved
from packhorse.scheduler.core.conditions import WHOLE
from packhorse.scheduler.core.deadlines import set_deadline_timer
from packhorse.scheduler.core.preempt.apply_room import ends_at, keep_for, made_room
from packhorse.scheduler.core.reclaim.apply_loans import begin_loans, end_loans, expect_again
from packhorse.scheduler.core.reservations.apply_reservations import leave_reservation
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.apply_steps import forget_steps
from packhorse.scheduler.core.transitions import allowed, require
from packhorse.scheduler.core.when.note import granted
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.errors import InvalidTransition
from packhorse.scheduler.model.ids import UNKNOWN, US, AttemptKey, Instant
from packhorse.scheduler.model.job import Active, EndCause, Ended, Job, JobState, Pending


def job_granted(state: State, event: ev.JobGranted) -> None:
    job = state.jobs.get(event.job)
    if job is None:
        raise InvalidTransition(event, "no such job")
    require(event, job)
    phase = job.phase
    assert isinstance(phase, Pending)
    if not phase.eligible_at:
        raise InvalidTransition(event, "something but resources is in its way")
    if event.attempt != AttemptKey(job.id, job.attempts + 1, state.epoch):
        raise InvalidTransition(
            event, f"the next attempt is number {job.attempts + 1} of epoch {state.epoch}"
        )
    state.node_columns.allocate(job.id, event.placements, exclusive=job.spec.ask.exclusive)
    expected_us = state.pending_columns.expected(job.id)
    waiting.dequeue(state, job)
    active = Active(
        event.attempt,
        event.placements,
        event.at,
        end_by=event.end_by,
        eligible_at=phase.eligible_at,
        loans=event.loans,
        priority=event.priority,
        reservation=event.reservation,
    )
    new = replace(job, phase=active, attempts=job.attempts + 1, room_until=UNKNOWN)
    state.jobs[job.id] = new
    state.preempting.put(new)
    limit_us = job.spec.time_limit_s * US
    state.running_columns.add(job.id, event.end_by, event.placements, limit_us)
    state.usage.take(job.owner.uid, event.placements)
    if job.spec.account:
        state.usage.take(job.spec.account, event.placements)
    charging.charge(state, new, event.at)
    holding.begun(state, new)
    if event.loans:
        begin_loans(state, job.id, active)
    if expected_us:
        state.running_columns.expect(job.id, event.at, expected_us)
    if job.spec.licenses:
        state.licenses.hold(job.spec.licenses)
    if event.reservation:
        state.windows.enter(event.reservation, job.id)
    if job.array_id:
        task_moved(state, job, new)
    if state.estimates.told:
        granted(state, new, event.at)
    set_rank_timer(state, new, active)
    if job.spec.deadline_at:
        set_deadline_timer(state, new)


def attempt_started(state: State, event: ev.AttemptStarted) -> None:
    job, active = _current(state, event, event.attempt)
    if active.started_at:
        raise InvalidTransition(event, "it has started already")
    active = replace(active, started_at=event.started_at or event.at, end_by=event.end_by)
    new = _set(state, job, active)
    state.running_columns.set_end(job.id, ends_at(state, active))
    holding.changed(state, new)
    state.running_columns.began(job.id, active.started_at)
    if active.loans:
        expect_again(state, job.id, active)
    set_timers(state, new, active)
    if job.array_id:
        task_moved(state, job, new)
    if state.dependents:
        _notify(state, new, event.at)


def job_warned(state: State, event: ev.JobWarned) -> None:
    job, active = _current(state, event, event.attempt)
    _set(state, job, replace(active, warned=True))


def job_gpus_idle(state: State, event: ev.JobGpusIdle) -> None:
    job, active = _current(state, event, event.attempt)
    _set(state, job, replace(active, gpus_idle_since=event.since, gpus_warned_at=event.at))


def job_gpus_busy(state: State, event: ev.JobGpusBusy) -> None:
    job, active = _current(state, event, event.attempt)
    _set(state, job, replace(active, gpus_idle_since=UNKNOWN, gpus_warned_at=UNKNOWN))


def jobs_ranked(state: State, event: ev.JobsRanked) -> None:
    for id in event.jobs:
        job = state.jobs.get(id)
        if job is None:
            raise InvalidTransition(event, f"no job {id}")
        require(event, job)
        active = job.phase
        assert isinstance(active, Active)
        active = replace(active, ranked_at=event.at)
        set_rank_timer(state, _set(state, job, active), active)


def job_ending(state: State, event: ev.JobEnding) -> None:
    job, active = _current(state, event, event.attempt)
    active = replace(
        active,
        ending=event.cause,
        ending_at=active.ending_at or event.at,
        ending_by=event.by,
        requeue_held=event.requeue_held,
        terminate_at=event.terminate_at,
        ending_for=event.for_job,
        ending_why=event.why,
        ending_mode=event.mode,
    )
    new = _set(state, job, active)
    state.running_columns.set_end(job.id, ends_at(state, active))
    if active.suspended_at:
        expect_again(state, job.id, active)
    set_timers(state, new, active)
    state.preempting.put(new)
    if event.mode:
        keep_for(state, active.ending_for, ends_at(state, active))


def job_terminating(state: State, event: ev.JobTerminating) -> None:
    job, active = _current(state, event, event.attempt)
    active = replace(active, terminate_at=UNKNOWN)
    _set(state, job, active)
    state.running_columns.set_end(job.id, ends_at(state, active))


def job_ended(state: State, event: ev.JobEnded) -> None:
    job = state.jobs.get(event.job)
    if job is None:
        raise InvalidTransition(event, "no such job")
    if event.state not in allowed(ev.JobEnded, job.state):
        raise InvalidTransition(event, f"a {job.state.value} job cannot end as {event.state.value}")
    if job.id in state.steps:
        forget_steps(state, event)
    phase = job.phase
    if isinstance(phase, Active):
        if event.attempt != phase.attempt:
            raise InvalidTransition(event, f"the current attempt is {phase.attempt}")
        _release(state, job, event.at)
        stood_us = suspended_us(phase, event.ended_at or event.at)
        if event.started_at:
            run_us = max((event.ended_at or event.at) - event.started_at - stood_us, 0)
            state.history.ended(job.owner.uid, job.spec, event.state, run_us)
        placements, priority = phase.placements, phase.priority
    else:
        assert isinstance(phase, Pending)
        waiting.dequeue(state, job)
        state.preempting.gone(job.id)
        state.estimates.void(job.id)
        placements, stood_us, priority = (), 0, 0
    end = Ended(
        event.state,
        event.ended_at or event.at,
        event.started_at,
        event.attempt,
        placements,
        event.exit_code,
        event.exit_signal,
        event.reason,
        event.detail,
        event.cancelled_by,
        event.usage,
        phase.eligible_at,
        stood_us,
        priority,
    )
    new = replace(job, phase=end)
    if event.state is JobState.PREEMPTED and isinstance(phase, Active):
        new = made_room(new, phase)
    state.jobs[job.id] = new
    holding.submitted(state, job.spec, job.owner, -1)
    state.finished[job.id] = event.at
    if job.array_id:
        task_moved(state, job, new)
    if state.dependents:
        _notify(state, new, event.at)
    if job.array_id:
        task_ended(state, new, end, event.at)
    elif state.singletons:
        waiting.leave_singletons(state, new, event.at)


def job_requeued(state: State, event: ev.JobRequeued) -> None:
    job, active = _current(state, event, event.attempt)
    if job.id in state.steps:
        forget_steps(state, event)
    _release(state, job, event.at)
    begin_at = event.begin_at if event.begin_at > event.at else UNKNOWN
    phase = waiting.with_eligibility(Pending(begin_at=begin_at, held=event.held), event.at)
    ended_at = event.ended_at or event.at
    run_us = ended_at - event.started_at - suspended_us(active, ended_at) if event.started_at else 0
    avoid = job.avoid
    if event.avoid is not None and event.avoid not in avoid:
        avoid = (*avoid, event.avoid)
    spec, oom_retries = job.spec, job.oom_retries
    if event.ask is not None:
        spec = state.interned.spec(replace(spec, ask=event.ask))
        oom_retries += 1
    new = replace(
        job,
        spec=spec,
        phase=phase,
        restarts=job.restarts + (1 if event.started_at else 0),
        retries=job.retries + (1 if event.retried else 0),
        avoid=avoid,
        refusals=job.refusals + (1 if event.cause is EndCause.LAUNCH_FAILED else 0),
        ran_us=job.ran_us + max(run_us, 0),
        preemptions=job.preemptions + (1 if event.cause is EndCause.PREEMPTED and event.started_at else 0),
        borrow_after=event.borrow_after or job.borrow_after,
        oom_retries=oom_retries,
    )
    if event.cause is EndCause.PREEMPTED:
        new = made_room(new, active)
    state.jobs[job.id] = new
    if job.array_id:
        task_moved(state, job, new)
    waiting.watch(state, new)
    state.pending_columns.add(waiting.row_of(state, new))


def _release(state: State, job: Job, now: Instant) -> None:
    """The job's allocation is free again."""
    phase = job.phase
    assert isinstance(phase, Active)
    if phase.suspended_at:
        state.usage.take_cpus(job, phase.placements, 1)
    state.usage.take(job.owner.uid, phase.placements, -1)
    if job.spec.account:
        state.usage.take(job.spec.account, phase.placements, -1)
    state.usage.use(job.owner.uid, phase.placements, now - phase.granted_at - suspended_us(phase, now), now)
    charging.release(state, job.id, now)
    holding.released(state, job.id)
    state.node_columns.release(job.id)
    state.running_columns.remove(job.id)
    state.preempting.gone(job.id)
    end_loans(state, job, phase)
    if job.spec.licenses:
        state.licenses.release(job.spec.licenses)
    if phase.reservation:
        leave_reservation(state, phase.reservation, job.id, now)


def _current(
    state: State,
    event: ev.AttemptStarted
    | ev.JobWarned
    | ev.JobGpusIdle
    | ev.JobGpusBusy
    | ev.JobEnding
    | ev.JobTerminating
    | ev.JobRequeued,
    attempt: AttemptKey,
) -> tuple[Job, Active]:
    """The job and its present attempt, which must be the event's."""
    job = state.jobs.get(event.job)
    if job is None:
        raise InvalidTransition(event, "no such job")
    require(event, job)
    active = job.phase
    assert isinstance(active, Active)
    if active.attempt != attempt:
        raise InvalidTransition(event, f"the current attempt is {active.attempt}")
    return job, active


def _set(state: State, job: Job, active: Active) -> Job:
    new = replace(job, phase=active)
    state.jobs[job.id] = new
    return new


def _notify(state: State, job: Job, at: Instant) -> None:
    """Whoever waits for this job to start or end."""
    waiting.notify(state, (job.id, WHOLE), at)
    if job.array_id:
        waiting.notify(state, (job.array_id, job.index), at)
        if isinstance(job.phase, Ended):
            waiting.notify_each(state, job.array_id, job.index, at)
        elif not state.arrays[job.array_id].remaining:
            waiting.notify(state, (job.array_id, WHOLE), at)
