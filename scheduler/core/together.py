"""Gangs in one pass: all members of a ready gang start now, or none of them does.

A gang is looked at where the first of its members stands in the order; the others are passed over until then.
Members are placed one after the other, the largest first, each by the rules for any job (policy, planned
starts, limits, licences, reservations), and given back if one of them finds no place. Where a policy's choice
leaves no room for all, best fit has a second try.

A gang that does not fit is one next one of the queue of its first member. Its members get planned starts at
one common instant: each is planned not before the latest of those before it, and all anew from there, until
they agree. So nobody behind it delays it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.backfill import Planned, find
from packhorse.scheduler.core.packing.guided import place_at
from packhorse.scheduler.core.packing.request import Batch
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.running_columns import NEVER
from packhorse.scheduler.model.ids import UNKNOWN, Instant, JobId

if TYPE_CHECKING:
    from packhorse.scheduler.core.cycle import Cycle

_MOST_TRIES: Final = 64
"""Common instants that are tried one after the other; after that only the one at which all else has ended."""


class Row(NamedTuple):
    """A member. place: in the order. size: what it takes, to sort by."""

    id: JobId
    place: int
    slot: int
    code: int
    duration: int
    size: int


class _Placed(NamedTuple):
    """A member that has found a place, running past the first j planned starts."""

    row: Row
    batch: Batch
    j: int


class Together:
    """The gangs of one pass, of those that are in the order as a whole (core/why/prefix.py looks at a part of
    it). ids: of all members in the order. firsts: members by the id of the first in order, of gangs that may
    start."""

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle
        self.firsts: dict[int, list[Row]] = {}
        known, state = cycle.pending.id[cycle.order], cycle.state
        gangs = [list(state.gangs.by_key[key].members) for key in state.gangs.ready]
        places = np.flatnonzero(np.isin(known, [id for ids in gangs for id in ids]))
        place_of = dict(zip(known[places].tolist(), places.tolist(), strict=True))
        self.ids = frozenset(place_of)
        self.rows = [self._rows(ids, place_of) for ids in gangs if place_of.keys() >= set(ids)]
        mine = np.array([row.place for rows in self.rows for row in rows], dtype=np.intp)
        self.untold = mine[cycle.codes[mine] == 0]
        cycle.codes[places[cycle.codes[places] == 0]] = Reason.PRIORITY.code  # nothing starts them one by one

    def mask(self) -> np.ndarray:
        """Which rows are members, by place `[n]`: others look for room for them one by one."""
        return np.isin(self.cycle.pending.id[self.cycle.order], sorted(self.ids))

    def show(self) -> None:
        """The pass looks at what keeps each row from starting, whatever is free."""
        self.cycle.codes[self.untold] = 0

    def hide(self) -> None:
        """That is known: of gangs that may start only the first member is left to be looked at."""
        codes = self.cycle.codes
        for rows in self.rows:
            places = [row.place for row in rows]
            if codes[places].any():
                some = [place for place in places if not codes[place]]
                codes[some] = Reason.GANG_INCOMPLETE.code
                continue
            first = min(rows, key=lambda row: row.place)
            codes[[place for place in places if place != first.place]] = Reason.PRIORITY.code
            self.firsts[first.id] = rows

    def serve(self, place: int, id: int, queue: int) -> None:
        """All members start, or all have a reason. place: where the first of them stands by now."""
        rows = [row._replace(place=place) if row.id == id else row for row in self.firsts[id]]
        cycle = self.cycle
        cycle.state.looking_at = ([row.id for row in rows], 0, len(rows))
        why = self._start(rows, place)
        if why is Reason.RESOURCES:
            self._next(rows, place, queue)
        elif why is not None:
            cycle.codes[[row.place for row in rows]] = why.code

    # -- starting ----------------------------------------------------------------------------------------

    def _start(self, rows: list[Row], place: int) -> Reason | None:
        """None if all have begun, else what they wait for."""
        cycle = self.cycle
        if cycle.turns is not None and not all(cycle.turns.most(row.place) for row in rows):
            return Reason.RESOURCES  # it would leave too little room
        if not self._licensed(rows):
            return Reason.LICENSES
        found = self._place_all(rows, tight=False)
        if found is Reason.RESOURCES and cycle.field.scorer is not None:
            found = self._place_all(rows, tight=True)
        if isinstance(found, Reason):
            return found
        for row, batch, _ in found:
            partition = int(cycle.pending.partition[row.slot])
            cycle._hand_out([batch], 0, 1, [row.id], [1], [-1], [row.duration], [partition], row.code)
            if row.code in cycle.pending.licensed:
                cycle._pass_over_unlicensed(cycle._take_licenses(row.code, 1), place + 1)
        cycle.left = max(cycle.left, 0)  # a gang larger than what is left of a pass starts all the same
        return None

    def _place_all(self, rows: list[Row], tight: bool) -> list[_Placed] | Reason:
        """Places for all, or gives back what was taken. tight: by best fit, whatever the policy."""
        cycle, placed = self.cycle, list[_Placed]()
        saved = cycle.quota.room.copy() if cycle.quota is not None else []
        for row in rows:
            one = self._place_one(row, tight)
            if isinstance(one, Reason):
                self._give_back(placed, saved)
                return one
            placed.append(one)
        return placed

    def _place_one(self, row: Row, tight: bool) -> _Placed | Reason:
        cycle = self.cycle
        if not cycle._room_under_limits(row.slot, row.place, row.code):
            assert cycle.quota is not None
            return cycle.quota.reason
        j = cycle.field.layer_of(cycle.now + row.duration)
        batches = self._tightly(row, j) if tight else cycle._place(row.code, row.duration, 1, j)
        if not batches:
            return Reason.RESOURCES
        kept, fit = cycle._take_quota(row.slot, row.code, batches, j)
        if not fit:
            assert cycle.quota is not None
            return cycle.quota.reason
        return _Placed(row, kept[0], j)

    def _tightly(self, row: Row, j: int) -> list[Batch]:
        """A place by best fit, as planned starts are found."""
        cycle, field = self.cycle, self.cycle.field
        if cycle.reserved is not None and cycle.reserved.beside(row.code):
            return cycle._place(row.code, row.duration, 1, j)
        request = cycle._request(row.code, row.duration)
        taken = find(field, request, field.room(j), np.flatnonzero(field.up))
        if taken is None:
            return []
        batch = place_at(field, request, [position for position, _ in taken], -1, j)
        return [batch] if batch is not None else []

    def _give_back(self, placed: Sequence[_Placed], saved: list[int]) -> None:
        """These do not start after all."""
        cycle = self.cycle
        for row, batch, j in reversed(placed):
            if cycle.reserved is not None and cycle.reserved.beside(row.code):
                cycle.reserved.give_back(row.code, "", [batch], j)
                cycle._note_claims()
                continue
            for position, pairs in batch.parts.taken:
                cycle.field.give_back(position, pairs, 1, j)
        if cycle.quota is not None:
            cycle.quota.room[: len(saved)] = saved

    def _licensed(self, rows: list[Row]) -> bool:
        """Whether there are licences for all."""
        cycle, wanted = self.cycle, Counter[str]()
        licensed = [row for row in rows if row.code in cycle.pending.licensed]
        for row in licensed:
            wanted.update(dict(cycle.pending.licensed[row.code]))
        if not wanted:
            return True
        summed = tuple(sorted(wanted.items()))
        if not cycle.supply.suffices(summed):
            return False
        longest = max(row.duration for row in licensed)
        return cycle.reserved is None or all(
            cycle.reserved.licensed_together(summed, row.code, longest) for row in licensed
        )

    # -- planning ----------------------------------------------------------------------------------------

    def _next(self, rows: list[Row], place: int, queue: int) -> None:
        """The gang waits for resources, and gets a plan if it is one of the next of its queue. One that
        only a window keeps from starting is not, as in Cycle._next_of."""
        cycle = self.cycle
        why = self._kept_out(rows) if not cycle.backfill.nobody else None
        left = cycle.kept_out_left if why is not None else cycle.heads_left
        if not left[queue]:
            cycle.codes[[row.place for row in rows]] = (why or Reason.PRIORITY).code
            return
        cycle.codes[[row.place for row in rows]] = (why or Reason.RESOURCES).code
        left[queue] -= 1
        last = not left[queue] and why is None
        if last:
            cycle.open[queue] = False
            cycle.n_open -= 1
        planned = self._plan(rows) if cycle.config.backfill_depth else []
        if last:
            cycle._admit(queue, place + 1, planned[0] if planned else None)

    def _kept_out(self, rows: list[Row]) -> Reason | None:
        """The reason of the first that could start now if nothing was reserved."""
        reserved = self.cycle.reserved
        found = (reserved.kept_out(row.code, row.duration) for row in rows) if reserved is not None else ()
        return next((why for why in found if why is not None), None)

    def _plan(self, rows: list[Row]) -> list[Planned]:
        """Keeps the common planned start; empty if there is none."""
        cycle = self.cycle
        found = self._common(rows)
        for row, planned in zip(rows, found, strict=False):
            cycle._timeline().plan(planned)
            cycle.plans[row.id] = planned
            if planned.start < NEVER:
                cycle.planned[row.id] = planned.start
        return found

    def _common(self, rows: list[Row]) -> list[Planned]:
        """Starts of all at the first instant that they agree on; empty if they never do."""
        timeline, at = self.cycle._timeline(), UNKNOWN
        for row in rows:
            at = max(at, self.cycle._room_at(row.place))
        for n in range(_MOST_TRIES + 1):
            if n == _MOST_TRIES:
                at = max(at, timeline.last())
            found: list[Planned] = []
            for one in self._from(rows, at):
                if one is None:
                    timeline.drop(len(found))
                    return []
                at = max(at, one.start)
                if found and one.start > found[0].start:
                    break
                timeline.suppose(one)
                found.append(one)
            timeline.drop(len(found))
            if len(found) == len(rows):
                return found
        return []

    def _from(self, rows: list[Row], at: Instant) -> Iterator[Planned | None]:
        """The first start of each, not before that of the first of them."""
        for row in rows:
            one = self.cycle._earliest(row.code, row.duration, at)
            at = max(at, one.start) if one is not None else at
            yield one

    def _rows(self, ids: Sequence[JobId], place_of: dict[int, int]) -> list[Row]:
        """The members, the largest first."""
        cycle, board = self.cycle, self.cycle.field.board
        rows = []
        for id in ids:
            place = place_of[id]
            code = int(cycle.classes[place])
            found = cycle.pending.classes[code]
            assert found is not None
            size = int(board.tightness @ cycle.demands.least[:, code]) * max(found.shape.lo, 1)
            rows.append(Row(id, place, int(cycle.order[place]), code, int(cycle.durations[place]), size))
        return sorted(rows, key=lambda row: (-row.size, row.place))
