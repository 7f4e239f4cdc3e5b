"""Which nodes can hold a job, or a part of it, given what is free there."""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing import gang, slotfit
from packhorse.scheduler.core.packing.board import CPU, MEM, SLOTS
from packhorse.scheduler.core.packing.field import Field, Pairs
from packhorse.scheduler.core.packing.masks import near
from packhorse.scheduler.core.packing.request import Request


def fitting(
    field: Field,
    request: Request,
    whole: Pairs,
    room: np.ndarray,
    up: bool = True,
    at: np.ndarray | None = None,
) -> np.ndarray:
    """Which nodes can hold the whole job, given what is free there (`[n_resources, n_nodes]`).

    up: of those that take new work. at: look at these positions only; the answer is `[k]`, else `[n_nodes]`.
    """
    shape = request.shape
    allowed = field.usable(request.alone) if up else request.alone
    ok: np.ndarray = allowed.copy() if at is None else allowed[at]
    for resource, amount in whole:
        if resource != SLOTS or field.slots_matter or shape.exclusive:
            ok &= (room[resource] if at is None else room[resource, at]) >= amount
    if shape.node_decides:
        mem, offered = room[MEM], field.offered
        if at is not None:
            mem, offered = mem[at], offered[:, at]
        if shape.mem_all:
            ok &= (mem >= offered[MEM]) & (mem > 0)
        elif shape.mem_cpu:
            ok &= mem >= -(-shape.mem_cpu * offered[CPU] // 1000)
    if shape.picky and (shape.share_per_task or shape.share is None or shape.share.type):
        ok &= slotfit.whole_job(field.board, shape, room, at)
    return ok


def gang_shares(
    field: Field, request: Request, room: np.ndarray, score: np.ndarray, up: bool = True
) -> list[gang.Share] | None:
    """Nodes and tasks for a job that needs several nodes, given what is free there."""
    caps = request.shape.caps(room, field.offered, field.column_of, field.board)
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
            near(field.board, request.shape.hops) if request.shape.hops >= 0 else None,
            request.counts,
        )
        if shares is not None:
            return shares
    return None
