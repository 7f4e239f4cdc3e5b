"""What jobs are like at this site, for the placement policies: how often which ask comes.

Counted are the jobs that wait and those that hold an allocation now, so the answer follows from the state
alone and is the same after a restart. Frequencies are kept as powers of the square root of two, so that it
changes only when something really has.
"""

from __future__ import annotations

import heapq
import math
from typing import Final

import numpy as np

from packhorse.scheduler.core.node_columns import NodeColumns, Profile
from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.policies import TIGHTEST
from packhorse.scheduler.core.packing.policy import Mix, Policy, Scorer
from packhorse.scheduler.core.packing.slots import Part, Share, Whole
from packhorse.scheduler.core.pending_columns import AskClass, PendingColumns
from packhorse.scheduler.model.resources import WHOLE

MOST: Final = 64
"""Kinds of asks that are told apart, the most frequent ones."""

_STEPS: Final = 2  # per doubling of a frequency


class Demand:
    """The mix of the state, and the policy made ready for it; the last ones are kept.

    table: the policies by name, which the process that owns the state may have added to.
    """

    __slots__ = ("_key", "_scorer")

    def __init__(self) -> None:
        self._key: object = None
        self._scorer: Scorer | None = None

    def scorer(self, policy: Policy, pending: PendingColumns, nodes: NodeColumns) -> Scorer | None:
        """The policy for these nodes and jobs; None for the one that the field knows by itself."""
        if policy.name == TIGHTEST:
            return None
        board = nodes.board()
        counts = _counts(pending, nodes)
        key = (policy, board.serial, counts)
        if key != self._key:
            self._key = key
            self._scorer = policy.make(board.ground, mix_of(dict(counts), board))
        return self._scorer


def _counts(pending: PendingColumns, nodes: NodeColumns) -> tuple[tuple[Profile, int], ...]:
    """The most frequent asks, each with a rounded number of jobs per 1024, in a fixed order."""
    found: dict[Profile, int] = dict(heapq.nlargest(MOST, nodes.profiles.items(), key=lambda p: (p[1], p[0])))
    waiting = pending.jobs_by_class()
    codes = np.flatnonzero(waiting)
    if codes.size > MOST:
        codes = codes[np.argsort(-waiting[codes], kind="stable")[:MOST]]
    for code in codes.tolist():
        ask_class = pending.classes[code]
        if ask_class is not None:
            profile = profile_of(ask_class)
            found[profile] = found.get(profile, 0) + int(waiting[code])
    total = sum(found.values())
    most = heapq.nlargest(MOST, found.items(), key=lambda p: (p[1], p[0]))
    rounded = ((profile, _rounded(n * 1024 / total)) for profile, n in most)
    return tuple(sorted((profile, n) for profile, n in rounded if n))


def _rounded(n: float) -> int:
    """The nearest power of the square root of two, 0 for what is less than one half."""
    return round(2 ** (round(math.log2(n) * _STEPS) / _STEPS)) if n >= 0.5 else 0


def profile_of(ask_class: AskClass) -> Profile:
    """What one job of the class takes of a node: the whole of it, or its part where it needs several."""
    if ask_class.profile is None:
        shape = ask_class.shape
        tasks = shape.tasks if shape.single else -(-shape.tasks // max(shape.lo, 1))
        ask_class.profile = _profile(shape, tasks)
    return ask_class.profile


def _profile(shape: Shape, tasks: int) -> Profile:
    cpu = shape.cpus(tasks)
    mem = shape.mem_node or -(-shape.mem_cpu * cpu // 1000)
    wants = shape.located(tasks, shape.devices(tasks, shape.single))
    if not wants:
        return (cpu, mem, 0, 0, "")
    first = wants[0]
    if isinstance(first, Share):
        name = f"{first.kind}:{first.type}" if first.type else first.kind
        return (cpu, mem, 1, first.milli if not first.mem_mib else WHOLE // 2, name)
    if isinstance(first, Part):
        return (cpu, mem, 1, WHOLE * int(first.profile.partition("g")[0]) // 7, first.kind)
    name = f"{first.kind}:{first.type}" if first.type else first.kind
    return (cpu, mem, sum(w.n for w in wants if isinstance(w, Whole)), WHOLE, name)


def mix_of(counts: dict[Profile, int], board: Board) -> Mix:
    """The mix of these asks, most frequent first, equal ones in order of their amounts."""
    items = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    types = np.zeros((len(items), len(board.types)), dtype=np.bool_)
    for i, (profile, _) in enumerate(items):
        name = profile[4]
        if name:
            types[i] = [t == name or t.startswith(f"{name}:") for t in board.types]
    weight = np.array([n for _, n in items], dtype=np.float64)
    columns = np.array([profile[:4] for profile, _ in items], dtype=np.int64).reshape(len(items), 4)
    return Mix(
        columns[:, 0],
        columns[:, 1],
        columns[:, 2],
        columns[:, 3],
        types,
        weight / weight.sum() if items else weight,
    )
