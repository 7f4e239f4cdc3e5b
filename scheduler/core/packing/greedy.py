"""Jobs to nodes, greedily: each goes at once to the node that is best for it now.

The field's scorer says which node that is, by a row of scores per ask (packing/rows.py). Without a scorer
it is best fit: the score of a node is what it has free, every resource measured against the largest node,
so that a job without GPUs goes where no free GPU is left over. Gangs, and jobs that want to be spread, go
by this score under every policy. A lower `weight` comes before any score ("jobs will be allocated the nodes
with the lowest weight which satisfies their requirements", says Slurm); equal scores go by name.

A run of n equal jobs that fit on one node each is placed in one step (packing/run.py; by best fit here). That
is the same as one after the other: the node that took one has a lower score than before and takes the next
until it is full (tests/core/placement checks both against a plain loop).
"""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing import rows, run
from packhorse.scheduler.core.packing.board import emptiest_first
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.fit import candidates, gang_shares
from packhorse.scheduler.core.packing.request import Batch, Pairs, Parts, Request

_LONG_RUN = 16  # from here on a run of equal jobs is cheaper by vectors than one after the other


def place(field: Field, request: Request, want: int, j: int) -> list[Batch]:
    """Up to `want` jobs of the request, placed now, each running past the first j planned starts.

    The field is updated. Fewer than `want` come out when no more fit.
    """
    out: list[Batch] = []
    n = 0
    shape = request.shape
    if shape.exclusive:
        field.share_with_nobody()
    if request.whole is not None:
        if shape.spread:
            while n < want and _place_one(field, request, request.whole, j, out):
                n += 1
        elif field.scorer is not None:
            n = _place_by_policy(field, request, request.whole, want, j, out)
        elif want == 1 or shape.mixed or shape.picky:
            while n < want and _place_one(field, request, request.whole, j, out):
                n += 1
        else:
            n = _place_run(field, request, request.whole, want, j, out)
    if shape.multi:
        while n < want and _place_gang(field, request, j, out):
            n += 1
    return out


def _place_by_policy(
    field: Field, request: Request, whole: Pairs, want: int, j: int, out: list[Batch]
) -> int:
    """Jobs to the node with the lowest score, again and again. Returns how many found a place."""
    scorer, shape = field.scorer, request.shape
    assert scorer is not None
    n = 0
    if want >= _LONG_RUN and run.possible(request, scorer, field):
        n = run.place(request, field, whole, scorer, want, j, out)
    while n < want:
        position, device = rows.best(field, request, scorer, j)
        if position < 0:
            break
        placement, pairs = field.give(shape, position, shape.tasks, True, j, first=device)
        field.take(position, pairs, 1, j)
        out.append(Batch(Parts((placement,), ((position, pairs),)), 1))
        n += 1
    return n


def _place_one(field: Field, request: Request, whole: Pairs, j: int, out: list[Batch]) -> bool:
    """One job on the tightest node that holds it; on the emptiest if it wants to be spread."""
    room = field.room(j)
    shape = request.shape
    found = candidates(field, request, whole, room)
    if found.size == 0:
        return False
    score = field.score[found]
    position = int(found[(emptiest_first(score) if shape.spread else score).argmin()])
    placement, pairs = field.give(shape, position, shape.tasks, True, j)
    field.take(position, pairs, 1, j)
    out.append(Batch(Parts((placement,), ((position, pairs),)), 1))
    return True


def _place_run(field: Field, request: Request, whole: Pairs, want: int, j: int, out: list[Batch]) -> int:
    """Many equal jobs: nodes by score, each filled before the next. Returns how many found a place."""
    room = field.room(j)
    shape = request.shape
    found = candidates(field, request, whole, room)
    if found.size == 0:
        return 0
    order = found[np.argsort(field.score[found], kind="stable")]
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
