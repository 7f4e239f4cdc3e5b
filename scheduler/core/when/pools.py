"""What bounds the starts of waiting jobs beside room on nodes, as an estimate of starts goes by it: licences,
and limits of accounts, users and QOS.

Each licence, and each limit that some waiting job counts under, is a pool: what is free of it now, what a job
takes, and what running jobs give back when they end. So a job that a limit holds up is foreseen when enough
of the jobs that count under that limit have ended, and not before. What time alone may let go is not
foreseen: of a job whose budget is used up, or that no end of another lets go, nobody can say when it starts.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.accounts.held import Running
from packhorse.scheduler.core.accounts.needs import MOST_AMOUNT
from packhorse.scheduler.core.accounts.quota import Quota, quota
from packhorse.scheduler.core.accounts.terms import What
from packhorse.scheduler.core.pending_columns import PendingColumns
from packhorse.scheduler.core.reservations.window import window
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.when.aside import of_licenses
from packhorse.scheduler.model.gresspec import parse_licenses
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.tres import MILLI

Takes = tuple[tuple[int, float], ...]
"""Pools, and how much of each."""

_BY_ENDS: Final = frozenset({What.RUNNING, What.HELD, What.LEFT})
"""Limits under which the end of a job makes room for another."""


class Pools(NamedTuple):
    """free: now. rows: what a job of each row takes. never: rows of which nobody can say. running: what each
    job gives back at its end. aside: of pools, when so much of it is set aside (core/when/aside.py)."""

    free: list[float]
    rows: list[Takes]
    never: frozenset[int]
    running: dict[JobId, Takes]
    aside: list[tuple[int, tuple[tuple[float, float], ...], int]]


NO_POOLS: Final = Pools([], [], frozenset(), {}, [])


def pools(state: State, slots: np.ndarray, now: Instant) -> Pools:
    """Of the rows in these slots. Costs nothing where there are neither licences nor limits."""
    pending, shares = state.pending_columns, quota(state, now)
    if shares is None and not pending.licensed:
        return NO_POOLS
    made = _Made(state, now)
    rows: list[Takes] = []
    never = set()
    for i, slot in enumerate(slots.tolist()):
        code = int(pending.ask_class[slot])
        takes = made.licenses(pending, code)
        if shares is not None and shares.limited(slot):
            found = made.limits(shares, slot, code)
            if found is None:
                never.add(i)
            else:
                takes += found
        rows.append(takes)
    aside = of_licenses(state, state.node_columns.board(), now, made.number.get) if state.reservations else []
    return Pools(made.free, rows, frozenset(never), made.running(shares), aside)


class _Made:
    """Pools as rows ask for them. number: of a licence by its name, of a limit by its number."""

    def __init__(self, state: State, now: Instant) -> None:
        self.state, self.now = state, now
        self.free: list[float] = []
        self.number: dict[str | int, int] = {}
        self._unused = state.licenses.free(state.config)

    def licenses(self, pending: PendingColumns, code: int) -> Takes:
        """What a job of the class takes; one of a reservation has those that are set aside for it."""
        reservation = self.state.reservations.get(pending.reserved.get(code, ""))
        if reservation is not None and reservation.licenses and window(reservation, self.now).end > self.now:
            return ()
        wanted = pending.licensed.get(code, ())
        return tuple((self._pool(name, self._unused.get(name, 0)), float(n)) for name, n in wanted)

    def limits(self, shares: Quota, slot: int, code: int) -> Takes | None:
        """What a job of the row takes, None if no end of another job lets it go."""
        demand = shares.demand(slot, code)
        if demand is None or demand.never:
            return None
        limits = shares.book.limits
        for one in demand.needs:
            limit = limits[one.pool]
            if one.amount > limit.most or one.amount >= MOST_AMOUNT:
                return None
            if limit.what not in _BY_ENDS and one.amount > shares.room[one.pool]:
                return None
        return tuple(
            (self._pool(one.pool, shares.room[one.pool]), float(one.amount))
            for one in demand.needs
            if one.amount and limits[one.pool].what in _BY_ENDS
        )

    def running(self, shares: Quota | None) -> dict[JobId, Takes]:
        """Of those that hold anything of a pool."""
        found: dict[JobId, list[tuple[int, float]]] = {}
        for id in self.state.running_columns.jobs():
            licenses = self.state.jobs[id].spec.licenses
            for name, n in parse_licenses(licenses) if licenses else ():
                if name in self.number:
                    found.setdefault(id, []).append((self.number[name], float(n)))
        if shares is not None:
            for id, one in self.state.held.running.items():
                for number in shares.book.counts_under(one.holder):
                    amount = self._held(shares, number, one) if number in self.number else 0.0
                    if amount:
                        found.setdefault(id, []).append((self.number[number], amount))
        return {id: tuple(takes) for id, takes in found.items()}

    def _held(self, shares: Quota, number: int, one: Running) -> float:
        """What a running job has of a limit."""
        limit = shares.book.limits[number]
        if limit.what is What.RUNNING:
            return 1.0
        amount = float(dict(one.tres).get(limit.tres, 0))
        if limit.what is What.LEFT:
            left_us = max(one.end_by - self.now, 0)
            amount *= left_us * shares.book.terms.factor_milli(one.holder) / (US * MILLI)
        return amount

    def _pool(self, key: str | int, free: float) -> int:
        number = self.number.get(key)
        if number is None:
            number = self.number[key] = len(self.free)
            self.free.append(float(free))
        return number
