"""The working copy of the nodes during one pass: what is free now, and at the instants that matter later.

`free` is now. A `Layer` is added for every planned start: what is free then, once the planned job has begun.
A job that runs past the first j planned starts may only use what is free now and at all of them: `room(j)`.
Matrices are `[n_resources, n_nodes]` by position on the board.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.node_columns import NodeColumns
from packhorse.scheduler.core.packing.board import CPU, EXCLUSIVE, MEM, SLOTS, TMP
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.model.resources import Devices, Placement

Pairs = list[tuple[int, int]]
"""Amounts as (resource, amount), those that are not zero."""

UNFIT: Final = 1 << 62
"""Score of a node that does not qualify."""


class Layer:
    """start: the planned start. free: what is free then. room: the least of now and all layers up to here."""

    __slots__ = ("free", "room", "start")

    def __init__(self, start: int, free: np.ndarray, room: np.ndarray) -> None:
        self.start = start
        self.free = free
        self.room = room


class Field:
    """See the module. score: lower is tighter; the node's weight comes first, then what it has left."""

    __slots__ = (
        "_devices",
        "_masks",
        "all_up",
        "board",
        "column_of",
        "free",
        "layers",
        "n",
        "nodes",
        "offered",
        "score",
        "slots_matter",
        "tightness",
        "up",
    )

    def __init__(self, nodes: NodeColumns, empty: bool = False) -> None:
        """empty: as if nothing ran and every node offered all that it registered."""
        board = nodes.board()
        self.board = board
        self.nodes = nodes
        self.n = board.n
        self.column_of = nodes.column_of
        if empty:
            self.free = board.capacity.copy()
            self.offered = board.capacity
            self.up = nodes.schedulable[board.order]
        elif board.identity:
            n = board.n
            self.free = nodes.free[:, :n].copy()
            self.offered = nodes.offered[:, :n]
            self.up = nodes.schedulable[:n]
        else:
            order = board.order
            self.free = nodes.free[:, order]
            self.offered = nodes.offered[:, order]
            self.up = nodes.schedulable[order]
        self.all_up = bool(self.up.all())
        self.tightness = board.tightness.tolist()
        self.score = board.tightness @ self.free + board.weight_score
        self.slots_matter = nodes.n_exclusive > 0 and not empty
        """Some node is held by an exclusive job, or was given to one in this pass."""
        self.layers: list[Layer] = []
        self._masks: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._devices: dict[tuple[int, str], int] = {}

    def usable(self, allowed: np.ndarray) -> np.ndarray:
        """The allowed nodes that take new work. The same array each time within a pass."""
        if self.all_up:
            return allowed
        found = self._masks.get(id(allowed))
        if found is None:
            found = self._masks[id(allowed)] = (
                allowed & self.up,
                allowed,
            )  # kept, so that no id is used twice
        return found[0]

    def room(self, j: int) -> np.ndarray:
        """What a job may use that runs past the first j planned starts."""
        return self.layers[j - 1].room if j else self.free

    def layer_of(self, end: int) -> int:
        """How many planned starts a job that ends then runs past."""
        j = 0
        for layer in self.layers:
            if layer.start >= end:
                break
            j += 1
        return j

    def add_layer(self, start: int, free: np.ndarray) -> None:
        """One more planned start; free: what is left then, without the planned job's share."""
        self.layers.append(Layer(start, free, free))
        self.layers.sort(key=lambda layer: layer.start)
        room = self.free
        for layer in self.layers:
            layer.room = room = self.board.both(room, layer.free)

    def take(self, position: int, pairs: Pairs, copies: int, j: int) -> None:
        """That many jobs take these amounts of the node, until after the first j planned starts."""
        for resource, amount in pairs:
            amount *= copies
            self.free[resource, position] -= amount
            self.score[position] -= self.tightness[resource] * amount
            for layer in self.layers[:j]:
                layer.free[resource, position] -= amount
        if self.layers:
            room = self.free[:, position]
            for layer in self.layers:
                room = self.board.both(room, layer.free[:, position])
                layer.room[:, position] = room

    def cost(
        self,
        shape: Shape,
        position: int,
        tasks: int,
        whole_job: bool,
        job_devices: dict[str, int] | None = None,
    ) -> Pairs:
        """What that many tasks take of the node, devices as asked for, not yet chosen.

        job_devices: this node's part of devices per job, where several nodes share them.
        """
        cpu, mem = self._cpu_and_mem(shape, position, tasks)
        pairs: Pairs = [(SLOTS, EXCLUSIVE if shape.exclusive else 1)]
        for resource, amount in ((CPU, cpu), (MEM, mem), (TMP, shape.tmp)):
            if amount:
                pairs.append((resource, amount))
        if shape.has_devices:
            for name, n in _wanted(shape, tasks, whole_job, job_devices).items():
                pairs.append((self.column_of[name], n))
        return pairs

    def give(
        self,
        shape: Shape,
        position: int,
        tasks: int,
        whole_job: bool,
        j: int,
        job_devices: dict[str, int] | None = None,
    ) -> tuple[Placement, Pairs]:
        """The placement of that many tasks on the node, with devices chosen (and marked as chosen).

        Also the amounts for `take`, which the caller calls; these count the types of chosen devices.
        """
        cpu, mem = self._cpu_and_mem(shape, position, tasks)
        pairs: Pairs = [(SLOTS, EXCLUSIVE if shape.exclusive else 1)]
        for resource, amount in ((CPU, cpu), (MEM, mem), (TMP, shape.tmp)):
            if amount:
                pairs.append((resource, amount))
        devices: tuple[Devices, ...] = ()
        if shape.has_devices:
            devices = self._choose(position, _wanted(shape, tasks, whole_job, job_devices), j)
            for kind, type_, indices, *_ in devices:
                pairs.append((self.column_of[kind], len(indices)))
                if type_:
                    pairs.append((self.column_of[f"{kind}:{type_}"], len(indices)))
        return Placement(self.board.names[position], cpu, mem, tasks, devices, shape.tmp), pairs

    def _cpu_and_mem(self, shape: Shape, position: int, tasks: int) -> tuple[int, int]:
        cpu = int(self.offered[CPU, position]) if shape.exclusive else shape.cpus(tasks)
        if shape.mem_all:
            return cpu, int(self.offered[MEM, position])
        return cpu, shape.mem_node or -(-shape.mem_cpu * cpu // 1000)

    def _choose(self, position: int, wanted: dict[str, int], j: int) -> tuple[Devices, ...]:
        """Concrete devices: lowest free index first, typed wishes before open ones."""
        banks = self.nodes.banks[int(self.board.order[position])]
        open_wish: dict[str, int] = {}
        typed: dict[str, list[tuple[str, int]]] = {}
        for name, n in wanted.items():
            kind, colon, type_ = name.partition(":")
            open_wish[kind] = open_wish.get(kind, 0) + (-n if colon else n)
            if colon:
                typed.setdefault(kind, []).append((type_, n))
        out: list[Devices] = []
        for kind, n_open in open_wish.items():
            bank = banks[kind]
            free = self._devices.get((position, kind), bank.free)
            chosen = 0
            for type_, n in typed.get(kind, ()):
                chosen |= _lowest(free & bank.types[type_] & ~chosen, n)
            if j and n_open and len(bank.types) > 1:
                n_open, chosen = self._spare_types(position, kind, free, chosen, n_open, j)
            chosen |= _lowest(free & ~chosen, n_open)
            self._devices[position, kind] = free & ~chosen
            rest = chosen
            for type_ in sorted(bank.types):
                mask = rest & bank.types[type_]
                if mask:
                    out.append(Devices(kind, type_, _indices(mask)))
                    rest &= ~mask
            if rest:
                out.append(Devices(kind, "", _indices(rest)))
        return tuple(out)

    def _spare_types(
        self, position: int, kind: str, free: int, chosen: int, n_open: int, j: int
    ) -> tuple[int, int]:
        """First those devices whose type no planned start needs. Returns what is still open, and chosen."""
        bank = self.nodes.banks[int(self.board.order[position])][kind]
        room = self.room(j)
        for type_ in sorted(bank.types):
            mask = bank.types[type_]
            spare = int(room[self.column_of[f"{kind}:{type_}"], position]) - (chosen & mask).bit_count()
            n = max(0, min(n_open, spare, (free & mask & ~chosen).bit_count()))
            chosen |= _lowest(free & mask & ~chosen, n)
            n_open -= n
        return n_open, chosen


def _wanted(shape: Shape, tasks: int, whole_job: bool, job_devices: dict[str, int] | None) -> dict[str, int]:
    wanted = shape.devices(tasks, whole_job)
    for name, n in (job_devices or {}).items():
        wanted[name] = wanted.get(name, 0) + n
    return wanted


def _lowest(mask: int, n: int) -> int:
    """The lowest n bits that are set."""
    out = 0
    for _ in range(n):
        bit = mask & -mask
        assert bit, "fewer devices are free than were counted"
        out |= bit
        mask ^= bit
    return out


def _indices(mask: int) -> tuple[int, ...]:
    return tuple(i for i in range(mask.bit_length()) if mask >> i & 1)
