"""Why a running job is where it is, by what is free now: what rules the other nodes out, and how the
placement policy rates those that could hold it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.fit import candidates
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.masks import partition_mask
from packhorse.scheduler.core.packing.policies import policy
from packhorse.scheduler.core.packing.policy import Scorer, Sight
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import Instant, NodeName
from packhorse.scheduler.model.job import Active, Job

SHOWN = 3
"""Other nodes that could hold it, the best ones."""


class Rated(NamedTuple):
    """A node and its score, lower is better."""

    node: NodeName
    score: float


class Place(NamedTuple):
    """What a job of this ask finds now, its own room free again.

    n_nodes: of the partition; of these ruled_out: (how many, why), one after the other. own: its nodes,
    others: the best of the rest that could hold it. policy: whose scores these are, "" where none are
    compared (several nodes).
    """

    n_nodes: int
    ruled_out: tuple[tuple[int, str], ...]
    own: tuple[Rated, ...]
    others: tuple[Rated, ...]
    n_others: int
    policy: str
    weights_differ: bool


def place(snapshot: State, job: Job, now: Instant) -> Place:
    """snapshot: of core/why/snapshot.py; the job's allocation is released in it."""
    active = job.phase
    assert isinstance(active, Active)
    nodes = snapshot.node_columns
    if nodes.held(job.id):
        nodes.release(job.id)
    pending = snapshot.pending_columns
    scorer = snapshot.demand.scorer(policy(snapshot.config.policy), snapshot.taught, pending, nodes)
    field = Field(nodes, scorer=scorer)
    partition = next((p for p in snapshot.config.partitions if p.name == job.spec.partition), None)
    shape = Shape(job.spec.ask)
    request = Request(job.spec.ask, shape, partition, (), field.board, nodes.column_of)
    own = [field.board.position[p.node] for p in active.placements if p.node in field.board.position]
    inside = partition_mask(field.board, partition)
    ruled_out = []
    left = inside
    allowed = np.logical_or.reduce(request.together)
    steps = [
        ("are not what it asks for (constraint, named or excluded nodes)", allowed),
        ("take no new work", field.up),
    ]
    if request.whole is not None:
        empty = Field(nodes, empty=True)
        able = np.zeros(field.n, dtype=np.bool_)
        able[candidates(empty, request, request.whole, empty.free)] = True
        steps.append(("are too small for it even when empty", able | ~field.up))
        fits = candidates(field, request, request.whole, field.free)
        free = np.zeros(field.n, dtype=np.bool_)
        free[fits] = True
        steps.append(("are taken by other jobs", free | ~field.up))
    for why, mask in steps:
        n = int((left & ~mask).sum())
        left = left & mask
        if n:
            ruled_out.append((n, why))
    weights = bool(np.unique(field.board.weight_score[left]).size > 1) if left.any() else False
    scores = _scores(field, request, np.flatnonzero(left), scorer) if request.whole is not None else None
    name = snapshot.config.policy if scores is not None else ""
    others = [p for p in np.flatnonzero(left).tolist() if p not in own]
    rate = scores or {}
    others.sort(key=lambda p: (rate.get(p, 0.0), p))
    names = field.board.names
    return Place(
        int(inside.sum()),
        tuple(ruled_out),
        tuple(Rated(names[p], rate.get(p, 0.0)) for p in own),
        tuple(Rated(names[p], rate.get(p, 0.0)) for p in others[:SHOWN]),
        len(others),
        name,
        weights,
    )


def _scores(field: Field, request: Request, at: np.ndarray, scorer: Scorer | None) -> dict[int, float]:
    """By position; a policy's, or how much of it all a node would have left."""
    if not at.size:
        return {}
    if scorer is None:
        found = field.score[at]
    else:
        slots = field.board.slot_columns
        dev = field.free[slots][:, at]
        sight = Sight(at, field.free[0, at], field.free[1, at], dev, dev >= request.need[:, at])
        found, _ = scorer.scores(request.want, sight, scorer.phase(field.fill()))
    return dict(zip(at.tolist(), [float(score) for score in found.tolist()], strict=True))
