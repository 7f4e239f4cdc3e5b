"""Orders to all of a job: its batch script, where it has one that runs, and its steps on all nodes."""

from __future__ import annotations

from collections.abc import Iterator

from packhorse.scheduler.core.decision import Draft
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import Part, has_script, parts_left, step_key
from packhorse.scheduler.model.command import JobOver, Signal, Terminate
from packhorse.scheduler.model.event import StepEnding
from packhorse.scheduler.model.ids import AttemptKey, NodeName
from packhorse.scheduler.model.input import SignalScope
from packhorse.scheduler.model.job import Active, EndCause, Job
from packhorse.scheduler.model.step import Step


def whole(state: State, job: Job, active: Active) -> Iterator[tuple[NodeName, AttemptKey]]:
    """What runs of it, or may, and where: the batch script first."""
    if has_script(job, active):
        yield active.placements[0].node, active.attempt
    if job.id in state.steps:
        for step, part in parts_left(state.steps, job.id):
            yield part.node, step_key(active.attempt, step)


def signal_all(draft: Draft, job: Job, active: Active, signal: int, scope: SignalScope) -> None:
    """The signal to all that the scope means; without steps, the batch script's node knows what that is."""
    for node, key in whole(draft.state, job, active):
        if key.step < 0:
            draft.commands.append(Signal(node, key, signal, scope))
        elif scope is not SignalScope.BATCH or job.spec.allocation:
            draft.commands.append(Signal(node, key, signal, SignalScope.ALL))


def end_step(draft: Draft, active: Active, step: Step, cause: EndCause, by: int = -1) -> None:
    """Tell the step to end, on every node that has something of it; TERM, grace, KILL."""
    key = step_key(active.attempt, step)
    if not step.ending_at:
        draft.events.append(StepEnding(draft.now, key, cause, by))
    for part in step.parts:
        if not part.over:
            terminate_part(draft, part.node, key, cause)


def terminate_part(draft: Draft, node: NodeName, key: AttemptKey, cause: EndCause) -> None:
    """TERM, grace, KILL there."""
    draft.commands.append(Terminate(node, key, draft.state.config.kill_wait_s, cause))


def end_parts(draft: Draft, active: Active, parts: list[Part], cause: EndCause) -> None:
    """The job is over but for these: they have to end."""
    for step, part in parts:
        terminate_part(draft, part.node, step_key(active.attempt, step), cause)


def job_over(draft: Draft, job: Job, active: Active) -> None:
    """Its nodes need keep nothing for further steps."""
    if job.id in draft.state.steps or job.spec.allocation:
        draft.commands += [JobOver(p.node, active.attempt) for p in active.placements]
