"""A scheduling cycle on a cluster of one node, by plain numbers: the same plan as core/cycle.py makes.

With one node there is nothing to choose: a job starts if its amounts are free, and a planned start is when
enough of what runs has come to its end. Then the vectors of the general cycle cost more than all they work
out. This is the pool of processors of most published traces, and a single machine.

Taken are queues of single jobs that ask for CPU, memory and scratch space in one partition, with one planned
start at most, in any order but "packhorse", while nothing is reserved and no gang waits; `plan` says None to
everything else.
Tests compare the two, on all kinds of queues.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core import order_keys
from packhorse.scheduler.core.accounts.quota import book_of
from packhorse.scheduler.core.backfill_kinds import backfill
from packhorse.scheduler.core.orders import PACKHORSE
from packhorse.scheduler.core.packing.board import CPU, FIXED
from packhorse.scheduler.core.packing.request import Pairs
from packhorse.scheduler.core.packing.verdicts import refresh
from packhorse.scheduler.core.pending_columns import FOREVER
from packhorse.scheduler.core.predictors import LIMIT
from packhorse.scheduler.core.priority import Rules
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.running_columns import NEVER
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.resources import Placement

MOST_ROWS: Final = 1024
"""Waiting rows from which on vectors are faster."""

_NOT_BLOCKED: Final = FOREVER + 1

Started = tuple[JobId, tuple[Placement, ...]]
"""A job, and where it starts now."""


def plan(state: State, now: Instant) -> tuple[list[Started], dict[JobId, Instant]] | None:
    """What starts, in order, and the planned starts; None if it is not that simple.

    Reasons and planned starts go to the pending columns.
    """
    pending, nodes, config = state.pending_columns, state.node_columns, state.config
    few = pending.n_ready <= MOST_ROWS and pending.n_ready < config.max_starts_per_cycle
    if not few or len(nodes) != 1 or config.backfill_depth > 1 or len(pending.partitions) != 1:
        return None
    rules, asks = pending.rules(config), pending.asks
    if config.order == PACKHORSE or rules.limited or asks.licensed or nodes.n_exclusive:
        return None
    if book_of(state).terms.limited or state.reservations or asks.reserved or state.gangs.ready:
        return None
    refresh(pending, nodes, rules)
    key_of = order_keys.key_of(state, now)
    order = pending.ordered(config, now, state.usage, nodes.board().totals, key_of)
    classes: list[int] = pending.ask_class[order].tolist()
    if asks.n_odd and not all(pending.is_plain(code) for code in set(classes)):
        return None
    if pending.arrays and ((pending.room[order] >= 0).any() or (pending.count[order] > 1).any()):
        return None
    if config.predictor != LIMIT:
        state.running_columns.correct(now)
    return _Pass(state, now, rules, order, classes).run()


class _Pass:
    """One cycle. Lists are by place in the order."""

    def __init__(
        self, state: State, now: Instant, rules: Rules, order: np.ndarray, classes: list[int]
    ) -> None:
        self.state = state
        self.now = now
        self.rules = rules
        self.order = order
        self.classes = classes
        self.pending = pending = state.pending_columns
        self.slots: list[int] = order.tolist()
        self.ids: list[int] = pending.id[order].tolist()
        self.durations: list[int] = pending.run_us(order, state.config.predictor).tolist()
        self.codes: list[int] = pending.demands.verdict[pending.ask_class[order]].tolist()
        self.backfill = backfill(state.config.backfill)
        self.board = state.node_columns.board()
        self.row = int(self.board.order[0])
        self.free: list[int] = state.node_columns.free[:FIXED, self.row].tolist()
        self.then: list[int] = []
        """What is free at the planned start, once the planned job has begun."""
        self.begun: list[tuple[int, Pairs]] = []
        self.known: dict[int, tuple[Pairs, tuple[Placement, ...]]] = {}

    def run(self) -> tuple[list[Started], dict[JobId, Instant]]:
        """All rows in order."""
        now, codes, classes, durations = self.now, self.codes, self.classes, self.durations
        free, known = self.free, self.known
        grants: list[Started] = []
        planned: dict[JobId, Instant] = {}
        start = _NOT_BLOCKED + now
        head_left = True
        blocked: dict[int, int] = {}
        for place in range(len(classes)):
            if codes[place]:
                continue
            code, duration = classes[place], durations[place]
            if duration < blocked.get(code, _NOT_BLOCKED):
                late = now + duration > start
                pairs, placements = known.get(code) or self._know(code)
                if _fits(pairs, free) and not (late and not _fits(pairs, self.then)):
                    _take(pairs, free)
                    if late:
                        _take(pairs, self.then)
                    self.begun.append((NEVER if duration == FOREVER else now + duration, pairs))
                    grants.append((JobId(self.ids[place]), placements))
                    continue
                blocked[code] = start - now + 1 if late and _fits(pairs, free) else 0
            if head_left:
                head_left = False
                codes[place] = Reason.RESOURCES.code
                if self.state.config.backfill_depth:
                    start = self._plan(code, start)
                    if start < NEVER:
                        planned[JobId(self.ids[place])] = Instant(start)
                self._admit(place + 1, start)
        waiting = Reason.PRIORITY.code
        self.pending.note(
            np.array(self.slots, dtype=np.intp), np.array([c or waiting for c in codes], np.int16), planned
        )
        return grants, planned

    def _know(self, code: int) -> tuple[Pairs, tuple[Placement, ...]]:
        """What a job of the class takes, and where it would go."""
        found = self.pending.classes[code]
        assert found is not None
        self.known[code] = known = found.alone_on(self.board.names[0])
        return known

    def _plan(self, code: int, never: int) -> int:
        """When the blocked job starts at the latest, `never` if no end is in sight; `then` is set."""
        pairs, _ = self.known.get(code) or self._know(code)
        end, amounts = self._releases()
        free = self.free
        short = [(resource, amount) for resource, amount in pairs if free[resource] < amount]
        last = 0
        for resource, amount in short:
            sums = amounts[resource].cumsum()
            last = max(last, int(sums.searchsorted(amount - free[resource])))
        if last >= end.size:
            return never
        start = int(end[last])
        upto = int(end.searchsorted(start, side="right"))
        more: list[int] = amounts[:, :upto].sum(axis=1).tolist()
        offered: list[int] = self.state.node_columns.offered[:FIXED, self.row].tolist()
        self.then = [min(now + later, top) for now, later, top in zip(free, more, offered, strict=True)]
        _take(pairs, self.then)
        if not self.backfill.all_surplus:
            self._take_surplus(pairs, amounts[:, int(end.searchsorted(start)) : upto])
        return start

    def _releases(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends, ascending, and what becomes free at each `[FIXED, n]`: of what runs, then of what began."""
        releases = self.state.running_columns.releases(self.state.node_columns)
        end = np.maximum(releases.end, self.now + 1)  # what is overdue ends any moment
        amounts = releases.table[:FIXED].take(releases.at, axis=1)
        if not self.begun:
            return end, amounts
        more = np.zeros((FIXED, len(self.begun)), dtype=np.int64)
        for i, (_, pairs) in enumerate(self.begun):
            for resource, amount in pairs:
                more[resource, i] = amount
        end = np.concatenate([end, np.array([at for at, _ in self.begun], dtype=np.int64)])
        order = end.argsort(kind="stable")
        return end[order], np.concatenate([amounts, more], axis=1)[:, order]

    def _take_surplus(self, pairs: Pairs, released: np.ndarray) -> None:
        """As Growth.take_surplus: of what is released at the planned start, `[FIXED, n]`, what is not needed
        is not left over for others, the smallest releases first."""
        then = self.then
        needed = [resource for resource, _ in pairs]
        for i in released[CPU].argsort(kind="stable")[::-1].tolist():
            amounts: list[int] = released[:, i].tolist()
            if any(then[resource] < amounts[resource] for resource in needed):
                return
            for resource in needed:
                then[resource] -= amounts[resource]

    def _admit(self, at: int, start: int) -> None:
        """Which rows from this place on may go first; as Cycle._admit."""
        kind, codes = self.backfill, self.codes
        if kind.by == "queue" and not kind.nobody:
            return
        rest = [place for place in range(at, len(codes)) if not codes[place]]
        if kind.nobody:
            for place in rest:
                codes[place] = Reason.PRIORITY.code
            return
        by = self.durations if kind.by == "run" else self.ids
        found = sorted(rest, key=by.__getitem__)
        for column in (self.slots, self.ids, self.classes, self.durations):
            for place, value in zip(rest, [column[i] for i in found], strict=True):
                column[place] = value
        if kind.before:
            for place in rest:
                if self.durations[place] >= start - self.now:
                    codes[place] = Reason.PRIORITY.code


def _fits(pairs: Pairs, free: list[int]) -> bool:
    for resource, amount in pairs:  # noqa: SIM110  # three times as fast as all()
        if free[resource] < amount:
            return False
    return True


def _take(pairs: Pairs, free: list[int]) -> None:
    for resource, amount in pairs:
        free[resource] -= amount
