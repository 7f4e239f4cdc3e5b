"""Whether devices fit where sums do not say it: shares of a device, one link group, aligned blocks.

All for many nodes at once; matrices are `[n_slots, n_nodes]` by position on the board, or by `at`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.packing.slots import Part, Share, Whole, block_name, slice_milli
from packhorse.scheduler.model.resources import WHOLE

if TYPE_CHECKING:
    from packhorse.scheduler.core.packing.layout import Shape

NEVER: Final = 1 << 20
"""Thousandths that no device has."""


def need(board: Board, share: Share) -> np.ndarray:
    """Thousandths of each device that one share takes, `NEVER` where it cannot be taken. Shared by all that
    come to the same on every device of this board."""
    milli = dict.fromkeys(board.mem_sizes, share.milli)
    if share.mem_mib:
        milli = {mem: -(-WHOLE * share.mem_mib // mem) for mem in board.mem_sizes if mem >= share.mem_mib}

    def make() -> np.ndarray:
        out = np.full(board.slot_mem.shape, NEVER, dtype=np.int64)
        may = board.may_use(share.kind, share.type) & board.shareable
        for mem, thousandths in milli.items():
            out[may & (board.slot_mem == mem)] = thousandths
        return out

    return board.matrix(("need", share.kind, share.type, tuple(milli.items())), make)


def whole(board: Board, wants: Sequence[Whole]) -> np.ndarray:
    """Thousandths that each device would have to have free to be given for one of these, `NEVER` where it is
    of another kind or type."""

    def make() -> np.ndarray:
        may = np.zeros(board.slot_mem.shape, dtype=np.bool_)
        for want in wants:
            may |= board.may_use(want.kind, want.type)
        return np.where(may, WHOLE, NEVER)

    return board.matrix(("whole", *((want.kind, want.type) for want in wants)), make)


def part(board: Board, want: Part) -> tuple[int, np.ndarray]:
    """Thousandths that one slice takes of a device, at least; the same by device, `NEVER` where there are no
    slices."""
    cuts = {cut for m in set(board.maps) for d in m.devices for cut in d.layouts if want.profile in cut}
    milli = min([slice_milli(cut, want.profile) for cut in cuts], default=WHOLE)

    def make() -> np.ndarray:
        return np.where(board.may_use(want.kind, "") & ~board.shareable, milli, NEVER)

    return milli, board.matrix(("part", want.kind, milli), make)


def shares(board: Board, share: Share, dev: np.ndarray, at: np.ndarray | None = None) -> np.ndarray:
    """How many such shares each node can give: `[k]`. dev: free thousandths there, `[n_slots, k]`."""
    needed = need(board, share)
    if at is not None:
        needed = needed[:, at]
    n: np.ndarray = (np.maximum(dev, 0) // needed).sum(axis=0)
    return n


def linked(board: Board, kind: str, type_: str, dev: np.ndarray, at: np.ndarray | None = None) -> np.ndarray:
    """The most free devices that one link group of each node has: `[k]`."""
    may = board.may_use(kind, type_)
    link = board.link
    if at is not None:
        may, link = may[:, at], link[:, at]
    free = may & (dev == WHOLE)
    most = np.zeros(dev.shape[1], dtype=np.int64)
    for group in range(int(board.link.max(initial=-1)) + 1):
        np.maximum(most, (free & (link == group)).sum(axis=0), out=most)
    return most


def whole_job(board: Board, shape: Shape, room: np.ndarray, at: np.ndarray | None = None) -> np.ndarray:
    """Which nodes have the devices for all tasks of a picky shape: `[k]`.

    room: free amounts `[n_resources, n_nodes]`.
    """
    dev = room[board.slot_columns]
    if at is not None:
        dev = dev.take(at, axis=1)
    fits = _devices(board, shape, shape.devices(shape.tasks, True), room, dev, at)
    if shape.share is not None:
        if shape.share_per_task and shape.tasks > 1:
            fits &= shares(board, shape.share, dev, at) >= shape.tasks
        else:
            needed = need(board, shape.share)
            fits &= (dev >= (needed if at is None else needed[:, at])).any(axis=0)
    return fits


def part_of_job(board: Board, shape: Shape, wanted: dict[str, int], room: np.ndarray, position: int) -> bool:
    """Whether one node has these devices for its part of a job."""
    at = np.array([position])
    return bool(_devices(board, shape, wanted, room, room[board.slot_columns][:, at], at)[0])


def most_of_job(board: Board, shape: Shape, resource: str, room: np.ndarray) -> np.ndarray:
    """How many devices of those that are asked for per job each node can give: `[n_nodes]`."""
    kind, _, type_ = resource.partition(":")
    if kind in shape.aligned:
        most: np.ndarray = room[board.column(block_name(resource))]
        return most
    if shape.linked and board.may_use(kind, type_).any():
        return linked(board, kind, type_, room[board.slot_columns])
    counted: np.ndarray = room[board.column(resource)]
    return counted


def tasks(board: Board, shape: Shape, room: np.ndarray, most: np.ndarray) -> np.ndarray:
    """How many tasks of a linked or aligned shape each node holds, at most `most` (`[n_nodes]`)."""
    dev = room[board.slot_columns]
    out = np.zeros_like(most)
    for t in range(1, int(most.max(initial=0)) + 1):
        fits = (most >= t) & _devices(board, shape, shape.devices(t, False), room, dev, None)
        if not fits.any():
            break
        out[fits] = t
    return out


def _devices(
    board: Board,
    shape: Shape,
    wanted: dict[str, int],
    room: np.ndarray,
    dev: np.ndarray,
    at: np.ndarray | None,
) -> np.ndarray:
    fits = np.ones(dev.shape[1], dtype=np.bool_)
    for name, n in wanted.items():
        kind, _, type_ = name.partition(":")
        if kind in shape.aligned:
            column = board.column(block_name(name))
            block = room[column] if at is None else room[column, at]
            fits &= block >= 1 << (n - 1).bit_length() if n else True
        elif shape.linked and board.may_use(kind, type_).any():
            fits &= linked(board, kind, type_, dev, at) >= n
    return fits
