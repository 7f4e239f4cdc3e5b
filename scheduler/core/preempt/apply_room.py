"""Applying what preemption decided: when a job leaves, for whom, and what its record says of it."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.preempt.known import CLAIM_S
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import Active, Job, Pending


def ends_at(state: State, active: Active) -> Instant:
    """When the attempt is over at the latest, as far as that is known; 0 for never."""
    if not active.ending_mode:
        return active.end_by
    told_at = active.terminate_at or active.ending_at
    at = Instant(told_at + state.config.kill_wait_s * US)
    return min(at, active.end_by) if active.end_by else at


def keep_for(state: State, active: Active) -> None:
    """What the attempt leaves is kept for the job that it makes room for."""
    waiter = state.jobs.get(active.ending_for)
    if waiter is not None and isinstance(waiter.phase, Pending):
        until = max(waiter.room_until, Instant(ends_at(state, active) + CLAIM_S * US))
        waiter = state.jobs[waiter.id] = replace(waiter, room_until=until)
        state.preempting.put(waiter)


def made_room(job: Job, active: Active) -> Job:
    """The job with what its record says of its end."""
    return replace(
        job,
        preempted_by=active.ending_for,
        preempted_at=active.ending_at,
        preempted_why=active.ending_why,
    )
