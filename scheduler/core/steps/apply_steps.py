"""Applying the events of steps."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.active import set_inactive_timer
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import NO_STEPS, JobSteps, ended, part_of, parts_left, step_of
from packhorse.scheduler.core.timers import Timer
from packhorse.scheduler.core.transitions import require
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.errors import InvalidTransition
from packhorse.scheduler.model.ids import UNKNOWN, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active, Job
from packhorse.scheduler.model.resources import joined_usage
from packhorse.scheduler.model.step import Step, StepPart

_StepEvent = ev.StepCreated | ev.StepStarted | ev.StepEnding | ev.StepPartEnded


def step_created(state: State, event: ev.StepCreated) -> None:
    job, active = _active(state, event, event.key)
    if active.ending is not None or active.batch_end is not None:
        raise InvalidTransition(event, "its job is being ended")
    known = state.steps.get(job.id, NO_STEPS)
    if event.key.step != known.next:
        raise InvalidTransition(event, f"the next step is number {known.next}")
    step = Step(event.key.step, event.spec, event.at, event.parts, event.end_by)
    state.steps[job.id] = JobSteps(known.next + 1, (*known.running, step), known.used)
    set_step_timer(state, job.id, step)


def step_started(state: State, event: ev.StepStarted) -> None:
    job, step, part = _part(state, event, event.node)
    if part.started_at:
        raise InvalidTransition(event, "it has started there already")
    _put(state, job.id, _with(step, replace(part, started_at=event.started_at)))


def step_ending(state: State, event: ev.StepEnding) -> None:
    job, step = _step(state, event)
    if step.ending_at:
        raise InvalidTransition(event, "it was told to end already")
    _put(state, job.id, replace(step, ending_at=event.at, ending_by=event.by))


def step_part_ended(state: State, event: ev.StepPartEnded) -> None:
    job, step, part = _part(state, event, event.node)
    _put(state, job.id, _with(step, ended(part, event)))
    known = state.steps[job.id]
    idle_since = UNKNOWN if known.running else event.at
    state.steps[job.id] = replace(known, used=joined_usage((known.used, event.usage)), idle_since=idle_since)
    if idle_since and job.spec.allocation:
        set_inactive_timer(state, state.jobs[job.id])


def batch_ended(state: State, event: ev.BatchEnded) -> None:
    job, active = _active(state, event, event.attempt)
    require(event, job)
    if active.batch_end is not None:
        raise InvalidTransition(event, "it is over already")
    if next(parts_left(state.steps, job.id), None) is None:
        raise InvalidTransition(event, "no step runs")
    state.jobs[job.id] = replace(job, phase=replace(active, batch_end=event.end))


def forget_steps(state: State, event: ev.JobEnded | ev.JobRequeued) -> None:
    """The attempt is over, which it cannot be before its steps are."""
    if next(parts_left(state.steps, event.job), None) is not None:
        raise InvalidTransition(event, "steps of it run")
    del state.steps[event.job]


def steps_resumed(state: State, job: JobId, stood_us: int) -> None:
    """The job was suspended for so many microseconds, and its steps with it: their limits come later."""
    known = state.steps.get(job)
    if known is None:
        return
    running = []
    for step in known.running:
        end_by = Instant(step.end_by + stood_us) if step.end_by else UNKNOWN
        step = replace(step, end_by=end_by, suspended_us=step.suspended_us + stood_us)
        running.append(step)
        set_step_timer(state, job, step)
    state.steps[job] = replace(known, running=tuple(running))


def set_step_timer(state: State, job: JobId, step: Step) -> None:
    """Enter when its own time limit ends it."""
    if step.end_by and not step.ending_at:
        state.timers.add(step.end_by, Timer.STEP_LIMIT, job)


def _active(state: State, event: _StepEvent | ev.BatchEnded, key: AttemptKey) -> tuple[Job, Active]:
    job = state.jobs.get(key.job)
    if job is None or not isinstance(job.phase, Active):
        raise InvalidTransition(event, f"no job {key.job} runs")
    if job.phase.attempt != key.whole:
        raise InvalidTransition(event, f"the current attempt is {job.phase.attempt}")
    return job, job.phase


def _step(state: State, event: ev.StepStarted | ev.StepEnding | ev.StepPartEnded) -> tuple[Job, Step]:
    job, _ = _active(state, event, event.key)
    step = step_of(state.steps, job.id, event.key.step)
    if step is None:
        raise InvalidTransition(event, "no such step runs")
    return job, step


def _part(
    state: State, event: ev.StepStarted | ev.StepPartEnded, node: NodeName
) -> tuple[Job, Step, StepPart]:
    job, step = _step(state, event)
    part = part_of(step, node)
    if part is None:
        raise InvalidTransition(event, f"nothing of it is on {node}")
    return job, step, part


def _with(step: Step, part: StepPart) -> Step:
    return replace(step, parts=tuple(part if p.node == part.node else p for p in step.parts))


def _put(state: State, job: JobId, step: Step) -> None:
    """The step as it is now; gone once all its parts are over."""
    known = state.steps[job]
    over = all(part.over for part in step.parts)
    running = tuple(
        step if one.id == step.id else one for one in known.running if one.id != step.id or not over
    )
    state.steps[job] = replace(known, running=running)
