"""An agent is back: what it says of the steps on its node, against what should run there."""

from __future__ import annotations

from collections.abc import Container, Mapping

from packhorse.scheduler.core.decision import Draft
from packhorse.scheduler.core.lifecycle import clamp, lost_part, part_over
from packhorse.scheduler.core.steps.book import must_end, parts_left, step_key
from packhorse.scheduler.core.steps.tell import terminate_part
from packhorse.scheduler.model.command import Continue, Launch, Suspend
from packhorse.scheduler.model.event import StepPartEnded, StepStarted
from packhorse.scheduler.model.ids import AttemptKey, NodeName
from packhorse.scheduler.model.input import RunningAttempt
from packhorse.scheduler.model.job import Active, EndCause, Job
from packhorse.scheduler.model.step import Step, StepPart


def reconcile(
    draft: Draft,
    job: Job,
    active: Active,
    name: NodeName,
    running: Mapping[AttemptKey, RunningAttempt],
    launching: Container[AttemptKey],
    exited: Container[AttemptKey],
) -> None:
    """What was ordered meanwhile may not have arrived, so it is ordered again. A part that the agent does not
    know is lost if it had begun; if not, its launch may be on its way, and is repeated.
    """
    gone: list[tuple[Step, StepPart, StepPartEnded]] = []
    for step, part in parts_left(draft.state.steps, job.id):
        key = step_key(active.attempt, step)
        if part.node != name or key in exited:
            continue
        cause = active.ending or EndCause.CANCELLED
        found = running.get(key)
        if found is not None and not part.started_at:
            at = clamp(found.started_at, step.created_at, draft.now)
            draft.events.append(StepStarted(draft.now, key, name, at))
        if found is None and part.started_at and key not in launching:
            detail = f"the agent of node {name} has lost it"
            gone.append((step, part, lost_part(draft, active, step, part, detail)))
        elif must_end(active, step):
            terminate_part(draft, name, key, cause)
        elif found is not None and found.suspended != bool(active.suspended_at):
            draft.commands.append((Suspend if active.suspended_at else Continue)(name, key))
        elif found is None and key not in launching:
            draft.commands.append(Launch(name, job.id, key))
    if gone:
        part_over(draft, job, active, gone)
