"""Reservations as one pass sees them: which nodes are open to whom, by when a job would end.

Nodes set aside whole are masks: a job may be on none whose window it would stand in. The windows to come are
in order, and a job that ends after the first k of them have begun may use `masks[k]`. CPUs that are set
aside are amounts (`Claim`); core/reservations/inside.py deals with them.

A job of a reservation is bound to its nodes and its window, unless it is flexible; windows of others bound
it like everybody, unless flags say that reservations may overlap.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.core.reservations.window import Window, ahead, over_run_us, window
from packhorse.scheduler.model.gresspec import parse_licenses
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.reservation import MAGNETIC, MAINT, Reservation

_MOST_REQUESTS: Final = 4096
FAR: Final = 1 << 62
"""After every instant, and after every end of a job without a limit."""


class Claim(NamedTuple):
    """CPUs, in thousandths, set aside of nodes by position while the window is open."""

    reservation: str
    window: Window
    cpu_milli: tuple[tuple[int, int], ...]


class Reserved(NamedTuple):
    """Licences set aside: (name, how many)."""

    reservation: str
    window: Window
    licenses: tuple[tuple[str, int], ...]


class _Closer(NamedTuple):
    """Nodes, as a mask, that are closed to others in these windows, of which the first is the present or next
    one."""

    reservation: Reservation
    windows: list[Window]
    nodes: np.ndarray


class View:
    """What is open to the jobs of one reservation, or of none.

    starts: when windows begin that are still to come, ascending. masks: nodes open to a job that runs past
    the first k of them `[n_nodes]`, None where all are; maint: of the closed ones those in maintenance. own:
    the only nodes it could have whatever others reserve, None for all. opens, ends_at: the job may begin in
    between; closes: it is stopped then; 0 and FAR for jobs of none. of: the reservation, None for none.
    """

    __slots__ = (
        "_closers",
        "_narrowed",
        "closes",
        "ends_at",
        "maint",
        "masks",
        "of",
        "opens",
        "own",
        "partial",
        "starts",
    )

    def __init__(
        self, r: Reservation | None, closers: list[_Closer], board: Board, over_run_s: int, now: Instant
    ) -> None:
        self.of = r
        self.opens, self.ends_at, self.closes = 0, FAR, FAR
        self.own: np.ndarray | None = None
        self.partial = r is not None and bool(r.cpu_milli) and r.bound
        if r is not None and r.bound:
            found = window(r, now)
            self.opens, self.ends_at = found
            self.closes = found.end + over_run_us(r, over_run_s)
            if r.nodes:
                self.own = _mask(board, r)
        self._closers = [
            c for c in closers if r is None or (c.reservation is not r and not r.ignores(c.reservation))
        ]
        self._narrowed: dict[tuple[int, int], tuple[Request, Request]] = {}
        """Requests with the masks, so that scores which are kept of them stay of use."""
        self.starts = sorted({c.windows[0].start for c in self._closers if c.windows[0].start > now})
        self.masks: list[np.ndarray | None] = []
        self.maint: list[np.ndarray] = []
        for until in (now, *self.starts):
            closed, maint = np.zeros((2, board.n), dtype=np.bool_)
            for c in self._closers:
                if c.windows[0].start <= until and c.windows[0].end > now:
                    closed |= c.nodes
                    if MAINT in c.reservation.flags:
                        maint |= c.nodes
            self.masks.append(self._open(closed))
            self.maint.append(maint)

    def phase(self, end: int) -> int:
        """How many of the windows to come a job runs into that ends then."""
        return bisect_left(self.starts, end)

    def narrowed(self, request: Request, end: int) -> Request:
        """The request, for a job that starts now and ends then."""
        k = bisect_left(self.starts, end)
        mask = self.masks[k]
        if mask is None:
            return request
        found = self._narrowed.get((id(request), k))
        if found is None:
            if len(self._narrowed) >= _MOST_REQUESTS:
                self._narrowed.clear()
            found = self._narrowed[id(request), k] = request, request.within(mask)
        return found[1]

    def owned(self, request: Request) -> Request:
        """The request, as if nobody else had reserved anything."""
        return request if self.own is None else request.within(self.own)

    # -- for planned starts ------------------------------------------------------------------------------

    def changes(self, duration: int) -> list[int]:
        """Starts of a job of this duration from which on other nodes are open to it than before."""
        out = {at for c in self._closers for w in c.windows for at in (w.start - duration + 1, w.end)}
        return sorted(out)

    def ends(self) -> list[int]:
        """When windows end."""
        return sorted({w.end for c in self._closers for w in c.windows})

    def at(self, request: Request, start: int, duration: int) -> Request:
        """The request, for a job that starts then. A window that repeats is closed beyond what is looked
        ahead, so that no start is promised that another window would forbid."""
        closed, end = None, start + duration
        for c in self._closers:
            beyond = bool(c.reservation.repeat) and end > c.windows[-1].end
            if beyond or any(w.start < end and start < w.end for w in c.windows):
                closed = c.nodes if closed is None else closed | c.nodes
        mask = self.own if closed is None else self._open(closed)
        return request if mask is None else request.within(mask)

    def _open(self, closed: np.ndarray) -> np.ndarray | None:
        if not closed.any():
            return self.own
        return ~closed if self.own is None else self.own & ~closed


class Picture:
    """See the module. since, until: it holds for passes in between.

    made_from: what it follows from beside time. first: when the first window begins that is still to come,
    FAR for none: jobs that end before are as free as those that end now. claims: of CPUs, present ones and
    those to come. licenses: likewise. magnetic: reservations whose window is open and that draw jobs in.
    """

    def __init__(
        self,
        reservations: Mapping[str, Reservation],
        board: Board,
        over_run_s: int,
        now: Instant,
        made_from: tuple[int, int, int],
    ) -> None:
        self.made_from = made_from
        self.since = now
        self.reservations = dict(reservations)
        self._board, self._over_run_s, self._now = board, over_run_s, now
        spans = {r.name: window(r, now) for r in reservations.values()}
        times = [at for found in spans.values() for at in found if at > now]
        self.until = Instant(min(times, default=FAR))
        self.first = min((w.start for w in spans.values() if w.start > now), default=FAR)
        self._closers = [
            _Closer(r, ahead(r, now), _mask(board, r))
            for r in reservations.values()
            if r.whole and spans[r.name].end > now
        ]
        live = [r for r in reservations.values() if spans[r.name].end > now]
        self.claims = [
            Claim(r.name, spans[r.name], _claimed(board, r)) for r in live if r.cpu_milli and r.nodes
        ]
        self.licenses = [
            Reserved(r.name, spans[r.name], parse_licenses(r.licenses)) for r in live if r.licenses
        ]
        self.magnetic = [r for r in live if MAGNETIC in r.flags and (spans[r.name].holds(now) or not r.bound)]
        self._views: dict[str, View] = {}

    def view(self, name: str) -> View | None:
        """What jobs of this reservation ("": of none) may use; None if there is none of the name."""
        found = self._views.get(name)
        if found is None and (not name or name in self.reservations):
            r = self.reservations.get(name)
            found = View(r, self._closers, self._board, self._over_run_s, self._now)
            self._views[name] = found
        return found


def _mask(board: Board, r: Reservation) -> np.ndarray:
    """Its nodes; those that are not registered are left out."""
    mask = np.zeros(board.n, dtype=np.bool_)
    mask[[board.position[name] for name in r.nodes if name in board.position]] = True
    return mask


def _claimed(board: Board, r: Reservation) -> tuple[tuple[int, int], ...]:
    pairs = zip(r.nodes, r.cpu_milli, strict=True)
    return tuple((board.position[name], n) for name, n in pairs if name in board.position)
