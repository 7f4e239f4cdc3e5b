"""Which nodes can hold a job, or a part of it, given what is free there."""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing import gang, slotfit
from packhorse.scheduler.core.packing.board import CPU, MEM, SLOTS
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.masks import near
from packhorse.scheduler.core.packing.request import Pairs, Request


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
    if shape.picky and (shape.share_per_task or shape.share is None or shape.share.type or shape.aligned):
        some = np.flatnonzero(ok)
        if some.size:
            ok[some] = slotfit.whole_job(field.board, shape, room, some if at is None else at[some])
    return ok


def candidates(field: Field, request: Request, whole: Pairs, room: np.ndarray) -> np.ndarray:
    """Positions of the nodes that can hold the whole job, ascending; room: not above what is free now."""
    live = field.live
    if live is None:
        return np.flatnonzero(fitting(field, request, whole, room))
    found: np.ndarray = live[fitting(field, request, whole, room, at=live)]
    return found


def gang_shares(
    field: Field, request: Request, room: np.ndarray, score: np.ndarray, up: bool = True
) -> list[gang.Share] | None:
    """Nodes and tasks for a job that needs several nodes, given what is free there."""
    shape = request.shape
    spare = _spare(field, shape, room)
    if spare is None:
        return None
    caps = shape.caps(room, field.offered, field.column_of, field.board)
    for allowed in request.together:
        usable = field.usable(allowed) if up else allowed
        shares = gang.choose(
            shape,
            np.where(usable, caps, 0),
            spare,
            score,
            request.required,
            request.most,
            near(field.board, max(shape.hops, 0)) if shape.hops >= 0 or shape.max_switches else None,
            request.counts,
            shape.max_switches if shape.hops < 0 else 1,
        )
        if shares is not None and _devices_fit(field, shape, shares, room):
            return shares
    return None


def _spare(field: Field, shape: Shape, room: np.ndarray) -> dict[str, np.ndarray] | None:
    """Devices that each node could give to the whole job, by resource; None if no node ever had such."""
    out: dict[str, np.ndarray] = {}
    per_node = dict(shape.gres_node)
    for name, _ in shape.job_devices:
        if name not in field.column_of:
            return None
        most = slotfit.most_of_job(field.board, shape, name, room)
        out[name] = np.maximum(most - per_node.get(name, 0), 0)
    return out


def _devices_fit(field: Field, shape: Shape, shares: list[gang.Share], room: np.ndarray) -> bool:
    """Whether devices per job and those per task or node make one block or one link group on each node."""
    if not shape.job_devices or not (shape.linked or shape.aligned) or len(shares) == 1:
        return True
    for position, tasks, devices in shares:
        wanted = shape.devices(tasks, False)
        for name, n in devices.items():
            wanted[name] = wanted.get(name, 0) + n
        if not slotfit.part_of_job(field.board, shape, wanted, room, position):
            return False
    return True
