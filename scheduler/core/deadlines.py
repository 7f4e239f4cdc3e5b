"""Deadlines (`sbatch --deadline`): a job that cannot be over by then is given up, one that runs is stopped.

How long it may take is its time limit; without one it may start until the deadline itself.
"""

from __future__ import annotations

from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.timers import Timer
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant
from packhorse.scheduler.model.job import Active, ArrayJob, Job, JobSpec, Pending
from packhorse.scheduler.model.reply import RefusalCode, Refused
from packhorse.scheduler.model.units import format_elapsed

REASON = "DeadLine"
"""Slurm's word for why such a job ended."""


def latest_start(spec: JobSpec) -> Instant:
    """After when it is too late to start it, UNKNOWN for never."""
    return Instant(max(spec.deadline_at - spec.time_limit_s * US, 1)) if spec.deadline_at else UNKNOWN


def due_at(waiter: Job | ArrayJob) -> Instant:
    """When something follows from its deadline, UNKNOWN for never."""
    match waiter.phase:
        case Pending():
            return Instant(latest_start(waiter.spec) + 1) if waiter.spec.deadline_at else UNKNOWN
        case Active(ending=None):
            return waiter.spec.deadline_at
    return UNKNOWN


def set_deadline_timer(state: State, waiter: Job | ArrayJob) -> None:
    """Enter it."""
    at = due_at(waiter)
    if at:
        state.timers.add(at, Timer.DEADLINE, waiter.id)


def check_deadline(spec: JobSpec, now: Instant) -> Refused | None:
    """Whether it can be over by then at all."""
    if not spec.deadline_at:
        return None
    latest, limit = latest_start(spec), format_elapsed(spec.time_limit_s)
    if latest >= now and spec.begin_at > latest:
        return Refused(
            RefusalCode.IMPOSSIBLE,
            f"deadline: with a time limit of {limit} it would have to start before its begin time; ask for a "
            "later deadline, an earlier begin time or a shorter time limit",
            "Requested time limit is invalid (missing or exceeds some limit)",
        )
    if latest >= now:
        return None
    return Refused(
        RefusalCode.IMPOSSIBLE,
        f"deadline: with a time limit of {limit} it would have to have started already; "
        "ask for a later deadline or a shorter time limit",
        "Requested time limit is invalid (missing or exceeds some limit)",
    )
