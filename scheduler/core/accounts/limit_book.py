"""What passes remember of limits from one to the next: which there are, whom they apply to, what asks need.

Derived, and made anew for each version of the book of accounts and each configuration.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.accounts.held import Scope, of_association
from packhorse.scheduler.core.accounts.needs import (
    Needs,
    asked,
)
from packhorse.scheduler.core.accounts.terms import OF_ONE_JOB, Limit, Terms, What
from packhorse.scheduler.core.ask_classes import AskClass
from packhorse.scheduler.core.pending_columns import PendingColumns
from packhorse.scheduler.model.accounts import Holder
from packhorse.scheduler.model.tres import sort_key

_UNKNOWN: Final = -1

Measure = tuple[What, str]
"""What is counted of a job, whoever limits it."""

Pools = tuple[tuple[int, int], ...]
"""Numbers of the limits that apply to a holder, each with that of the part it is sure of, else -1."""


class Book:
    """What passes remember of limits from one to the next: for one version of the book of accounts.

    limits: of all holders seen so far, each once; pools: which of them apply, by the holder's code in the
    pending columns, None for one without limits.
    """

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.limits: list[Limit] = []
        self.pools: list[Pools | None] = []
        self.factors: list[int] = []
        self.reasons = np.zeros(1, dtype=np.int16)
        self.tables: dict[Measure, tuple[np.ndarray, np.ndarray]] = {}
        """Numbers of pools by holder `[n_holders, n]`, and of what each is sure of; -1: none."""
        self.demands: dict[tuple[int, int, int], Demand] = {}
        """By codes of holder and class, and time limit in microseconds; of the limits that are known."""
        self._number: dict[tuple[object, ...], int] = {}
        self._by_scope: dict[Scope, list[int]] = {}
        """Numbers of limits on what is counted together, by what counts there."""
        self._counts: dict[Holder, tuple[int, tuple[int, ...]]] = {}
        self._of_holder: dict[Holder, Pools | None] = {}
        self._classes: list[AskClass | None] = []
        self._needs: list[Needs] = []
        self._amounts: dict[tuple[str, bool], np.ndarray] = {}

    def of(self, holder: Holder) -> Pools | None:
        """The limits that apply to the holder's jobs at their start."""
        if holder not in self._of_holder:
            limits = [one for one in self.terms.limits(holder) if one.what is not What.UNFINISHED]
            self._of_holder[holder] = (
                tuple(
                    (self._enter(one), self._enter(one.sure) if one.sure is not None else _UNKNOWN)
                    for one in limits
                )
                or None
            )
        return self._of_holder[holder]

    def counts_under(self, holder: Holder) -> tuple[int, ...]:
        """Limits that the holder's jobs count under, also those that do not hold for them (a QOS may have one
        of its own in place of it)."""
        n, found = self._counts.get(holder, (-1, ()))
        if n != len(self.limits):
            scopes = self.terms.scopes(holder)
            found = tuple(dict.fromkeys(k for scope in scopes for k in self._by_scope.get(scope, ())))
            self._counts[holder] = len(self.limits), found
        return found

    def see(self, pending: PendingColumns) -> None:
        """Holders and asks that came since the last pass."""
        fresh = pending.holders[len(self.pools) :]
        if fresh:
            self.pools += [self.of(holder) for holder in fresh]
            self.factors += [self.terms.factor_milli(holder) for holder in fresh]
            self.reasons = np.array([limit.reason.code for limit in self.limits] or [0], dtype=np.int16)
            self.tables = {measure: self._table(measure) for measure in self._measures()}
        self._see_classes(pending)

    def needs(self, code: int) -> Needs:
        """The least that a job of the class needs."""
        return self._needs[code]

    def amounts(self, measure: Measure) -> np.ndarray:
        """What a job of each class needs, time aside `[n_classes]`."""
        what, tres = measure
        if what is What.RUNNING:
            return np.ones(len(self._classes), dtype=np.int64)
        key = (tres, what is What.NODE_OF_JOB)
        column = self._amounts.get(key)
        if column is None or column.size < len(self._classes):
            kind = [needs.per_node if key[1] else needs.amounts for needs in self._needs]
            column = self._amounts[key] = np.array([found.get(tres, 0) for found in kind], dtype=np.int64)
        return -column if what is What.LEAST else column

    def _enter(self, limit: Limit) -> int:
        number = self._number.get(limit.pool)
        if number is None:
            number = self._number[limit.pool] = len(self.limits)
            self.limits.append(limit)
            self.demands.clear()
            if limit.scope is not None:
                members = self.terms.cohorts.get(limit.scope)
                scopes = [of_association(key) for key in members] if members else [limit.scope]
                for scope in scopes:
                    self._by_scope.setdefault(scope, []).append(number)
        return number

    def _measures(self) -> list[Measure]:
        """In the order in which they are told: what bounds each job first."""
        found = {
            (self.limits[number].what, self.limits[number].tres)
            for pools in self.pools
            for number, _ in pools or ()
        }
        return sorted(found, key=lambda m: (m[0] not in OF_ONE_JOB, m[0], sort_key(m[1])))

    def _table(self, measure: Measure) -> tuple[np.ndarray, np.ndarray]:
        rows = [
            [
                pair
                for pair in pools or ()
                if (self.limits[pair[0]].what, self.limits[pair[0]].tres) == measure
            ]
            for pools in self.pools
        ]
        wide = max(map(len, rows), default=0)
        both = np.full((2, len(rows), wide), _UNKNOWN, dtype=np.int32)
        for i, pairs in enumerate(rows):
            for k, pair in enumerate(pairs):
                both[:, i, k] = pair
        return both[0], both[1]

    def _see_classes(self, pending: PendingColumns) -> None:
        """Asks whose number was given to another one since are looked at anew."""
        known, config = self._classes, self.terms.config
        for code, found in enumerate(pending.classes):
            if code < len(known) and known[code] is found:
                continue
            if code == len(known):
                known.append(None)
                self._needs.append(Needs({}, {}))
            elif known[code] is not None:
                self.demands.clear()
            known[code] = found
            if found is not None:
                self._needs[code] = asked(found.ask, found.licenses, config, found.partition)
            self._amounts.clear()


class Need(NamedTuple):
    """What one job needs of one pool."""

    pool: int
    sure: int
    amount: int


class Demand(NamedTuple):
    """What one job needs: of pools that must have room for it, and what it takes of all it counts under.
    never: limits that it passes by itself, whatever others hold."""

    needs: tuple[Need, ...]
    takes: tuple[tuple[int, int], ...]
    never: tuple[Need, ...] = ()
