"""Whether devices fit where sums do not say it: shares of a device, one link group, aligned blocks.

All for many nodes at once; matrices are `[n_slots, n_nodes]` by position on the board, or by `at`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.packing.slots import Share, block_name
from packhorse.scheduler.model.resources import WHOLE

if TYPE_CHECKING:
    from packhorse.scheduler.core.packing.layout import Shape

_NEVER = 1 << 20  # thousandths that no device has


def need(board: Board, share: Share) -> np.ndarray:
    """Thousandths of each device that one share takes, `_NEVER` where it cannot be taken. Kept on the
    board."""
    key = ("need", share._replace(n=1))
    found = board.masks.get(key)
    if found is None:
        may = board.may_use(share.kind, share.type) & board.shareable
        if share.mem_mib:
            mem = board.slot_mem
            may = may & (mem >= share.mem_mib)
            milli = -(-WHOLE * share.mem_mib // np.maximum(mem, 1))
        else:
            milli = np.full(may.shape, share.milli, dtype=np.int64)
        found = board.masks[key] = np.where(may, milli, _NEVER)
    return found


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


def part(board: Board, shape: Shape, wanted: dict[str, int], room: np.ndarray, position: int) -> bool:
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
