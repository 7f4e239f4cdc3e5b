"""Applying events to nodes, and what a change of the scheduler process means for them."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core import waiting
from packhorse.scheduler.core.active import set_lease_timers
from packhorse.scheduler.core.batch.memory import Memory
from packhorse.scheduler.core.node_times import ends
from packhorse.scheduler.core.predictors import LIMIT
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.errors import InvalidTransition
from packhorse.scheduler.model.ids import UNKNOWN, Instant, NodeName
from packhorse.scheduler.model.node import Admin, Node, Offer


def scheduler_started(state: State, event: ev.SchedulerStarted) -> None:
    """A new process knows of no stream: every node is silent until its agent connects again.

    Nor does it know of any pass. What passes leave behind is forgotten here, so that one who goes on with the
    same state decides as one who read it from the store.
    """
    if event.epoch <= state.epoch:
        raise InvalidTransition(event, f"the epoch is {state.epoch} already")
    state.epoch = event.epoch
    state.taught = None
    state.reclaim.forget_reports()
    state.batch = Memory()
    state.history.samples.touched.clear()
    state.pending_columns.forget_passes()
    if state.config.predictor != LIMIT:
        waiting.expect_again(state)
    for node in list(state.nodes.values()):
        if node.reachable:
            _silence(state, node, event.at)


def node_registered(state: State, event: ev.NodeRegistered) -> None:
    name = event.spec.name
    known = state.nodes.get(name)
    if known is None:
        since = UNKNOWN if event.offer.accepting else event.at
        node = Node(
            event.spec,
            event.boot_id,
            event.offer,
            registered_at=event.at,
            refusing_since=since,
            since=event.at,
        )
    else:
        if not known.reachable:
            state.n_silent -= 1
        node = replace(
            known,
            spec=event.spec,
            boot_id=event.boot_id,
            offer=event.offer,
            registered_at=event.at,
            reachable=True,
            silent_since=UNKNOWN,
            refusing_since=_refusing_since(known, event.offer, event.at),
            since=event.at if ends(known, event) else known.since,
        )
    _put(state, node)


def node_offered(state: State, event: ev.NodeOffered) -> None:
    node = _node(state, event, event.node)
    since = _refusing_since(node, event.offer, event.at)
    begun = event.at if ends(node, event) else node.since
    _put(state, replace(node, offer=event.offer, refusing_since=since, since=begun))


def node_silenced(state: State, event: ev.NodeSilenced) -> None:
    node = _node(state, event, event.node)
    if not node.reachable:
        raise InvalidTransition(event, "it was silent already")
    _silence(state, node, event.at)


def node_drained(state: State, event: ev.NodeDrained) -> None:
    _administer(state, event, Admin.DRAIN)


def node_downed(state: State, event: ev.NodeDowned) -> None:
    _administer(state, event, Admin.DOWN)


def node_resumed(state: State, event: ev.NodeResumed) -> None:
    node = _node(state, event, event.node)
    _put(state, replace(node, admin=Admin.UP, reason="", reason_by=-1, reason_at=UNKNOWN, since=event.at))


def _refusing_since(known: Node, offer: Offer, at: Instant) -> Instant:
    """Since when the node takes no work, with this offer; 0 if it takes some."""
    return UNKNOWN if offer.accepting else known.refusing_since or at


def _administer(state: State, event: ev.NodeDrained | ev.NodeDowned, admin: Admin) -> None:
    node = _node(state, event, event.node)
    said = {"reason": event.reason, "reason_by": event.by, "reason_at": event.at}
    _put(state, replace(node, admin=admin, since=event.at, **said))


def _silence(state: State, node: Node, at: Instant) -> None:
    state.n_silent += 1
    _put(state, replace(node, reachable=False, silent_since=at, since=at))
    set_lease_timers(state, node.name)


def _put(state: State, node: Node) -> None:
    state.nodes[node.name] = node
    state.node_columns.put(node)


def _node(state: State, event: ev.Event, name: NodeName) -> Node:
    node = state.nodes.get(name)
    if node is None:
        raise InvalidTransition(event, f"no node {name}")
    return node
