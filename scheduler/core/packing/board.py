"""The nodes as a scheduling pass sees them: sorted by name, constant until one appears or changes amounts.

Everything a pass computes on nodes is indexed by position on the board, so that the first of equals is the
first by name (natural order: node9 before node10).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.model.ids import NodeName

CPU: Final = 0
MEM: Final = 1
TMP: Final = 2
SLOTS: Final = 3
FIXED: Final = 4
"""Resources 0..3 are CPU in thousandths, memory and scratch space in MiB, and slots; devices follow."""

EXCLUSIVE: Final = 1 << 20
"""Slots of a node. A job takes one; an exclusive job takes them all, so that it shares with nobody."""

_SCORE_BITS = 36  # one resource of the largest node scores 2**36: thousands of resources stay below a weight
_WEIGHT_SHIFT = 50
_MAX_RANK = 4000  # of weights; all heavier ones are alike, so that no score reaches Field's UNFIT


class Board:
    """Positions, names and amounts of the nodes; see the module.

    serial: no other board of the same columns has it. order: row of NodeColumns by position.
    capacity: [n_resources, n_nodes]. node_class: class of each position, equal for nodes of the same
    capacity; class_capacity: [n_resources, n_classes].
    typed_kinds: columns of the kinds of devices that have types, with those of the types.
    tightness: per resource, what a free unit of it adds to a node's score. weight_score: what the
    node's weight adds. masks: node masks by the key they were asked under, filled by packing/masks.py.
    possible: what packing/possible.py has found to fit.
    """

    __slots__ = (
        "capacity",
        "class_capacity",
        "features",
        "identity",
        "masks",
        "n",
        "names",
        "node_class",
        "order",
        "position",
        "position_of_row",
        "possible",
        "resources",
        "serial",
        "tightness",
        "typed_kinds",
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
        largest = self.capacity.max(axis=1, initial=1)
        self.tightness = (1 << _SCORE_BITS) // np.maximum(largest, 1)
        self.tightness[SLOTS] = 0
        typed: dict[str, list[int]] = {}
        for column, resource in enumerate(resources):
            kind, colon, _type = resource.partition(":")
            if colon:
                typed.setdefault(kind, []).append(column)
        self.typed_kinds = [(resources.index(kind), columns) for kind, columns in typed.items()]
        for column, resource in enumerate(resources):
            if column >= FIXED and ":" in resource:
                self.tightness[column] = 0  # counted once, under its kind
        self.masks: dict[object, np.ndarray] = {}
        self.possible: set[object] = set()

    def both(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """What is free at two instants, for somebody who keeps it through both.

        a, b: `[n_resources]` or `[n_resources, n_nodes]`. The least of each, but for devices of any
        type: one that is free now and another, of another type, that is free later do not make one.
        """
        out: np.ndarray = np.minimum(a, b)
        for kind, types in self.typed_kinds:
            untyped = np.minimum(a[kind] - a[types].sum(axis=0), b[kind] - b[types].sum(axis=0))
            out[kind] = np.minimum(out[kind], out[types].sum(axis=0) + np.maximum(untyped, 0))
        return out
