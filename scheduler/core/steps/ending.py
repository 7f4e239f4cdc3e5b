"""Steps and allocations that are told to end: by scancel, by the command that held them, by their time
limit."""

from __future__ import annotations

from packhorse.scheduler.core.cancel import ALREADY_OVER, MAX_SIGNAL, end_pending
from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.lifecycle import over
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import NO_STEPS, step_key, step_of
from packhorse.scheduler.core.steps.create import ACCESS_DENIED, UNKNOWN_JOB
from packhorse.scheduler.core.steps.tell import end_step
from packhorse.scheduler.model.command import Signal
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import CancelStep, EndAllocation, ReportExit, SignalScope
from packhorse.scheduler.model.job import Active, EndCause, Job, Pending
from packhorse.scheduler.model.reply import Done, Outcome, RefusalCode, Refused


def cancel_step(state: State, call: CancelStep, now: Instant) -> Decision:
    """End the step on all its nodes, or send its tasks a signal."""
    draft = Draft(state, now)
    return draft.answer(call.caller, Done((_cancel(draft, call),)))


def _cancel(draft: Draft, call: CancelStep) -> Outcome:
    state, ref = draft.state, call.ref
    if not 0 <= call.signal <= MAX_SIGNAL:
        message = f"signal {call.signal}: 1 to {MAX_SIGNAL}"
        return Outcome(ref, RefusalCode.INVALID, message, "Invalid signal")
    job = state.jobs.get(call.job)
    if job is None:
        return Outcome(ref, RefusalCode.NOT_FOUND, f"job {call.job} is not known", UNKNOWN_JOB)
    if not call.caller.admin and call.caller.owner.uid != job.owner.uid:
        message = f"job {call.job} belongs to another user; its owner or an administrator may do this"
        return Outcome(ref, RefusalCode.DENIED, message, ACCESS_DENIED)
    step = step_of(state.steps, job.id, call.step)
    if step is None or not isinstance(job.phase, Active):
        if call.step < state.steps.get(job.id, NO_STEPS).next or not isinstance(job.phase, Active | Pending):
            return Outcome(ref, RefusalCode.WRONG_STATE, f"step {ref} is over already", ALREADY_OVER)
        return Outcome(ref, RefusalCode.NOT_FOUND, f"job {call.job} has no step {call.step}", UNKNOWN_JOB)
    if not call.signal:
        end_step(draft, job.phase, step, EndCause.CANCELLED, call.caller.owner.uid)
        return Outcome(ref)
    key = step_key(job.phase.attempt, step)
    draft.commands += [
        Signal(part.node, key, call.signal, SignalScope.ALL) for part in step.parts if not part.over
    ]
    return Outcome(ref)


def end_allocation(state: State, call: EndAllocation, now: Instant) -> Decision:
    """What its command left running ends, then the job; one that waits never runs."""
    draft = Draft(state, now)
    job = state.jobs.get(call.job)
    if job is None:
        message = f"job {call.job} is not known: never submitted, or finished long ago (see sacct)"
        return draft.answer(call.caller, Refused(RefusalCode.NOT_FOUND, message, UNKNOWN_JOB))
    if not call.caller.admin and call.caller.owner.uid != job.owner.uid:
        message = f"job {job.id} belongs to another user; its owner or an administrator may do this"
        return draft.answer(call.caller, Refused(RefusalCode.DENIED, message, ACCESS_DENIED))
    if not job.spec.allocation:
        message = f"job {job.id} has a batch script, which ends it; scancel {job.id} cancels it"
        return draft.answer(call.caller, Refused(RefusalCode.WRONG_STATE, message, ALREADY_OVER))
    ref = str(job.id)
    match job.phase:
        case Pending():
            end_pending(draft, job, call.caller.owner.uid)
        case Active(batch_end=None) as active:
            report = ReportExit(
                active.placements[0].node,
                active.attempt,
                active.started_at,
                now,
                call.exit_code,
                call.exit_signal,
            )
            over(draft, job, active, report)
        case _:
            message = f"job {ref} is over already"
            return draft.answer(
                call.caller, Done((Outcome(ref, RefusalCode.WRONG_STATE, message, ALREADY_OVER),))
            )
    return draft.answer(call.caller, Done((Outcome(ref),)))


def limits_over(draft: Draft, job: Job, active: Active) -> None:
    """Steps whose own time limit has come."""
    for step in draft.state.steps[job.id].running:
        if step.end_by and step.end_by <= draft.now and not step.ending_at:
            end_step(draft, active, step, EndCause.TIME_LIMIT)


def limit_at(state: State, job: Job) -> Instant | None:
    """When the next time limit of a step of the job comes, None if none has one; while it is suspended none
    comes."""
    if isinstance(job.phase, Active) and job.phase.suspended_at:
        return None
    running = state.steps.get(job.id, NO_STEPS).running
    return min((step.end_by for step in running if step.end_by and not step.ending_at), default=None)
