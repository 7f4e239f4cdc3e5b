"""The nodes as a scheduling pass sees them: sorted by name, constant until one appears or changes amounts.

Everything a pass computes on nodes is indexed by position on the board, so that the first of equals is the
first by name (natural order: node9 before node10).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from packhorse.scheduler.core.packing.policy import Ground
from packhorse.scheduler.core.packing.slots import LOCATED, Slices, SlotMap
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.resources import DIVISIBLE, WHOLE

CPU: Final = 0
MEM: Final = 1
TMP: Final = 2
SLOTS: Final = 3
FIXED: Final = 4
"""Resources 0..3 are CPU in thousandths, memory and scratch space in MiB, and slots for jobs; devices
follow."""

EXCLUSIVE: Final = 1 << 20
"""Slots of a node. A job takes one; an exclusive job takes them all, so that it shares with nobody."""

_MOST_MATRICES: Final = 128
_SCORE_BITS = 36  # one resource of the largest node scores 2**36: thousands of resources stay below a weight
_WEIGHT_SHIFT = 50
_MAX_RANK = 4000  # of weights; all heavier ones are alike, so that scores stay below 2**62


def emptiest_first(score: np.ndarray) -> np.ndarray:
    """Of scores with the node's weight in them (Field.score) such that are least for the emptiest of the
    lightest nodes."""
    weight = score >> _WEIGHT_SHIFT << _WEIGHT_SHIFT
    turned: np.ndarray = 2 * weight - score
    return turned


class Board:
    """Positions, names and amounts of the nodes; see the module.

    serial: no other board of the same columns has it. order: row of NodeColumns by position.
    capacity: [n_resources, n_nodes]. node_class: class of each position, equal for nodes of the same
    capacity; class_capacity: [n_resources, n_classes].
    maps: the slots of each node; derived: columns of what follows from them; slot_columns: the columns of
    their free thousandths, a slice where they follow each other. has_slots: which nodes have any. type_of:
    code in `types` of each slot's device [n_slots, n_nodes], -1 for none; types are "gpu:h200", "gpu" for a
    device without type. slot_mem, link, shareable: device memory, link group, and whether shares are given,
    of the same shape.
    typed_kinds: columns of the kinds of counted devices that have types, with those of the types.
    tightness: per resource, what a free unit of it adds to a node's score. weight_score: what the
    node's weight adds; one_weight: all have the same.
    one_type: no node has devices of several types in its slots. mem_sizes: MiB of memory that devices have.
    masks: node masks by the key they were asked under, filled by packing/masks.py. possible: what
    packing/possible.py has found to fit.
    topology: path of each node from the top of the tree of racks and switches. totals: CPUs in thousandths,
    MiB and thousandths of devices of all nodes `[3]`.
    """

    __slots__ = (
        "_counts",
        "_derived_set",
        "_matrices",
        "_mems",
        "_shares",
        "capacity",
        "class_capacity",
        "derived",
        "features",
        "ground",
        "has_slots",
        "identity",
        "link",
        "maps",
        "masks",
        "mem_sizes",
        "n",
        "n_slots",
        "names",
        "node_class",
        "one_type",
        "one_weight",
        "order",
        "position",
        "position_of_row",
        "possible",
        "resources",
        "serial",
        "shareable",
        "slot_columns",
        "slot_list",
        "slot_mem",
        "special",
        "tightness",
        "topology",
        "totals",
        "type_of",
        "typed_kinds",
        "types",
        "weight_score",
    )

    def __init__(
        self,
        names: list[NodeName],
        rows: list[int],
        n_rows: int,
        features: list[frozenset[str]],
        weights: list[int],
        node_class: np.ndarray,
        capacity: np.ndarray,
        resources: tuple[str, ...],
        serial: int,
        maps: list[SlotMap],
        slot_columns: list[int],
        derived: Mapping[SlotMap, list[int]],
        topology: list[tuple[str, ...]],
    ) -> None:
        """All lists by position; node_class and capacity by row of NodeColumns, n_rows of them."""
        n = len(names)
        self.n = n
        self.names = tuple(names)
        self.resources = resources
        self.serial = serial
        self.order = np.array(rows, dtype=np.intp)
        self.identity = n == n_rows and rows == list(range(n))
        self.position = {name: i for i, name in enumerate(names)}
        self.position_of_row = np.full(max(n_rows, 1), -1, dtype=np.intp)
        self.position_of_row[self.order] = np.arange(n)
        self.features = tuple(features)
        self.capacity = np.ascontiguousarray(capacity[:, self.order])
        classes, first, inverse = np.unique(node_class[self.order], return_index=True, return_inverse=True)
        del classes
        self.node_class = inverse.astype(np.intp)
        self.class_capacity = np.ascontiguousarray(self.capacity[:, first])
        rank = {weight: min(i, _MAX_RANK) for i, weight in enumerate(sorted(set(weights)))}
        self.weight_score = np.array([rank[w] << _WEIGHT_SHIFT for w in weights], dtype=np.int64)
        self.one_weight = len(rank) <= 1
        self.maps = tuple(maps)
        self.topology = tuple(topology)
        self.derived = tuple([derived[slots] for slots in maps])
        self._derived_set = frozenset(column for slots in set(maps) for column in derived[slots])
        self.one_type = all(len({(d.kind, d.type) for d in slots.devices}) <= 1 for slots in set(maps))
        self._see_slots(slot_columns)
        largest = self.capacity.max(axis=1, initial=1)
        self.tightness = (1 << _SCORE_BITS) // np.maximum(largest, 1)
        self.tightness[SLOTS] = 0
        typed: dict[str, list[int]] = {}
        for column, resource in enumerate(resources):
            kind, colon, _type = resource.partition(":")
            if colon and kind not in LOCATED:
                typed.setdefault(kind, []).append(column)
        self.typed_kinds = [(resources.index(kind), columns) for kind, columns in typed.items()]
        located = {name for slots in set(maps) for name in slots.names}
        for column, resource in enumerate(resources):
            if column >= FIXED and (":" in resource or resource in located):
                self.tightness[column] = 0  # counted once, under its kind or its slots
        if slot_columns:
            most = max([slots.n for slots in set(maps)], default=0)
            self.tightness[slot_columns] = (1 << _SCORE_BITS) // max(most * WHOLE, 1)
        devices = sum(slots.n for slots in maps) * WHOLE
        self.totals = np.array(
            [self.capacity[CPU].sum(), self.capacity[MEM].sum(), devices], dtype=np.float64
        )
        self.masks: dict[object, np.ndarray] = {}
        self._matrices: dict[object, np.ndarray] = {}
        self.possible: set[object] = set()
        self.ground = Ground(
            self.capacity[CPU],
            self.capacity[MEM],
            np.array([slots.n for slots in maps], dtype=np.int64),
            self.type_of,
            self.node_class,
            len(self.types),
        )

    def _see_slots(self, slot_columns: list[int]) -> None:
        """Static matrices `[n_slots, n_nodes]`, and which slots each derived column counts."""
        kinds = set(self.maps)
        d, n = len(slot_columns), self.n
        self.n_slots = d
        self.slot_list = slot_columns[:]
        follow = slot_columns == list(range(slot_columns[0], slot_columns[0] + d)) if d else False
        self.slot_columns: slice | np.ndarray = (
            slice(slot_columns[0], slot_columns[0] + d) if follow else np.array(slot_columns, dtype=np.intp)
        )
        names = {f"{dev.kind}:{dev.type}" if dev.type else dev.kind for m in kinds for dev in m.devices}
        self.types = tuple(sorted(names))
        code = {name: i for i, name in enumerate(self.types)}
        self.type_of = np.full((d, n), -1, dtype=np.int16)
        self.slot_mem = np.zeros((d, n), dtype=np.int64)
        self.link = np.full((d, n), -1, dtype=np.int16)
        share = np.zeros((d, n), dtype=np.bool_)
        nodes_of: dict[SlotMap, list[int]] = {}
        for position, slots in enumerate(self.maps):
            if slots.n:
                nodes_of.setdefault(slots, []).append(position)
        for slots, positions in nodes_of.items():
            for slot, dev in enumerate(slots.devices):
                self.type_of[slot, positions] = code[f"{dev.kind}:{dev.type}" if dev.type else dev.kind]
                self.slot_mem[slot, positions] = dev.mem_mib
                self.link[slot, positions] = dev.link
                share[slot, positions] = dev.kind in DIVISIBLE and not dev.layouts
        column = {name: i for i, name in enumerate(self.resources)}
        self._counts = [
            (column[name], self._mask_of(name))
            for name in sorted({*self.types, *(t.partition(":")[0] for t in self.types)})
        ]
        self._shares = [(column[f"{kind}%"], share) for kind in DIVISIBLE if f"{kind}%" in column]
        self._mems = [(column[f"{kind}%MiB"], share) for kind in DIVISIBLE if f"{kind}%MiB" in column]
        self.shareable = share
        self.mem_sizes = tuple(sorted({dev.mem_mib for m in kinds for dev in m.devices}))
        self.has_slots = np.asarray((self.type_of >= 0).any(axis=0))
        self.special = [
            position
            for slots, positions in nodes_of.items()
            if any(dev.layouts or dev.kind not in DIVISIBLE for dev in slots.devices)
            for position in positions
        ]

    def _mask_of(self, name: str) -> np.ndarray:
        codes = [i for i, t in enumerate(self.types) if t == name or t.startswith(f"{name}:")]
        mask: np.ndarray = np.isin(self.type_of, codes)
        return mask

    def counts_slots(self, column: int) -> bool:
        """Whether the column says what follows from the slots."""
        return column in self._derived_set

    def column(self, resource: str) -> int:
        """The column of the resource; ValueError if no node was ever seen to have it."""
        return self.resources.index(resource)

    def may_use(self, kind: str, type_: str) -> np.ndarray:
        """Slots with a device of this kind and type ("" for any), `[n_slots, n_nodes]`. Kept."""
        name = f"{kind}:{type_}" if type_ else kind
        return self.matrix(("slots", name), lambda: self._mask_of(name))

    def matrix(self, key: object, make: Callable[[], np.ndarray]) -> np.ndarray:
        """What `make` gives, `[n_slots, n_nodes]`, made once for the key; the latest few are kept, since they
        are large. Not to be changed: callers share it."""
        found = self._matrices.get(key)
        if found is None:
            if len(self._matrices) >= _MOST_MATRICES:
                del self._matrices[next(iter(self._matrices))]
            found = self._matrices[key] = make()
        return found

    def settle(
        self, free: np.ndarray, positions: np.ndarray | None, slices_of: Callable[[int], Slices]
    ) -> None:
        """Derived columns of `free` (`[n_resources, n_nodes]`) from its slots, all nodes or at positions.

        slices_of: by position, as they are now.
        """
        if not self.n_slots:
            return
        at: slice | np.ndarray = slice(None) if positions is None else positions
        dev = free[self.slot_columns][:, at]
        whole = dev == WHOLE
        for column, mask in self._counts:
            free[column, at] = (whole & mask[:, at]).sum(axis=0)
        for column, mask in self._shares:
            free[column, at] = np.where(mask[:, at], dev, 0).max(axis=0)
        for column, mask in self._mems:
            free[column, at] = (np.where(mask[:, at], dev, 0) * self.slot_mem[:, at] // WHOLE).max(axis=0)
        if self.special:
            touched = set(self.special if positions is None else positions.tolist())
            for position in self.special:
                if position in touched:
                    self.settle_one(free[:, position], position, slices_of(position))

    def settle_one(self, free: np.ndarray, position: int, slices: Slices) -> None:
        """The same for one node; free: its column, `[n_resources]`."""
        slots = self.maps[position]
        if slots.n:
            free[self.derived[position]] = slots.derive(free[self.slot_columns].tolist(), slices)

    def both(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """What is free at two instants, for somebody who keeps it through both; derived columns not settled.

        a, b: `[n_resources]` or `[n_resources, n_nodes]`. The least of each, but for counted devices of any
        type: one that is free now and another, of another type, that is free later do not make one.
        """
        out: np.ndarray = np.minimum(a, b)
        for kind, types in self.typed_kinds:
            untyped = np.minimum(a[kind] - a[types].sum(axis=0), b[kind] - b[types].sum(axis=0))
            out[kind] = np.minimum(out[kind], out[types].sum(axis=0) + np.maximum(untyped, 0))
        return out
