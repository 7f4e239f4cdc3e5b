"""What stands in the way of an ask class whatever is free: limits of its partition, nodes that are away.

Made once per class and kept in `Demands.verdict` until nodes or configuration change, so that a cycle never
looks at such jobs one by one, and so that they hold up nobody behind them.
"""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.ask_classes import AskClass
from packhorse.scheduler.core.node_columns import NodeColumns
from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.fit import fitting, gang_shares
from packhorse.scheduler.core.packing.masks import allowed_mask, partition_mask
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.core.pending_columns import PendingColumns
from packhorse.scheduler.core.priority import Rules
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.node import Admin

_MANY = 8  # below this, one class after the other is faster than vectors


def refresh(pending: PendingColumns, nodes: NodeColumns, rules: Rules) -> None:
    """Brings `pending.demands` up to date with new classes, new kinds of devices, nodes and configuration."""
    demands = pending.demands
    fresh, made_from = pending.fresh_classes, (nodes.availability, rules)
    known = demands.least.shape[0] >= len(nodes.resources)
    if known and not fresh and demands.verdict_of == made_from:
        return
    if demands.unknown and not known:
        fresh = [*demands.unknown, *fresh]
    codes = [code for code in dict.fromkeys(fresh) if pending.classes[code] is not None]
    if codes or not known:
        demands.enter(codes, [_class(pending, code).shape for code in codes], nodes.column_of)
    pending.fresh_classes.clear()
    if demands.verdict_of != made_from:
        demands.verdict_of = made_from
        codes = [c.code for c in pending.classes if c is not None]
    if not codes:
        return
    field = Field(nodes, empty=True)
    found = [_class(pending, code) for code in codes]
    if len(found) > _MANY:
        found = _pass_many(found, pending, field, rules)
    for ask_class in found:
        demands.verdict[ask_class.code] = judge(
            ask_class, rules.partitions.get(ask_class.partition), field
        ).code


def judge(ask_class: AskClass, partition: Partition | None, field: Field) -> Reason:
    """The reason that holds whatever is free, or NONE. field: an empty one."""
    shape = ask_class.shape
    if partition is None:
        return Reason.PARTITION_CONFIG
    if not partition.up:
        return Reason.PARTITION_DOWN
    if partition.max_nodes and shape.lo > partition.max_nodes:
        return Reason.PARTITION_NODE_LIMIT
    if partition.min_nodes and shape.hi < partition.min_nodes:
        return Reason.PARTITION_NODE_LIMIT
    if shape.lo > 1 and shape.lo > int(partition_mask(field.board, partition).sum()):
        return Reason.PARTITION_NODE_LIMIT  # Slurm's word for more nodes than there are, too
    request = ask_class.request(field.board, partition, field.column_of)
    if holds(field, request, up=True):
        return Reason.NONE
    away = [p for p in request.required if p >= 0 and not field.up[p]]
    if away:
        return Reason.NODES_REQUIRED_OFF
    if not holds(field, request, up=False):
        return Reason.PARTITION_CONFIG
    allowed = request.together[0] if len(request.together) == 1 else np.logical_or.reduce(request.together)
    return _why_away(field, np.flatnonzero(allowed & ~field.up).tolist())


def holds(field: Field, request: Request, up: bool) -> bool:
    """Whether the job fits into the field as it is. up: on nodes that take new work only."""
    if request.whole is not None and fitting(field, request, request.whole, field.free, up).any():
        return True
    return request.shape.multi and gang_shares(field, request, field.free, field.score, up) is not None


def _why_away(field: Field, positions: list[int]) -> Reason:
    for position in positions:
        node = field.nodes.node(field.board.names[position])
        if node.admin is not Admin.UP or node.reachable:
            return Reason.NODES_OFF
    return Reason.NODES_SILENT


def _pass_many(found: list[AskClass], pending: PendingColumns, field: Field, rules: Rules) -> list[AskClass]:
    """Marks classes whose jobs fit on one node that is up, many at a time. Returns the others."""
    demands = pending.demands
    groups: dict[tuple[object, ...], list[AskClass]] = {}
    for c in found:
        groups.setdefault((c.partition, c.ask.features, c.ask.nodes_excluded, c.avoid), []).append(c)
    rest: list[AskClass] = []
    for members in groups.values():
        first = members[0]
        partition = rules.partitions.get(first.partition)
        if partition is None or not partition.up or partition.max_nodes or partition.min_nodes:
            rest.extend(members)
            continue
        usable = field.usable(
            allowed_mask(field.board, partition, first.ask.features, first.ask.nodes_excluded, first.avoid)
        )
        codes = np.array([c.code for c in members], dtype=np.intp)
        fits = demands.has_whole[codes] & _fits_some_class(demands.whole[:, codes], field.board, usable)
        demands.verdict[codes[fits]] = Reason.NONE.code
        rest.extend(c for c, ok in zip(members, fits.tolist(), strict=True) if not ok)
    return rest


def _fits_some_class(whole: np.ndarray, board: Board, usable: np.ndarray) -> np.ndarray:
    """Which columns of whole (`[n_resources, n]`) fit into an empty node of some node class."""
    fits = np.zeros(whole.shape[1], dtype=np.bool_)
    for node_class in np.unique(board.node_class[usable]).tolist():
        fits |= (whole <= board.class_capacity[:, node_class, None]).all(axis=0)
    return fits


def _class(pending: PendingColumns, code: int) -> AskClass:
    found = pending.classes[code]
    assert found is not None
    return found
