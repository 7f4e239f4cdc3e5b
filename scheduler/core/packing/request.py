"""An ask in a partition made ready to be placed, and where jobs of it went."""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.packing import slotfit
from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.packing.features import alternatives
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.masks import allowed_mask, features_mask
from packhorse.scheduler.core.packing.policy import Want
from packhorse.scheduler.core.packing.slots import Part, Share, Whole
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.resources import WHOLE, Ask, Placement

Pairs = list[tuple[int, int]]
"""Amounts as (resource, amount), those that are not zero."""


class Parts(NamedTuple):
    """Where one job goes, and for each node the position and the amounts it takes."""

    placements: tuple[Placement, ...]
    taken: tuple[tuple[int, Pairs], ...]


class Batch(NamedTuple):
    """n equal jobs that went to the same place."""

    parts: Parts
    n: int


class Request:
    """An ask in a partition, ready to be placed on the nodes of one board.

    alone: nodes that may hold the whole job. together: nodes that may be part of it, one mask per
    alternative of `[a|b]`. whole: least amounts of the whole job on one node; None if it cannot be on one, or
    asks for devices that no node has. required: positions of nodes that must take part. most: nodes at most,
    the partition's limit included. serial: of the board (kept instead of the board, which a request must not
    keep alive). want: what a policy is told of the whole job on one node; need: thousandths that each device
    would have to have free for it, `[n_slots, n_nodes]`, more than there are where it is of the wrong kind.
    by_amounts: whether amounts and `need` say it all on a node in `alone`. counts: masks of nodes and how
    many of the job's must be of them.
    """

    __slots__ = (
        "alone",
        "by_amounts",
        "counts",
        "most",
        "need",
        "partition",
        "required",
        "serial",
        "shape",
        "together",
        "want",
        "whole",
    )

    def __init__(
        self,
        ask: Ask,
        shape: Shape,
        partition: Partition | None,
        avoid: tuple[NodeName, ...],
        board: Board,
        column_of: dict[str, int],
    ) -> None:
        self.shape = shape
        self.partition = partition
        self.serial = board.serial
        features = "" if shape.counts else ask.features
        self.alone = allowed_mask(board, partition, features, ask.nodes_excluded, avoid)
        self.together = [self.alone]
        if "[" in features:
            self.together = [
                allowed_mask(board, partition, text, ask.nodes_excluded, avoid)
                for text in alternatives(features)
            ]
        self.required = [board.position.get(name, -1) for name in dict.fromkeys(ask.nodes_required)]
        limit = partition.max_nodes if partition else 0
        self.most = min(shape.hi, limit) if limit else shape.hi
        self.whole: Pairs | None = None
        if shape.single and -1 not in self.required and not (shape.spread and shape.multi):
            needs = shape.needs(shape.tasks, True, column_of)
            if needs is not None:
                self.whole = [(r, n) for r, n in enumerate(needs) if n]
        if self.required and self.whole is not None:
            only = np.zeros(board.n, dtype=np.bool_)
            only[self.required] = True
            self.alone = self.alone & only
        if self.whole is not None and shape.counts:
            self.alone = self.alone & features_mask(board, shape.counts[0][0])
        self.counts = [(features_mask(board, text), n) for text, n in shape.counts]
        self.want, self.need = _wanted(shape, board)
        several = shape.linked or shape.aligned or (shape.share_per_task and shape.tasks > 1)
        self.by_amounts = not (shape.node_decides or several)

    def within(self, mask: np.ndarray) -> Request:
        """The same on these nodes only, `[n_nodes]`."""
        new = copy(self)
        new.alone = self.alone & mask
        new.together = [nodes & mask for nodes in self.together]
        return new


def _wanted(shape: Shape, board: Board) -> tuple[Want, np.ndarray]:
    """The whole job on one node as a policy sees it."""
    cpu = shape.cpus(shape.tasks)
    mem = shape.mem(cpu)
    wants = shape.located(shape.tasks, shape.devices(shape.tasks, True))
    if not wants or not board.n_slots:
        return Want(cpu, mem, 0, 0), slotfit.whole(board, ())
    first = wants[0]
    if isinstance(first, Share):
        need = slotfit.need(board, first)
        return Want(cpu, mem, 1, min(int(need.min(initial=slotfit.NEVER)), WHOLE - 1)), need
    if isinstance(first, Part):
        milli, need = slotfit.part(board, first)
        return Want(cpu, mem, 1, min(milli, WHOLE - 1)), need
    whole = [want for want in wants if isinstance(want, Whole)]
    return Want(cpu, mem, sum(want.n for want in whole), WHOLE), slotfit.whole(board, whole)
