"""A run of equal jobs, each on one node, placed in one step: the same as one after the other, by vectors.

One after the other, each job goes to the node with the lowest score, and that node is scored again with the
job on it. So every node has a sequence of scores, of its first such job, its second and so on, and jobs take
them lowest first, but never a node's second before its first. Replacing each score by the highest so far in
its sequence makes that a plain sort, since a job whose turn came by a high score is followed at once by all
the lower ones behind it. The sequences are worked out level by level for all nodes that may matter, at most
as many as there are jobs.
"""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing import rows
from packhorse.scheduler.core.packing.board import CPU, MEM, SLOTS
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.policy import Scorer, Sight
from packhorse.scheduler.core.packing.request import Batch, Pairs, Parts, Request
from packhorse.scheduler.core.packing.slots import Part


def possible(request: Request, scorer: Scorer, field: Field) -> bool:
    """Whether what a job takes of a node follows from sums alone, and scores from the node alone."""
    shape = request.shape
    if scorer.relative or shape.node_decides or shape.mixed or shape.exclusive:
        return False
    if shape.linked or shape.aligned or shape.share_per_task or not field.board.one_type:
        return False
    return not any(isinstance(w, Part) for w in shape.located(shape.tasks, shape.devices(shape.tasks, True)))


def place(
    request: Request, field: Field, whole: Pairs, scorer: Scorer, want: int, j: int, out: list[Batch]
) -> int:
    """Places up to `want` jobs and adds them to `out`. Returns how many; fewer only if no more fit, or 0 if
    so many would change the policy's phase, which one after the other has to notice."""
    shape = request.shape
    n_milli = want * request.want.n_devices * request.want.milli
    if scorer.phase(field.fill()) != scorer.phase(field.fill_with(n_milli)):
        return 0
    row = rows.up_to_date(field, request, scorer, j)
    fits = np.flatnonzero(row.score < np.inf)
    weight = field.board.weight_score
    first = fits[np.lexsort((fits, row.score[fits], weight[fits]))[:want]]
    if not first.size:
        return 0
    levels = _sequences(field, request, whole, scorer, j, first, row, want)
    key = np.concatenate([level[0] for level in levels])
    at = np.concatenate([level[1] for level in levels])
    device = np.concatenate([level[2] for level in levels])
    depth = np.repeat(np.arange(len(levels)), [level[0].size for level in levels])
    order = np.lexsort((depth, at, key, weight[at]))[:want]
    n = 0
    positions, devices = at[order].tolist(), device[order].tolist()
    while n < len(positions):
        position, copies = positions[n], 1
        if not shape.has_devices:
            while n + copies < len(positions) and positions[n + copies] == position:
                copies += 1
        placement, pairs = field.give(shape, position, shape.tasks, True, j, first=devices[n])
        field.take(position, pairs, copies, j)
        out.append(Batch(Parts((placement,), ((position, pairs),)), copies))
        n += copies
    return n


Level = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The n-th job of each node that can take so many: highest score so far, position, slot of its share."""


def _sequences(
    field: Field,
    request: Request,
    whole: Pairs,
    scorer: Scorer,
    j: int,
    at: np.ndarray,
    row: rows.Row,
    want: int,
) -> list[Level]:
    room, board = field.room(j), field.board
    phase = scorer.phase(field.fill())
    amounts = [(r, n) for r, n in whole if r in (CPU, MEM) or not board.counts_slots(r)]
    free = {r: room[r, at] for r in dict.fromkeys([CPU, MEM, *(r for r, _ in amounts)])}
    dev = room[board.slot_columns][:, at]
    need = request.need[:, at]
    key, device = row.score[at].copy(), row.device[at]
    levels = [(key, at, device)]
    while len(levels) < want:
        for resource, amount in amounts:
            free[resource] = free[resource] - amount
        _take_devices(dev, need, device, request)
        fits = np.ones(at.size, dtype=np.bool_)
        for resource, amount in amounts:
            if resource != SLOTS or field.slots_matter:
                fits &= free[resource] >= amount
        may = dev >= need
        if request.want.n_devices:
            fits &= may.sum(axis=0) >= request.want.n_devices
        keep = np.flatnonzero(fits)
        if not keep.size:
            break
        at, key, dev, need = at[keep], key[keep], dev[:, keep], need[:, keep]
        free = {r: column[keep] for r, column in free.items()}
        sight = Sight(at, free[CPU], free[MEM], dev.copy(), may[:, keep])
        scores, device = scorer.scores(request.want, sight, phase)
        key = np.maximum(key, scores)
        levels.append((key, at, device))
    return levels


def _take_devices(dev: np.ndarray, need: np.ndarray, device: np.ndarray, request: Request) -> None:
    """One more job's devices are taken on every node; dev, need: `[n_slots, k]`."""
    want = request.want
    if want.shares:
        k = np.arange(device.size)
        dev[device, k] -= need[device, k]
    elif want.n_devices:
        free = dev >= need
        dev[free & (np.cumsum(free, axis=0) <= want.n_devices)] = 0
