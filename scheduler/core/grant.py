"""One scheduling cycle made into facts: the plan is checked against the state, grant by grant.

What the plan says about those who go on waiting (reasons, planned starts) is written to the columns;
it is derived, and the first cycle after a restart finds it again.
"""

from __future__ import annotations

from collections.abc import Iterator

from packhorse.scheduler.core import cycle, indices, waiting
from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.command import Launch
from packhorse.scheduler.model.event import ArrayTaskSplit, JobGranted
from packhorse.scheduler.model.ids import UNKNOWN, US, AttemptKey, Instant, JobId
from packhorse.scheduler.model.input import RunCycle
from packhorse.scheduler.model.job import ArrayJob, Job, JobSpec, Pending
from packhorse.scheduler.model.resources import Placement


def run_cycle(state: State, _input: RunCycle, now: Instant) -> Decision:
    """Start what can start now."""
    plan = cycle.plan(state, now)
    draft = Draft(state, now)
    room = _Room(state)
    for given in plan.grants:
        job = state.jobs.get(given.id)
        array = state.arrays.get(given.id) if job is None else None
        if job is not None:
            if _may_start(job) and room.take(job.array_id):
                _grant(draft, job.id, job.attempts + 1, job.spec, given.placements)
        elif array is not None and array.phase.eligible_at and room.take(array.id):
            index = room.next_index(array)
            if index is not None:
                id = draft.new_id()
                draft.events.append(ArrayTaskSplit(now, array.id, index, id))
                _grant(draft, id, 1, array.spec, given.placements)
    return draft.decision()


def _may_start(job: Job) -> bool:
    return isinstance(job.phase, Pending) and bool(job.phase.eligible_at)


def _grant(draft: Draft, id: JobId, number: int, spec: JobSpec, placements: tuple[Placement, ...]) -> None:
    attempt = AttemptKey(id, number, draft.state.epoch)
    end_by = Instant(draft.now + spec.time_limit_s * US) if spec.time_limit_s else UNKNOWN
    draft.events.append(JobGranted(draft.now, id, attempt, placements, end_by))
    draft.commands.append(Launch(placements[0].node, id, attempt))


class _Room:
    """What this cycle has already used of each array: indices, and room under its limit."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.left: dict[JobId, int] = {}
        self.waiting: dict[JobId, Iterator[int]] = {}

    def take(self, array: JobId) -> bool:
        """Whether one more task of this array may start (0: not an array), counting it if so."""
        if not array:
            return True
        left = self.left.get(array)
        if left is None:
            left = waiting.room_of(self.state, self.state.arrays[array])
        if left == 0:
            return False
        self.left[array] = left - 1 if left > 0 else left
        return True

    def next_index(self, array: ArrayJob) -> int | None:
        """The lowest index that may start and that this cycle has not started yet."""
        mine = self.waiting.get(array.id)
        if mine is None:
            mine = indices.each(indices.subtract(array.remaining, array.blocked))
            self.waiting[array.id] = mine
        return next(mine, None)
