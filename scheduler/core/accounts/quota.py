"""How much may still start on whose name: limits, budgets and quotas as one pass gives them out.

Every limit is a *pool* with some room: what it allows less what is held, or spent. A job needs something of
each pool that applies to its holder, and starts only if all have room for it. Like licences these are
nobody's planned start: a job that a limit holds up is passed over, is nobody's next one, and is not promised
a time.

Before a pass rows without room are marked by vectors, a step per kind of limit; a row that is looked at is
measured alone, by whole numbers; after the pass those that were not reached are marked again. What is given
is measured by the actual placement, which may be more than the ask (a node of one's own). Rows of holders
without limits cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from packhorse.scheduler.core.accounts.decay import NO_DECAY
from packhorse.scheduler.core.accounts.held import WALL, Scope, of_association
from packhorse.scheduler.core.accounts.holding import holdings
from packhorse.scheduler.core.accounts.limit_book import Book, Demand, Measure, Need, Pools
from packhorse.scheduler.core.accounts.needs import (
    MOST_AMOUNT,
    MOST_TIME_S,
    NO_END,
    Needs,
    covers,
    is_within,
    need,
    placed,
    seconds_of,
)
from packhorse.scheduler.core.accounts.terms import COHORT, OF_ONE_JOB, WITH_TIME, Limit, Terms, What
from packhorse.scheduler.core.accounts.time_used import TimeUsed
from packhorse.scheduler.core.packing.request import Batch
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.accounts import Holder
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import ArrayJob, Job
from packhorse.scheduler.model.resources import Placement
from packhorse.scheduler.model.tres import MILLI, sort_key

LOOK_AGAIN_S: Final = 60
"""So often a pass looks at jobs that wait for a limit under which time alone makes room."""

_BOUNDLESS: Final = 1 << 62
_MOST_DEMANDS: Final = 100_000


class Quota:
    """See the module. room: by number of the limit, below zero where more is held than it allows."""

    def __init__(self, state: State, book: Book, now: Instant) -> None:
        self.state = state
        self.book = book
        self.now = now
        self.pending = state.pending_columns
        book.see(self.pending)
        self.room: list[int] = []
        self.reason = Reason.NONE
        """Of the last row that there was no room for."""
        self.waits_for_time = False
        """Whether time alone makes room for some row that waits."""
        self._last = Demand((), ())
        self._placed_needs: dict[tuple[int, object], Needs | None] = {}
        self._sums = holdings(state).sums(book.terms.scopes)
        self._late = TimeUsed(state, book, now)
        self._barred: dict[Holder, bool] = {}
        self._open()

    # -- rows of a pass ----------------------------------------------------------------------------------

    def limited(self, slot: int) -> bool:
        """Whether any limit applies to the row."""
        code = self.pending.holder[slot]
        return self.book.pools[code] is not None or self._is_barred(self.pending.holders[code])

    def jobs(self, slot: int, code: int) -> int:
        """How many more jobs of the row, which is of this class, may start; for 0, `reason` says why."""
        if self._is_barred(self.pending.holders[self.pending.holder[slot]]):
            self.reason = Reason.QOS_USAGE_THRESHOLD
            return 0
        return self._copies(self._of_row(slot, code))

    def demand(self, slot: int, code: int) -> Demand | None:
        """What a job of the row, which is of this class, needs and takes; None if its QOS bars it."""
        if self._is_barred(self.pending.holders[self.pending.holder[slot]]):
            return None
        return self._of_row(slot, code)

    def alike(self, slot: int, other: int) -> bool:
        """Whether two rows of the same class need the same of the same pools."""
        if not (self.limited(slot) or self.limited(other)):
            return True
        pending = self.pending
        return bool(
            pending.holder[slot] == pending.holder[other]
            and pending.duration_us[slot] == pending.duration_us[other]
        )

    def take(self, slot: int, code: int, n: int) -> None:
        """So many jobs of the row start, or are promised a place."""
        self._take(self._of_row(slot, code), n)

    def admit(self, slot: int, code: int, batches: list[Batch]) -> tuple[list[Batch], list[Batch]]:
        """Of jobs of the row that found a place: those that may start there, which is what they take, and
        those that would take too much; of these `reason` says why."""
        may, may_not = [], []
        by_ask = self._of_row(slot, code)
        for batch in batches:
            needs = self._placed(code, batch.parts.placements)
            mine = by_ask if needs is None else self._measure(slot, needs)
            n = min(self._copies(mine), batch.n)
            self._take(mine, n)
            may += [batch._replace(n=n)] if n else []
            may_not += [batch._replace(n=batch.n - n)] if n < batch.n else []
        return may, may_not

    def mark(self, codes: np.ndarray, slots: np.ndarray) -> None:
        """Gives rows without room, among those that have no reason yet, theirs. codes: changed."""
        pending, book = self.pending, self.book
        if not slots.size:
            return
        self._mark_barred(codes, slots)
        if not book.tables:
            return
        room = np.array([*self.room, _BOUNDLESS], dtype=np.int64)
        holders, classes = pending.holder[slots], pending.ask_class[slots]
        seconds = pending.duration_us[slots] // US
        seconds[seconds >= MOST_TIME_S] = 0  # none
        factors = np.array(book.factors, dtype=np.int64)[holders]
        for measure, (table, sure) in book.tables.items():
            least = room[table]
            k = least.argmin(axis=1)
            every = np.arange(k.size)
            tightest, own = table[every, k], sure[every, k]
            needed = _needed(measure, book.amounts(measure)[classes], seconds, factors)
            out = (codes == 0) & (needed > least[every, k][holders]) & (tightest >= 0)[holders]
            if measure[0] is not What.LEAST:
                out &= needed != 0
            at = np.flatnonzero(out)
            if not at.size:
                continue
            pools = tightest[holders[at]]
            found = book.reasons[pools]
            own = own[holders[at]]
            lent = (own >= 0) & (needed[at] <= room[own])
            found[lent] = Reason.QUOTA_LENT.code
            codes[at] = found
            if measure[0] in (What.LEFT, What.SPENT) and not self.waits_for_time:
                least_need = {
                    pool: int(needed[at][pools == pool].min()) for pool in np.unique(pools).tolist()
                }
                for pool, amount in least_need.items():
                    self._see_time(book.limits[pool], amount)

    def wake(self, now: Instant) -> None:
        """If time alone makes room for somebody, another pass is due before long."""
        if self.waits_for_time:
            self.state.held.wake_at = Instant(now + LOOK_AGAIN_S * US)

    # -- one job -----------------------------------------------------------------------------------------

    def admits(self, waiter: Job | ArrayJob, placements: Sequence[Placement]) -> bool:
        """Whether one job of it may start on these; remembers what it needs for `take_last`."""
        spec, holder = waiter.spec, holder_of(waiter.spec, waiter.owner)
        pools, terms = self.book.of(holder), self.book.terms
        if self._is_barred(holder):
            return False
        self._last = Demand((), ())
        if pools is None:
            return True
        needs = placed(placements, spec.licenses, terms.config, spec.partition)
        self._last = self._demand(holder, pools, needs, seconds_of(spec.time_limit_s))
        return self._copies(self._last) > 0

    def take_last(self) -> None:
        """The job that was just admitted starts."""
        self._take(self._last, 1)

    def in_the_way(self, holder: Holder, needs: Needs, time_limit_s: int) -> Iterator[tuple[Limit, int, int]]:
        """Limits that hold up a job of this holder: each with what it needs and what there is room for."""
        pools = self.book.of(holder) or ()
        demand = self._demand(holder, pools, needs, seconds_of(time_limit_s))
        for one in (*demand.never, *demand.needs):
            limit = self.book.limits[one.pool]
            if is_within(limit, one.amount, self.room[one.pool]):
                continue
            if one.sure >= 0:
                sure = self.book.limits[one.sure]
                limit = limit._replace(of=sure.of, sure=sure)
                if one.amount <= self.room[one.sure]:
                    limit = limit._replace(reason=Reason.QUOTA_LENT)
            yield limit, one.amount, self.room[one.pool]

    def used(self, limit: Limit) -> int:
        """What is held of it, or was spent; times in amounts times seconds."""
        return limit.most - self._room(limit)

    # -- inside ------------------------------------------------------------------------------------------

    def _is_barred(self, holder: Holder) -> bool:
        """Whether who holds the job has used too much of its share for its QOS."""
        found = self._barred.get(holder)
        if found is None:
            threshold = self.book.terms.threshold_milli(holder)
            found = self._barred[holder] = bool(threshold) and self.fair_share_milli(holder) < threshold
        return found

    def fair_share_milli(self, holder: Holder) -> int:
        """The fair share factor, in thousandths; of who has no association that of the account above."""
        state = self.state
        fair = state.fair_shares.of(state.accounts, state.spent, self.now, state.config.priorities)
        factors = (fair.factor_of.get(key) for key in state.accounts.chain(holder))
        return int(next((factor for factor in factors if factor is not None), 1.0) * MILLI)

    def _mark_barred(self, codes: np.ndarray, slots: np.ndarray) -> None:
        if not self.book.terms.has_thresholds:
            return
        barred = np.array([self._is_barred(holder) for holder in self.pending.holders], dtype=np.bool_)
        out = (codes == 0) & barred[self.pending.holder[slots]]
        codes[out] = Reason.QOS_USAGE_THRESHOLD.code
        self.waits_for_time |= bool(out.any())

    def _open(self) -> None:
        """Room of limits that were met since."""
        self.room += [self._room(limit) for limit in self.book.limits[len(self.room) :]]

    def _room(self, limit: Limit) -> int:
        if limit.what is What.LEAST:
            return -limit.most
        if limit.scope is None:
            return limit.most
        if limit.scope.kind == COHORT:
            members = self.book.terms.cohorts[limit.scope]
            return limit.most - sum(self._held(of_association(key), limit.tres) for key in members)
        total = self._sums.get(limit.scope)
        if limit.what is What.RUNNING:
            return limit.most - (total.n_running if total is not None else 0)
        if limit.what is What.UNFINISHED:
            return limit.most - (total.n_unfinished if total is not None else 0)
        if limit.what is What.HELD:
            return limit.most - self._held(limit.scope, limit.tres)
        weighed = limit.what is What.SPENT
        left = self._late.left_s(limit.scope, total, limit.tres, weighed)
        if left is None:
            return -1
        return limit.most - left - (self._late.spent_s(limit.scope, limit.tres) if weighed else 0)

    def _held(self, scope: Scope, tres: str) -> int:
        total = self._sums.get(scope)
        return total.tres.get(tres, 0) if total is not None else 0

    def _placed(self, code: int, placements: tuple[Placement, ...]) -> Needs | None:
        """What a job of the class has on these, None if that is what it asks for."""
        what = tuple(
            (p.cpu_milli, p.mem_mib, *[(d.kind, d.type, d.milli, len(d.indices)) for d in p.devices])
            for p in placements
        )
        key = (code, what)
        if key not in self._placed_needs:
            found = self.pending.classes[code]
            assert found is not None
            needs = placed(placements, found.licenses, self.book.terms.config, found.partition)
            self._placed_needs[key] = None if covers(self.book.needs(code), needs) else needs
        return self._placed_needs[key]

    def _of_row(self, slot: int, code: int) -> Demand:
        pending = self.pending
        key = (int(pending.holder[slot]), code, int(pending.duration_us[slot]))
        demands = self.book.demands
        found = demands.get(key)
        if found is None:
            if len(demands) >= _MOST_DEMANDS:
                demands.clear()
            found = demands[key] = self._measure(slot, self.book.needs(code))
        return found

    def _measure(self, slot: int, needs: Needs) -> Demand:
        code = int(self.pending.holder[slot])
        seconds = int(self.pending.duration_us[slot]) // US
        return self._demand(
            self.pending.holders[code], self.book.pools[code] or (), needs, seconds_of(seconds)
        )

    def _demand(self, holder: Holder, pools: Pools, needs: Needs, seconds: int) -> Demand:
        book, factor = self.book, self.book.terms.factor_milli(holder)
        under = book.counts_under(holder)
        self._open()
        amounts = {
            k: need(book.limits[k], needs, seconds, factor)
            for k in dict.fromkeys((*(p for p, _ in pools), *under))
        }
        needs_of = [Need(pool, sure, amounts[pool]) for pool, sure in pools]
        alone = [one for one in needs_of if book.limits[one.pool].what in OF_ONE_JOB]
        return Demand(
            tuple(one for one in needs_of if book.limits[one.pool].what not in OF_ONE_JOB),
            tuple((k, amounts[k]) for k in under if amounts[k]),
            tuple(
                one for one in alone if not is_within(book.limits[one.pool], one.amount, self.room[one.pool])
            ),
        )

    def _copies(self, demand: Demand) -> int:
        """For how many such jobs there is room; for 0, `reason` says what is in the way."""
        room = self.room
        n = 0 if demand.never else NO_END
        for one in demand.needs if n else ():
            if one.amount:
                more = room[one.pool] // one.amount
                if more < n:
                    n = more
        if n > 0:
            return n
        self._say_why(demand.never or [one for one in demand.needs if one.amount > room[one.pool]])
        return 0

    def _say_why(self, short: Sequence[Need]) -> None:
        """Of limits that have too little room the first kind, and of that the one that has least."""
        limits, room = self.book.limits, self.room

        def order(one: Need) -> tuple[bool, int, tuple[int, str], int]:
            limit = limits[one.pool]
            return limit.what not in OF_ONE_JOB, limit.what, sort_key(limit.tres), room[one.pool]

        one = min(short, key=order)
        lent = one.sure >= 0 and one.amount <= room[one.sure]
        limit = limits[one.pool]
        self.reason = Reason.QUOTA_LENT if lent else limit.reason
        self._see_time(limit, one.amount)

    def _see_time(self, limit: Limit, needed: int) -> None:
        """Whether time alone will make room: a job waits for it that is not too large in itself, and
        something runs, or use fades."""
        if limit.what not in (What.LEFT, What.SPENT) or needed > limit.most:
            return
        fades = limit.what is What.SPENT and self.state.spent.decay != NO_DECAY
        self.waits_for_time |= fades or bool(self.state.held.running)

    def _take(self, demand: Demand, n: int) -> None:
        room = self.room
        for pool, amount in demand.takes:
            room[pool] -= amount * n


def book_of(state: State) -> Book:
    """What is remembered of limits; of the present book of accounts and configuration."""
    book = state.held.book
    if book is None or not book.terms.stands(state.accounts, state.config):
        book = state.held.book = Book(Terms(state.accounts, state.config))
    return book


def quota(state: State, now: Instant) -> Quota | None:
    """What may start; None where nobody is limited, and then nothing is counted any more."""
    book = book_of(state)
    if book.terms.limited:
        return Quota(state, book, now)
    if state.held.counting:
        state.held.forget()
    return None


def _needed(measure: Measure, amounts: np.ndarray, seconds: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """As `need`, of many rows `[n]`. seconds: 0 for a job without a limit."""
    what, tres = measure
    if what not in WITH_TIME:
        return amounts
    if what is What.SPENT and tres != WALL:
        amounts = np.minimum(-(-amounts * factors // MILLI), MOST_AMOUNT)
    return np.where(seconds > 0, amounts * seconds, np.where(amounts > 0, NO_END, 0))
