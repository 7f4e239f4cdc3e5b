"""Attempts that hold an allocation: their timers, and when a silent node has stopped one by itself."""

from __future__ import annotations

from packhorse.scheduler.core.orders import BY_ORDER, order, width_milli
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import NO_STEPS, has_script, parts_left
from packhorse.scheduler.core.timers import Timer
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, NodeName
from packhorse.scheduler.model.job import Active, Job

LEASE_MARGIN_S = 30
"""Beyond lease and grace: clocks that run at different speeds, a node too busy to stop a job on time."""


def suspended_us(active: Active, at: Instant) -> int:
    """For how long the attempt has been suspended by then, in microseconds; told to end, it goes on."""
    if not active.suspended_at:
        return active.suspended_us
    until = min(active.ending_at, at) if active.ending_at else at
    return active.suspended_us + max(until - active.suspended_at, 0)


def ran_us(active: Active, at: Instant) -> int:
    """For how long the attempt has run by then, or held its allocation if it has not begun: not counting the
    time in which it was suspended."""
    return max(at - (active.started_at or active.granted_at) - suspended_us(active, at), 0)


def is_suspended(active: Active) -> bool:
    """Whether it is stopped and is to stay so."""
    return bool(active.suspended_at) and active.ending is None


def ends_by(active: Active) -> Instant:
    """When what it holds is free at the latest, 0: nobody knows. While it is suspended nobody does."""
    return UNKNOWN if is_suspended(active) else active.end_by


def set_timers(state: State, job: Job, active: Active) -> None:
    """Enter what is due for the attempt. Entries made before become stale by themselves."""
    set_rank_timer(state, job, active)
    if job.spec.deadline_at and active.ending is None:
        state.timers.add(job.spec.deadline_at, Timer.DEADLINE, job.id)
    if job.spec.allocation and active.ending is not None:
        state.timers.add(max(active.ending_at, active.terminate_at), Timer.NOTHING_LEFT, job.id)
    if job.spec.allocation:
        set_inactive_timer(state, job)
    if active.terminate_at:
        state.timers.add(active.terminate_at, Timer.TERMINATE, job.id)
    if active.ending is None and active.started_at and active.end_by and not active.suspended_at:
        state.timers.add(active.end_by, Timer.LIMIT, job.id)
        if job.spec.warn is not None and not active.warned:
            state.timers.add(warn_at(job, active), Timer.WARN, job.id)


def set_rank_timer(state: State, job: Job, active: Active) -> None:
    """Enter when the attempt will stand elsewhere in the order."""
    at = ranked_next_at(state, job, active)
    if at:
        state.timers.add(at, Timer.RANK, job.id)


def ranked_next_at(state: State, job: Job, active: Active) -> Instant:
    """When the job has run for so long that the order looks at it anew; 0 for never, or if nobody cares."""
    if state.config.preempt != BY_ORDER:
        return UNKNOWN
    marks = order(state.config.order).marks
    if not marks or active.ending is not None or active.suspended_at:
        return UNKNOWN
    since = active.started_at or active.granted_at
    last = max(since, active.ranked_at)
    milli = width_milli(job.spec.ask)
    for mark in marks:
        at = since + active.suspended_us - job.ran_us + -(-mark * 1000 // milli) * US
        if at > last:
            return Instant(at)
    return UNKNOWN


def warn_at(job: Job, active: Active) -> Instant:
    """When the signal before the time limit is due."""
    assert job.spec.warn is not None
    return Instant(max(active.started_at, active.end_by - job.spec.warn.seconds_before * US))


def set_inactive_timer(state: State, job: Job) -> None:
    """Enter when the allocation has had no step for too long."""
    at = inactive_at(state, job)
    if at:
        state.timers.add(at, Timer.INACTIVE, job.id)


def inactive_at(state: State, job: Job) -> Instant:
    """When an allocation without a running step has had none for as long as one may (Slurm's InactiveLimit),
    0 for never."""
    limit_s, active = state.config.inactive_limit_s, job.phase
    if not limit_s or not job.spec.allocation or not isinstance(active, Active):
        return UNKNOWN
    if active.ending is not None or active.batch_end is not None or not active.started_at:
        return UNKNOWN
    steps = state.steps.get(job.id, NO_STEPS)
    if steps.running:
        return UNKNOWN
    return Instant((steps.idle_since or active.started_at) + limit_s * US)


def nothing_left_at(state: State, job: Job, active: Active) -> Instant:
    """When an allocation without steps that was told to end is over, 0 if it is something else."""
    if not job.spec.allocation or active.ending is None or next(parts_left(state.steps, job.id), None):
        return UNKNOWN
    return max(active.ending_at, active.terminate_at)


def set_lease_timers(state: State, name: NodeName) -> None:
    """The node fell silent: enter when each of its leased jobs will have been stopped by it."""
    for id in state.node_columns.jobs_on(name):
        job = state.jobs[id]
        at = lease_over_at(state, job, name)
        if at:
            state.timers.add(at, Timer.LEASE, id)


def lease_over_at(state: State, job: Job, name: NodeName) -> Instant:
    """When the node, silent all the time, has stopped the job by itself; 0 if it never will."""
    node = state.nodes[name]
    if node.reachable or job.spec.lease_s <= 0:
        return UNKNOWN
    return Instant(node.silent_since + (job.spec.lease_s + state.config.kill_wait_s + LEASE_MARGIN_S) * US)


def can_lose(state: State, job: Job, active: Active, name: NodeName) -> bool:
    """Whether something of the attempt is lost with this node of it, so that it has to be given up there."""
    if active.ending is None and active.batch_end is None:
        return True
    if has_script(job, active) and active.placements[0].node == name:
        return True
    return any(part.node == name for _, part in parts_left(state.steps, job.id))


def brake_holds(state: State) -> bool:
    """Whether so many nodes are silent at once that the fault is elsewhere: nothing is declared lost."""
    n = len(state.nodes)
    return n >= 3 and state.n_silent > state.config.silent_brake_fraction * n
