"""Where a better plan could be found: the jobs of a pass that compete, as a problem for the improver.

A pass takes jobs one after the other, so a job that came early may sit where a later one would have fitted,
though it would fit elsewhere as well. What this pass started and what it left behind is therefore looked at
together: what the started jobs took is given back, and who of both could be placed is asked again. Jobs that
ran before are never moved.

Jobs that the pass started keep their rank before those of equal priority that it left behind, so none is
given up for its equals; and the job that waits for its planned start comes before the rest of those. The
answer becomes a *guide* for another pass (RunCycle), which knows all rules and decides: so what a Problem
does not express (licences, link groups, slices, exclusive nodes, uneven gangs …) is left as the pass placed
it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing import slotfit
from packhorse.scheduler.core.packing.board import CPU, MEM, SLOTS, Board
from packhorse.scheduler.core.packing.bound import volume_bound
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.growth import Begun
from packhorse.scheduler.core.packing.problem import AskClass, Placed, Problem, Solution, worth
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.core.packing.slots import LOCATED, Share, Whole
from packhorse.scheduler.core.pending_columns import PendingColumns
from packhorse.scheduler.core.priority import Rules
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.cluster import Improver
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.input import Guided
from packhorse.scheduler.model.resources import WHOLE, Placement

_CLASSES: Final = 64
"""Ask classes left behind that are looked at, those that come first."""

_STANDINGS: Final = 3
"""Priorities of jobs left behind that are told apart, the highest; the rest is one, behind all jobs that the
pass started. Each costs a solve."""


class Started(NamedTuple):
    """Equal tasks of one row that a pass started on the same nodes."""

    id: JobId
    begun: Begun
    placements: tuple[Placement, ...]


class Outcome(NamedTuple):
    """A pass that is over. order, codes: rows and why each waits, by place `[n_rows]`; the next of a
    partition waits for resources."""

    field: Field
    pending: PendingColumns
    rules: Rules
    order: np.ndarray
    codes: np.ndarray
    started: Sequence[Started]
    settings: Improver


class Contended(NamedTuple):
    """problem and hint: what the pass did. names: of the problem's nodes. jobs: who is of each ask class,
    array tasks one by one, first come first. devices: index of each device of the problem's nodes. kept:
    where the pass put jobs that are not in the problem."""

    problem: Problem
    hint: Solution
    names: tuple[NodeName, ...]
    jobs: tuple[tuple[JobId, ...], ...]
    devices: tuple[tuple[int, ...], ...]
    kept: tuple[Guided, ...]

    def guide(self, solution: Solution) -> tuple[Guided, ...]:
        """The solution as wishes for a pass: the first of each class get the places. Jobs that are not in the
        problem stay where they are, lest they take a place that was made free."""
        given = [0] * len(self.jobs)
        out = [*self.kept]
        for ask, members in sorted(solution.placed):
            id = self.jobs[ask][given[ask]]
            given[ask] += 1
            shares = self.problem.asks[ask].shares and len(members) == 1
            device = self.devices[members[0][0]][members[0][1][0]] if shares else -1
            out.append(Guided(id, tuple(self.names[node] for node, _ in members), device))
        return tuple(out)


RequestOf = Callable[[int], Request]
"""The request of an ask class by its code."""


def contended(outcome: Outcome, request_of: RequestOf) -> Contended | None:
    """What a better plan could be found for; None where nothing could come of it.

    First with all that is free now: then the head of the queue may start and need no planned start. Where
    that cannot be, with what no planned start needs.
    """
    if not outcome.started:
        return None
    kinds: dict[int, _Kind | None] = {}
    for j in dict.fromkeys((0, len(outcome.field.layers))):
        case = _Case(outcome, request_of, j, kinds).build()
        if case is not None:
            return case
    return None


class _Kind(NamedTuple):
    """What a Problem says of an ask class. amounts: of every column `[n_resources]`, without devices that
    have slots. slots: devices that a member may use `[n_slots, n_nodes]`. mask: nodes `[n_nodes]`."""

    amounts: np.ndarray
    n_devices: int
    milli: int
    slots: np.ndarray
    mask: np.ndarray
    members: int

    def fits(self, room: np.ndarray, board: Board) -> np.ndarray:
        """Nodes that can take a member `[n_nodes]`."""
        ok = self.mask.copy()
        for column in np.flatnonzero(self.amounts).tolist():
            ok &= room[column] >= self.amounts[column]
        if self.n_devices:
            ok &= (self.slots & (room[board.slot_columns] >= self.milli)).sum(axis=0) >= self.n_devices
        return ok


class _Waiting(NamedTuple):
    """n tasks of a row that a pass left behind. head: the next of its partition."""

    id: JobId
    head: bool
    code: int
    standing: tuple[int, int]
    n: int


class _Case:
    """The problem for jobs that run past the first j planned starts. room: what is free for them once the
    jobs in `moved` are taken off. kinds: of the ask classes that were looked at so far."""

    def __init__(
        self, outcome: Outcome, request_of: RequestOf, j: int, kinds: dict[int, _Kind | None]
    ) -> None:
        self.outcome = outcome
        self.field = outcome.field
        self.board = outcome.field.board
        self.request_of = request_of
        self.j = j
        self.kinds = kinds
        self.room = self.field.room(j).copy()
        self.moved: list[Started] = []

    def build(self) -> Contended | None:
        self._take_off()
        left = self._left() if self.moved else []
        if not left:
            return None
        nodes = self._nodes({item.code for item in left})
        self._keep_elsewhere(nodes)
        if not self.moved:
            return None
        return self._as_problem(nodes, left)

    def kind(self, code: int) -> _Kind | None:
        """The ask class, None if a Problem cannot express it."""
        if code not in self.kinds:
            licensed = code in self.outcome.pending.licensed
            self.kinds[code] = None if licensed else _kind(self.field, self.request_of(code))
        return self.kinds[code]

    def _take_off(self) -> None:
        """Gives back what jobs took that could as well be elsewhere."""
        pending, budget = self.outcome.pending, self.outcome.settings.max_jobs
        for item in reversed(self.outcome.started):
            kind = self.kind(pending.class_of(item.id).code)
            if kind is None or len(item.placements) != kind.members or item.begun.n > budget:
                continue
            if self.field.layer_of(item.begun.end) < self.j:
                continue
            if not all(kind.mask[position] for position, _ in item.begun.taken):
                continue  # it is where a reservation begins after its end
            budget -= item.begun.n
            self.moved.append(item)
            self._give(item, 1)
        self.moved.reverse()

    def _give(self, item: Started, sign: int) -> None:
        for position, pairs in item.begun.taken:
            for resource, amount in pairs:
                self.room[resource, position] += sign * amount * item.begun.n

    def _left(self) -> list[_Waiting]:
        """Those left behind that would fit if none of the moved were there."""
        outcome, pending = self.outcome, self.outcome.pending
        places = np.flatnonzero(np.isin(outcome.codes, (Reason.RESOURCES.code, Reason.PRIORITY.code)))
        classes = pending.ask_class[outcome.order[places]]
        found, first = np.unique(classes, return_index=True)
        able = []
        for code in found[np.argsort(first)][:_CLASSES].tolist():
            kind = self.kind(code)
            if kind is not None and int(kind.fits(self.room, self.board).sum()) >= kind.members:
                able.append(code)
        gone: dict[int, int] = {}
        for item in outcome.started:
            gone[item.id] = gone.get(item.id, 0) + item.begun.n
        out = []
        budget = outcome.settings.max_jobs
        places = places[np.isin(classes, able)]
        heads = outcome.codes[places] == Reason.RESOURCES.code
        for slot, head in zip(outcome.order[places].tolist(), heads.tolist(), strict=True):
            id, n, room = JobId(int(pending.id[slot])), int(pending.count[slot]), int(pending.room[slot])
            n = min(n if room < 0 else min(n, room), n) - gone.get(id, 0)
            n = min(n, budget)
            if n > 0:
                standing = pending.standing(slot, outcome.rules)
                out.append(_Waiting(id, head, int(pending.ask_class[slot]), standing, n))
                budget -= n
            if not budget:
                break
        return out

    def _nodes(self, left: set[int]) -> np.ndarray:
        """Positions that matter: those that fit a job left behind, the fullest first, then those where one of
        the others could go."""
        here, there = np.zeros((2, self.board.n), dtype=np.bool_)
        for code, kind in self.kinds.items():
            if kind is not None:
                fits = kind.fits(self.room, self.board)
                there |= fits
                if code in left:
                    here |= fits
        positions = np.flatnonzero(there)
        most = self.outcome.settings.max_nodes
        if positions.size > most:
            order = np.lexsort((self.field.score[positions], ~here[positions]))
            positions = np.sort(positions[order[:most]])
        return positions

    def _keep_elsewhere(self, nodes: np.ndarray) -> None:
        """Jobs that are on other nodes as well stay where they are."""
        chosen = np.zeros(self.board.n, dtype=np.bool_)
        chosen[nodes] = True
        kept = []
        for item in self.moved:
            if all(chosen[position] for position, _ in item.begun.taken):
                kept.append(item)
            else:
                self._give(item, -1)
        self.moved = kept

    def _as_problem(self, nodes: np.ndarray, left: list[_Waiting]) -> Contended | None:
        pending, rules, board = self.outcome.pending, self.outcome.rules, self.board
        standings = sorted({item.standing for item in left})[: _STANDINGS + 1]
        jobs: dict[tuple[tuple[int, int], int], list[JobId]] = {}

        def at(standing: tuple[int, int], among: int) -> tuple[int, int]:
            return min(bisect_left(standings, standing), _STANDINGS), among

        keys = []
        for item in self.moved:
            found = pending.class_of(item.id)
            key = at(pending.standing_of(item.id, rules), 0), found.code
            keys.append(key)
            jobs.setdefault(key, []).extend([item.id] * item.begun.n)
        for waiting in left:
            key = at(waiting.standing, 1 if waiting.head else 2), waiting.code
            jobs.setdefault(key, []).extend([waiting.id] * waiting.n)
        ordered = sorted(jobs)
        ranks = {rank: i for i, rank in enumerate(sorted({rank for rank, _ in ordered}))}
        columns = self._columns({code for _, code in ordered})
        types = board.type_of.astype(np.int64) * 2 + board.shareable
        asks = []
        for rank, code in ordered:
            asks.append(self._ask(ranks[rank], code, len(jobs[rank, code]), nodes, columns, types))
        problem = Problem.of(
            np.maximum(self.room[columns][:, nodes].T, 0),
            asks,
            dev_free=np.where(board.type_of >= 0, np.maximum(self.room[board.slot_columns], 0), 0)[
                :, nodes
            ].T,
            dev_type=np.where(board.type_of >= 0, types, -1)[:, nodes].T,
        )
        index = {key: i for i, key in enumerate(ordered)}
        hint = self._hint([index[key] for key in keys], nodes)
        if not self._could_gain(problem, hint, {i for rank, i in ranks.items() if rank[1] == 1}):
            return None
        return Contended(
            problem,
            hint,
            tuple(board.names[p] for p in nodes.tolist()),
            tuple(tuple(jobs[key]) for key in ordered),
            tuple(tuple(d.index for d in board.maps[p].devices) for p in nodes.tolist()),
            self._kept(),
        )

    def _columns(self, codes: set[int]) -> list[int]:
        """Columns that count: CPU, memory, and what else one of these classes takes."""
        used = np.zeros(self.room.shape[0], dtype=np.bool_)
        for code in codes:
            kind = self.kind(code)
            assert kind is not None
            used |= kind.amounts > 0
        used[[CPU, MEM]] = True
        used[SLOTS] = self.field.slots_matter
        return [int(c) for c in np.flatnonzero(used)]

    def _ask(
        self, rank: int, code: int, count: int, nodes: np.ndarray, columns: list[int], types: np.ndarray
    ) -> AskClass:
        kind = self.kind(code)
        assert kind is not None
        amounts = tuple(kind.amounts[columns].tolist())
        most = self.board.capacity[columns].max(axis=1).tolist()
        allowed = kind.mask[nodes]
        return AskClass(
            rank,
            count,
            amounts,
            kind.n_devices,
            kind.milli,
            tuple(np.flatnonzero(np.bincount(types[kind.slots])).tolist()) if kind.n_devices else (),
            None if allowed.all() else tuple(np.flatnonzero(allowed).tolist()),
            worth(amounts, kind.n_devices, kind.milli, most, kind.members),
            kind.members,
        )

    def _hint(self, asks: list[int], nodes: np.ndarray) -> Solution:
        """The moved jobs where the pass put them; asks: the class of each of them."""
        number = np.full(self.board.n, -1, dtype=np.intp)
        number[nodes] = np.arange(nodes.size)
        placed = []
        for item, ask in zip(self.moved, asks, strict=True):
            members = []
            for (position, _), placement in zip(item.begun.taken, item.placements, strict=True):
                slot_of = self.board.maps[position].slot_of
                slots = [
                    slot_of[d.kind, i] for d in placement.devices if d.kind in LOCATED for i in d.indices
                ]
                members.append((int(number[position]), tuple(sorted(slots))))
            placed += [Placed(ask, tuple(sorted(members)))] * item.begun.n
        return Solution(tuple(placed))

    def _kept(self) -> tuple[Guided, ...]:
        """Jobs that the pass started and that are not moved."""
        moved = {id(item) for item in self.moved}
        out: list[Guided] = []
        for item in self.outcome.started:
            if id(item) not in moved:
                devices = [d for placement in item.placements for d in placement.devices]
                shares = len(devices) == 1 and devices[0].milli < WHOLE
                where = tuple(placement.node for placement in item.placements)
                out += [Guided(item.id, where, devices[0].indices[0] if shares else -1)] * item.begun.n
        return tuple(out)

    def _could_gain(self, problem: Problem, hint: Solution, heads: set[int]) -> bool:
        """Whether the volumes leave room for more value than the hint places; heads: ranks of the next
        ones, which have to gain where their planned starts are not respected."""
        levels = dict.fromkeys(problem.ranks, 0)
        for job in hint.placed:
            levels[problem.asks[job.ask].rank] += problem.asks[job.ask].value
        bounds = volume_bound(problem, tuple(levels.values()))
        gains = {rank for rank, bound in zip(levels, bounds, strict=True) if bound > levels[rank]}
        return bool(gains if self.j or not self.field.layers else gains & heads)


def _kind(field: Field, request: Request) -> _Kind | None:
    shape, board = request.shape, field.board
    if shape.node_decides or shape.spread or shape.linked or shape.aligned or shape.mixed:
        return None
    if shape.contiguous or shape.counts or shape.hops >= 0 or (shape.share_per_task and shape.tasks > 1):
        return None
    if request.whole is not None:
        members, tasks, mask = 1, shape.tasks, request.alone
    elif _is_even(request):
        members, tasks, mask = shape.lo, shape.tasks // shape.lo, request.together[0]
    else:
        return None
    needs = shape.needs(tasks, members == 1, field.column_of)
    if needs is None:
        return None
    amounts = np.array(needs, dtype=np.int64)
    amounts[[c for c in range(amounts.size) if board.counts_slots(c)]] = 0
    devices = _devices(board, shape.located(tasks, shape.devices(tasks, members == 1)))
    if devices is None:
        return None
    return _Kind(amounts, *devices, field.usable(mask), members)


def _is_even(request: Request) -> bool:
    """A gang whose members are all alike, wherever they are."""
    shape = request.shape
    return (
        shape.multi
        and shape.even
        and shape.tasks % shape.lo == 0
        and shape.lo <= request.most
        and not shape.job_devices
        and not request.required
        and len(request.together) == 1
    )


def _devices(board: Board, wants: Sequence[object]) -> tuple[int, int, np.ndarray] | None:
    """Number, thousandths of each, and which may be used; None for what a Problem cannot express."""
    if not wants:
        return 0, 0, np.zeros((board.n_slots, board.n), dtype=np.bool_)
    if len(wants) > 1:
        return None
    want = wants[0]
    if isinstance(want, Whole):
        return want.n, WHOLE, board.may_use(want.kind, want.type)
    if isinstance(want, Share):
        need = slotfit.need(board, want)
        milli = int(need.min(initial=WHOLE))
        slots = need == milli
        if 0 < milli < WHOLE and bool(
            (slots == (board.may_use(want.kind, want.type) & board.shareable)).all()
        ):
            return 1, milli, slots
    return None
