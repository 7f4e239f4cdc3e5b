"""Which nodes an ask may use at all: partition, features, excluded and avoided nodes.

Masks are `[n_nodes]` by position on the board. They do not depend on what is free or up, so one per
distinct combination is kept on the board until the board is made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from packhorse.scheduler.core.packing import features as feature_expressions
from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import NodeName

ALL = ("ALL",)


def partition_mask(board: Board, partition: Partition | None) -> np.ndarray:
    """Nodes of the partition; none for a partition that is not configured (any more)."""
    if partition is None:
        return _kept(board, "nowhere", lambda: np.zeros(board.n, dtype=np.bool_))
    nodes = tuple(partition.nodes)

    def make() -> np.ndarray:
        if nodes == ALL:
            return np.ones(board.n, dtype=np.bool_)
        return names_mask(board, nodes)

    return _kept(board, ("partition", nodes), make)


def names_mask(board: Board, names: tuple[NodeName, ...]) -> np.ndarray:
    """The nodes of these names; names that are not registered are left out."""
    mask = np.zeros(board.n, dtype=np.bool_)
    for name in names:
        if name in board.position:
            mask[board.position[name]] = True
    return mask


def features_mask(board: Board, text: str) -> np.ndarray:
    """Nodes that satisfy the expression; none if it cannot be read (submission refuses such)."""

    def make() -> np.ndarray:
        try:
            test = feature_expressions.parse(text)
        except BadValue:
            return np.zeros(board.n, dtype=np.bool_)
        verdicts = {found: test(found) for found in set(board.features)}
        return np.array([verdicts[found] for found in board.features], dtype=np.bool_)

    return _kept(board, ("features", text), make)


def near(board: Board, hops: int) -> np.ndarray:
    """Code of the switch, or what is hops levels above it, that each node stands below: `[n_nodes]`, -1 for a
    node of which that is not known."""

    def make() -> np.ndarray:
        codes: dict[tuple[str, ...], int] = {}
        found = []
        for path in board.topology:
            above = path[: max(len(path) - hops, 0)] or path[:1]
            found.append(codes.setdefault(above, len(codes)) if path else -1)
        return np.array(found, dtype=np.int64)

    return _kept(board, ("near", hops), make)


def allowed_mask(
    board: Board,
    partition: Partition | None,
    features: str,
    excluded: tuple[NodeName, ...],
    avoid: tuple[NodeName, ...],
) -> np.ndarray:
    """Nodes that pass all of it. Not to be changed: callers share it."""

    def make() -> np.ndarray:
        mask = partition_mask(board, partition)
        if features:
            mask = mask & features_mask(board, features)
        if excluded or avoid:
            mask = mask & ~names_mask(board, (*excluded, *avoid))
        return mask

    nodes = None if partition is None else tuple(partition.nodes)
    return _kept(board, ("allowed", nodes, features, excluded, avoid), make)


def _kept(board: Board, key: object, make: Callable[[], np.ndarray]) -> np.ndarray:
    mask = board.masks.get(key)
    if mask is None:
        if len(board.masks) >= _MAX_KEPT:
            board.masks.clear()
        mask = board.masks[key] = make()
    return mask


_MAX_KEPT: Final = 4096
