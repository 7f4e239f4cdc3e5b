"""The accounting rows that steps leave behind, asked for with the state as it was before the event."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.accounting import Amounts
from packhorse.scheduler.core.lifecycle import LOST
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import ended, part_of, step_of
from packhorse.scheduler.model.accounting import BATCH_STEP, StepRow
from packhorse.scheduler.model.event import Event, JobEnded, JobRequeued, StepPartEnded
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.ids import UNKNOWN
from packhorse.scheduler.model.job import OOM_SIGNAL, Active, Job, JobState
from packhorse.scheduler.model.resources import Placement, Usage, joined_usage
from packhorse.scheduler.model.step import Step, StepPart


def step_rows(state: State, event: Event) -> tuple[StepRow, ...]:
    """What is to be kept of the step, or of the batch script beside steps, that this event ends."""
    if isinstance(event, StepPartEnded):
        return _part_ended(state, event)
    if isinstance(event, JobEnded | JobRequeued) and event.job in state.steps:
        return _script_ended(state, event)
    return ()


def _part_ended(state: State, event: StepPartEnded) -> tuple[StepRow, ...]:
    """A row with the last part."""
    job = state.jobs[event.key.job]
    step = step_of(state.steps, job.id, event.key.step)
    here = part_of(step, event.node) if step is not None else None
    if step is None or here is None or not isinstance(job.phase, Active):
        return ()
    last = ended(here, event)
    parts = tuple(last if part is here else part for part in step.parts)
    if not all(part.over for part in parts):
        return ()
    return (_row(job, job.phase, step, parts),)


def _row(job: Job, active: Active, step: Step, parts: tuple[StepPart, ...]) -> StepRow:
    worst = max(parts, key=lambda part: (_code(part), part.cause in _TELLING))
    biggest = max(parts, key=lambda part: part.usage.max_rss_kib)
    given = Amounts.given(_placements(parts))
    started = [part.started_at for part in parts if part.started_at]
    n_tasks = sum(len(part.ranks) for part in parts)
    state, by = _state(active, step, parts, worst)
    return StepRow(
        job=job.id,
        attempt=active.attempt.number,
        step=step.id,
        name=step.spec.name,
        nodes=compress_sorted([part.node for part in parts]),
        n_nodes=len(parts),
        n_tasks=n_tasks,
        n_cpus=given.n_cpus,
        mem_mib=given.mem_mib,
        alloc_tres=step_tres(given),
        layout=layout_name(step.spec.distribution, n_tasks, len(parts)),
        state=state.value,
        exit_code=worst.exit_code,
        exit_signal=worst.exit_signal,
        cancelled_by=by,
        detail=worst.detail,
        started_at=min(started, default=UNKNOWN),
        ended_at=max(part.ended_at for part in parts),
        submit_line=step.spec.submit_line,
        max_rss_node=biggest.node if biggest.usage.max_rss_kib else "",
        usage=joined_usage(part.usage for part in parts),
    )


def running_row(job: Job, active: Active, step: Step, usage: Usage) -> StepRow:
    """The row of a step that has not ended, with what is not known yet left open."""
    row = _row(job, active, step, step.parts)
    state = JobState.SUSPENDED if active.suspended_at and active.ending is None else JobState.RUNNING
    return replace(
        row,
        state=state.value,
        exit_code=0,
        exit_signal=0,
        cancelled_by=-1,
        detail="",
        started_at=row.started_at or step.created_at,
        ended_at=UNKNOWN,
        max_rss_node=step.parts[0].node,
        usage=usage,
    )


_TELLING = frozenset({LOST, "time_limit", "oom"})


def _code(part: StepPart) -> int:
    """By which srun chooses what it ends with."""
    return 128 + part.exit_signal if part.exit_signal else part.exit_code


def _state(active: Active, step: Step, parts: tuple[StepPart, ...], worst: StepPart) -> tuple[JobState, int]:
    """Slurm's word, and who cancelled it: a step that a signal ended was cancelled."""
    causes = {part.cause for part in parts}
    if LOST in causes:
        return JobState.NODE_FAIL, -1
    if "oom" in causes or worst.exit_signal == OOM_SIGNAL:
        return JobState.OUT_OF_MEMORY, -1
    told_in_time = step.end_by and step.ending_at >= step.end_by and step.ending_by < 0
    if "time_limit" in causes or told_in_time:
        return JobState.TIMEOUT, -1
    if step.ending_by >= 0 or worst.exit_signal:
        return JobState.CANCELLED, step.ending_by if step.ending_by >= 0 else active.ending_by
    failed = worst.exit_code or not any(part.started_at for part in parts)
    return (JobState.FAILED if failed else JobState.COMPLETED), -1


def _script_ended(state: State, event: JobEnded | JobRequeued) -> tuple[StepRow, ...]:
    """Where there were steps, what the script used is told apart from what they did."""
    job = state.jobs[event.job]
    active = job.phase
    if job.spec.allocation or not isinstance(active, Active) or not event.started_at:
        return ()
    first = active.placements[0]
    given = Amounts.given((first,))
    code, signal = event.exit_code, event.exit_signal
    end = JobState.CANCELLED if signal else JobState.FAILED if code else JobState.COMPLETED
    return (
        StepRow(
            job=job.id,
            attempt=active.attempt.number,
            step=BATCH_STEP,
            name="batch",
            nodes=first.node,
            n_nodes=1,
            n_tasks=1,
            n_cpus=given.n_cpus,
            mem_mib=given.mem_mib,
            alloc_tres=step_tres(given),
            layout="",
            state=end.value,
            exit_code=code,
            exit_signal=signal,
            cancelled_by=-1,
            detail="",
            started_at=event.started_at,
            ended_at=active.batch_end.ended_at
            if active.batch_end is not None
            else event.ended_at or event.at,
            submit_line="",
            max_rss_node=first.node if event.usage.max_rss_kib else "",
            usage=event.usage,
        ),
    )


def step_tres(given: Amounts) -> str:
    """As accounting writes what a step has: without what is billed."""
    return ",".join(part for part in given.text().split(",") if not part.startswith("billing="))


def layout_name(distribution: str, n_tasks: int, n_nodes: int) -> str:
    """As sacct and scontrol write it: Slurm calls it cyclic where nobody asked and no node has two tasks."""
    return (distribution or ("block" if n_tasks > n_nodes else "cyclic")).capitalize()


def _placements(parts: tuple[StepPart, ...]) -> tuple[Placement, ...]:
    return tuple(Placement(p.node, p.cpu_milli, p.mem_mib, len(p.ranks), p.devices) for p in parts)
