"""The table of reservations, as scontrol and sinfo ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from packhorse.scheduler.core.reservations.window import Window, window
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.ids import Instant, NodeName
from packhorse.scheduler.model.reservation import MAINT, PURGE_COMP, Reservation
from packhorse.scheduler.model.units import format_clock
from packhorse.scheduler.service.tables.table import Catalogue, ints, texts


class ReservationView:
    """Those of these names, all if there are none; unknown: names that no reservation has."""

    def __init__(self, state: State, now: Instant, names: Sequence[str]) -> None:
        self.state = state
        self.now = now
        there = state.reservations
        self.unknown = [name for name in names if name not in there]
        self.reservations = [there[name] for name in names if name in there] if names else [*there.values()]

    @cached_property
    def windows(self) -> list[Window]:
        """The present or next window of each."""
        return [window(r, self.now) for r in self.reservations]

    @cached_property
    def cpus(self) -> list[int]:
        """CPUs of each, of nodes that are registered."""
        return [sum(self._cpus(r, i, name) for i, name in enumerate(r.nodes)) for r in self.reservations]

    @cached_property
    def cores(self) -> list[int]:
        """The same in cores."""
        nodes = self.state.nodes
        return [
            sum(
                -(-self._cpus(r, i, name) // max(nodes[name].spec.threads_per_core, 1))
                for i, name in enumerate(r.nodes)
                if name in nodes
            )
            for r in self.reservations
        ]

    def _cpus(self, r: Reservation, i: int, name: NodeName) -> int:
        if r.cpu_milli:
            return r.cpu_milli[i] // 1000
        node = self.state.nodes.get(name)
        return node.spec.cpu_milli // 1000 if node else 0


def reserved_now(state: State, now: Instant) -> dict[NodeName, tuple[str, bool]]:
    """Nodes of open windows: the reservation's name, and whether one of them is for maintenance."""
    found: dict[NodeName, tuple[str, bool]] = {}
    for r in state.reservations.values():
        if window(r, now).holds(now):
            for name in r.nodes:
                first, maint = found.get(name, (r.name, False))
                found[name] = first, maint or MAINT in r.flags
    return found


def _flags(r: Reservation) -> str:
    """`MAINT,DAILY,SPEC_NODES,PURGE_COMP=00:05:00`."""
    purge = f"{PURGE_COMP}={format_clock(r.purge_after_s)}"
    found = [purge if flag == PURGE_COMP else flag for flag in r.flags]
    if r.repeat:
        found.insert(sum(flag in r.flags for flag in ("MAINT", "OVERLAP", "IGNORE_JOBS")), r.repeat.value)
    return ",".join(found)


RESERVATIONS: Catalogue[ReservationView] = {
    "name": texts(lambda view: [r.name for r in view.reservations]),
    "state": texts(
        lambda view: ["ACTIVE" if found.holds(view.now) else "INACTIVE" for found in view.windows]
    ),
    "start_at": ints(lambda view: [found.start for found in view.windows]),
    "end_at": ints(lambda view: [found.end for found in view.windows]),
    "nodes": texts(lambda view: [compress_sorted(r.nodes) for r in view.reservations]),
    "n_nodes": ints(lambda view: [len(r.nodes) for r in view.reservations]),
    "cores": ints(lambda view: view.cores),
    "cpus": ints(lambda view: view.cpus),
    "whole": ints(lambda view: [int(r.whole) for r in view.reservations]),
    "features": texts(lambda view: [r.features for r in view.reservations]),
    "partition": texts(lambda view: [r.partition for r in view.reservations]),
    "flags": texts(lambda view: [_flags(r) for r in view.reservations]),
    "users": texts(lambda view: [",".join(r.users) for r in view.reservations]),
    "groups": texts(lambda view: [",".join(r.groups) for r in view.reservations]),
    "accounts": texts(lambda view: [",".join(r.accounts) for r in view.reservations]),
    "qos": texts(lambda view: [",".join(r.qos) for r in view.reservations]),
    "licenses": texts(lambda view: [r.licenses for r in view.reservations]),
    "comment": texts(lambda view: [r.comment for r in view.reservations]),
    "purge_after_s": ints(lambda view: [r.purge_after_s for r in view.reservations]),
    "n_jobs": ints(lambda view: [len(view.state.windows.inside.get(r.name, ())) for r in view.reservations]),
}
