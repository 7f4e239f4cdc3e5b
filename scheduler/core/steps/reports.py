"""What an agent says of an attempt or of a step on its node: started, ended, suspended."""

from __future__ import annotations

from packhorse.scheduler.core import lifecycle, suspend
from packhorse.scheduler.core.decision import UNCHANGED, Decision, Draft
from packhorse.scheduler.core.lifecycle import LOST, NOT_LAUNCHED, clamp, part_over
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import part_of, step_of
from packhorse.scheduler.model.command import AckExit, Continue, Suspend, Terminate
from packhorse.scheduler.model.event import StepPartEnded, StepStarted
from packhorse.scheduler.model.ids import UNKNOWN, AttemptKey, Instant, NodeName
from packhorse.scheduler.model.input import ReportExit, ReportStart, ReportSuspension
from packhorse.scheduler.model.job import Active, EndCause, Job
from packhorse.scheduler.model.step import Step, StepPart

Found = tuple[Job, Active, Step, StepPart]


def find(state: State, key: AttemptKey, node: NodeName) -> Found | None:
    """What of the step is on that node; None unless it is a running one of its job's present attempt."""
    job = state.jobs.get(key.job)
    if job is None or not isinstance(job.phase, Active) or job.phase.attempt != key.whole:
        return None
    step = step_of(state.steps, job.id, key.step)
    part = part_of(step, node) if step is not None else None
    return None if step is None or part is None else (job, job.phase, step, part)


def report_start(state: State, report: ReportStart, now: Instant) -> Decision:
    """Its tasks there run. One that nobody knows has to stop."""
    if report.attempt.step < 0:
        return lifecycle.report_start(state, report, now)
    found = find(state, report.attempt, report.node)
    if found is None:
        grace_s = state.config.kill_wait_s
        return Decision((), (Terminate(report.node, report.attempt, grace_s, EndCause.STALE),))
    _, _, step, part = found
    if part.started_at:
        return UNCHANGED
    at = clamp(report.started_at, step.created_at, now)
    return Decision((StepStarted(now, report.attempt, report.node, at),))


def report_exit(state: State, report: ReportExit, now: Instant) -> Decision:
    """Nothing of it is left there; with the last part of the last step of a job whose script is over, the job
    is. A part that never began, or was lost, ends the others."""
    if report.attempt.step < 0:
        return lifecycle.report_exit(state, report, now)
    draft = Draft(state, now)
    draft.commands.append(AckExit(report.node, report.attempt))
    found = find(state, report.attempt, report.node)
    if found is not None:
        job, active, step, part = found
        part_over(draft, job, active, [(step, part, _ended(report, step, part, now))])
    return draft.decision()


def report_suspension(state: State, report: ReportSuspension, now: Instant) -> Decision:
    """An order was carried out there; if it is not the newest, that one is given again."""
    if report.attempt.step < 0:
        return suspend.report_suspension(state, report, now)
    found = find(state, report.attempt, report.node)
    if found is None or report.error:
        return UNCHANGED
    _, active, step, _ = found
    wanted = bool(active.suspended_at)
    if active.ending is not None or step.ending_at or report.suspended == wanted:
        return UNCHANGED
    order = Suspend if wanted else Continue
    return Decision((), (order(report.node, report.attempt),))


def _ended(report: ReportExit, step: Step, part: StepPart, now: Instant) -> StepPartEnded:
    """The report as an event, its times by our clock as far as they contradict it."""
    started_at = part.started_at
    if not started_at and report.started_at and not report.refused:
        started_at = clamp(report.started_at, step.created_at, now)
    ended_at = clamp(report.ended_at, started_at or step.created_at, now)
    if started_at and 0 < report.started_at <= report.ended_at:
        ended_at = Instant(min(started_at + report.ended_at - report.started_at, now))
    return StepPartEnded(
        now,
        report.attempt,
        report.node,
        started_at or UNKNOWN,
        ended_at,
        report.exit_code,
        report.exit_signal,
        LOST if report.lost else NOT_LAUNCHED if report.refused or report.launch_error else report.cause,
        report.launch_error or report.detail,
        report.usage,
    )
