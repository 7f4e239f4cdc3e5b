"""Reservations in one pass: what they let rows of each class do, and what they keep from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from packhorse.scheduler.core.licenses import Wanted
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.greedy import place
from packhorse.scheduler.core.packing.request import Batch, Request
from packhorse.scheduler.core.packing.verdicts import holds
from packhorse.scheduler.core.predictors import LIMIT
from packhorse.scheduler.core.priority import Rules
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.reservations.entitled import may_use
from packhorse.scheduler.core.reservations.inside import Claims
from packhorse.scheduler.core.reservations.licences import Kept
from packhorse.scheduler.core.reservations.picture import FAR, View
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import Instant

NOBODY_ELSE: Final = ""
"""For the view of jobs that name no reservation."""


class Reservations:
    """See the module. Durations are in microseconds, of jobs that would start now.

    claims: CPUs that are set aside, None where none are. aside: classes whose jobs are placed beside them,
    by code. magnetic: names of the reservations that draw jobs in now. n_queues: how many reservations rows
    wait for, each a queue of its own.
    """

    def __init__(
        self, state: State, field: Field, rules: Rules, now: Instant, licenses: Mapping[str, int]
    ) -> None:
        """licenses: how many are free, looked at when asked."""
        self.state, self.field, self.now = state, field, now
        self._rules = rules
        self._pending = pending = state.pending_columns
        self._picture = picture = state.windows.picture(state.reservations, field.board, state.config, now)
        self.claims = Claims(state, field, picture, now) if picture.claims else None
        self._kept = Kept(state, picture.licenses, licenses) if picture.licenses else None
        self.magnetic = [r.name for r in picture.magnetic]
        names = dict.fromkeys(pending.reserved.values())
        self._queue_of = {name: i for i, name in enumerate(names)}
        self.n_queues = len(names)
        self.aside = np.zeros(pending.demands.n, dtype=np.bool_)
        for code in pending.reserved:
            found = picture.view(pending.reserved[code])
            self.aside[code] = found is not None and found.partial
        outsiders = picture.view(NOBODY_ELSE)
        assert outsiders is not None
        self._outsiders = outsiders
        self._why: dict[tuple[int, int], Reason | None] = {}

    # -- rows, before the pass ---------------------------------------------------------------------------

    def queues(self, order: np.ndarray, partitions: np.ndarray, n: int) -> np.ndarray:
        """The queue of each row: its partition, a number below n, or that of its reservation."""
        if not self._pending.reserved:
            return partitions
        of_class = np.full(self._pending.demands.n, -1, dtype=np.int64)
        for code, name in self._pending.reserved.items():
            of_class[code] = n + self._queue_of[name]
        found = of_class[self._pending.ask_class[order]]
        return np.where(found < 0, partitions, found)

    def durations(self, order: np.ndarray, classes: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """How long rows run as far as windows are concerned: not as long as is expected, but as long as they
        may, where that is into a window; and no longer than their reservation lets them."""
        pending, found = self._pending, expected
        if self.state.config.predictor != LIMIT:
            limits = pending.duration_us[order]
            found = np.where(limits > self._picture.first - self.now, limits, expected)
        for code in pending.reserved:
            view = self.view_of(code)
            if view is not None and view.closes < FAR:
                rows = classes == code
                found = np.where(rows, np.minimum(found, max(view.closes - self.now, 0)), found)
        return found

    def judge(self, order: np.ndarray, classes: np.ndarray, codes: np.ndarray) -> None:
        """Reasons of rows that cannot start because of their own reservation, into codes."""
        pending, reservations = self._pending, self.state.reservations
        for code, name in pending.reserved.items():
            rows = np.flatnonzero((classes == code) & (codes == 0))
            if not rows.size:
                continue
            view, r = self._picture.view(name), reservations.get(name)
            if view is None or r is None:
                codes[rows] = Reason.RESERVATION_DELETED.code
            elif not view.opens <= self.now < view.ends_at:
                codes[rows] = Reason.RESERVATION.code
            else:
                barred = ~self._may_use(name)[pending.holder[order[rows]]]
                codes[rows[barred]] = Reason.RESERVATION.code

    def drawable(self, name: str, order: np.ndarray, classes: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Places of the rows that the magnetic reservation draws in, in order."""
        pending = self._pending
        named = np.zeros(pending.demands.n, dtype=np.bool_)
        named[list(pending.reserved)] = True
        able = (codes == 0) & ~named[classes]
        able &= self._may_use(name)[pending.holder[order]]
        return np.flatnonzero(able)

    def _may_use(self, name: str) -> np.ndarray:
        """Which holders may, by code."""
        r, book = self.state.reservations[name], self.state.accounts
        return np.array([may_use(r, holder, book) for holder in self._pending.holders], dtype=np.bool_)

    # -- a class -----------------------------------------------------------------------------------------

    def view_of(self, code: int) -> View | None:
        """What is open to jobs of the class; None if its reservation is gone."""
        name = self._pending.reserved.get(code)
        return self._outsiders if name is None else self._picture.view(name)

    def view(self, code: int) -> View:
        """The same, of one whose reservation is there."""
        return self.view_of(code) or self._outsiders

    def beside(self, code: int) -> bool:
        """Whether its jobs are placed on CPUs that are set aside (`place_beside`)."""
        return bool(self.aside[code])

    def narrowed(self, code: int, request: Request, duration: int) -> Request:
        """The request on the nodes that are open to it now."""
        return self.view(code).narrowed(request, self.now + duration)

    def shortest(self, code: int, duration: int) -> int:
        """The shortest duration of jobs of the class that run into the same windows."""
        view = self.view(code)
        k = view.phase(self.now + duration)
        return view.starts[k - 1] - self.now + 1 if k else 0

    def alike(self, code: int, one: int, other: int) -> bool:
        """Whether jobs of the class with these durations run into the same windows."""
        view = self.view(code)
        return view.phase(self.now + one) == view.phase(self.now + other)

    def kept_out(self, code: int, duration: int) -> Reason | None:
        """The reason of a row that could start now if nothing was reserved, None for others."""
        view = self.view(code)
        k = view.phase(self.now + duration)
        key = (code, k)
        if key not in self._why:
            self._why[key] = self._kept_out(code, view, k)
        return self._why[key]

    def _kept_out(self, code: int, view: View, k: int) -> Reason | None:
        if self.beside(code) or view.masks[k] is view.own:
            return None
        found = self._pending.classes[code]
        assert found is not None
        field = self.field
        request = found.request(field.board, self._rules.partitions.get(found.partition), field.column_of)
        owned = view.owned(request)
        mask = view.masks[k]
        assert mask is not None
        there = np.logical_or.reduce(owned.together) & field.up
        enough = int((there & mask).sum()) >= found.shape.lo
        if enough and not holds(field, owned, up=True):
            return None
        maint = bool((there & ~mask & view.maint[k]).any())
        return Reason.RESERVED_MAINT if maint else Reason.RESERVED_OTHER

    # -- placing -----------------------------------------------------------------------------------------

    def inside(self, name: str, duration: int) -> int:
        """How long a job of this duration runs in the reservation."""
        view = self._picture.view(name)
        assert view is not None
        return min(duration, view.closes - self.now)

    def place_beside(self, code: int, request: Request, duration: int, want: int) -> list[Batch]:
        """Up to so many jobs of a class whose reservation has CPUs of nodes. request: its own."""
        return self.place_in(self._pending.reserved[code], request, duration, want)

    def place_in(self, name: str, request: Request, duration: int, want: int) -> list[Batch]:
        """Up to so many jobs, into the reservation."""
        view, end = self._picture.view(name), self.now + duration
        assert view is not None
        narrowed = view.narrowed(request, end)
        if view.partial:
            assert self.claims is not None
            return self.claims.place(name, narrowed, want, end)
        return place(self.field, narrowed, want, self.field.layer_of(end))

    def partial(self, code: int, inside: str) -> bool:
        """Whether jobs of the class, or of those drawn inside, are placed on CPUs that are set aside."""
        if not inside:
            return self.beside(code)
        view = self._picture.view(inside)
        return view is not None and view.partial

    def give_back(self, code: int, inside: str, batches: list[Batch], j: int) -> None:
        """These were placed there, and do not start after all."""
        assert self.claims is not None
        self.claims.give_back(inside or self._pending.reserved[code], batches, j)

    # -- licences ----------------------------------------------------------------------------------------

    def licensed(self, code: int, duration: int) -> int:
        """For how many jobs of the class there are licences that nobody else has reserved."""
        wanted = self._pending.licensed[code]
        if self._kept is None:
            return 1 << 30
        return self._kept.jobs(wanted, self._pending.reserved.get(code, ""), self.now + duration)

    def licensed_together(self, wanted: Wanted, code: int, duration: int) -> bool:
        """Whether nobody else has reserved what jobs want that start together, one of them of this class."""
        if self._kept is None:
            return True
        return self._kept.jobs(wanted, self._pending.reserved.get(code, ""), self.now + duration) > 0

    def take_licenses(self, code: int, jobs: int) -> None:
        """So many jobs of the class start."""
        if self._kept is not None:
            self._kept.take(self._pending.licensed[code], self._pending.reserved.get(code, ""), jobs)
