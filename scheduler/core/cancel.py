"""scancel: ending jobs, or sending them a signal."""

from __future__ import annotations

from packhorse.scheduler.core import indices, targets
from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.indices import Ranges
from packhorse.scheduler.core.lifecycle import SIGKILL, stop
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.tell import signal_all
from packhorse.scheduler.core.targets import Aim
from packhorse.scheduler.model.event import ArrayRemainderCancelled, JobEnded
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.input import Cancel, Target
from packhorse.scheduler.model.job import Active, ArrayJob, EndCause, Job, JobState, Pending
from packhorse.scheduler.model.reply import Done, Outcome, RefusalCode

ALREADY_OVER = "Job/step already completing or completed"
TRY_AGAIN = "Job can not be altered now, try again later"
ACCESS_DENIED = "Access/permission denied"
MAX_SIGNAL = 64

_STOPPING_ANYWAY = frozenset({EndCause.CANCELLED, EndCause.TIME_LIMIT})
"""Ends that leave nothing to cancel. Any other one would bring the job back, which a cancel prevents."""


def cancel(state: State, call: Cancel, now: Instant) -> Decision:
    """One outcome per target. A target that names several jobs is done if any of them could be."""
    draft = Draft(state, now)
    settled = _Settled()
    outcomes = tuple(_aim(draft, call, target, settled) for target in call.targets)
    for array, ranges in settled.remainders.items():
        end_remainder(draft, state.arrays[array], indices.union_all(ranges), call.caller.owner.uid)
    return draft.answer(call.caller, Done(outcomes))


class _Settled:
    """What this call ends already: jobs, and indices of arrays that wait, which end together."""

    __slots__ = ("jobs", "remainders")

    def __init__(self) -> None:
        self.jobs: set[JobId] = set()
        self.remainders: dict[JobId, list[Ranges]] = {}


def _aim(draft: Draft, call: Cancel, target: Target, settled: _Settled) -> Outcome:
    if not 0 <= call.signal <= MAX_SIGNAL:
        return Outcome(
            target.ref, RefusalCode.INVALID, f"signal {call.signal}: 1 to {MAX_SIGNAL}", "Invalid signal"
        )
    aim = targets.resolve(draft.state, target)
    if aim is None:
        return targets.not_found(target)
    if not targets.may_act(call.caller, aim):
        return targets.denied(target, ACCESS_DENIED)
    if targets.finished(aim):
        return targets.wrong_state(target, "is over already", ALREADY_OVER)
    if call.signal:
        return _signal(draft, call, target, aim, settled)
    uid = call.caller.owner.uid
    n = _end_waiting(draft, aim, uid, settled)
    for job in aim.jobs:
        if job.id not in settled.jobs and _end_active(draft, job, uid):
            settled.jobs.add(job.id)
            n += 1
    if not n and not any(job.id in settled.jobs for job in aim.jobs):
        return targets.wrong_state(target, "is being ended already", ALREADY_OVER)
    return targets.done(target)


def _signal(draft: Draft, call: Cancel, target: Target, aim: Aim, settled: _Settled) -> Outcome:
    """Running jobs get the signal; KILL is also a way to take back what only waits."""
    n = 0
    for job in aim.jobs:
        phase = job.phase
        if isinstance(phase, Active) and phase.started_at:
            signal_all(draft, job, phase, call.signal, call.scope)
            n += 1
    if call.signal == SIGKILL:
        n += _end_waiting(draft, aim, call.caller.owner.uid, settled)
    if n:
        return targets.done(target)
    return targets.wrong_state(target, "does not run, so that no signal can reach it", TRY_AGAIN)


def _end_waiting(draft: Draft, aim: Aim, uid: int, settled: _Settled) -> int:
    n = 0
    for job in aim.jobs:
        if isinstance(job.phase, Pending) and job.id not in settled.jobs:
            end_pending(draft, job, uid)
            settled.jobs.add(job.id)
            n += 1
    if aim.array is not None and aim.ranges:
        settled.remainders.setdefault(aim.array.id, []).append(aim.ranges)
        n += 1
    return n


def end_pending(draft: Draft, job: Job, uid: int, reason: str = "None", detail: str = "") -> None:
    """A job that waits is over without having run (again)."""
    draft.events.append(
        JobEnded(draft.now, job.id, JobState.CANCELLED, reason=reason, detail=detail, cancelled_by=uid)
    )


def end_remainder(
    draft: Draft,
    array: ArrayJob,
    ranges: Ranges,
    uid: int,
    reason: str = "None",
    detail: str = "",
    end: JobState = JobState.CANCELLED,
) -> None:
    """Waiting indices will not run."""
    if ranges:
        event = ArrayRemainderCancelled(draft.now, array.id, ranges, uid, end, reason, detail)
        draft.events.append(event)


def _end_active(draft: Draft, job: Job, uid: int) -> bool:
    phase = job.phase
    if not isinstance(phase, Active) or phase.ending in _STOPPING_ANYWAY:
        return False
    stop(draft, job, phase, EndCause.CANCELLED, uid)
    return True
