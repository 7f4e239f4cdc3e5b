"""What jobs are like at this site, for the placement policies: how often which ask comes.

Counted are the jobs that wait and those that hold an allocation now, so the answer follows from the state
alone and is the same after a restart. Frequencies are kept as powers of the square root of two, so that it
changes only when something really has.
"""

from __future__ import annotations

import heapq
import math
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.ask_classes import AskClass
from packhorse.scheduler.core.node_columns import NodeColumns, Profile
from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.policy import Ground, Mix, Policy, Scorer
from packhorse.scheduler.core.packing.rows import KeptRows
from packhorse.scheduler.core.packing.slots import Part, Share, Whole
from packhorse.scheduler.core.packing.tightest import TIGHTEST
from packhorse.scheduler.core.pending_columns import PendingColumns
from packhorse.scheduler.model.event import PolicyTaught
from packhorse.scheduler.model.resources import WHOLE

MOST: Final = 64
"""Kinds of asks that are told apart, the most frequent ones."""

_STEPS: Final = 2  # per doubling of a frequency


Mixed = tuple[tuple[int, int, int, int, str, int], ...]
"""How often which profile comes, as events carry it."""


class Lesson(NamedTuple):
    """What a policy would have to learn: from the mix of jobs, on the nodes with this digest."""

    policy: Policy
    mix: Mixed
    ground: str


class Demand:
    """The policy made ready for the nodes and jobs of a state; the last one is kept.

    lessons: what policies have learned, by what from. Working one out takes seconds, so the process that owns
    the state has it done elsewhere and puts it here; what is missing is worked out when it is needed.
    """

    __slots__ = ("_digest", "_key", "_scorer", "kept", "lessons")

    def __init__(self) -> None:
        self._digest: tuple[int, str] = (-1, "")
        self._key: object = None
        self._scorer: Scorer | None = None
        self.lessons: dict[Lesson, np.ndarray] = {}
        self.kept = KeptRows()
        """Scores of nodes, from pass to pass."""

    def scorer(
        self, policy: Policy, taught: PolicyTaught | None, pending: PendingColumns, nodes: NodeColumns
    ) -> Scorer | None:
        """The policy for these nodes and jobs; None for the one that the field knows by itself."""
        if policy.name == TIGHTEST:
            return None
        board = nodes.board()
        lesson = None
        if policy.taught is not None and taught is not None and taught.policy == policy.name:
            lesson = Lesson(policy, taught.mix, taught.ground)
            if lesson.ground != self._digest_of(board):
                lesson = None  # other nodes than it learned on
        if lesson is not None:
            mix = lesson.mix
        else:
            mix = () if policy.devices and not board.n_slots else mixed(pending, nodes)
        key = (policy, board.serial, mix, lesson is not None)
        if key != self._key:
            self._scorer = self._make(policy, lesson, mix_of(mix, board), board.ground)
            self._key = key
        return self._scorer

    def forget_scores(self) -> None:
        """Nothing is kept from passes so far: one was given up in the midst of it."""
        self.kept = KeptRows()

    def _digest_of(self, board: Board) -> str:
        """The digest of its ground; worked out once for each board."""
        if self._digest[0] != board.serial:
            self._digest = (board.serial, digest(board.ground))
        return self._digest[1]

    def keep(self, lesson: Lesson, learned: np.ndarray) -> None:
        """What the lesson came to; only the last two are kept."""
        while len(self.lessons) > 1:
            del self.lessons[next(iter(self.lessons))]
        self.lessons[lesson] = learned

    def _make(self, policy: Policy, lesson: Lesson | None, mix: Mix, ground: Ground) -> Scorer:
        if policy.taught is None or policy.learn is None:
            return policy.make(ground, mix)
        if lesson is None:
            return policy.taught(ground, mix, None)
        if lesson not in self.lessons:
            self.keep(lesson, policy.learn(ground, mix))
        return policy.taught(ground, mix, self.lessons[lesson])


def due(
    policy: Policy, taught: PolicyTaught | None, pending: PendingColumns, nodes: NodeColumns
) -> Lesson | None:
    """What the policy should learn now, None if there is nothing new: no devices, no job that takes any, or
    the same mix on the same nodes as it goes by already."""
    board = nodes.board()
    if policy.learn is None or not board.n_slots:
        return None
    mix = mixed(pending, nodes)
    if not any(n_devices for _, _, n_devices, _, _, _ in mix):
        return None
    lesson = Lesson(policy, mix, digest(board.ground))
    if taught is not None and (taught.policy, taught.mix, taught.ground) == (policy.name, mix, lesson.ground):
        return None
    return lesson


def digest(ground: Ground) -> str:
    """Equal for equal grounds."""
    parts = [np.ascontiguousarray(column).tobytes() for column in ground[:5]]
    return blake2b(b"|".join(parts) + str(ground.n_types).encode(), digest_size=12).hexdigest()


def mixed(pending: PendingColumns, nodes: NodeColumns) -> Mixed:
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
    return tuple(sorted((*profile, n) for profile, n in rounded if n))


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
    mem = shape.mem(cpu)
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


def mix_of(mix: Mixed, board: Board) -> Mix:
    """The mix of these asks, most frequent first, equal ones in order of their amounts."""
    items = sorted(mix, key=lambda item: (-item[5], item))
    types = np.zeros((len(items), len(board.types)), dtype=np.bool_)
    for i, (*_, name, _n) in enumerate(items):
        if name:
            types[i] = [t == name or t.startswith(f"{name}:") for t in board.types]
    weight = np.array([item[5] for item in items], dtype=np.float64)
    columns = np.array([item[:4] for item in items], dtype=np.int64).reshape(len(items), 4)
    return Mix(
        columns[:, 0],
        columns[:, 1],
        columns[:, 2],
        columns[:, 3],
        types,
        weight / weight.sum() if items else weight,
    )
