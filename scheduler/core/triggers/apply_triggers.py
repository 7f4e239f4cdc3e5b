"""Applying events to triggers: those about them, and those that they wait for."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from packhorse.scheduler.core.state import State
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.errors import InvalidTransition
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.node import Admin
from packhorse.scheduler.model.trigger import TriggerKind


def trigger_set(state: State, event: ev.TriggerSet) -> None:
    if not state.triggers:
        state.triggers.silent = {name for name, node in state.nodes.items() if not node.reachable}
    state.triggers.put(event.trigger)


def triggers_cleared(state: State, event: ev.TriggersCleared) -> None:
    for id in event.ids:
        if state.triggers.by_id.pop(id, None) is None:
            raise InvalidTransition(event, f"there is no trigger {id}")


def triggers_fired(state: State, event: ev.TriggersFired) -> None:
    """Those of nodes that are permanent wait again."""
    by_id = state.triggers.by_id
    for fired in event.fired:
        trigger = by_id.get(fired.id)
        if trigger is None:
            raise InvalidTransition(event, f"there is no trigger {fired.id}")
        if trigger.permanent and not trigger.job:
            by_id[trigger.id] = replace(trigger, due_at=UNKNOWN, hit=())
        else:
            del by_id[trigger.id]


def nodes_of(state: State, id: JobId) -> tuple[NodeName, ...]:
    """Where the job has its allocation."""
    job = state.jobs.get(id)
    if job is None or not isinstance(job.phase, Active):
        return ()
    return tuple(placement.node for placement in job.phase.placements)


def job_ended(state: State, id: JobId, at: Instant) -> None:
    """Nothing else can happen to it any more."""
    by_id = state.triggers.by_id
    for trigger in [trigger for trigger in by_id.values() if trigger.job == id]:
        if trigger.kind is TriggerKind.FINI:
            by_id[trigger.id] = replace(trigger, due_at=Instant(at + trigger.offset_s * US))
        elif not trigger.due_at:
            del by_id[trigger.id]


def left(state: State, nodes: Iterable[NodeName], at: Instant) -> None:
    """A job gave these nodes back: those that are drained may be empty now."""
    for name in nodes:
        drained(state, name, at)


def drained(state: State, name: NodeName, at: Instant) -> None:
    """If the node is, and nothing is on it."""
    node = state.nodes.get(name)
    if node is not None and node.admin is Admin.DRAIN and not state.node_columns.jobs_on(name):
        happened(state, TriggerKind.DRAINED, name, at)


def fell_silent(state: State, name: NodeName, at: Instant) -> None:
    """As sinfo has it, the node is down."""
    state.triggers.silent.add(name)
    happened(state, TriggerKind.DOWN, name, at)


def came_back(state: State, name: NodeName, at: Instant) -> None:
    """The node's agent is there. After a start of the scheduler all of them come, and it means nothing."""
    if name in state.triggers.silent:
        state.triggers.silent.discard(name)
        if state.nodes[name].admin is not Admin.DOWN:
            happened(state, TriggerKind.UP, name, at)


def happened(state: State, kind: TriggerKind, name: NodeName, at: Instant) -> None:
    """This befell the node."""
    by_id = state.triggers.by_id
    for trigger in list(by_id.values()):
        if trigger.kind is not kind or name in trigger.hit:
            continue
        wanted = nodes_of(state, trigger.job) if trigger.job else trigger.nodes or (name,)
        if name in wanted:
            due = trigger.due_at or Instant(at + trigger.offset_s * US)
            by_id[trigger.id] = replace(trigger, due_at=due, hit=(*trigger.hit, name))
