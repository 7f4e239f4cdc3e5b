"""What becomes free when, as running jobs come to their time limits.

`free_at` is the sum of all releases up to a time. `bound` says before which time a job cannot start: every
node has a sequence of releases, and by running sums over all sequences at once the first is found after which
a node has enough. For a job on one node that mostly is the time, and one look confirms it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.board import EXCLUSIVE, SLOTS
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.fit import fitting
from packhorse.scheduler.core.packing.request import Pairs, Request
from packhorse.scheduler.core.packing.slots import Whole
from packhorse.scheduler.core.running_columns import NEVER, Releases
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.resources import WHOLE

Taken = Sequence[tuple[int, Pairs]]
"""Positions on the board, and the amounts taken there."""

_TOO_LATE: Final = NEVER + 1


class Begun(NamedTuple):
    """Jobs that start in this pass: n equal ones, expected to end then."""

    end: int
    taken: Taken
    n: int


class Growth:
    """See the module. Entries are releases: those of running jobs, then those of jobs begun in this pass."""

    def __init__(self, field: Field, releases: Releases, begun: list[Begun], now: Instant) -> None:
        """The field is what is free after everything in `begun`; more of them follow by `add`."""
        self._field = field
        self._now = now
        position = field.board.position_of_row[releases.row]
        known = np.flatnonzero(position >= 0)
        self._table = releases.table
        self._begun = np.zeros((field.free.shape[0], 0), dtype=np.int64)
        self._end = np.maximum(releases.end[known], now + 1)  # what is overdue ends any moment
        self._position = position[known]
        self._at = releases.at[known]  # columns of the amounts, see _amounts
        self.add(begun)
        self._all = Sequences(field, self._end, self._position, self._at)

    def add(self, begun: list[Begun]) -> None:
        """These began since, and the field says so."""
        if not begun:
            return
        ends: list[int] = []
        positions: list[int] = []
        entries: list[int] = []
        resources: list[int] = []
        amounts: list[int] = []
        for end, taken, n in begun:
            for position, pairs in taken:
                for resource, amount in pairs:
                    entries.append(len(ends))
                    resources.append(resource)
                    amounts.append(amount * n)
                ends.append(end)
                positions.append(position)
        added = np.zeros((self._begun.shape[0], len(ends)), dtype=np.int64)
        np.add.at(added, (np.array(resources), np.array(entries)), np.array(amounts))
        at = self._table.shape[1] + self._begun.shape[1] + np.arange(len(ends))
        self._begun = np.concatenate([self._begun, added], axis=1)
        self._end = np.concatenate([self._end, np.array(ends, dtype=np.int64)])
        self._position = np.concatenate([self._position, np.array(positions, dtype=np.intp)])
        self._at = np.concatenate([self._at, at])

    def _amounts(self, resource: int) -> np.ndarray:
        """What is released: of running jobs in the order of their table, of begun ones behind them."""
        begun = self._begun[resource]
        return np.concatenate([self._table[resource], begun]) if begun.size else self._table[resource]

    def times(self) -> np.ndarray:
        """Instants at which something becomes free, ascending."""
        end = np.sort(self._end, kind="stable")
        fresh = np.ones(end.size, dtype=np.bool_)
        np.not_equal(end[1:], end[:-1], out=fresh[1:])
        return end[fresh]

    def free_at(self, at: int) -> np.ndarray:
        """What is free then `[n_resources, n_nodes]`, never above what the nodes offer. A copy."""
        field, board = self._field, self._field.board
        free = field.free.copy()
        over = np.flatnonzero(self._end <= at)
        position, over = self._position[over], self._at[over]
        for resource in range(free.shape[0]):
            if not board.counts_slots(resource):
                amounts = self._amounts(resource)[over]
                if amounts.any():
                    free[resource] += np.bincount(position, amounts, board.n).astype(np.int64)
        if board.n_slots:
            touched = np.zeros(board.n, dtype=np.bool_)
            touched[position] = True
            some = np.flatnonzero(touched & board.has_slots)
            for column in board.slot_list:  # a device that has died does not come back by a release
                free[column, some] = np.minimum(free[column, some], field.offered[column, some])
            board.settle(free, some, field.slices_of)
        least: np.ndarray = np.minimum(free, field.offered, out=free)
        return least

    # -- bounds ------------------------------------------------------------------------------------------

    def bound(self, request: Request) -> int:
        """A time before which the job does not start, whatever is planned; above NEVER if it never does."""
        field, shape, first = self._field, request.shape, _TOO_LATE
        if request.whole is not None:
            want = request.want
            if fitting(field, request, request.whole, field.free).any():
                return self._now
            n_devices = want.n_devices if (want.milli == WHOLE or want.shares) else 0
            times = self._per_node(request.alone, request.whole, request.need, n_devices)
            first = int(times.min(initial=first))
        if shape.multi and first > self._now:
            first = min(first, self._several(request))
        return first

    def _several(self, request: Request) -> int:
        """The same for a job on several nodes: as many as it needs must be able to hold a task."""
        field, shape = self._field, request.shape
        board = field.board
        needs = shape.needs(1, False, field.column_of)
        if needs is None or shape.lo > board.n:
            return _TOO_LATE
        pairs = [(r, n) for r, n in enumerate(needs) if n]
        allowed = np.logical_or.reduce(request.together)
        wanted = shape.located(1, shape.devices(1, False)) if board.n_slots else []
        need, n_devices = request.need, 0
        if len(wanted) == 1 and isinstance(wanted[0], Whole):
            n_devices = wanted[0].n
            need = np.where(board.may_use(wanted[0].kind, wanted[0].type), WHOLE, WHOLE + 1)
        times = self._per_node(allowed, pairs, need, n_devices)
        return int(np.partition(times, shape.lo - 1)[shape.lo - 1])

    def _per_node(self, allowed: np.ndarray, pairs: Pairs, need: np.ndarray, n_devices: int) -> np.ndarray:
        """When each node first has these amounts and devices `[n_nodes]`; `_TOO_LATE`: never."""
        field, board = self._field, self._field.board
        usable = field.usable(allowed)
        sums = [
            (resource, amount)
            for resource, amount in pairs
            if not board.counts_slots(resource)
            and (resource != SLOTS or amount == EXCLUSIVE or field.slots_matter)
        ]
        now = usable.copy()
        for resource, amount in sums:
            now &= field.free[resource] >= amount
        if n_devices:
            now &= (field.free[board.slot_columns] >= need).sum(axis=0) >= n_devices
            usable = usable & ((need <= WHOLE).sum(axis=0) >= n_devices)
        times = self._all.first(self._amounts, usable, sums, need, n_devices)
        if self._all.n_changes < len(field.changes):
            # Where something was taken meanwhile, the sequences are made again.
            touched = np.zeros(board.n, dtype=np.bool_)
            touched[field.changes[self._all.n_changes :]] = True
            some = np.flatnonzero(touched[self._position])
            again = Sequences(field, self._end[some], self._position[some], self._at[some])
            found = again.first(self._amounts, usable, sums, need, n_devices)
            times = np.where(touched, found, times)
        times[now] = self._now
        return times


class Sequences:
    """The releases of every node one after the other, by end."""

    def __init__(self, field: Field, end: np.ndarray, position: np.ndarray, at: np.ndarray) -> None:
        """at: where amounts are found, see `first`."""
        order = np.argsort(end, kind="stable")
        kind = np.uint16 if field.n < 1 << 16 else np.int64  # 16 bits are sorted in one sweep
        order = order[np.argsort(position[order].astype(kind), kind="stable")]
        self._board = field.board
        self._end, self._at = end[order], at[order]
        self._position = position = position[order]
        self._begins = np.ones(position.size, dtype=np.bool_)
        np.not_equal(position[1:], position[:-1], out=self._begins[1:])
        self._start = np.flatnonzero(self._begins)
        self._length = np.diff(np.append(self._start, position.size))
        self._free = field.free[:, position[self._start]]
        self._sums: dict[int, np.ndarray] = {}
        self.n_changes = len(field.changes)

    def first(
        self,
        amounts: Callable[[int], np.ndarray],
        usable: np.ndarray,
        sums: Pairs,
        need: np.ndarray,
        n_devices: int,
    ) -> np.ndarray:
        """The end after which each usable node first has these amounts, and so many slots with what they need
        (`[n_slots, n_nodes]`); `_TOO_LATE`: never. amounts: of a resource, by `at`."""
        position = self._position
        ok: np.ndarray = usable[position]
        for resource, amount in sums:
            ok &= self._sum(amounts, resource) >= amount
        found = np.flatnonzero(ok)
        if n_devices:
            at = position[found]
            free = np.zeros(found.size, dtype=np.int64)
            for slot, column in enumerate(self._board.slot_list):
                free += self._sum(amounts, column)[found] >= need[slot, at]
            found = found[free >= n_devices]
        position = position[found]
        fresh = np.ones(found.size, dtype=np.bool_)
        np.not_equal(position[1:], position[:-1], out=fresh[1:])
        times = np.full(self._board.n, _TOO_LATE, dtype=np.int64)
        times[position[fresh]] = self._end[found[fresh]]
        return times

    def _sum(self, amounts: Callable[[int], np.ndarray], resource: int) -> np.ndarray:
        """Free on the entry's node once it and all before it there are released."""
        found = self._sums.get(resource)
        if found is None:
            found = amounts(resource).take(self._at).cumsum()
            start = self._start
            before = np.zeros(start.size, dtype=np.int64)
            before[1:] = found[start[1:] - 1]
            found += np.repeat(self._free[resource] - before, self._length)
            self._sums[resource] = found
        return found
