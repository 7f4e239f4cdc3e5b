"""Whether a suspended job may go on where nodes, or CPUs of them, are set aside by now.

It was let in by its time limit, which stood still meanwhile: it may come to stand in a window that it would
have been out of in time. What it stood in anyway, since it was there before the reservation, it may.
"""

from __future__ import annotations

from collections.abc import Mapping

from packhorse.scheduler.core.packing.board import CPU
from packhorse.scheduler.core.reservations.inside import held_inside
from packhorse.scheduler.core.reservations.window import Window, window
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import Instant, NodeName
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.reservation import Reservation


def reserved_by(
    state: State, active: Active, end: Instant, now: Instant, taken: Mapping[NodeName, int]
) -> tuple[NodeName, str] | None:
    """A node of the job, and the reservation that keeps it from going on there; None if none does.

    end: when its time limit ends it then, UNKNOWN for never. taken: milli-CPU of each node that are given
    away already.
    """
    columns, left = state.node_columns, dict[NodeName, int]()
    inside = state.reservations.get(active.reservation)
    for r in state.reservations.values():
        found = window(r, now)
        if found.end <= now or (end and end <= found.start):
            continue
        claimed = dict(zip(r.nodes, r.cpu_milli, strict=True)) if r.cpu_milli else {}
        for p in active.placements:
            if p.node not in r.nodes:
                continue
            if r is inside:
                held = held_inside(state, r.name, p.node) + max(taken.get(p.node, 0), 0)
                if claimed and r.bound and held + p.cpu_milli > claimed[p.node]:
                    return p.node, r.name
            elif claimed:
                kept = max(claimed[p.node] - held_inside(state, r.name, p.node), 0)
                left[p.node] = left.get(p.node, 0) + kept
                free = int(columns.free[CPU, columns.row_of[p.node]]) - taken.get(p.node, 0)
                if p.cpu_milli > free - left[p.node]:
                    return p.node, r.name
            elif not (_stood_there(active, r, found) or (inside is not None and inside.ignores(r))):
                return p.node, r.name
    return None


def _stood_there(active: Active, r: Reservation, window: Window) -> bool:
    """Whether it was there before the reservation, which came although the job would meet its window."""
    if active.granted_at > r.created_at:
        return False
    stood_still = max(r.created_at - active.suspended_at, 0)
    return not active.end_by or window.start < active.end_by + stood_still
