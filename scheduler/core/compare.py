"""Which of two waiting jobs is ahead, by how much, and why: term by term, and as a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core import order_keys, waiting
from packhorse.scheduler.core.accounts.book import ROOT_KEY
from packhorse.scheduler.core.accounts.fair_tree import Share
from packhorse.scheduler.core.accounts.spent import path
from packhorse.scheduler.core.multifactor import Key, Terms, weigh
from packhorse.scheduler.core.names import name_of
from packhorse.scheduler.core.orders import FCFS, MULTIFACTOR, order
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import AssociationKey
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.job import ArrayJob, Job
from packhorse.scheduler.model.tres import CPU, NODE, asked_tres, format_amount
from packhorse.scheduler.model.units import format_elapsed

Waiter = Job | ArrayJob


class Difference(NamedTuple):
    """One term: what the job that is ahead has more of it (less: below 0), and what that comes from."""

    name: str
    amount: int
    why: str


class Comparison(NamedTuple):
    """ahead, behind: the jobs. by: difference of their priorities, 0 where it is not that which counts.
    terms: what that consists of, the largest first."""

    ahead: JobId
    behind: JobId
    by: int
    terms: tuple[Difference, ...]
    sentence: str


def compare(state: State, first: JobId, second: JobId, now: Instant) -> Comparison:
    """Of two jobs, or arrays, that wait; in either order. Raises KeyError for one that does not."""
    pair = _Pair(state, first, second, now)
    return pair.blocked() or pair.tiers() or pair.planned() or pair.priorities() or pair.by_order()


class _Pair:
    def __init__(self, state: State, first: JobId, second: JobId, now: Instant) -> None:
        self.state, self.now = state, now
        self.pending = pending = state.pending_columns
        self.config = state.config
        self.ids = [JobId(min(first, second)), JobId(max(first, second))]
        self.slots = [pending.slot(id) for id in self.ids]
        self.waiters: list[Waiter] = [state.jobs.get(id) or state.arrays[id] for id in self.ids]
        self.names = [name_of(waiter) for waiter in self.waiters]

    def _found(
        self, ahead: int, why: str, by: int = 0, terms: tuple[Difference, ...] = (), how: str = ""
    ) -> Comparison:
        a, b = self.ids[ahead], self.ids[1 - ahead]
        sentence = f"job {self.names[ahead]} is ahead of job {self.names[1 - ahead]}{how}: {why}"
        return Comparison(a, b, by, terms, sentence)

    def blocked(self) -> Comparison | None:
        """Only what can start is in the order at all."""
        ready = [bool(self.pending.ready[slot]) for slot in self.slots]
        if all(ready):
            return None
        words = [self.pending.reason(id).value for id in self.ids]
        if not any(ready):
            a, b = self.ids
            each = [f"job {name} ({word})" for name, word in zip(self.names, words, strict=True)]
            sentence = f"neither can start yet: {', '.join(each)}"
            return Comparison(a, b, 0, (), sentence)
        ahead = ready.index(True)
        return self._found(ahead, f"job {self.names[1 - ahead]} cannot start yet ({words[1 - ahead]})")

    def tiers(self) -> Comparison | None:
        """Partitions of a higher tier are served first, whatever the priorities."""
        rules = self.pending.rules(self.config)
        names = [waiter.spec.partition for waiter in self.waiters]
        tiers = [rules.tier_and_bonus(name)[0] for name in names]
        if tiers[0] == tiers[1]:
            return None
        ahead = tiers.index(max(tiers))
        return self._found(
            ahead,
            f"partition {names[ahead]} has priority tier {tiers[ahead]}, {names[1 - ahead]} has "
            f"{tiers[1 - ahead]}, and tiers come before priorities",
        )

    def planned(self) -> Comparison | None:
        """With keep_next, among equals in tier or under multifactor."""
        if not self.config.keep_next or self.config.order != MULTIFACTOR:
            return None
        has = [bool(self.pending.planned(id)) for id in self.ids]
        if has[0] == has[1]:
            return None
        return self._found(has.index(True), "it has a planned start, and keeps its place (keep_next)")

    def priorities(self) -> Comparison | None:
        """By the number that people see. None: they are equal, and something else orders them."""
        slots = np.array(self.slots, dtype=np.intp)
        if self.config.order == MULTIFACTOR:
            key = Key(self.state, self.now)
            factors = key.factors(slots)
            terms = weigh(self.config.priorities, factors)
            totals: list[int] = terms.priority.tolist()
        else:
            _, negative, _ = self.pending.keys(slots, self.pending.rules(self.config))
            terms, totals = None, (-negative).tolist()
        by = abs(totals[0] - totals[1])
        if not by:
            return None
        ahead = 0 if totals[0] > totals[1] else 1
        specs = [waiter.spec for waiter in self.waiters]
        given = [spec.priority is not None for spec in specs]
        if any(given):
            texts = [
                f"job {name} {'was given' if own else 'has'} priority {total}"
                for name, own, total in zip(self.names, given, totals, strict=True)
            ]
            return self._found(ahead, f"{texts[ahead]}, {texts[1 - ahead]}", by, how=f" by {by}")
        differences = sorted(self._differences(terms, ahead), key=lambda d: (-abs(d.amount), d.name))
        why = ", ".join(f"{d.name} {d.amount:+d} ({d.why})" for d in differences)
        return self._found(ahead, why, by, tuple(differences), f" by {by}")

    def by_order(self) -> Comparison:
        """By the order of the configuration, then by number."""
        state, config = self.state, self.config
        totals = state.node_columns.board().totals
        slots = self.pending.ordered(
            config, self.now, state.usage, totals, order_keys.key_of(state, self.now)
        )
        place = [int(np.flatnonzero(slots == slot)[0]) for slot in self.slots]
        ahead = 0 if place[0] < place[1] else 1
        if config.order in (FCFS, MULTIFACTOR):
            return self._found(ahead, "their priorities are equal, and its number is lower")
        return self._found(
            ahead,
            f'their priorities are equal, and order "{config.order}" says so: {order(config.order).summary}',
        )

    def _differences(self, terms: Terms | None, ahead: int) -> list[Difference]:
        """What is not equal, of the job that is ahead less the other."""
        a, b = self.waiters[ahead], self.waiters[1 - ahead]
        found = [
            Difference("nice", b.spec.nice - a.spec.nice, f"{a.spec.nice} against {b.spec.nice}"),
            Difference(
                "site factor",
                a.spec.site_factor - b.spec.site_factor,
                f"{a.spec.site_factor} against {b.spec.site_factor}",
            ),
        ]
        if terms is None:
            rules = self.pending.rules(self.config)
            bonus = [rules.tier_and_bonus(one.spec.partition)[1] for one in (a, b)]
            found.append(Difference("partition", bonus[0] - bonus[1], self._partitions(a, b)))
            return [one for one in found if one.amount]
        for name, column, why in (
            ("age", terms.age, self._ages),
            ("fair share", terms.fairshare, self._fair_shares),
            ("job size", terms.job_size, self._sizes),
            ("partition", terms.partition, self._partitions),
            ("QOS", terms.qos, self._qos),
            ("association", terms.assoc, self._associations),
        ):
            amount = int(column[ahead] - column[1 - ahead])
            if amount:
                found.append(Difference(name, amount, why(a, b)))
        for (name, _), values in zip(self.config.priorities.weight_tres, terms.tres, strict=True):
            asked = [dict(asked_tres(one.spec.ask, one.spec.licenses)).get(name, 0) for one in (a, b)]
            why_tres = " against ".join(format_amount(name, amount) for amount in asked)
            found.append(Difference(name, int(values[ahead] - values[1 - ahead]), why_tres))
        total = int(terms.priority[ahead] - terms.priority[1 - ahead]) - sum(one.amount for one in found)
        if total:
            found.append(Difference("bound", total, "no priority is below 1"))
        return [one for one in found if one.amount]

    def _ages(self, a: Waiter, b: Waiter) -> str:
        waits = [
            format_elapsed(max(self.now - waiting.pending_phase(one).eligible_at, 0) // US) for one in (a, b)
        ]
        return f"waits for {waits[0]} against {waits[1]}"

    def _sizes(self, a: Waiter, b: Waiter) -> str:
        texts = []
        for one in (a, b):
            tres = dict(asked_tres(one.spec.ask))
            n, cpus = tres[NODE], format_amount(CPU, tres.get(CPU, 0))
            texts.append(f"{n} node{'s' * (n != 1)} and {cpus} CPU{'s' * (cpus != '1')}")
        return " against ".join(texts)

    def _partitions(self, a: Waiter, b: Waiter) -> str:
        of = {partition.name: partition.priority for partition in self.config.partitions}
        names = [one.spec.partition for one in (a, b)]
        return f"{names[0]} has priority {of.get(names[0], 0)}, {names[1]} has {of.get(names[1], 0)}"

    def _qos(self, a: Waiter, b: Waiter) -> str:
        book = self.state.accounts.qos
        names = [one.spec.qos for one in (a, b)]
        of = [book[name].priority if name in book else 0 for name in names]
        return f"{names[0]} has priority {of[0]}, {names[1]} has {of[1]}"

    def _associations(self, a: Waiter, b: Waiter) -> str:
        book = self.state.accounts
        keys = [self._own(one) for one in (a, b)]
        of = [book.associations[key].priority for key in keys]
        return f"{_named(keys[0])} has priority {of[0]}, {_named(keys[1])} has {of[1]}"

    def _own(self, waiter: Waiter) -> AssociationKey:
        return self.state.accounts.chain(waiting.holder_of(waiter.spec, waiter.owner))[0]

    def _fair_shares(self, a: Waiter, b: Waiter) -> str:
        """What decides is the first level at which the two have different associations above them."""
        state = self.state
        shares = state.fair_shares.rows(state.accounts, state.spent, self.now, self.config.priorities)
        keys = [self._own(one) for one in (a, b)]
        for one, key in zip((a, b), keys, strict=True):
            if key == ROOT_KEY:
                return f"job {name_of(one)} has no account with shares"
        ways = [path(state.accounts, key)[::-1] for key in keys]
        level = next(
            (n for n, pair in enumerate(zip(*ways, strict=False)) if pair[0] != pair[1]),
            min(len(way) for way in ways) - 1,
        )
        return _levels(shares, ways[0][level], ways[1][level])


def _levels(shares: Sequence[Share], one: AssociationKey, other: AssociationKey) -> str:
    """`account chem has 50 % of the shares and 12 % of the use, account bio 30 % and 80 %`."""
    rows = {row.key: row for row in shares}
    if one == other:
        return f"they stand differently below {_named(one)}"
    first, second = rows[one], rows[other]
    return (
        f"{_named(one)} has {_percent(first.norm_shares)} of the shares and {_use(first)} of the use, "
        f"{_named(other)} {_percent(second.norm_shares)} and {_use(second)}"
    )


def _use(row: Share) -> str:
    return _percent(row.effective_usage)


def _percent(part: float) -> str:
    return f"{part * 100:.3g} %"


def _named(key: AssociationKey) -> str:
    if not key.user:
        return f"account {key.account}"
    return f"user {key.user} of {key.account}" + (f" in {key.partition}" if key.partition else "")
