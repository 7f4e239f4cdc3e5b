"""Planned starts: when a blocked job begins at the latest, if every running job uses its whole time limit.

A `Timeline` holds what is free now, the releases to come and the planned jobs so far. `earliest` finds the
first instant at which a job fits and stays fitting for its time limit; the cycle then lets other jobs start
only where they are through by then or use what is left over (`Field.add_layer`).

One planned start is EASY backfilling: Lifka, "The ANL/IBM SP scheduling system", JSSPP 1995; Mu'alem and
Feitelson, IEEE TPDS 12(6), 2001, whose shadow time and extra nodes are here an instant and a matrix, since
nodes differ and jobs need more than nodes. More planned starts go toward conservative backfilling.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.board import EXCLUSIVE, SLOTS
from packhorse.scheduler.core.packing.field import Field, Pairs
from packhorse.scheduler.core.packing.fit import fitting, gang_shares
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.core.running_columns import NEVER, Releases
from packhorse.scheduler.model.ids import Instant

Taken = Sequence[tuple[int, Pairs]]
"""Positions on the board, and the amounts taken there."""


class Planned(NamedTuple):
    """A job that will start then, for as long as its time limit, on these nodes."""

    start: Instant
    end: int
    taken: Taken


class Begun(NamedTuple):
    """Jobs that start in this pass: n equal ones, expected to end then."""

    end: int
    taken: Taken
    n: int


class Timeline:
    """See the module. The field is what is free now, after everything in `begun`."""

    def __init__(self, field: Field, releases: Releases, begun: list[Begun], now: Instant) -> None:
        """begun: jobs that were started in this pass; more of them follow by `begin`."""
        self.field = field
        self.now = now
        position = field.board.position_of_row[releases.row]
        end = np.maximum(releases.end, now + 1)  # what is overdue ends any moment, but has not yet
        self._end = end
        self._position = position
        self._amounts = releases.amounts
        self.planned: list[Planned] = []
        self._new: list[Begun] = []
        self._steps: list[tuple[int, np.ndarray]] = []
        for item in begun:
            self.begin(item)

    def begin(self, begun: Begun) -> None:
        """More jobs started now; the field says so already."""
        self._new.append(begun)

    def earliest(self, request: Request, duration_us: int) -> Planned | None:
        """The first time the job fits for its whole duration, and where; None if it never does.

        It is not tried now: the caller has seen that it does not fit.
        """
        self._merge_new()
        times = self._candidates()
        cuts = sorted({t for p in self.planned for t in (p.start, p.start - duration_us + 1)})
        low = 0
        for cut in [*cuts, NEVER + 1]:
            # Between two cuts the job overlaps the same planned starts, and what is free only grows.
            high = bisect_left(times, cut, low)
            if high > low:
                found = self._first_in(times, low, high, request, duration_us)
                if found is not None:
                    return found
                low = high
        return None

    def plan(self, planned: Planned) -> None:
        """Keeps the planned start; the field's layers know of it from now on."""
        field = self.field
        if any(p == (SLOTS, EXCLUSIVE) for _, pairs in planned.taken for p in pairs):
            field.share_with_nobody()
        for layer in field.layers:
            if planned.start <= layer.start < planned.end:
                self._subtract(layer.free, planned.taken)
        self.planned.append(planned)
        field.add_layer(planned.start, self._free_at(planned.start))

    # -- inside ------------------------------------------------------------------------------------------

    def _merge_new(self) -> None:
        """Jobs begun since the last look become releases."""
        if not self._new:
            self._steps = []
            return
        ends: list[int] = []
        positions: list[int] = []
        entries: list[int] = []
        resources: list[int] = []
        amounts: list[int] = []
        for end, taken, n in self._new:
            for position, pairs in taken:
                for resource, amount in pairs:
                    entries.append(len(ends))
                    resources.append(resource)
                    amounts.append(amount * n)
                ends.append(end)
                positions.append(position)
        added = np.zeros((self.field.free.shape[0], len(ends)), dtype=np.int64)
        np.add.at(added, (np.array(resources), np.array(entries)), np.array(amounts))
        self._new = []
        end_all = np.concatenate([self._end, np.array(ends, dtype=np.int64)])
        order = np.argsort(end_all, kind="stable")
        self._end = end_all[order]
        self._position = np.concatenate([self._position, np.array(positions, dtype=np.intp)])[order]
        self._amounts = np.concatenate([self._amounts, added], axis=1)[:, order]
        self._steps = []

    def _candidates(self) -> list[int]:
        """Instants at which something becomes free, ascending."""
        end = self._end
        if end.size == 0:
            times: list[int] = []
        else:
            last = np.empty(end.size, dtype=np.bool_)
            last[-1] = True
            np.not_equal(end[1:], end[:-1], out=last[:-1])
            times = end[last].tolist()
        if self.planned:
            times = sorted({*times, *(p.end for p in self.planned if p.end < NEVER)})
        return times

    def _first_in(
        self, times: list[int], low: int, high: int, request: Request, duration_us: int
    ) -> Planned | None:
        """Binary search: feasibility is monotone within times[low:high]."""
        taken = self._try(times[high - 1], request, duration_us)
        if taken is None:
            return None
        best, best_taken = high - 1, taken
        while low < best:
            middle = (low + best) // 2
            taken = self._try(times[middle], request, duration_us)
            if taken is None:
                low = middle + 1
            else:
                best, best_taken = middle, taken
        start = Instant(times[best])
        return Planned(start, start + duration_us, best_taken)

    def _try(self, start: int, request: Request, duration_us: int) -> Taken | None:
        """Where the job would go at that time, or None."""
        room = self._free_at(start)
        for p in self.planned:
            if start < p.start < start + duration_us:
                room = self.field.both(room, self._free_at(p.start))
        return find(self.field, request, room)

    def _free_at(self, at: int) -> np.ndarray:
        """What is free then: releases up to then added, planned jobs that run then taken off."""
        free = self._released(int(np.searchsorted(self._end, at, side="right")))
        running = [p for p in self.planned if p.start <= at < p.end]
        if running:
            free = free.copy()
            for p in running:
                self._subtract(free, p.taken)
        return free

    def _released(self, n: int) -> np.ndarray:
        """Free now plus the first n releases, never above what the nodes offer. Shared: not to be changed."""
        base = 0
        free: np.ndarray | None = None
        for done, kept in self._steps:
            if base <= done <= n:
                base, free = done, kept
        if free is not None and base == n:
            return _least(free, self.field.offered)
        free = self.field.free.copy() if free is None else free.copy()
        position = self._position[base:n]
        amounts = self._amounts[:, base:n]
        if n - base <= 4:
            for i in range(n - base):
                if position[i] >= 0:
                    free[:, position[i]] += amounts[:, i]
        else:
            known = position >= 0
            if not known.all():
                position, amounts = position[known], amounts[:, known]
            for row, column in zip(free, amounts, strict=True):
                np.add.at(row, position, column)
        if self.field.board.n_slots and n > base:
            touched = np.unique(self._position[base:n])
            touched = touched[touched >= 0]
            for (
                column
            ) in self.field.board.slot_list:  # a device that has died does not come back by a release
                free[column, touched] = np.minimum(free[column, touched], self.field.offered[column, touched])
            self.field.board.settle(free, touched, self.field.slices_of)
        self._steps.append((n, free))
        return _least(free, self.field.offered)

    def _subtract(self, free: np.ndarray, taken: Taken) -> None:
        field = self.field
        for position, pairs in taken:
            for resource, amount in pairs:
                free[resource, position] -= amount
            if field.board.n_slots:
                field.board.settle_one(free[:, position], position, field.slices_of(position))


def find(field: Field, request: Request, room: np.ndarray) -> Taken | None:
    """Where the job would go with this much free, best fit, or None. Nothing is taken, no device chosen."""
    shape = request.shape
    score = field.board.tightness @ room + field.board.weight_score
    if request.whole is not None:
        candidates = np.flatnonzero(fitting(field, request, request.whole, room))
        if candidates.size:
            position = int(candidates[np.argmin(score[candidates])])
            return [(position, field.cost(shape, position, shape.tasks, True, room)[0])]
    if shape.multi:
        shares = gang_shares(field, request, room, score)
        if shares is not None:
            return [(p, field.cost(shape, p, tasks, False, room, devices)[0]) for p, tasks, devices in shares]
    return None


def _least(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    out: np.ndarray = np.minimum(a, b)
    return out
