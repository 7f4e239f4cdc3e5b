"""Nodes of a reservation that are down or drained make way for others (Slurm's flag REPLACE_DOWN).

A pass looks before it starts anything, so that nobody takes the node that is chosen. A node on which jobs
still are is kept until they have ended; where no other node is free the reservation keeps what it has.
"""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.decision import Draft
from packhorse.scheduler.core.reservations.choose import in_order, spares
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.event import ReservationSet
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.reservation import REPLACE_DOWN, Reservation


def replace_down(draft: Draft) -> None:
    """The first reservation for which there is something to do; the next pass sees to the next one."""
    state, now = draft.state, draft.now
    for r in state.reservations.values():
        if REPLACE_DOWN not in r.flags or r.end_at <= now:
            continue
        gone = _gone(state, r)
        fresh = spares(state, r, now)[: len(gone)] if gone else []
        if fresh:
            kept = [name for name in r.nodes if name not in gone[: len(fresh)]]
            nodes = in_order(state, [*kept, *fresh])
            draft.events.append(ReservationSet(now, replace(r, nodes=nodes, created_at=now)))
            return


def _gone(state: State, r: Reservation) -> list[NodeName]:
    """Nodes that take no new work, and on which nothing runs any more."""
    return [
        name
        for name in r.nodes
        if name in state.nodes and not state.nodes[name].schedulable and not state.node_columns.jobs_on(name)
    ]
