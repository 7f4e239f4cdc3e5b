"""scontrol requeue and requeuehold: the same job once more.

A running job may ask this of itself, by a child of its own batch script. So the answer goes out first
and the order to stop follows ANSWER_FIRST_US later: were it the other way round, the kill would reach
the child before it could report success.
"""

from __future__ import annotations

from packhorse.scheduler.core import targets
from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.event import JobEnding, JobReopened
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.input import Requeue, Target
from packhorse.scheduler.model.job import Active, EndCause, Ended, Held, Job
from packhorse.scheduler.model.reply import Done, Outcome

PENDING = "Job is pending execution"
BATCH_ONLY = "Only batch jobs are accepted or processed"
DISABLED = "Requested operation is presently disabled"
TRY_AGAIN = "Job can not be altered now, try again later"
INVALID_USER = "Invalid user id"

ANSWER_FIRST_US = US
"""Time for the answer to reach a caller inside the job; a command needs some 30 ms of it."""


def requeue(state: State, call: Requeue, now: Instant) -> Decision:
    """Stops running jobs and reopens finished ones; both wait again."""
    draft = Draft(state, now)
    seen: set[JobId] = set()
    outcomes = tuple(_aim(draft, call, target, seen) for target in call.targets)
    return draft.answer(call.caller, Done(outcomes))


def _aim(draft: Draft, call: Requeue, target: Target, seen: set[JobId]) -> Outcome:
    aim = targets.resolve(draft.state, target)
    if aim is None:
        return targets.not_found(target)
    if not targets.may_act(call.caller, aim):
        return targets.denied(target, INVALID_USER)
    problem: Outcome | None = None
    n = 0
    for job in aim.jobs:
        outcome = targets.done(target) if job.id in seen else _one(draft, call, target, job)
        seen.add(job.id)
        if outcome.code is None:
            n += 1
        else:
            problem = problem or outcome
    if n:
        return targets.done(target)
    return problem or targets.wrong_state(target, "waits already", PENDING)


def _one(draft: Draft, call: Requeue, target: Target, job: Job) -> Outcome:
    uid = call.caller.owner.uid
    phase = job.phase
    if not isinstance(phase, Active | Ended):
        return targets.wrong_state(target, "waits already", PENDING)
    if job.spec.allocation:
        return targets.wrong_state(target, "has no batch script that could be run again", BATCH_ONLY)
    if not job.spec.requeue and not call.caller.admin:
        return targets.wrong_state(target, "was submitted with --no-requeue", DISABLED)
    if isinstance(phase, Ended):
        begin_at = Instant(draft.now + draft.state.config.requeue_delay_s * US)
        held = Held.REQUEUED if call.hold else Held.NO
        draft.events.append(JobReopened(draft.now, job.id, uid, begin_at, held))
        return targets.done(target)
    if phase.ending in (EndCause.CANCELLED, EndCause.TIME_LIMIT):
        return targets.wrong_state(target, "is being ended", TRY_AGAIN)
    if phase.ending is EndCause.REQUEUED and phase.requeue_held == call.hold:
        return targets.done(target)
    draft.events.append(
        JobEnding(
            draft.now,
            job.id,
            phase.attempt,
            EndCause.REQUEUED,
            uid,
            call.hold,
            terminate_at=Instant(draft.now + ANSWER_FIRST_US) if phase.ending is None else phase.terminate_at,
        )
    )
    return targets.done(target)
