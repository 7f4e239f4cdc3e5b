"""Applying what preemption decided: when a job leaves, for whom, and what its record says of it."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.active import ends_by
from packhorse.scheduler.core.preempt.known import CLAIM_S
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.job import Active, Job, Pending


def ends_at(state: State, active: Active) -> Instant:
    """When what the attempt holds is free at the latest, as far as that is known; 0: nobody knows."""
    if not active.ending_mode and not active.suspended_at:
        return active.end_by
    by = ends_by(active)
    if not active.ending_mode:
        return by
    told_at = active.terminate_at or active.ending_at
    at = Instant(told_at + state.config.kill_wait_s * US)
    return min(at, by) if by else at


def keep_for(state: State, id: JobId, at: Instant) -> None:
    """What somebody leaves at that time is kept for the waiting job."""
    waiter = state.jobs.get(id)
    if waiter is not None and isinstance(waiter.phase, Pending):
        until = max(waiter.room_until, Instant(at + CLAIM_S * US))
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
