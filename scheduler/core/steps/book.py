"""The steps of one attempt: those that run, and the number of the next one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from packhorse.scheduler.model.event import StepPartEnded
from packhorse.scheduler.model.ids import UNKNOWN, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active, Job
from packhorse.scheduler.model.resources import Usage
from packhorse.scheduler.model.step import Step, StepPart


class JobSteps(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of a job whose present attempt has had a step. running: those with a part that is not over, by id.
    used: by the parts that are over, all together. idle_since: when the last of them ended, if none runs."""

    next: int = 0
    running: tuple[Step, ...] = ()
    used: Usage = Usage()
    idle_since: Instant = UNKNOWN


NO_STEPS: Final = JobSteps()

Steps = Mapping[JobId, JobSteps]
Part = tuple[Step, StepPart]


def step_of(steps: Steps, job: JobId, id: int) -> Step | None:
    """The running step of that number."""
    running = steps.get(job, NO_STEPS).running
    at = bisect_left(running, id, key=lambda step: step.id)
    return running[at] if at < len(running) and running[at].id == id else None


def part_of(step: Step, node: NodeName) -> StepPart | None:
    """What of the step is on that node, and not over."""
    return next((part for part in step.parts if part.node == node and not part.over), None)


def ended(part: StepPart, event: StepPartEnded) -> StepPart:
    """The part as it is when nothing of it is left on its node."""
    return replace(
        part,
        started_at=event.started_at,
        over=True,
        ended_at=event.ended_at,
        exit_code=event.exit_code,
        exit_signal=event.exit_signal,
        cause=event.cause,
        detail=event.detail,
        usage=event.usage,
    )


def parts_left(steps: Steps, job: JobId) -> Iterator[Part]:
    """What has not ended of the job's steps: step by step, node by node."""
    known = steps.get(job)
    for step in known.running if known is not None else ():
        for part in step.parts:
            if not part.over:
                yield step, part


def step_key(attempt: AttemptKey, step: Step) -> AttemptKey:
    """What a step of the attempt is called by."""
    return AttemptKey(attempt.job, attempt.number, attempt.epoch, step.id)


def has_script(job: Job, active: Active) -> bool:
    """Whether a batch script of it is, or may be, on its first node."""
    return not job.spec.allocation and active.batch_end is None


def must_end(active: Active, step: Step) -> bool:
    """Whether the step was told to end, alone or with its job."""
    told = active.ending is not None and not active.terminate_at
    return bool(step.ending_at) or told or active.batch_end is not None
