"""Best fit: every job goes to the node that it leaves fullest.

The score of a node is what it has free, every resource measured against the largest node, so that a job
without GPUs goes where no free GPU is left over. A lower `weight` comes before any score ("jobs will be
allocated the nodes with the lowest weight which satisfies their requirements", says Slurm); equal scores go
by name.

A run of n equal jobs that fit on one node each is placed in one step. That is the same as one after the
other: the node that took one has a lower score than before and takes the next until it is full
(tests/core/placement checks it against a plain loop).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.packing import gang
from packhorse.scheduler.core.packing.board import CPU, MEM, SLOTS, Board
from packhorse.scheduler.core.packing.features import alternatives
from packhorse.scheduler.core.packing.field import UNFIT, Field, Pairs
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.masks import allowed_mask
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.resources import Ask, Placement


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
    alternative of `[a|b]`. whole: least amounts of the whole job on one node; None if it cannot be
    on one, or asks for devices that no node has. required: positions of nodes that must take part.
    most: nodes at most, the partition's limit included. serial: of the board (kept instead of the
    board, which a request must not keep alive).
    """

    __slots__ = ("alone", "most", "partition", "required", "serial", "shape", "together", "whole")

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
        self.alone = allowed_mask(board, partition, ask.features, ask.nodes_excluded, avoid)
        self.together = [self.alone]
        if "[" in ask.features:
            self.together = [
                allowed_mask(board, partition, text, ask.nodes_excluded, avoid)
                for text in alternatives(ask.features)
            ]
        self.required = [board.position.get(name, -1) for name in dict.fromkeys(ask.nodes_required)]
        limit = partition.max_nodes if partition else 0
        self.most = min(shape.hi, limit) if limit else shape.hi
        self.whole: Pairs | None = None
        if shape.single and -1 not in self.required:
            needs = shape.needs(shape.tasks, True, column_of)
            if needs is not None:
                self.whole = [(r, n) for r, n in enumerate(needs) if n]
        if self.required and self.whole is not None:
            only = np.zeros(board.n, dtype=np.bool_)
            only[self.required] = True
            self.alone = self.alone & only


def place(field: Field, request: Request, want: int, j: int) -> list[Batch]:
    """Up to `want` jobs of the request, placed now, each running past the first j planned starts.

    The field is updated. Fewer than `want` come out when no more fit.
    """
    out: list[Batch] = []
    n = 0
    shape = request.shape
    if shape.exclusive:
        field.slots_matter = True
    if request.whole is not None:
        if want == 1 or shape.mixed:
            while n < want and _place_one(field, request, request.whole, j, out):
                n += 1
        else:
            n = _place_run(field, request, request.whole, want, j, out)
    if shape.multi:
        while n < want and _place_gang(field, request, j, out):
            n += 1
    return out


def fitting(field: Field, request: Request, whole: Pairs, room: np.ndarray, up: bool = True) -> np.ndarray:
    """Which nodes can hold the whole job, given what is free there (`[n_resources, n_nodes]`)."""
    shape = request.shape
    ok: np.ndarray | None = None
    for resource, amount in whole:
        if resource != SLOTS or field.slots_matter or shape.exclusive:
            if ok is None:
                ok = room[resource] >= amount
            else:
                ok &= room[resource] >= amount
    allowed = field.usable(request.alone) if up else request.alone
    if ok is None:
        ok = allowed.copy()
    else:
        ok &= allowed
    if shape.mem_all:
        mem = field.offered[MEM]
        ok &= (room[MEM] >= mem) & (mem > 0)
    elif shape.exclusive and shape.mem_cpu:
        ok &= room[MEM] >= -(-shape.mem_cpu * field.offered[CPU] // 1000)
    return ok


def gang_shares(
    field: Field, request: Request, room: np.ndarray, score: np.ndarray, up: bool = True
) -> list[gang.Share] | None:
    """Nodes and tasks for a job that needs several nodes, given what is free there."""
    caps = request.shape.caps(room, field.offered, field.column_of)
    for allowed in request.together:
        usable = field.usable(allowed) if up else allowed
        shares = gang.choose(
            request.shape,
            np.where(usable, caps, 0),
            room,
            score,
            request.required,
            request.most,
            field.column_of,
        )
        if shares is not None:
            return shares
    return None


def _place_one(field: Field, request: Request, whole: Pairs, j: int, out: list[Batch]) -> bool:
    """One job on the best node."""
    room = field.room(j)
    shape = request.shape
    scores = np.where(fitting(field, request, whole, room), field.score, UNFIT)
    if scores.shape[0] == 0:
        return False
    position = int(scores.argmin())
    if scores[position] == UNFIT:
        return False
    placement, pairs = field.give(shape, position, shape.tasks, True, j)
    field.take(position, pairs, 1, j)
    out.append(Batch(Parts((placement,), ((position, pairs),)), 1))
    return True


def _place_run(field: Field, request: Request, whole: Pairs, want: int, j: int, out: list[Batch]) -> int:
    """Many equal jobs: nodes by score, each filled before the next. Returns how many found a place."""
    room = field.room(j)
    shape = request.shape
    candidates = np.flatnonzero(fitting(field, request, whole, room))
    if candidates.size == 0:
        return 0
    order = candidates[np.argsort(field.score[candidates], kind="stable")]
    if shape.node_decides:
        order = order[:want]
        copies = np.ones(order.size, dtype=np.int64)
    else:
        copies = np.full(order.size, want, dtype=np.int64)
        for resource, amount in whole:
            np.minimum(copies, room[resource, order] // amount, out=copies)
    left = want
    for position, n in zip(order.tolist(), copies.tolist(), strict=True):
        n = min(n, left)
        if shape.has_devices:
            for _ in range(n):
                placement, pairs = field.give(shape, position, shape.tasks, True, j)
                field.take(position, pairs, 1, j)
                out.append(Batch(Parts((placement,), ((position, pairs),)), 1))
        else:
            placement, pairs = field.give(shape, position, shape.tasks, True, j)
            field.take(position, pairs, n, j)
            out.append(Batch(Parts((placement,), ((position, pairs),)), n))
        left -= n
        if not left:
            break
    return want - left


def _place_gang(field: Field, request: Request, j: int, out: list[Batch]) -> bool:
    """One job on several nodes, all or nothing."""
    shares = gang_shares(field, request, field.room(j), field.score)
    if shares is None:
        return False
    shape = request.shape
    placements = []
    taken = []
    for position, tasks, devices in shares:
        placement, pairs = field.give(
            shape, position, tasks, len(shares) == 1, j, devices if len(shares) > 1 else None
        )
        field.take(position, pairs, 1, j)
        placements.append(placement)
        taken.append((position, pairs))
    out.append(Batch(Parts(tuple(placements), tuple(taken)), 1))
    return True
