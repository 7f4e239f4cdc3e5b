"""`packhorse why`: the whole answer about one job, as values. The words for people are made of these by
the command."""

from __future__ import annotations

from typing import NamedTuple

from packhorse.scheduler.core.explain import Explanation, explain
from packhorse.scheduler.core.names import name_in, name_of
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.why.change import Waiter
from packhorse.scheduler.core.why.meanings import meaning
from packhorse.scheduler.core.why.place import Place, place
from packhorse.scheduler.core.why.queue import Queue, queue
from packhorse.scheduler.core.why.smallest import Suggestion, smallest
from packhorse.scheduler.core.why.standing import standing
from packhorse.scheduler.model.ids import UNKNOWN, Instant, NodeName
from packhorse.scheduler.model.job import Active, Ended, Job, JobState


class Why(NamedTuple):
    """job: as people write it. state: Slurm's word. reasons: all that is in its way, what decides first
    comes first; of a job that does not wait, what there is to say. starts: where the very next pass starts
    it. planned: when it starts as things stand, 0 if nobody can say. past: what became of it before, in
    sentences. queue: who is ahead, None where order does not matter yet. standing: what its place in the
    order is made of, in sentences. place: why it runs where it runs."""

    job: str
    name: str
    user: str
    partition: str
    state: JobState
    reasons: tuple[Explanation, ...]
    starts: tuple[NodeName, ...] = ()
    planned: Instant = UNKNOWN
    past: tuple[str, ...] = ()
    queue: Queue | None = None
    standing: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    place: Place | None = None


def why(snapshot: State, waiter: Waiter, now: Instant) -> Why:
    """The answer. snapshot: of core/why/snapshot.py, for this answer alone: parts of it are changed."""
    phase = waiter.phase
    state = waiter.state if isinstance(waiter, Job) else JobState.PENDING
    known = Why(name_of(waiter), waiter.spec.name, waiter.owner.user, waiter.spec.partition, state, ())
    match phase:
        case Ended():
            return known._replace(reasons=_ended(phase))
        case Active():
            assert isinstance(waiter, Job)
            where = place(snapshot, waiter, now)
            return known._replace(reasons=_active(snapshot, phase), past=_past(waiter), place=where)
    if waiter.id not in snapshot.pending_columns:
        return known._replace(reasons=(Explanation(Reason.NONE, "nothing of it waits"),))
    reasons = blockers(snapshot, waiter, now)
    found = smallest(snapshot, waiter, now)
    line = None
    if found.ahead is not None:
        line = queue(found.ahead.state, waiter, found.ahead, now)
    return known._replace(
        reasons=reasons,
        past=_past(waiter),
        starts=found.starts,
        planned=snapshot.pending_columns.planned(waiter.id) or found.at,
        queue=line,
        standing=standing(snapshot, waiter, now),
        suggestions=found.suggestions,
    )


def blockers(state: State, waiter: Waiter, now: Instant) -> tuple[Explanation, ...]:
    """All that is in the way of a waiting job, the reason of the last pass first; never empty."""
    found = list(explain(state, waiter.id, now))
    last = state.pending_columns.reason(waiter.id)
    if last is not Reason.NONE and all(one.reason is not last for one in found):
        found = [one for one in found if one.reason is not Reason.NONE]
        found.insert(0, Explanation(last, meaning(last).text))
    return tuple(found)


def _active(state: State, active: Active) -> tuple[Explanation, ...]:
    """What there is to say of a job that has an allocation."""
    parts = []
    if active.ending_for:
        parts.append(f"it is being stopped to make room for job {name_in(state, active.ending_for)}")
    elif active.ending is not None:
        cause = active.ending_why or _CAUSES.get(active.ending.value, active.ending.value)
        parts.append(f"it is being stopped: {cause}")
    if active.suspended_at:
        whom, until = "", "when an administrator resumes it"
        if active.suspended_for:
            whom, until = (
                f" for job {name_in(state, active.suspended_for)}",
                "by itself once its CPUs are free again",
            )
        parts.append(f"it is suspended{whom}: it keeps its memory and runs on {until}")
    return (Explanation(Reason.NONE, "; ".join(parts)),) if parts else ()


def _past(waiter: Waiter) -> tuple[str, ...]:
    """Why it had to make room, and how often it was started anew."""
    if not isinstance(waiter, Job):
        return ()
    parts = []
    if waiter.preemptions:
        why = waiter.preempted_why or "made room for another job"
        last = ", the last time" if waiter.preemptions > 1 else ""
        parts.append(f"it was stopped {_times(waiter.preemptions)} before{last} since it {why}")
    if waiter.restarts > waiter.preemptions:
        parts.append(f"it was started anew {_times(waiter.restarts - waiter.preemptions)}")
    return tuple(parts)


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def _ended(end: Ended) -> tuple[Explanation, ...]:
    """How it ended."""
    said = end.detail or (end.reason if end.reason not in ("", "None") else "")
    code = f"exit code {end.exit_code}" if not end.exit_signal else f"signal {end.exit_signal}"
    sentence = f"it is over: {end.state.value}, {code}"
    if not end.started_at:
        sentence = f"it is over and never ran: {end.state.value}"
    if end.cancelled_by >= 0 and end.state is JobState.CANCELLED:
        sentence += f", cancelled by uid {end.cancelled_by}"
    return (Explanation(Reason.NONE, sentence + (f"; {said}" if said else "")),)


_CAUSES = {
    "cancelled": "it was cancelled",
    "time_limit": "its time limit is over",
    "requeued": "it was put back into the queue",
    "node_fail": "its node was lost",
    "preempted": "another job needs its room",
    "gpu_idle": "its GPUs did nothing for too long",
    "lease": "its node was silent for too long",
}
