"""Time that jobs have used and may still use, as budgets count it: amounts times seconds, of one instant."""

from __future__ import annotations

from packhorse.scheduler.core.accounts.held import ASSOCIATION, QOS, WALL, Scope, Sum
from packhorse.scheduler.core.accounts.limit_book import Book
from packhorse.scheduler.core.accounts.terms import What
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import AssociationKey, Holder
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.tres import MILLI


class TimeUsed:
    """Time that is spent or left, by scope, of one instant."""

    def __init__(self, state: State, book: Book, now: Instant) -> None:
        self.state = state
        self.book = book
        self.terms = book.terms
        self.now = now
        self._overdue_us: dict[Scope, dict[str, int]] = {}
        self._weighed: dict[Scope, dict[str, int | None]] | None = None
        self._spent: dict[Scope, dict[str, float]] = {}
        qos = state.accounts.qos.values()
        self.weighs = any(one.usage_factor_milli != MILLI for one in qos)

    def left_s(self, scope: Scope, total: Sum | None, tres: str, weighed: bool) -> int | None:
        """Amounts times seconds that what runs may still hold; None: for ever. weighed: times usage
        factors."""
        if total is None:
            return 0
        if weighed and self.weighs and tres != WALL:
            return self._all_weighed().get(scope, {}).get(tres, 0)
        us = total.left_us(tres, self.now)
        if us is None:
            return None
        return -(-(us + self._overdue(scope).get(tres, 0)) // US)

    def spent_s(self, scope: Scope, tres: str) -> int:
        """Amounts times seconds that count as used, rounded up."""
        found = self._spent.get(scope)
        if found is None:
            spent = self.state.spent
            if scope.kind == ASSOCIATION:
                key = AssociationKey(scope.name, scope.user, scope.partition)
                found = {**spent.of(key, self.now), WALL: spent.wall_s(key, self.now)}
            else:
                assert scope.kind == QOS, scope
                found = {
                    **spent.of_qos(scope.name, self.now),
                    WALL: spent.wall_s_of_qos(scope.name, self.now),
                }
            self._spent[scope] = found
        return int(-(-found.get(tres, 0.0) // 1))

    def _overdue(self, scope: Scope) -> dict[str, int]:
        """What is held past its end: amounts times the microseconds since, by TRES name."""
        if scope not in self._overdue_us:
            timed = {limit.scope for limit in self.book.limits if limit.what in (What.LEFT, What.SPENT)}
            found = self._overdue_us = {one: {} for one in (*timed, scope) if one is not None}
            by_holder: dict[Holder, dict[str, int]] = {}
            for one in self.state.held.overdue(self.now):
                mine = by_holder.setdefault(one.holder, {})
                for name, amount in ((WALL, 1), *one.tres):
                    mine[name] = mine.get(name, 0) + amount * (self.now - one.end_by)
            for holder, amounts in by_holder.items():
                for total in [found[one] for one in self.terms.scopes(holder) if one in found]:
                    for name, us in amounts.items():
                        total[name] = total.get(name, 0) + us
        return self._overdue_us[scope]

    def _all_weighed(self) -> dict[Scope, dict[str, int | None]]:
        """What is left to jobs of QOS that cost more, or less, than others."""
        if self._weighed is None:
            self._weighed = {}
            late: dict[Holder, Sum] = {}
            for one in self.state.held.overdue(self.now):
                late.setdefault(one.holder, Sum()).run(one)
            for holder, total in self.state.held.by_holder.items():
                factor = self.terms.factor_milli(holder)
                past = late.get(holder)
                for tres in total.tres:
                    us = total.left_us(tres, self.now)
                    if us is not None and past is not None:
                        us -= past.left_us(tres, self.now) or 0
                    seconds = -(-us * factor // (US * MILLI)) if us is not None else None
                    for scope in self.terms.scopes(holder):
                        sums = self._weighed.setdefault(scope, {})
                        before = sums.get(tres, 0)
                        sums[tres] = before + seconds if before is not None and seconds is not None else None
        return self._weighed
