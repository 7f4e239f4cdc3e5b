"""A job placed where a guide says, if it fits there: the same rules as everywhere, without the choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from packhorse.scheduler.core.packing import gang
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.fit import fitting, gang_shares
from packhorse.scheduler.core.packing.request import Batch, Parts, Request


def place_at(field: Field, request: Request, positions: Sequence[int], device: int, j: int) -> Batch | None:
    """One job of the request on these nodes, running past the first j planned starts; None if it doesn't fit.

    positions: on the board, different ones. device: index of the device that a share is to come from; the
    node chooses where it is -1 or has not enough left. The field is updated.
    """
    shape = request.shape
    if shape.exclusive:
        field.share_with_nobody()
    room = field.room(j)
    if len(positions) == 1:
        at = np.array(positions, dtype=np.intp)
        if request.whole is None or not fitting(field, request, request.whole, room, at=at)[0]:
            return None
        shares = [gang.Share(positions[0], shape.tasks, {})]
    else:
        mask = np.zeros(field.n, dtype=np.bool_)
        mask[list(positions)] = True
        found = gang_shares(field, request, np.where(mask, room, 0), field.score) if shape.multi else None
        if found is None:
            return None
        shares = found
    placements, taken = [], []
    for position, tasks, devices in shares:
        slot = -1
        if shape.share is not None:
            slot = field.board.maps[position].slot_of.get((shape.share.kind, device), -1)
        alone = len(shares) == 1
        placement, pairs = field.give(shape, position, tasks, alone, j, None if alone else devices, slot)
        field.take(position, pairs, 1, j)
        placements.append(placement)
        taken.append((position, pairs))
    return Batch(Parts(tuple(placements), tuple(taken)), 1)
