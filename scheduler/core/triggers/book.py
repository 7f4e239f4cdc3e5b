"""All triggers that wait, and when the next of them is to be fired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, NodeName
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.trigger import Trigger, TriggerKind

if TYPE_CHECKING:
    from packhorse.scheduler.core.state import State

MOST = 1_000
"""Triggers in all: each is looked at whenever a job ends or a node changes."""


class TriggerBook:
    """by_id: in the order in which they were set. next_id: no trigger ever had this number or a higher one.
    silent: nodes whose agents were lost since there are triggers."""

    __slots__ = ("by_id", "next_id", "silent")

    def __init__(self) -> None:
        self.by_id: dict[int, Trigger] = {}
        self.next_id = 1
        self.silent: set[NodeName] = set()

    def __bool__(self) -> bool:
        return bool(self.by_id)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TriggerBook):
            return NotImplemented
        return (self.by_id, self.next_id, self.silent) == (other.by_id, other.next_id, other.silent)

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> TriggerBook:
        """Which the changes of this one do not change."""
        copy = TriggerBook()
        copy.by_id, copy.next_id, copy.silent = self.by_id.copy(), self.next_id, self.silent.copy()
        return copy

    def put(self, trigger: Trigger) -> None:
        """It waits from now on, or waits like this."""
        self.by_id[trigger.id] = trigger
        self.next_id = max(self.next_id, trigger.id + 1)


def due_at(state: State, trigger: Trigger) -> Instant:
    """When it is to be fired, UNKNOWN as long as that is not known."""
    if trigger.kind is not TriggerKind.TIME:
        return trigger.due_at
    job = state.jobs.get(trigger.job)
    if job is None or not isinstance(job.phase, Active) or not job.phase.end_by or job.phase.suspended_at:
        return UNKNOWN
    return Instant(max(job.phase.end_by + trigger.offset_s * US, 1))


def next_at(state: State) -> Instant | None:
    """The earliest of these instants."""
    return min(
        [at for trigger in state.triggers.by_id.values() if (at := due_at(state, trigger))], default=None
    )
