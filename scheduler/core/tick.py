"""What time alone brings about: begin times, time limits, leases, ends of reservations, and forgetting.

`next_timer` says how long the engine may sleep; a Tick at that instant (or later) does what is due.
"""

from __future__ import annotations

from itertools import islice

from msgspec.structs import replace

from packhorse.scheduler.core import gangs, waiting
from packhorse.scheduler.core.active import (
    brake_holds,
    can_lose,
    inactive_at,
    lease_over_at,
    nothing_left_at,
    ranked_next_at,
    warn_at,
)
from packhorse.scheduler.core.cancel import end_pending, end_remainder
from packhorse.scheduler.core.crontabs.again import again
from packhorse.scheduler.core.deadlines import REASON, due_at
from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.lifecycle import lose_node, nothing_left, stop, terminate
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.reclaim.lending import too_much_lent
from packhorse.scheduler.core.reclaim.settle import settle
from packhorse.scheduler.core.reservations.over import end_reservations
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.ending import limit_at, limits_over
from packhorse.scheduler.core.steps.tell import signal_all
from packhorse.scheduler.core.timers import Entry, Timer
from packhorse.scheduler.core.triggers.book import next_at
from packhorse.scheduler.core.triggers.firing import fire
from packhorse.scheduler.model.event import (
    JobEnded,
    JobEnding,
    JobsEligible,
    JobsForgotten,
    JobsRanked,
    JobTerminating,
    JobUpdated,
    JobWarned,
)
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId
from packhorse.scheduler.model.input import SignalScope, Tick
from packhorse.scheduler.model.job import Active, ArrayJob, EndCause, Job, JobState, Pending
from packhorse.scheduler.model.units import format_elapsed, format_span

FORGET_SLACK_S = 5
"""Finished jobs are forgotten together, up to this much later than they may be."""
DUE = Instant(1)
"""In the past, whatever the time is."""
FORGET_AT_ONCE = 2_000
"""Per event, so that no single one holds up the loop."""


def next_timer(state: State) -> Instant | None:
    """When the next Tick has something to do, None if only an input can change that. May lie in the past."""
    least = None
    if len(state.timers):
        least = state.timers.next(lambda entry: _stands(state, entry), not brake_holds(state))
    windows = state.windows
    for at in (
        _forget_at(state),
        state.batch.wake_at or None,
        state.reclaim.wake_at or None,
        state.preempting.wake_at or None,
        state.held.wake_at or None,
        _unsettled_at(state) if state.reclaim.suspects else None,
        windows.wake_at or None,
        windows.due(state.reservations, state.config) if state.reservations else None,
        DUE if state.cron_due else None,
        next_at(state) if state.triggers else None,
    ):
        if at is not None and (least is None or at < least):
            least = at
    return least


def tick(state: State, _input: Tick, now: Instant) -> Decision:
    """What is due by now, one thing per job; what follows from that is for the next Tick, due at once.

    more: a pass is due as well.
    """
    draft = Draft(state, now)
    wake = bool(state.batch.wake_at) and state.batch.wake_at <= now
    if wake:
        state.batch.wake_at = UNKNOWN
    if state.reclaim.wake_at and state.reclaim.wake_at <= now:
        state.reclaim.wake_at, wake = UNKNOWN, True
    if state.preempting.wake_at and state.preempting.wake_at <= now:
        state.preempting.wake_at, wake = UNKNOWN, True
    if state.held.wake_at and state.held.wake_at <= now:
        state.held.wake_at, wake = UNKNOWN, True
    if state.windows.wake_at and state.windows.wake_at <= now:
        state.windows.wake(state.reservations, now)
        wake = True
    due = state.windows.due(state.reservations, state.config)
    if due is not None and due <= now:
        end_reservations(draft)
        return draft.decision()._replace(more=wake)
    if state.cron_due:
        again(draft)
        return draft.decision()._replace(more=wake)
    if state.triggers:
        fire(draft)
    eligible: list[JobId] = []
    ranked: list[JobId] = []
    seen: set[JobId] = set()
    for _at, kind, id in state.timers.due(now, lambda found: _stands(state, found), not brake_holds(state)):
        if id in seen:
            continue
        seen.add(id)
        if kind is Timer.BEGIN:
            eligible.append(id)
        elif kind is Timer.DOOMED:
            _doom(draft, id)
        elif kind is Timer.RANK:
            ranked.append(id)
        elif kind is Timer.SWITCHES:
            _any_switches(draft, id)
        elif kind is Timer.DEADLINE:
            _deadline_over(draft, id)
        elif kind is Timer.GANG:
            _give_up(draft, id, seen)
        else:
            job = state.jobs[id]
            active = job.phase
            assert isinstance(active, Active)
            _act(draft, kind, job, active)
    if eligible:
        draft.events.append(JobsEligible(now, tuple(eligible)))
    if ranked:
        draft.events.append(JobsRanked(now, tuple(ranked)))
    _forget(draft)
    if not draft.events:
        _settle_loans(draft)
    return draft.decision()._replace(more=wake)


def _unsettled_at(state: State) -> Instant | None:
    """Whether too much is lent on some node: a Tick is due then."""
    for name in list(state.reclaim.suspects):
        if too_much_lent(state, name):
            return DUE
        del state.reclaim.suspects[name]
    return None


def _settle_loans(draft: Draft) -> None:
    """Suspects one by one; those that share a borrower with one before are left for the next Tick, which
    sees what has become of its loans."""
    book = draft.state.reclaim
    dealt_with: set[JobId] = set()
    for name in sorted(book.suspects):
        here = book.borrowers.get(name, {})
        if dealt_with.isdisjoint(here):
            n_events = len(draft.events)
            settle(draft, name)
            if len(draft.events) > n_events:
                dealt_with.update(here)


def _act(draft: Draft, kind: Timer, job: Job, active: Active) -> None:
    match kind:
        case Timer.LIMIT:
            stop(draft, job, active, EndCause.TIME_LIMIT)
        case Timer.WARN:
            warn = job.spec.warn
            assert warn is not None
            draft.events.append(JobWarned(draft.now, job.id, active.attempt))
            scope = SignalScope.BATCH if warn.batch_only else SignalScope.STEPS
            signal_all(draft, job, active, warn.signal, scope)
        case Timer.TERMINATE:
            draft.events.append(JobTerminating(draft.now, job.id, active.attempt))
            terminate(draft, active, active.ending or EndCause.REQUEUED)
            if nothing_left_at(draft.state, job, active):
                nothing_left(draft, job, replace(active, terminate_at=UNKNOWN))
        case Timer.LEASE:
            _lease_over(draft, job, active)
        case Timer.STEP_LIMIT:
            limits_over(draft, job, active)
        case Timer.INACTIVE:
            why = f"it had no step for {format_span(draft.state.config.inactive_limit_s)} (InactiveLimit)"
            cause = EndCause.TIME_LIMIT
            draft.events.append(JobEnding(draft.now, job.id, active.attempt, cause, why=why))
        case Timer.NOTHING_LEFT:
            nothing_left(draft, job, active)


def _lease_over(draft: Draft, job: Job, active: Active) -> None:
    """One of its nodes was silent for longer than the lease: it has stopped the job by itself."""
    for placement in active.placements:
        at = lease_over_at(draft.state, job, placement.node)
        if at and at <= draft.now and can_lose(draft.state, job, active, placement.node):
            detail = f"node {placement.node} was silent for longer than the lease of {job.spec.lease_s} s"
            lose_node(draft, job, active, placement.node, detail, EndCause.LEASE)
            return


def _deadline_over(draft: Draft, id: JobId) -> None:
    """What is due at that time."""
    waiter: Job | ArrayJob = draft.state.jobs.get(id) or draft.state.arrays[id]
    if isinstance(waiter, Job) and isinstance(waiter.phase, Active):
        stop(draft, waiter, waiter.phase, EndCause.DEADLINE)
        return
    detail = f"it could not be over by its deadline (--time {format_elapsed(waiter.spec.time_limit_s)})"
    if isinstance(waiter, Job):
        draft.events.append(JobEnded(draft.now, id, JobState.DEADLINE, reason=REASON, detail=detail))
    else:
        end_remainder(draft, waiter, waiter.remaining, -1, REASON, detail, JobState.DEADLINE)


def _any_switches(draft: Draft, id: JobId) -> None:
    """It has waited long enough for nodes below few switches."""
    waiter: Job | ArrayJob = draft.state.jobs.get(id) or draft.state.arrays[id]
    spec = replace(waiter.spec, ask=replace(waiter.spec.ask, max_switches=0), switches_wait_s=-1)
    draft.events.append(JobUpdated(draft.now, id, spec, -1))


def _give_up(draft: Draft, id: JobId, seen: set[JobId]) -> None:
    """The gang of this job has waited for long enough. seen: for whom something is done already; if that is
    another member, the next Tick sees what became of it."""
    jobs = draft.state.jobs
    found = draft.state.gangs.of(jobs[id])
    assert found is not None
    if any(member in seen for member in found.members if member != id):
        return
    for member in sorted(found.members):
        seen.add(member)
        end_pending(draft, jobs[member], -1, gangs.TIMEOUT, gangs.timed_out(found))


def _doom(draft: Draft, id: JobId) -> None:
    """A dependency that cannot come true any more, of a job that wants to be cancelled then."""
    job = draft.state.jobs.get(id)
    reason, detail = Reason.DEPENDENCY_NEVER.value, "its dependency can never be satisfied"
    if job is not None:
        end_pending(draft, job, -1, reason, detail)
        return
    array = draft.state.arrays[id]
    end_remainder(draft, array, array.remaining if array.phase.never else array.never, -1, reason, detail)


def _stands(state: State, entry: Entry) -> bool:
    """Whether what the entry announces is still to come."""
    at, kind, id = entry
    waiter: Job | ArrayJob | None = state.jobs.get(id) or state.arrays.get(id)
    if waiter is None:
        return False
    phase = waiter.phase
    if kind is Timer.SWITCHES:
        return waiting.switches_over_at(waiter) == at and waiting.anything(waiter)
    if kind is Timer.DEADLINE:
        return due_at(waiter) == at and waiting.anything(waiter)
    if isinstance(phase, Pending):
        if kind is Timer.BEGIN:
            clear = not (phase.eligible_at or phase.held or phase.unmet or phase.never)
            return clear and phase.begin_at == at and waiting.anything(waiter)
        if kind is Timer.GANG:
            return isinstance(waiter, Job) and gangs.due_at(state, waiter) == at
        if kind is Timer.DOOMED:
            return waiting.doomed(waiter)
        return False
    if not isinstance(phase, Active) or not isinstance(waiter, Job):
        return False
    match kind:
        case Timer.LIMIT:
            runs = phase.ending is None and bool(phase.started_at) and not phase.suspended_at
            return runs and phase.end_by == at
        case Timer.WARN:
            runs = phase.ending is None and bool(phase.started_at) and not phase.suspended_at
            runs = runs and phase.batch_end is None
            can = runs and bool(phase.end_by) and not phase.warned
            return can and waiter.spec.warn is not None and warn_at(waiter, phase) == at
        case Timer.TERMINATE:
            return phase.terminate_at == at
        case Timer.RANK:
            return ranked_next_at(state, waiter, phase) == at
        case Timer.LEASE:
            return any(
                lease_over_at(state, waiter, p.node) == at and can_lose(state, waiter, phase, p.node)
                for p in phase.placements
            )
        case Timer.INACTIVE:
            return inactive_at(state, waiter) == at
        case Timer.STEP_LIMIT:
            return limit_at(state, waiter) == at
        case Timer.NOTHING_LEFT:
            return nothing_left_at(state, waiter, phase) == at
    return False


def _forget_at(state: State) -> Instant | None:
    finished = state.finished
    if not finished:
        return None
    limit = state.config.max_finished_kept
    oldest = next(iter(finished.values()))
    if len(finished) > limit + limit // 50:
        return oldest
    return Instant(oldest + (state.config.min_job_age_s + FORGET_SLACK_S) * US)


def _forget(draft: Draft) -> None:
    """Finished jobs that are old enough, or too many, oldest first.

    An array finished after its tasks, so they go before it; a task reopened later holds its array back.
    """
    state = draft.state
    due = _forget_at(state)
    if due is None or due > draft.now:
        return
    oldest = draft.now - state.config.min_job_age_s * US
    surplus = len(state.finished) - state.config.max_finished_kept
    gone: list[JobId] = []
    for id, at in islice(state.finished.items(), FORGET_AT_ONCE):
        if at > oldest and len(gone) >= surplus:
            break
        gone.append(id)
    draft.events.append(JobsForgotten(draft.now, tuple(gone)))
