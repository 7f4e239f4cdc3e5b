"""What an agent's word about an attempt means: started, exited, lost; and how an attempt is settled.

An attempt that is not the current one of its job changes nothing: its exit is acknowledged, and if it
still runs it is stopped. Everything else ends in `settle`: over for good, or pending again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import astuple, replace

from packhorse.scheduler.core.decision import UNCHANGED, Decision, Draft
from packhorse.scheduler.core.names import name_in
from packhorse.scheduler.core.oom_retry import memory_text, with_more_memory
from packhorse.scheduler.core.packing.possible import possible
from packhorse.scheduler.core.reclaim.lending import taken_back
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import Part, has_script, must_end, parts_left, step_key
from packhorse.scheduler.core.steps.tell import end_parts, job_over, whole
from packhorse.scheduler.model.accounts import PreemptMode
from packhorse.scheduler.model.cluster import GpuIdle, GpuIdleAction
from packhorse.scheduler.model.command import AckExit, Terminate
from packhorse.scheduler.model.event import (
    AttemptStarted,
    BatchEnded,
    JobEnded,
    JobEnding,
    JobRequeued,
    StepEnding,
    StepPartEnded,
)
from packhorse.scheduler.model.ids import UNKNOWN, US, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import ReportExit, ReportStart
from packhorse.scheduler.model.job import OOM_SIGNAL, Active, BatchEnd, EndCause, Held, Job, JobState, Retry
from packhorse.scheduler.model.resources import Usage
from packhorse.scheduler.model.step import Step, StepPart
from packhorse.scheduler.model.units import format_span

NO_USAGE = Usage()
NO_JOB = JobId(0)
MAX_BACKOFF_S = 24 * 3600
"""A retry never waits longer, however often it failed."""
MAX_REFUSALS = 5
"""Times that agents may refuse to launch a job; with the waits between them that is about a minute."""
SIGKILL = 9
LOST: Final = "lost"
TERMINATED: Final = "terminated"
NOT_LAUNCHED: Final = "launch"
BROKEN: Final = frozenset({LOST, NOT_LAUNCHED})
"""What ends a part of a step, and with it the others."""


def current(state: State, attempt: AttemptKey) -> tuple[Job, Active] | None:
    """The job and its phase if this is the attempt that it runs now."""
    job = state.jobs.get(attempt.job)
    if job is None or not isinstance(job.phase, Active) or job.phase.attempt != attempt:
        return None
    return job, job.phase


def report_start(state: State, report: ReportStart, now: Instant) -> Decision:
    """The batch script runs. A stale attempt that claims to run has to stop."""
    draft = Draft(state, now)
    found = current(state, report.attempt)
    if found is None:
        draft.commands.append(
            Terminate(report.node, report.attempt, state.config.kill_wait_s, EndCause.STALE)
        )
        return draft.decision()
    job, active = found
    if active.placements[0].node != report.node or active.started_at or active.batch_end is not None:
        return UNCHANGED
    started(draft, job, active, report.started_at)
    return draft.decision()


def started(draft: Draft, job: Job, active: Active, at: Instant) -> None:
    """The attempt runs since `at` on its node's clock, which must not contradict ours."""
    since = clamp(at, active.granted_at, draft.now)
    limit = job.spec.time_limit_s
    end_by = Instant(since + limit * US) if limit else UNKNOWN
    draft.events.append(AttemptStarted(draft.now, job.id, active.attempt, end_by, since))


def report_exit(state: State, report: ReportExit, now: Instant) -> Decision:
    """Nothing of the attempt is left on its node. The agent may forget it once this is durable."""
    draft = Draft(state, now)
    draft.commands.append(AckExit(report.node, report.attempt))
    found = current(state, report.attempt)
    if found is not None and found[1].placements[0].node == report.node:
        job, active = found
        over(draft, job, active, report)
    return draft.decision()


def over(draft: Draft, job: Job, active: Active, report: ReportExit) -> None:
    """The batch script is over as reported, or the command that held the allocation: the attempt is too, as
    soon as none of its steps is left; they are told to end.
    """
    if active.batch_end is not None:
        return
    left = list(parts_left(draft.state.steps, job.id)) if job.id in draft.state.steps else []
    if left:
        draft.events.append(BatchEnded(draft.now, active.attempt, BatchEnd(*astuple(report)[2:])))
        end_parts(draft, active, left, EndCause.EXITED)
        return
    settle(draft, job, active, report)
    job_over(draft, job, active)


def part_over(
    draft: Draft, job: Job, active: Active, gone: Sequence[tuple[Step, StepPart, StepPartEnded]]
) -> None:
    """These parts of its steps have ended. One that could not be started, or was lost, ends its step; the
    last part of all ends a job that waited for nothing else.
    """
    ended = {(step.id, part.node) for step, part, _ in gone}
    left = [
        (step, part)
        for step, part in parts_left(draft.state.steps, job.id)
        if (step.id, part.node) not in ended
    ]
    for step, _, event in gone:
        draft.events.append(event)
        others = [one for one in left if one[0].id == step.id]
        if event.cause in BROKEN and others and not must_end(active, step):
            key = step_key(active.attempt, step)
            draft.events.append(StepEnding(draft.now, key, EndCause.NODE_FAIL))
            end_parts(draft, active, others, EndCause.NODE_FAIL)
    if left:
        return
    if active.batch_end is not None:
        report = ReportExit(active.placements[0].node, active.attempt, *astuple(active.batch_end))
        settle(draft, job, active, report)
        job_over(draft, job, active)
    elif job.spec.allocation and active.ending is not None and not active.terminate_at:
        nothing_left(draft, job, active)


def nothing_left(draft: Draft, job: Job, active: Active) -> None:
    """An allocation was told to end, and has no steps (any more)."""
    assert active.ending is not None
    settle_dead(draft, job, active, active.ending_why or _LOST.get(active.ending, ""))
    job_over(draft, job, active)


def settle(draft: Draft, job: Job, active: Active, report: ReportExit) -> None:
    """The attempt is over as reported: what becomes of the job."""
    started_at, ended_at = span(active, report, draft.now)
    code, signal, usage = report.exit_code, report.exit_signal, report.usage
    match _ending(job, active, report, ended_at) or _CAUSES.get(report.cause):
        case EndCause.CANCELLED:
            end(draft, job, active, JobState.CANCELLED, "None", "", started_at, ended_at, code, signal, usage)
        case EndCause.TIME_LIMIT:
            end(
                draft,
                job,
                active,
                JobState.TIMEOUT,
                "TimeLimit",
                "",
                started_at,
                ended_at,
                code,
                signal,
                usage,
            )
        case EndCause.DEADLINE:
            state, why = JobState.DEADLINE, "DeadLine"
            end(draft, job, active, state, why, "", started_at, ended_at, code, signal, usage)
        case EndCause.REQUEUED:
            _requeue_asked(draft, job, active, started_at, ended_at, report)
        case EndCause.PREEMPTED:
            _preempted(draft, job, active, started_at, ended_at, report)
        case EndCause.GPU_IDLE:
            _gpus_idle(draft, job, active, started_at, ended_at, report)
        case EndCause.NODE_FAIL | EndCause.LEASE | EndCause.STALE as cause:
            lost(draft, job, active, cause, _LOST[cause], started_at, ended_at, report)
        case EndCause.OUT_OF_MEMORY:
            told = replace(report, exit_code=0, exit_signal=OOM_SIGNAL)
            _out_of_memory(draft, job, active, started_at, ended_at, told)
        case _:
            _exited(draft, job, active, started_at, ended_at, report)


def _ending(job: Job, active: Active, report: ReportExit, ended_at: Instant) -> EndCause | None:
    """Why it was told to stop; None also if it had ended by itself before its time limit, or had done all its
    work while it was only warned that it has to make room.

    Its end is told late after a long epilog, or by an agent that was away. A job with a checkpoint signal
    that ends after it has written its checkpoint, with whatever code, and will go on from there.
    """
    if active.ending is None:
        return None
    told_at = min(active.end_by, active.ending_at)  # sooner where its reservation was over
    if active.ending is EndCause.TIME_LIMIT and report.cause == "exited" and ended_at < told_at:
        return None
    done = report.cause == "exited" and not (report.exit_code or report.exit_signal or report.refused)
    if active.ending_mode and active.terminate_at and done and job.spec.checkpoint is None:
        return None
    return active.ending


def _out_of_memory(
    draft: Draft, job: Job, active: Active, started_at: Instant, ended_at: Instant, report: ReportExit
) -> None:
    """It needed more memory than it had: again with more, if it wants that and there is more.

    Such a job is never tried again with the same memory, whatever else it says about retries.
    """
    detail = report.detail or "a process was killed for exceeding the job's memory limit"
    state, reason = JobState.OUT_OF_MEMORY, "OutOfMemory"
    if not job.spec.oom_factor_milli:
        failed(draft, job, active, state, reason, detail, started_at, ended_at, report)
        return
    code, signal, usage = report.exit_code, report.exit_signal, report.usage
    ask = with_more_memory(draft.state, job, active)
    if isinstance(ask, str):
        detail += f"; not tried again with more memory: {ask}"
        end(draft, job, active, state, reason, detail, started_at, ended_at, code, signal, usage)
        return
    draft.events.append(
        JobRequeued(
            draft.now,
            job.id,
            active.attempt,
            EndCause.OUT_OF_MEMORY,
            state,
            begin_at=Instant(draft.now + draft.state.config.requeue_delay_s * US),
            started_at=started_at,
            exit_code=code,
            exit_signal=signal,
            usage=usage,
            detail=f"{detail}; again with {memory_text(ask)}",
            ended_at=ended_at,
            reason=reason,
            ask=ask,
        )
    )


def _exited(
    draft: Draft, job: Job, active: Active, started_at: Instant, ended_at: Instant, report: ReportExit
) -> None:
    """It ended by itself, or could not begin."""
    if report.refused:
        _refused(draft, job, active, ended_at, report)
    elif report.launch_error:
        failed(
            draft,
            job,
            active,
            JobState.FAILED,
            "JobLaunchFailure",
            report.launch_error,
            started_at,
            ended_at,
            report,
        )
    elif report.lost:
        lost(draft, job, active, EndCause.NODE_FAIL, report.detail or _VANISHED, started_at, ended_at, report)
    elif report.exit_signal:
        # Slurm takes a job that a signal ended for one that could not be launched.
        detail = report.detail or f"the batch script was ended by signal {report.exit_signal}"
        failed(draft, job, active, JobState.FAILED, "JobLaunchFailure", detail, started_at, ended_at, report)
    elif report.exit_code:
        failed(draft, job, active, JobState.FAILED, "NonZeroExitCode", "", started_at, ended_at, report)
    else:
        end(draft, job, active, JobState.COMPLETED, "None", "", started_at, ended_at, 0, 0, report.usage)


def failed(
    draft: Draft,
    job: Job,
    active: Active,
    state: JobState,
    reason: str,
    detail: str,
    started_at: Instant,
    ended_at: Instant,
    report: ReportExit,
) -> None:
    """The attempt failed by its own doing: try again if the job wants that, otherwise it has failed."""
    code = report.exit_code
    if state is JobState.FAILED and not code and not report.exit_signal:
        code = 1  # a launch that failed is no success, whatever number came with it
    retry = job.spec.retry
    if retry is None or job.retries >= retry.max_retries or not _wants_retry(retry, code, report):
        end(
            draft,
            job,
            active,
            state,
            reason,
            detail,
            started_at,
            ended_at,
            code,
            report.exit_signal,
            report.usage,
        )
        return
    wait_s = min(retry.backoff_s * 2 ** min(job.retries, 40), MAX_BACKOFF_S)
    draft.events.append(
        JobRequeued(
            draft.now,
            job.id,
            active.attempt,
            EndCause.OUT_OF_MEMORY if state is JobState.OUT_OF_MEMORY else EndCause.EXITED,
            state,
            begin_at=Instant(draft.now + wait_s * US),
            started_at=started_at,
            exit_code=code,
            exit_signal=report.exit_signal,
            usage=report.usage,
            avoid=_to_avoid(draft.state, job, active, retry.avoid_node),
            retried=True,
            detail=detail,
            ended_at=ended_at,
            reason=reason,
        )
    )


def _wants_retry(retry: Retry, code: int, report: ReportExit) -> bool:
    """Whether it is to be tried again after this end; a signal counts as 128 more."""
    return not retry.codes or (128 + report.exit_signal if report.exit_signal else code) in retry.codes


def _to_avoid(state: State, job: Job, active: Active, wanted: bool = True) -> NodeName | None:
    """The node that it shall not be sent to again: where it failed, if it can run elsewhere."""
    node = active.placements[0].node
    return node if wanted and _fits_elsewhere(state, job, node) else None


def lost(
    draft: Draft,
    job: Job,
    active: Active,
    cause: EndCause,
    detail: str,
    started_at: Instant,
    ended_at: Instant,
    report: ReportExit | None,
) -> None:
    """The attempt ended through no fault of its own: run it again, or the job has failed with its node."""
    code = report.exit_code if report else 0
    signal = report.exit_signal if report else 0
    usage = report.usage if report else NO_USAGE
    if not job.spec.requeue:
        end(
            draft,
            job,
            active,
            JobState.NODE_FAIL,
            "NodeDown",
            detail,
            started_at,
            ended_at,
            code,
            signal,
            usage,
        )
        return
    config = draft.state.config
    worn_out = job.restarts - job.preemptions >= config.max_requeues
    if worn_out:
        detail += f"; run {job.restarts + 1} times (max_requeues = {config.max_requeues}), so it is held"
    draft.events.append(
        JobRequeued(
            draft.now,
            job.id,
            active.attempt,
            cause,
            JobState.NODE_FAIL,
            begin_at=Instant(draft.now + config.requeue_delay_s * US),
            held=Held.ADMIN if worn_out else Held.NO,
            started_at=started_at,
            exit_code=code,
            exit_signal=signal,
            usage=usage,
            detail=detail,
            ended_at=ended_at,
            reason="NodeDown",
            avoid=_to_avoid(draft.state, job, active) if len(active.placements) == 1 else None,
        )
    )


def settle_dead(
    draft: Draft, job: Job, active: Active, detail: str, cause: EndCause = EndCause.NODE_FAIL
) -> None:
    """The attempt is gone without an exit of its own; a stop that was under way has come true."""
    started_at, ended_at = active.started_at, draft.now
    match active.ending:
        case EndCause.CANCELLED:
            end(draft, job, active, JobState.CANCELLED, "None", detail, started_at, ended_at)
        case EndCause.TIME_LIMIT:
            end(draft, job, active, JobState.TIMEOUT, "TimeLimit", detail, started_at, ended_at)
        case EndCause.REQUEUED:
            _requeue_asked(draft, job, active, started_at, ended_at, None)
        case EndCause.PREEMPTED:
            _preempted(draft, job, active, started_at, ended_at, None)
        case EndCause.GPU_IDLE:
            _gpus_idle(draft, job, active, started_at, ended_at, None)
        case EndCause.DEADLINE:
            end(draft, job, active, JobState.DEADLINE, "DeadLine", detail, started_at, ended_at)
        case _:
            lost(draft, job, active, cause, detail, started_at, ended_at, None)


def lose_node(draft: Draft, job: Job, active: Active, node: NodeName, detail: str, cause: EndCause) -> None:
    """Nothing of the attempt runs on this node any more.

    The batch script's node: the attempt is over, once its steps on others are. Another one: it cannot go on,
    and is stopped.
    """
    script_here = active.placements[0].node == node and has_script(job, active)
    steps_left = _lose_parts(draft, job, active, node, detail) if job.id in draft.state.steps else []
    if script_here:
        _script_lost(draft, job, active, steps_left, detail, cause)
    elif active.ending is None and active.batch_end is None:
        stop(draft, job, active, EndCause.NODE_FAIL)


def lose_script(draft: Draft, job: Job, active: Active, detail: str, cause: EndCause) -> Active:
    """The batch script does not run any more, but its node does. Returns the attempt as it is then, if steps
    of it go on.
    """
    steps_left = list(parts_left(draft.state.steps, job.id)) if job.id in draft.state.steps else []
    return _script_lost(draft, job, active, steps_left, detail, cause)


def _script_lost(
    draft: Draft, job: Job, active: Active, steps_left: list[Part], detail: str, cause: EndCause
) -> Active:
    if not steps_left:
        settle_dead(draft, job, active, detail, cause)
        job_over(draft, job, active)
        return active
    end = BatchEnd(active.started_at, draft.now, cause=TERMINATED, lost=True, detail=detail)
    draft.events.append(BatchEnded(draft.now, active.attempt, end))
    end_parts(draft, active, steps_left, EndCause.NODE_FAIL)
    return replace(active, batch_end=end)


def _lose_parts(draft: Draft, job: Job, active: Active, node: NodeName, detail: str) -> list[Part]:
    """What its steps had on the node is gone; returns what they have elsewhere."""
    left = list(parts_left(draft.state.steps, job.id))
    gone = [(step, part) for step, part in left if part.node == node]
    if gone:
        told = [(step, part, lost_part(draft, active, step, part, detail)) for step, part in gone]
        part_over(draft, job, active, told)
    return [one for one in left if one[1].node != node]


def lost_part(draft: Draft, active: Active, step: Step, part: StepPart, detail: str) -> StepPartEnded:
    """That it is known not to run there any more, without a word of how it ended."""
    key = step_key(active.attempt, step)
    now, started_at = draft.now, part.started_at
    return StepPartEnded(now, key, part.node, started_at, now, cause=LOST, detail=detail)


def stop(
    draft: Draft, job: Job, active: Active, cause: EndCause, by: int = -1, for_job: JobId = NO_JOB
) -> None:
    """Tell the attempt to end, now."""
    draft.events.append(JobEnding(draft.now, job.id, active.attempt, cause, by, for_job=for_job))
    terminate(draft, active, cause)


def terminate(draft: Draft, active: Active, cause: EndCause, lent: bool = False) -> None:
    """TERM, grace, KILL for its batch script and its steps. lent: for memory that was lent to it, with the
    signal that it wants as a warning."""
    config, signal, grace_s = draft.state.config, 0, draft.state.config.kill_wait_s
    if lent or taken_back(active):
        grace_s = config.reclaim.grace_s
        warn = draft.state.jobs[active.attempt.job].spec.warn
        signal = warn.signal if warn is not None else 0
    for node, key in whole(draft.state, draft.state.jobs[active.attempt.job], active):
        draft.commands.append(Terminate(node, key, grace_s, cause, signal))


def end(
    draft: Draft,
    job: Job,
    active: Active,
    state: JobState,
    reason: str,
    detail: str,
    started_at: Instant,
    ended_at: Instant,
    exit_code: int = 0,
    exit_signal: int = 0,
    usage: Usage = NO_USAGE,
) -> None:
    """The job is over."""
    draft.events.append(
        JobEnded(
            draft.now,
            job.id,
            state,
            active.attempt,
            started_at,
            exit_code,
            exit_signal,
            reason,
            detail,
            active.ending_by if state is JobState.CANCELLED else -1,
            usage,
            ended_at,
        )
    )


def _requeue_asked(
    draft: Draft, job: Job, active: Active, started_at: Instant, ended_at: Instant, report: ReportExit | None
) -> None:
    """Somebody asked for it: however the run ended, the job waits again."""
    draft.events.append(
        JobRequeued(
            draft.now,
            job.id,
            active.attempt,
            EndCause.REQUEUED,
            JobState.REQUEUED,
            begin_at=Instant(draft.now + draft.state.config.requeue_delay_s * US),
            held=Held.REQUEUED if active.requeue_held else Held.NO,
            started_at=started_at,
            exit_code=report.exit_code if report else 0,
            exit_signal=report.exit_signal if report else 0,
            usage=report.usage if report else NO_USAGE,
            ended_at=ended_at,
            by=active.ending_by,
        )
    )


def _preempted(
    draft: Draft, job: Job, active: Active, started_at: Instant, ended_at: Instant, report: ReportExit | None
) -> None:
    """It made room: however the run ended, the job waits again at once, in its old place, unless it is not to
    run again. Stopped for lent memory, it gets none for a while."""
    if active.ending_mode is PreemptMode.CANCEL or job.spec.allocation:
        code, signal, usage = (
            (report.exit_code, report.exit_signal, report.usage) if report else (0, 0, NO_USAGE)
        )
        why = active.ending_why
        end(draft, job, active, JobState.PREEMPTED, "None", why, started_at, ended_at, code, signal, usage)
        return
    settle_us = draft.state.config.reclaim.settle_s * US
    borrow_after = Instant(draft.now + settle_us) if taken_back(active) else UNKNOWN
    made_room = f"made room for job {name_in(draft.state, active.ending_for)}" if active.ending_for else ""
    draft.events.append(
        JobRequeued(
            draft.now,
            job.id,
            active.attempt,
            EndCause.PREEMPTED,
            JobState.PREEMPTED,
            begin_at=UNKNOWN,
            started_at=started_at,
            exit_code=report.exit_code if report else 0,
            exit_signal=report.exit_signal if report else 0,
            usage=report.usage if report else NO_USAGE,
            detail=active.ending_why or made_room,
            ended_at=ended_at,
            by=active.ending_by,
            borrow_after=borrow_after,
        )
    )


def _gpus_idle(
    draft: Draft, job: Job, active: Active, started_at: Instant, ended_at: Instant, report: ReportExit | None
) -> None:
    """Its GPUs did nothing for too long: it is cancelled, or waits again until somebody releases it."""
    policy = draft.state.config.gpu_idle
    detail = idle_text(policy, active.ending_at - active.gpus_idle_since)
    code = report.exit_code if report else 0
    signal = report.exit_signal if report else 0
    usage = report.usage if report else NO_USAGE
    reason = "GpuIdle"
    if policy.action is GpuIdleAction.CANCEL or not job.spec.requeue:
        state = JobState.CANCELLED
        end(draft, job, active, state, reason, detail, started_at, ended_at, code, signal, usage)
        return
    draft.events.append(
        JobRequeued(
            draft.now,
            job.id,
            active.attempt,
            EndCause.GPU_IDLE,
            JobState.REQUEUED,
            begin_at=UNKNOWN,
            held=Held.REQUEUED,
            started_at=started_at,
            exit_code=code,
            exit_signal=signal,
            usage=usage,
            detail=detail,
            ended_at=ended_at,
            reason=reason,
        )
    )


def idle_text(policy: GpuIdle, idle_us: int) -> str:
    """`GPU idle for 2 h 10 min (limit 2 h)`."""
    return f"GPU idle for {format_span(idle_us // US)} (limit {format_span(policy.warn_after_s)})"


def _refused(draft: Draft, job: Job, active: Active, ended_at: Instant, report: ReportExit) -> None:
    """The agent would not launch it: it goes elsewhere, or tries again later where there is nothing else.

    After MAX_REFUSALS it has failed, so that a job nobody will launch does not go round for ever.
    """
    node = active.placements[0].node
    why = f"{node}: {report.launch_error or 'refused by its agent'}"
    code = report.exit_code or 1
    if job.refusals >= MAX_REFUSALS:
        why += f"; refused {job.refusals + 1} times"
        end(draft, job, active, JobState.FAILED, "JobLaunchFailure", why, UNKNOWN, ended_at, code)
        return
    elsewhere = _fits_elsewhere(draft.state, job, node)
    wait_s = draft.state.config.requeue_delay_s * 2**job.refusals
    draft.events.append(
        JobRequeued(
            draft.now,
            job.id,
            active.attempt,
            EndCause.LAUNCH_FAILED,
            JobState.FAILED,
            begin_at=Instant(draft.now + wait_s * US),
            exit_code=code,
            avoid=node if elsewhere else None,
            detail=why,
            ended_at=ended_at,
            reason="JobLaunchFailure",
        )
    )


def _fits_elsewhere(state: State, job: Job, refused_by: NodeName) -> bool:
    """Whether nodes that take work now, and did not refuse the job, could hold it when empty."""
    partition = next((p for p in state.config.partitions if p.name == job.spec.partition), None)
    if partition is None:
        return False
    names = tuple(
        name
        for name, node in state.nodes.items()
        if node.schedulable
        and name != refused_by
        and name not in job.avoid
        and (name in partition.nodes or "ALL" in partition.nodes)
    )
    return bool(names) and possible(job.spec.ask, replace(partition, nodes=names), state.node_columns) is None


def span(active: Active, report: ReportExit, now: Instant) -> tuple[Instant, Instant]:
    """When the attempt ran, by its node's clock as far as that fits ours; started 0: it never did.

    How long it ran is believed also of a clock that does not: both ends were read on the same one.
    """
    started_at = active.started_at
    if not started_at and report.started_at and not report.refused:
        started_at = clamp(report.started_at, active.granted_at, now)
    if started_at and 0 < report.started_at <= report.ended_at:
        return started_at, Instant(min(started_at + report.ended_at - report.started_at, now))
    return started_at, clamp(report.ended_at, started_at or active.granted_at, now)


def clamp(at: Instant, low: Instant, high: Instant) -> Instant:
    """The instant, moved into the bounds; 0 counts as the upper one."""
    return min(max(at, low), high) if at else high


_CAUSES = {
    "time_limit": EndCause.TIME_LIMIT,
    "lease": EndCause.LEASE,
    "oom": EndCause.OUT_OF_MEMORY,
}
"""What a supervisor may have ended an attempt for by itself, when the scheduler had ordered nothing."""

_LOST = {
    EndCause.NODE_FAIL: "a node of its allocation was lost",
    EndCause.LEASE: "stopped by its node, which had lost contact for longer than the lease",
    EndCause.STALE: "stopped as out of date",
}
_VANISHED = "its supervisor vanished without an exit record"
