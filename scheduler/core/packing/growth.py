"""What becomes free when, as running jobs come to their time limits.

`free_at` is the sum of all releases up to a time. `bound` says before which time a job cannot start: every
node has a sequence of releases, and by running sums over all sequences at once the first is found after which
a node has enough. For a job on one node that mostly is the time, and one look confirms it. The first releases
mostly are enough, so that it begins with few of them and goes on to ever more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.board import CPU, EXCLUSIVE, SLOTS
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.request import Pairs, Request
from packhorse.scheduler.core.packing.slots import Whole
from packhorse.scheduler.core.running_columns import NEVER, Releases
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.resources import WHOLE

Taken = Sequence[tuple[int, Pairs]]
"""Positions on the board, and the amounts taken there."""

_TOO_LATE: Final = NEVER + 1

_FIRST: Final = 2048
"""Releases that a search begins with; eight times as many in every further step."""


AmountsOf = Callable[[int, np.ndarray], np.ndarray]
"""What entries release of a resource."""


class Begun(NamedTuple):
    """Jobs that start in this pass: n equal ones, expected to end then."""

    end: int
    taken: Taken
    n: int


class Columns:
    """A matrix `[n_resources, n_nodes]` of which few columns are in use at a time, the others 0. Made once:
    fresh memory costs more than all that is written to it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._matrix = np.zeros(shape, dtype=np.int64)
        self._used = np.zeros(0, dtype=np.intp)

    def use(self, positions: np.ndarray) -> np.ndarray:
        """The matrix for these columns; what it held before is gone."""
        self._matrix[:, self._used] = 0
        self._used = positions
        return self._matrix


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
        self._n_running = known.size  # these come first, by end
        self._starts: np.ndarray | None = None
        self._by_node = np.zeros(0, dtype=np.intp)
        self._times: np.ndarray | None = None
        self._sequences: dict[int, Sequences] = {}
        self._searches: list[_Search] = []
        self.add(begun)

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
        where = np.array(resources, dtype=np.intp), np.array(entries, dtype=np.intp)
        np.add.at(added, where, np.array(amounts, dtype=np.int64))
        at = self._table.shape[1] + self._begun.shape[1] + np.arange(len(ends))
        self._begun = np.concatenate([self._begun, added], axis=1)
        self._end = np.concatenate([self._end, np.array(ends, dtype=np.int64)])
        self._position = np.concatenate([self._position, np.array(positions, dtype=np.intp)])
        self._at = np.concatenate([self._at, at])
        self._times = None

    def _amounts(self, resource: int, at: np.ndarray) -> np.ndarray:
        """What these entries release: columns of the table of running jobs, those of begun ones behind it."""
        begun, n = self._begun[resource], self._table.shape[1]
        found: np.ndarray = self._table[resource].take(at, mode="clip")
        if begun.size:
            late = np.flatnonzero(at >= n)
            found[late] = begun[at[late] - n]
        return found

    def times(self) -> np.ndarray:
        """Instants at which something becomes free, ascending."""
        if self._times is None:
            end = self._end
            if end.size > self._n_running:
                end = np.sort(end, kind="stable")
            fresh = np.ones(end.size, dtype=np.bool_)
            np.not_equal(end[1:], end[:-1], out=fresh[1:])
            self._times = end[fresh]
        return self._times

    def _on(self, positions: np.ndarray) -> np.ndarray:
        """The releases on these nodes, and perhaps others: all those of jobs begun in this pass."""
        n = self._n_running
        begun = np.arange(n, self._end.size)
        if positions.size * 8 > self._field.n:
            return np.arange(self._end.size)
        if self._starts is None:
            self._by_node, self._starts = _grouped(self._position[:n], self._field.n)
        starts = self._starts
        parts = [self._by_node[starts[p] : starts[p + 1]] for p in positions.tolist()]
        return np.concatenate([*parts, begun])

    @property
    def n(self) -> int:
        """Releases so far."""
        return int(self._end.size)

    def free_at(self, at: int, positions: np.ndarray, out: Columns, since: int | None = None) -> np.ndarray:
        """What is free then on these nodes, never above what they offer, nothing on all others; in the
        matrix of `out`. positions: ascending. since: jobs without an end that began with this release or
        later run on, even at NEVER."""
        field, board = self._field, self._field.board
        free = out.use(positions)
        free[:, positions] = field.free[:, positions]
        over = self._on(positions)
        over = over[self._end[over] <= at]
        if since is not None and at >= NEVER:
            over = over[(self._end[over] < NEVER) | (over < since)]
        on = self._position[over]
        place = _places(positions, on, field.n)
        known = np.flatnonzero(place >= 0)
        place, over = place[known], self._at[over[known]]
        amounts = self._table.take(over, axis=1, mode="clip")
        if self._begun.size:
            late = np.flatnonzero(over >= self._table.shape[1])
            amounts[:, late] = self._begun[:, over[late] - self._table.shape[1]]
        for resource in np.flatnonzero(amounts.any(axis=1)).tolist():
            if not board.counts_slots(resource):
                more = np.bincount(place, amounts[resource], positions.size)
                free[resource, positions] += more.astype(np.int64)
        some = positions[board.has_slots[positions]]
        if some.size:
            for column in board.slot_list:  # a device that has died does not come back by a release
                free[column, some] = np.minimum(free[column, some], field.offered[column, some])
            board.settle(free, some, field.slices_of)
        free[:, positions] = np.minimum(free[:, positions], field.offered[:, positions])
        return free

    def take_surplus(self, at: int, position: int, needed: Pairs, free: np.ndarray) -> None:
        """Takes from `free` (`[n_resources]`, without what is needed) all that is released there at that very
        time and not needed: releases of least CPU first."""
        here = self._on(np.array([position], dtype=np.intp))
        here = here[(self._position[here] == position) & (self._end[here] == at)]
        order = np.argsort(self._amounts(CPU, self._at[here]), kind="stable")
        surplus = {r: int(free[r]) for r, _ in needed if not self._field.board.counts_slots(r)}
        for entry in here[order[::-1]].tolist():
            at_ = self._at[[entry]]
            amounts = {r: int(self._amounts(r, at_)[0]) for r in surplus}
            if any(surplus[r] < amounts[r] for r in surplus):
                return
            for resource, amount in amounts.items():
                surplus[resource] -= amount
                free[resource] -= amount

    # -- bounds ------------------------------------------------------------------------------------------

    def bound(self, request: Request) -> int:
        """A time before which the job does not start, whatever is planned; above NEVER if it never does."""
        shape = request.shape
        self._searches = []
        if request.whole is not None:
            want = request.want
            n_devices = want.n_devices if (want.milli == WHOLE or want.shares) else 0
            self._searches.append(_Search(1, request.alone, request.whole, request.need, n_devices))
        several = self._several(request) if shape.multi else None
        if several is not None:
            self._searches.append(several)
        for search in self._searches:
            self._search(search, self._now)
        return min((search.first for search in self._searches), default=_TOO_LATE)

    def able(self, at: int) -> np.ndarray:
        """Nodes that could hold the job then, or part of it: the one `bound` was last asked for. Positions,
        ascending; more than that may be among them."""
        able = np.zeros(self._field.n, dtype=np.bool_)
        for search in self._searches:
            self._search(search, at)
            able |= search.times <= at
        return np.flatnonzero(able)

    def _several(self, request: Request) -> _Search | None:
        """For a job on several nodes: so many must be able to hold a task. None: they never are."""
        field, shape = self._field, request.shape
        board = field.board
        needs = shape.needs(1, False, field.column_of)
        if needs is None or shape.lo > board.n:
            return None
        pairs = [(r, n) for r, n in enumerate(needs) if n]
        allowed: np.ndarray = np.logical_or.reduce(request.together)
        wanted = shape.located(1, shape.devices(1, False)) if board.n_slots else []
        need, n_devices = request.need, 0
        if len(wanted) == 1 and isinstance(wanted[0], Whole):
            n_devices = wanted[0].n
            need = np.where(board.may_use(wanted[0].kind, wanted[0].type), WHOLE, WHOLE + 1)
        return _Search(shape.lo, allowed, pairs, need, n_devices)

    def _search(self, search: _Search, at: int) -> None:
        """Goes on until it knows when enough nodes can, and which can up to that time; `at` at least."""
        n = max(self._n_running, 1)
        while search.seen < n and (search.first > search.until or at > search.until):
            search.seen = min(n, search.seen * 8 if search.seen else _FIRST)
            self._per_node(search)

    def _per_node(self, search: _Search) -> None:
        """When each node first has what is searched for, by the first releases."""
        field, board, need, n_devices = self._field, self._field.board, search.need, search.n_devices
        usable = field.usable(search.allowed)
        sums = [
            (resource, amount)
            for resource, amount in search.pairs
            if not board.counts_slots(resource)
            and (resource != SLOTS or amount == EXCLUSIVE or field.slots_matter)
        ]
        sequences = self._first_releases(search.seen)
        times = sequences.first(self._amounts, usable, sums, need, n_devices)
        if sequences.n_changes < field.n_changes:
            # Where something was taken meanwhile, the sequences are made again.
            touched = np.zeros(board.n, dtype=np.bool_)
            touched[field.changed(sequences.n_changes)] = True
            some = self._on(np.flatnonzero(touched))
            some = some[touched[self._position[some]] & (self._end[some] <= sequences.until)]
            again = Sequences(field, self._end[some], self._position[some], self._at[some], sequences.until)
            found = again.first(self._amounts, usable, sums, need, n_devices)
            times = np.where(touched, found, times)
        now = usable.copy()
        for resource, amount in sums:
            now &= field.free[resource] >= amount
        able = np.flatnonzero(now)
        if n_devices:
            dev = field.free[board.slot_columns][:, able]
            able = able[(dev >= need[:, able]).sum(axis=0) >= n_devices]
        times[able] = self._now
        search.times, search.until = times, sequences.until
        if search.n <= times.size:
            search.first = int(np.partition(times, search.n - 1)[search.n - 1])

    def _first_releases(self, n: int) -> Sequences:
        """The first n releases, and all that come at the same time as the last of them."""
        found = self._sequences.get(n)
        if found is None:
            end, m = self._end, self._n_running
            until = NEVER if n >= m else int(end[n - 1])
            some = np.arange(m if n >= m else int(np.searchsorted(end[:m], until, side="right")))
            if end.size > m:
                some = np.concatenate([some, m + np.flatnonzero(end[m:] <= until)])
            found = Sequences(self._field, end[some], self._position[some], self._at[some], until)
            self._sequences[n] = found
        return found


class _Search:
    """For n nodes that can hold something; see Growth.bound.

    allowed: nodes that may `[n_nodes]`. pairs: what they need, and need: thousandths of n_devices devices
    `[n_slots, n_nodes]`. seen: how many releases have been looked at, all until then. times: when each node
    first can, `_TOO_LATE` where that is not known or never. first: when n nodes can.
    """

    __slots__ = ("allowed", "first", "n", "n_devices", "need", "pairs", "seen", "times", "until")

    def __init__(self, n: int, allowed: np.ndarray, pairs: Pairs, need: np.ndarray, n_devices: int) -> None:
        self.n = n
        self.allowed = allowed
        self.pairs = pairs
        self.need = need
        self.n_devices = n_devices
        self.seen = 0
        self.until = 0
        self.first: int = _TOO_LATE
        self.times = np.zeros(0, dtype=np.int64)


class Sequences:
    """The releases of every node one after the other, by end: all up to a time."""

    def __init__(
        self, field: Field, end: np.ndarray, position: np.ndarray, at: np.ndarray, until: int
    ) -> None:
        """at: where amounts are found, see `first`."""
        self.until = until
        order = np.argsort(end, kind="stable")
        order = order[_by(position[order], field.n)]
        self._board = field.board
        self._end, self._at = end[order], at[order]
        self._position = position = position[order]
        self._begins = np.ones(position.size, dtype=np.bool_)
        np.not_equal(position[1:], position[:-1], out=self._begins[1:])
        self._start = np.flatnonzero(self._begins)
        self._length = np.diff(np.append(self._start, position.size))
        self._free = field.free[:, position[self._start]]
        self._sums: dict[int, np.ndarray] = {}
        self.n_changes = field.n_changes

    def first(
        self,
        amounts: AmountsOf,
        usable: np.ndarray,
        sums: Pairs,
        need: np.ndarray,
        n_devices: int,
    ) -> np.ndarray:
        """The end after which each usable node first has these amounts, and so many slots with what they need
        (`[n_slots, n_nodes]`); `_TOO_LATE`: not so soon. amounts: of a resource, by `at`."""
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

    def _sum(self, amounts: AmountsOf, resource: int) -> np.ndarray:
        """Free on the entry's node once it and all before it there are released."""
        found = self._sums.get(resource)
        if found is None:
            found = amounts(resource, self._at).cumsum()
            start = self._start
            before = np.zeros(start.size, dtype=np.int64)
            before[1:] = found[start[1:] - 1]
            found += np.repeat(self._free[resource] - before, self._length)
            self._sums[resource] = found
        return found


def _places(positions: np.ndarray, of: np.ndarray, n: int) -> np.ndarray:
    """Where each `of` is among these positions below n, -1 where it is not; positions: ascending."""
    if of.size * 4 < n:
        if not positions.size:
            return np.full(of.size, -1)
        place = np.searchsorted(positions, of)
        return np.where(positions.take(place, mode="clip") == of, place, -1)
    table = np.full(n, -1, dtype=np.intp)
    table[positions] = np.arange(positions.size)
    return np.asarray(table[of])


def _by(position: np.ndarray, n: int) -> np.ndarray:
    """What sorts positions below n, equal ones in order. 16 bits are sorted in one sweep."""
    return np.argsort(position.astype(np.uint16 if n < 1 << 16 else np.int64), kind="stable")


def _grouped(position: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Entries by position below n, and where those of each one start `[n + 1]`."""
    return _by(position, n), np.concatenate([[0], np.bincount(position, minlength=n).cumsum()])
