"""What nodes were and for how long, for reports of utilisation: a row whenever that changes.

Like accounting rows (core/accounting.py) they are made with the state as it was before the event.
"""

from __future__ import annotations

from packhorse.scheduler.core.state import State
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.accounting import NodeRow, NodeState
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.node import Admin, Node, NodeSpec
from packhorse.scheduler.model.tres import format_tres, make_tres, node_amounts

_NODE_EVENTS = (
    ev.NodeRegistered,
    ev.NodeOffered,
    ev.NodeSilenced,
    ev.NodeDrained,
    ev.NodeDowned,
    ev.NodeResumed,
)


def node_rows(state: State, event: Event) -> tuple[NodeRow, ...]:
    """What ends with this event. Most events end nothing."""
    if isinstance(event, ev.SchedulerStarted):
        return tuple(row for node in state.nodes.values() if node.reachable for row in _row(node, event.at))
    if not isinstance(event, _NODE_EVENTS):
        return ()
    node = state.nodes.get(event.spec.name if isinstance(event, ev.NodeRegistered) else event.node)
    return _row(node, event.at) if node is not None and ends(node, event) else ()


def ends(node: Node, event: Event) -> bool:
    """Whether the node is something else from this event about it on."""
    match event:
        case ev.NodeOffered(offer=offer):
            return offer.accepting != node.offer.accepting
        case ev.NodeRegistered(spec=spec, offer=offer):
            same = node.reachable and offer.accepting == node.offer.accepting
            return not same or tres_text(spec) != tres_text(node.spec)
    return True


def present_row(node: Node, now: Instant) -> NodeRow:
    """What the node is, as if that ended now."""
    return NodeRow(
        node.name, condition(node).value, tres_text(node.spec), node.since or node.registered_at, now
    )


def condition(node: Node) -> NodeState:
    """What a node is in the words of a report."""
    if not node.reachable or node.admin is Admin.DOWN:
        return NodeState.DOWN
    return NodeState.UP if node.schedulable else NodeState.DRAINED


def tres_text(spec: NodeSpec) -> str:
    """All that the node has."""
    return format_tres(make_tres(node_amounts(spec)))


def _row(node: Node, at: Instant) -> tuple[NodeRow, ...]:
    row = present_row(node, at)
    return (row,) if row.since < at else ()
