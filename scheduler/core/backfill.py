"""Planned starts: when a blocked job begins at the latest, if every running job uses its whole time limit.

A `Timeline` holds what is free now, the releases to come and the planned jobs so far. `earliest` finds the
first instant at which a job fits and stays fitting for its time limit; the cycle then lets other jobs start
only where they are through by then or use what is left over (`Field.add_layer`).

One planned start is EASY backfilling: Lifka, "The ANL/IBM SP scheduling system", JSSPP 1995; Mu'alem and
Feitelson, IEEE TPDS 12(6), 2001, whose shadow time and extra nodes are here an instant and a matrix, since
nodes differ and jobs need more than nodes. More planned starts go toward conservative backfilling.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.board import EXCLUSIVE, SLOTS
from packhorse.scheduler.core.packing.field import Field, Layer
from packhorse.scheduler.core.packing.fit import fitting, gang_shares
from packhorse.scheduler.core.packing.growth import Begun, Columns, Growth, Taken
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.request import Pairs, Request
from packhorse.scheduler.core.reservations.picture import View
from packhorse.scheduler.core.running_columns import NEVER, Releases
from packhorse.scheduler.model.ids import UNKNOWN, Instant
from packhorse.scheduler.model.resources import WHOLE


class Planned(NamedTuple):
    """A job that will start then, for as long as its time limit, on these nodes."""

    start: Instant
    end: int
    taken: Taken


class Timeline:
    """See the module. The field is what is free now, after everything in `begun`."""

    def __init__(
        self,
        field: Field,
        releases: Releases,
        begun: list[Begun],
        now: Instant,
        all_surplus: bool = True,
    ) -> None:
        """begun: jobs that were started in this pass; more of them follow by `begin`. all_surplus: see
        core/backfill_kinds.py."""
        self.all_surplus = all_surplus
        self.field = field
        self.now = now
        self.planned: list[Planned] = []
        self._new: list[Begun] = []
        self._growth = Growth(field, releases, begun, now)
        self._room = Columns(field.free.shape)

    def begin(self, begun: Begun) -> None:
        """More jobs started now; the field says so already."""
        self._new.append(begun)

    def earliest(
        self, request: Request, duration_us: int, not_before: Instant = UNKNOWN, view: View | None = None
    ) -> Planned | None:
        """The first time the job fits for its whole duration, and where; None if it never does.

        It is not tried now: the caller has seen that it does not fit, or may not start before some time.
        view: which nodes are open to it when, where some are reserved.
        """
        self._merge_new()
        first = max(self._growth.bound(request), not_before)
        if first > NEVER:
            return None
        times = self._candidates()
        if not_before > self.now:
            times = np.union1d(times, [not_before])
        cuts = {t for p in self.planned for t in (p.start, p.start - duration_us + 1)}
        if view is not None:
            times = np.union1d(times, [end for end in view.ends() if end > self.now])
            cuts.update(view.changes(duration_us))
        low = int(np.searchsorted(times, first))
        for cut in [*sorted(cuts), NEVER + 1]:
            # Between two cuts the job overlaps the same planned starts and the same windows of reservations,
            # and what is free only grows.
            high = max(low, int(np.searchsorted(times, cut)))
            if high > low:
                here = request if view is None else view.at(request, int(times[low]), duration_us)
                found = self._first_in(times, low, high, here, duration_us)
                if found is not None:
                    return found
                low = high
        return None

    def plan(self, planned: Planned) -> None:
        """Keeps the planned start; the field's layers know of it from now on."""
        field = self.field
        self._share_with_nobody(planned)
        for layer in field.layers:
            if planned.start <= layer.start < planned.end:
                self._share(layer, planned)
        self.planned.append(planned)
        layer = field.add_layer(planned.start, self._growth.n)
        # Elsewhere there is no less free than now.
        at = {position for p in self.planned if p.start <= layer.start < p.end for position, _ in p.taken}
        self._see(layer, sorted(at))
        if not self.all_surplus:
            for position, pairs in planned.taken:
                self._growth.take_surplus(layer.start, position, pairs, layer.free[position])
        field.see_layers()

    def suppose(self, planned: Planned) -> None:
        """What is found next leaves room for this one; it holds up nobody until `plan` is called."""
        self._share_with_nobody(planned)
        self.planned.append(planned)

    def drop(self, n: int) -> None:
        """The last so many that were supposed are so no more."""
        del self.planned[len(self.planned) - n :]

    def last(self) -> Instant:
        """When all that runs or is planned is over."""
        times = self._candidates()
        return Instant(int(times[-1])) if times.size else self.now

    # -- inside ------------------------------------------------------------------------------------------

    def _share_with_nobody(self, planned: Planned) -> None:
        if any(p == (SLOTS, EXCLUSIVE) for _, pairs in planned.taken for p in pairs):
            self.field.share_with_nobody()

    def _share(self, layer: Layer, planned: Planned) -> None:
        """The planned job runs past this earlier plan's start as well."""
        self._see(layer, sorted(position for position, _ in planned.taken if position not in layer.free))
        field = self.field
        for position, pairs in planned.taken:
            free = layer.free[position]
            for resource, amount in pairs:
                free[resource] -= amount
            if field.board.n_slots:
                field.board.settle_one(free, position, field.slices_of(position))

    def _see(self, layer: Layer, positions: list[int]) -> None:
        """What is free there at the layer's start goes into it."""
        free = self._free_at(layer.start, np.array(positions, dtype=np.intp), self._room, layer.since)
        layer.free.update((position, free[:, position].copy()) for position in positions)

    def _merge_new(self) -> None:
        """Jobs begun since the last look become releases."""
        self._growth.add(self._new)
        self._new = []

    def _candidates(self) -> np.ndarray:
        """Instants at which something becomes free, ascending."""
        times = self._growth.times()
        more = [p.end for p in self.planned if p.end < NEVER]
        return np.unique(np.concatenate([times, np.array(more, dtype=np.int64)])) if more else times

    def _first_in(
        self, times: np.ndarray, low: int, high: int, request: Request, duration_us: int
    ) -> Planned | None:
        """The first of times[low:high] at which it fits: mostly the very first, else by binary search, since
        within them feasibility is monotone."""
        best, best_taken = low, self._try(int(times[low]), request, duration_us)
        if best_taken is None:
            low, best = low + 1, high - 1
            if low > best:
                return None
            best_taken = self._try(int(times[best]), request, duration_us)
            if best_taken is None:
                return None
        while low < best:
            middle = (low + best) // 2
            taken = self._try(int(times[middle]), request, duration_us)
            if taken is None:
                low = middle + 1
            else:
                best, best_taken = middle, taken
        start = Instant(int(times[best]))
        return Planned(start, start + duration_us, best_taken)

    def _try(self, start: int, request: Request, duration_us: int) -> Taken | None:
        """Where the job would go at that time, or None."""
        field = self.field
        able = self._growth.able(start)
        room = self._free_at(start, able, self._room)
        wanted = set(able.tolist())
        for layer in field.layers:
            if start < layer.start < start + duration_us:
                # Where no planned job runs by then, there is no less free than at the start.
                for position in sorted(wanted & layer.free.keys()):
                    both = field.board.both(room[:, position], layer.free[position])
                    field.board.settle_one(both, position, field.slices_of(position))
                    room[:, position] = both
        return find(field, request, room, able)

    def _free_at(self, at: int, positions: np.ndarray, out: Columns, since: int | None = None) -> np.ndarray:
        """What is free then on these nodes, nothing on others: releases up to then added, planned jobs that
        run then taken off. since: as for Growth.free_at."""
        field = self.field
        free = self._growth.free_at(at, positions, out, since)
        wanted = set(positions.tolist())
        for p in self.planned:
            if not p.start <= at < p.end:
                continue
            for position, pairs in p.taken:
                if position not in wanted:
                    continue
                for resource, amount in pairs:
                    free[resource, position] -= amount
                if field.board.n_slots:
                    field.board.settle_one(free[:, position], position, field.slices_of(position))
        return free


def find(field: Field, request: Request, room: np.ndarray, able: np.ndarray) -> Taken | None:
    """Where the job would go with this much free, best fit, or None. Nothing is taken, no device chosen.

    able: the only nodes to look at, ascending; there is nothing in `room` for others.
    """
    shape, board = request.shape, field.board
    score = board.tightness @ room[:, able] + board.weight_score[able]
    if request.whole is not None:
        fits = np.flatnonzero(fitting(field, request, request.whole, room, at=able))
        if fits.size:
            position = int(able[fits[np.argmin(score[fits])]])
            return [(position, _cost(field, shape, position, shape.tasks, True, room, None))]
    if shape.multi:
        scores = np.zeros(board.n, dtype=np.int64)
        scores[able] = score
        shares = gang_shares(field, request, room, scores)
        if shares is not None:
            return [(p, _cost(field, shape, p, tasks, False, room, devices)) for p, tasks, devices in shares]
    return None


def _cost(
    field: Field,
    shape: Shape,
    position: int,
    tasks: int,
    whole_job: bool,
    room: np.ndarray,
    job_devices: dict[str, int] | None,
) -> Pairs:
    """What the tasks take there, and of chips that are given in aligned blocks the rest of the block: it has
    to be free when the job starts, so nobody may be put on it until then."""
    pairs, _, _ = field.cost(shape, position, tasks, whole_job, room, job_devices)
    if shape.aligned:
        columns = field.board.slot_list
        taken = [columns.index(resource) for resource, _ in pairs if resource in columns]
        pairs += [(columns[slot], WHOLE) for slot in field.board.maps[position].blocks_of(taken)]
    return pairs
