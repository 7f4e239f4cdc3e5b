"""What is fired: each trigger at most once, by an event that is durable before the program is run."""

from __future__ import annotations

from packhorse.scheduler.core.decision import Draft
from packhorse.scheduler.core.triggers.book import due_at
from packhorse.scheduler.model.event import TriggersFired
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.trigger import Fired, Trigger


def fire(draft: Draft) -> None:
    """Those whose time has come."""
    state = draft.state
    due = [t for t in state.triggers.by_id.values() if 0 < due_at(state, t) <= draft.now]
    if due:
        fired = tuple(Fired(t.id, t.owner, t.program, _argument(t)) for t in due)
        draft.events.append(TriggersFired(draft.now, fired))


def _argument(trigger: Trigger) -> str:
    """As Slurm has it: the job's number, or the nodes that it is about."""
    return str(trigger.job) if trigger.job else compress_sorted(list(trigger.hit))
