"""Which nodes a reservation gets: those named, or as many as were asked for of those that are free then.

Nodes on which jobs may still run when the window opens, and those of other reservations whose windows meet
this one, are not there to be had, unless flags say so. Where the scheduler chooses, idle nodes that are up
come first, then those with the lowest weight, then by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import replace

from packhorse.scheduler.core.active import is_suspended
from packhorse.scheduler.core.packing import features as feature_expressions
from packhorse.scheduler.core.packing.masks import features_mask, partition_mask
from packhorse.scheduler.core.reservations.window import overlap, window
from packhorse.scheduler.core.running_columns import NEVER
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.ids import US, Instant, NodeName
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.reply import RefusalCode, Refused
from packhorse.scheduler.model.reservation import IGNORE_JOBS, MAINT, OVERLAP, Reservation

BUSY: Final = "Requested nodes are busy"
OVERLAPS: Final = "Requested reservation overlaps with another reservation"
NODE_NAME: Final = "Invalid node name specified"
NODE_COUNT: Final = "Node count specification invalid"
NOT_CONSISTENT: Final = "Core count for reservation node list is not consistent!"
FEATURE: Final = "Invalid feature specification"
"""Slurm's phrases."""


class Want(NamedTuple):
    """What is asked for. nodes: by name, empty: the scheduler chooses; all_nodes: all there are. counts: of
    nodes, that are added up. cpu_milli: in all, or for each named node; empty: whole nodes."""

    nodes: tuple[NodeName, ...] = ()
    all_nodes: bool = False
    counts: tuple[int, ...] = ()
    cpu_milli: tuple[int, ...] = ()


class Chosen(NamedTuple):
    """nodes, and CPUs of each, empty for all."""

    nodes: tuple[NodeName, ...]
    cpu_milli: tuple[int, ...] = ()


def choose(state: State, r: Reservation, want: Want, now: Instant) -> Chosen | Refused:
    """The nodes of the reservation, whose window, flags, features and partition are known."""
    pool = _pool(state, r)
    if isinstance(pool, Refused):
        return pool
    if want.nodes:
        return _named(state, r, want, now)
    if want.all_nodes:
        return _named(state, r, want._replace(nodes=tuple(pool)), now)
    return _counted(state, r, want, pool, now)


def spares(state: State, r: Reservation, now: Instant) -> list[NodeName]:
    """Nodes that it could have instead of some of its own, the best first: they take new work, have no job
    that may run into its window, and are nobody else's."""
    pool = _pool(state, r)
    if isinstance(pool, Refused):
        return []
    taken = {name for other in meeting(state, r, now) for name in other.nodes}
    taken.update(r.nodes)
    able = [name for name in pool if name not in taken and state.nodes[name].schedulable]
    whole = dict(_free_then(state, r, able, now))
    able = [name for name in able if whole[name] >= state.nodes[name].spec.cpu_milli]
    return _ranked(state, able)


def _pool(state: State, r: Reservation) -> list[NodeName] | Refused:
    """Registered nodes of the partition that have the features, in order of name."""
    board = state.node_columns.board()
    partition = next((p for p in state.config.partitions if p.name == r.partition), None)
    if r.partition and partition is None:
        known = ", ".join(p.name for p in state.config.partitions)
        return Refused(
            RefusalCode.INVALID,
            f'partition "{r.partition}" does not exist; choose one of: {known}',
            "Invalid partition name specified",
        )
    mask = partition_mask(board, partition or Partition(""))
    if r.features:
        try:
            feature_expressions.parse(r.features)
        except BadValue as bad:
            return Refused(RefusalCode.INVALID, str(bad), FEATURE)
        mask = mask & features_mask(board, r.features)
    return [board.names[position] for position in np.flatnonzero(mask).tolist()]


def _named(state: State, r: Reservation, want: Want, now: Instant) -> Chosen | Refused:
    unknown = [name for name in want.nodes if name not in state.nodes]
    if unknown:
        return Refused(
            RefusalCode.NOT_FOUND,
            f"node {compress_sorted(unknown)} has never registered; `sinfo -N` lists the nodes that have",
            NODE_NAME,
        )
    if want.cpu_milli and len(want.cpu_milli) not in (1, len(want.nodes)):
        return Refused(
            RefusalCode.INVALID,
            f"{len(want.cpu_milli)} core counts for {len(want.nodes)} nodes; give one for each",
            NOT_CONSISTENT,
        )
    cpu_milli = want.cpu_milli
    if len(cpu_milli) == 1:
        cpu_milli = cpu_milli * len(want.nodes) if len(want.nodes) == 1 else _shared(cpu_milli[0], want.nodes)
    for name, n in zip(want.nodes, cpu_milli, strict=False):
        most = state.nodes[name].spec.cpu_milli
        if not 0 < n <= most:
            return Refused(
                RefusalCode.IMPOSSIBLE,
                f"node {name}: {n // 1000} CPUs asked, it has {most // 1000}",
                NODE_COUNT,
            )
    refused = conflict(state, replace(r, nodes=want.nodes, cpu_milli=cpu_milli), now)
    return refused if refused is not None else Chosen(want.nodes, cpu_milli)


def _shared(total: int, nodes: tuple[NodeName, ...]) -> tuple[int, ...]:
    """A number of CPUs in all, as evenly as whole ones allow."""
    n, whole = len(nodes), total // 1000
    return tuple((whole // n + (i < whole % n)) * 1000 for i in range(n))


def conflict(state: State, r: Reservation, now: Instant) -> Refused | None:
    """Why these nodes cannot be had: another reservation, or jobs that may run into the window."""
    for other in meeting(state, r, now):
        common = _common(state, r, other)
        if common:
            return Refused(
                RefusalCode.CONFLICT,
                f"node {compress_sorted(common)}: reserved at that time by {other.name}; choose other nodes "
                "or times, or say Flags=OVERLAP (or MAINT)",
                OVERLAPS,
            )
    if IGNORE_JOBS in r.flags:
        return None
    busy = [name for name, free in _free_then(state, r, r.nodes, now) if free < _needs(state, r, name)]
    if not busy:
        return None
    return Refused(
        RefusalCode.CONFLICT,
        f"node {compress_sorted(busy)}: jobs there may run past the start; choose other nodes, start later, "
        "or say Flags=IGNORE_JOBS",
        BUSY,
    )


def meeting(state: State, r: Reservation, now: Instant) -> Iterator[Reservation]:
    """The other reservations that may not share nodes with this one and whose windows meet its own."""
    if {MAINT, OVERLAP}.intersection(r.flags):
        return
    for other in state.reservations.values():
        if other.name == r.name or {MAINT, OVERLAP}.intersection(other.flags):
            continue
        if other.nodes and overlap(r, other, now):
            yield other


def _common(state: State, r: Reservation, other: Reservation) -> list[NodeName]:
    """Nodes that do not have enough for both."""
    theirs = dict(zip(other.nodes, other.cpu_milli, strict=True)) if other.cpu_milli else {}
    own = dict(zip(r.nodes, r.cpu_milli, strict=True)) if r.cpu_milli else {}
    taken = set(other.nodes)
    out = []
    for name in r.nodes:
        if name not in taken:
            continue
        node = state.nodes.get(name)
        if not (own and theirs and node and own[name] + theirs[name] <= node.spec.cpu_milli):
            out.append(name)
    return out


def _needs(state: State, r: Reservation, name: NodeName) -> int:
    """CPUs, in thousandths, that it takes of the node."""
    if r.cpu_milli:
        return r.cpu_milli[r.nodes.index(name)]
    return state.nodes[name].spec.cpu_milli


def _free_then(
    state: State, r: Reservation, names: Iterable[NodeName], now: Instant
) -> Iterator[tuple[NodeName, int]]:
    """CPUs of each node, in thousandths, that no job has which may run into the window: all of them where no
    job at all does. Jobs that run in this reservation do not count."""
    start = window(r, now).start
    for name in names:
        held, whole = 0, True
        for id, placement in state.node_columns.jobs_on(name).items():
            job = state.jobs[id]
            active = job.phase
            assert isinstance(active, Active)
            limit = job.spec.time_limit_s
            end = active.end_by or (active.granted_at + limit * US if limit else NEVER)
            if is_suspended(active) and end != NEVER:
                # If it went on now; later it may not, when that would take it into the window (going_on.py).
                end += active.suspended_us + now - active.suspended_at
            if end > max(start, now) and active.reservation != r.name:
                held += placement.cpu_milli
                whole = False
        total = state.nodes[name].spec.cpu_milli
        yield name, total if whole else max(min(total - held, total - 1), 0)


def _counted(
    state: State, r: Reservation, want: Want, pool: list[NodeName], now: Instant
) -> Chosen | Refused:
    """As many nodes as asked for, or as many CPUs (on so many nodes, if both are said)."""
    taken: dict[NodeName, int] = {}
    for other in meeting(state, r, now):
        for i, name in enumerate(other.nodes):
            most = state.nodes[name].spec.cpu_milli if name in state.nodes else 0
            taken[name] = taken.get(name, 0) + (other.cpu_milli[i] if other.cpu_milli else most)
    free = dict(_free_then(state, r, pool, now))
    if IGNORE_JOBS in r.flags:
        free = {name: state.nodes[name].spec.cpu_milli for name in pool}
    ranked = _ranked(state, pool)
    total, n_nodes = sum(want.cpu_milli), sum(want.counts)
    where = f' in partition "{r.partition}"' if r.partition else ""
    if not total:
        whole = [
            name for name in ranked if not taken.get(name) and free[name] >= state.nodes[name].spec.cpu_milli
        ]
        if len(whole) < n_nodes:
            return _too_few(
                f"{n_nodes} nodes asked", f"{len(whole)} are free then{where}", len(pool) < n_nodes
            )
        return Chosen(in_order(state, whole[:n_nodes]))
    room = {name: (free[name] - taken.get(name, 0)) // 1000 * 1000 for name in ranked}
    if n_nodes:
        return _spread(state, ranked, room, total, n_nodes)
    parts: dict[NodeName, int] = {}
    left = total
    for name in sorted(ranked, key=lambda name: -room[name]):
        if left > 0 and room[name] > 0:
            parts[name] = min(left, room[name])
            left -= parts[name]
    if left > 0:
        return _too_few(
            f"{total // 1000} CPUs asked", f"{(total - left) // 1000} are free then{where}", False
        )
    names = in_order(state, parts)
    return Chosen(names, tuple(parts[name] for name in names))


def _ranked(state: State, names: Iterable[NodeName]) -> list[NodeName]:
    """Idle ones that are up first, then by weight, then by name."""
    board, columns = state.node_columns.board(), state.node_columns
    return sorted(
        names,
        key=lambda name: (
            not state.nodes[name].schedulable,
            bool(columns.jobs_on(name)),
            state.nodes[name].spec.weight,
            board.position[name],
        ),
    )


def _spread(
    state: State, ranked: list[NodeName], room: dict[NodeName, int], total: int, n_nodes: int
) -> Chosen | Refused:
    """The CPUs on so many nodes, as evenly as whole ones allow."""
    each = -(-total // 1000 // n_nodes) * 1000
    able = [name for name in ranked if room[name] >= each][:n_nodes]
    if len(able) < n_nodes:
        return _too_few(
            f"{n_nodes} nodes with {each // 1000} CPUs asked", f"{len(able)} are free then", False
        )
    names = in_order(state, able)
    return Chosen(names, _shared(total, names))


def in_order(state: State, names: Iterable[NodeName]) -> tuple[NodeName, ...]:
    position = state.node_columns.board().position
    return tuple(sorted(names, key=lambda name: position[name]))


def _too_few(asked: str, there: str, never: bool) -> Refused:
    return Refused(
        RefusalCode.IMPOSSIBLE if never else RefusalCode.CONFLICT,
        f"{asked}, {there}; ask for fewer, at another time, or say Flags=IGNORE_JOBS",
        NODE_COUNT if never else BUSY,
    )
