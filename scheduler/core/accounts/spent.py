"""What was spent: use of every association and QOS, older use counting for less.

Use is kept as an amount at an instant and a rate from then on, for each name: du/dt = r - lambda u in closed
form (core/accounts/decay.py). Running jobs are therefore counted at any instant, a start or an end costs a
step per association above the job, and nothing ever loops over jobs. Rates are whole numbers: when the
last job of an association has ended, its rate is zero again and not nearly zero.

| name | counted in, times seconds |
|---|---|
| as in `Tres` | as there |
| billing | weighed resources of the job's partition |
| wall | 1 for each job |

All but wall are times the usage factor of the job's QOS. What an account has spent is what its children have,
what its own jobs without an association of their user have, and what came from associations that are gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.accounts.decay import NO_DECAY, Decay
from packhorse.scheduler.model.accounts import AccountsDelta, AssociationKey
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.tres import BILLING, MILLI

WALL: Final = "wall"

Rates = tuple[tuple[str, int], ...]
"""Thousandths of each name's unit per second."""

NOT_DECAYING: Final = "NoDecay"
"""The flag of a QOS whose use stays (a budget)."""


class Charge(NamedTuple):
    """What a running job is charged: the lowest association it counts under, QOS, and how much a second.
    running: of a suspended job, the rates before that."""

    own: AssociationKey
    qos: tuple[str, ...]
    rates: Rates
    running: Rates = ()


class Ledger:
    """Use under one name: amounts as of `at`, and rates from then on. decay: how it fades."""

    __slots__ = ("at", "decay", "rates", "used")

    def __init__(self, decay: Decay, at: Instant) -> None:
        self.decay = decay
        self.at = at
        self.used: dict[str, float] = {}
        self.rates: dict[str, int] = {}

    def as_of(self, now: Instant) -> dict[str, float]:
        """Amounts at `now`; at `at`, if that is later. The ledger stays as it is."""
        at, used = self.at, self.used
        since = self.decay.since(now)
        if since > at:
            at, used = since, dict.fromkeys(used, 0.0)
        if now <= at:
            return dict(used)
        kept, gained = self.decay.over((now - at) / US)
        rates = self.rates
        return {name: was * kept + rates.get(name, 0) * gained / MILLI for name, was in used.items()}

    def advance(self, now: Instant) -> None:
        """Amounts are those of `now` from here on."""
        if now > self.at:
            self.used, self.at = self.as_of(now), now

    def add_rates(self, rates: Iterable[tuple[str, int]], sign: int = 1) -> None:
        """From the instant on to which it was advanced."""
        own = self.rates
        for name, rate in rates:
            total = own.get(name, 0) + sign * rate
            if total:
                own[name] = total
            else:
                own.pop(name, None)
            self.used.setdefault(name, 0.0)

    def add(self, other: Ledger, sign: int = 1) -> None:
        """What is in another, or not any more; both advanced to the same instant."""
        for name, used in other.used.items():
            self.used[name] = max(self.used.get(name, 0.0) + sign * used, 0.0)
        self.add_rates(list(other.rates.items()), sign)

    def clear(self) -> None:
        """Nothing was used; what is used goes on."""
        self.used = dict.fromkeys(self.used, 0.0)

    def copy(self) -> Ledger:
        copy = Ledger(self.decay, self.at)
        copy.used, copy.rates = self.used.copy(), self.rates.copy()
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ledger):
            return NotImplemented
        return all(
            list(getattr(self, name).items()) == list(getattr(other, name).items())
            for name in ("used", "rates")
        ) and (self.at, self.decay) == (other.at, other.decay)

    __hash__ = None  # type: ignore[assignment]


class Spent:
    """See the module. A part of the state; core/accounts/charging.py feeds it.

    counting: whether anything is counted, which begins with the first change of the book of accounts.
    charges: of the jobs that run. version: grows with every change but the passing of time; no part of what
    makes two of them equal.
    """

    __slots__ = ("by_key", "by_qos", "charges", "counting", "decay", "version")

    def __init__(self) -> None:
        self.counting = False
        self.decay = NO_DECAY
        self.by_key: dict[AssociationKey, Ledger] = {}
        self.by_qos: dict[str, Ledger] = {}
        self.charges: dict[JobId, Charge] = {}
        self.version = 0

    # -- reading: changes nothing, so that asking leaves no trace in the state ---------------------------

    def of(self, key: AssociationKey, now: Instant) -> dict[str, float]:
        """TRES-seconds by name, in the units of `Tres`, billing included."""
        return _tres(self.by_key.get(key), now)

    def billing(self, key: AssociationKey, now: Instant) -> float:
        """Billing-seconds: what fair share goes by (Slurm's raw usage)."""
        return self._one(self.by_key.get(key), BILLING, now)

    def billings(self, now: Instant, ahead_s: int = 0) -> dict[AssociationKey, float]:
        """The same of every association that has spent anything. ahead_s: with what running jobs use in so
        long from now on."""
        decays: dict[Instant, tuple[float, float]] = {}
        since, found = self.decay.since(now), {}
        then_kept, then_gained = self.decay.over(ahead_s)
        for key, ledger in self.by_key.items():
            at, used = ledger.at, ledger.used.get(BILLING, 0.0)
            if since > at:
                at, used = since, 0.0
            if now > at:
                if at not in decays:
                    decays[at] = self.decay.over((now - at) / US)
                kept, gained = decays[at]
                used = used * kept + ledger.rates.get(BILLING, 0) * gained / MILLI
            if ahead_s:
                used = used * then_kept + ledger.rates.get(BILLING, 0) * then_gained / MILLI
            found[key] = used
        return found

    def wall_s(self, key: AssociationKey, now: Instant) -> float:
        """How long jobs ran, added up."""
        return self._one(self.by_key.get(key), WALL, now)

    def of_qos(self, name: str, now: Instant) -> dict[str, float]:
        """As `of`, for all jobs of the QOS and of partitions whose QOS it is."""
        return _tres(self.by_qos.get(name), now)

    def wall_s_of_qos(self, name: str, now: Instant) -> float:
        """As `wall_s`."""
        return self._one(self.by_qos.get(name), WALL, now)

    # -- jobs --------------------------------------------------------------------------------------------

    def charge(self, book: AccountBook, job: JobId, charge: Charge, now: Instant) -> None:
        """The job is charged this from now on, in place of what it was charged before."""
        self.release(book, job, now)
        self.charges[job] = charge
        self._add_rates(book, charge, now, 1)

    def release(self, book: AccountBook, job: JobId, now: Instant) -> None:
        """The job is not charged any more, if it was."""
        charge = self.charges.pop(job, None)
        if charge is not None:
            self._add_rates(book, charge, now, -1)

    def _add_rates(self, book: AccountBook, charge: Charge, now: Instant, sign: int) -> None:
        for key in path(book, charge.own):
            ledger = self.by_key.get(key)
            if ledger is None:
                ledger = self.by_key[key] = Ledger(self.decay, now)
            ledger.advance(now)
            ledger.add_rates(charge.rates, sign)
        for name in charge.qos:
            ledger = self.by_qos.get(name)
            if ledger is None:
                ledger = self.by_qos[name] = Ledger(self._decay_of(book, name), now)
            ledger.advance(now)
            ledger.add_rates(charge.rates, sign)
        self.version += 1

    # -- the rules and the tree --------------------------------------------------------------------------

    def fade(self, book: AccountBook, decay: Decay, now: Instant) -> None:
        """Use fades in this way from now on."""
        self.decay = decay
        for ledger in self.by_key.values():
            ledger.advance(now)
            ledger.decay = decay
        for name, ledger in self.by_qos.items():
            ledger.advance(now)
            ledger.decay = self._decay_of(book, name)
        self.version += 1

    def change(self, book: AccountBook, delta: AccountsDelta, now: Instant) -> None:
        """Change the book and follow it.

        Use goes along with an account that gets another parent; what is gone is forgotten, but stays in what
        its parents have spent; what is reset counts from zero.
        """
        gone = set(delta.gone_associations) | {AssociationKey(name) for name in delta.gone_accounts}
        parents = {name: account.parent for name, account in book.accounts.items()}
        moved = [
            AssociationKey(account.name)
            for account in delta.accounts
            if account.name in parents and parents[account.name] != account.parent
        ]
        for key in delta.reset_usage:
            self._reset(book, key, now)
        heirs = {
            key: next((above for above in path(book, key)[1:] if above not in gone), None) for key in gone
        }
        self._shift(book, moved, now, -1)
        book.change(delta)
        self._shift(book, moved, now, 1)
        for job, charge in self.charges.items() if gone else ():
            heir = heirs.get(charge.own)
            if heir is not None:
                self.charges[job] = charge._replace(own=heir)
        for key in gone:
            self.by_key.pop(key, None)
        if delta.gone_qos:
            charged = {name for charge in self.charges.values() for name in charge.qos}
            for name in delta.gone_qos:
                if name not in charged:
                    self.by_qos.pop(name, None)
        for name, ledger in self.by_qos.items():
            ledger.advance(now)
            ledger.decay = self._decay_of(book, name)
        self.counting = True
        self.version += 1

    def _shift(self, book: AccountBook, moved: list[AssociationKey], now: Instant, sign: int) -> None:
        """Take what these accounts have spent from those above them, or give it to them.

        Some may be above others, so a walk upwards ends at the next account that is cut off itself: one that
        was cut before this one, or is not joined again yet.
        """
        ends = set() if sign < 0 else set(moved)
        for key in moved:
            if sign > 0:
                ends.discard(key)
            ledger = self.by_key.get(key)
            if ledger is not None:
                ledger.advance(now)
                for above in path(book, key)[1:]:
                    total = self.by_key.get(above)
                    if total is None:
                        total = self.by_key[above] = Ledger(self.decay, now)
                    total.advance(now)
                    total.add(ledger, sign)
                    if above in ends:
                        break
            if sign < 0:
                ends.add(key)

    def _reset(self, book: AccountBook, key: AssociationKey, now: Instant) -> None:
        """It, and what is below it, has spent nothing; those above have spent the less."""
        ledger = self.by_key.get(key)
        if ledger is None:
            return
        ledger.advance(now)
        past = ledger.copy()
        past.rates = {}
        for above in path(book, key)[1:]:
            total = self.by_key[above]
            total.advance(now)
            total.add(past, -1)
        below = [key] if key.user else [k for k in self.by_key if book.is_below(k.account, key.account)]
        for one in below:
            self.by_key[one].advance(now)
            self.by_key[one].clear()

    def _decay_of(self, book: AccountBook, name: str) -> Decay:
        qos = book.qos.get(name)
        return NO_DECAY if qos is not None and NOT_DECAYING in qos.flags else self.decay

    def _one(self, ledger: Ledger | None, name: str, now: Instant) -> float:
        return ledger.as_of(now).get(name, 0.0) if ledger is not None else 0.0

    # -- as a value --------------------------------------------------------------------------------------

    def copy(self) -> Spent:
        copy = Spent()
        copy.counting, copy.decay, copy.version = self.counting, self.decay, self.version
        copy.by_key = {key: ledger.copy() for key, ledger in self.by_key.items()}
        copy.by_qos = {name: ledger.copy() for name, ledger in self.by_qos.items()}
        copy.charges = self.charges.copy()
        return copy

    def check(self, book: AccountBook) -> None:
        """Raises InvariantBroken where rates are not exactly those of the jobs that are charged."""
        rates: dict[AssociationKey | str, dict[str, int]] = {}
        for charge in self.charges.values():
            places: list[AssociationKey | str] = [*path(book, charge.own), *charge.qos]
            for place in places:
                own = rates.setdefault(place, {})
                for name, rate in charge.rates:
                    own[name] = own.get(name, 0) + rate
        ledgers: list[tuple[AssociationKey | str, Ledger]] = [*self.by_key.items(), *self.by_qos.items()]
        for place, ledger in ledgers:
            if ledger.rates != rates.pop(place, {}):
                raise InvariantBroken(f"{place} is charged {ledger.rates} a second, which its jobs are not")
            if any(used < 0 for used in ledger.used.values()):
                raise InvariantBroken(f"{place} has used less than nothing: {ledger.used}")
        if rates:
            raise InvariantBroken(f"nothing is known of the use of {next(iter(rates))}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spent):
            return NotImplemented
        return (self.counting, self.decay) == (other.counting, other.decay) and all(
            list(getattr(self, title).items()) == list(getattr(other, title).items())
            for title in ("by_key", "by_qos", "charges")
        )

    __hash__ = None  # type: ignore[assignment]


def path(book: AccountBook, key: AssociationKey) -> list[AssociationKey]:
    """The association and those above it, ROOT's last."""
    found = [key]
    name = key.account if key.user else book.accounts[key.account].parent
    while name:
        found.append(AssociationKey(name))
        name = book.accounts[name].parent
    return found


def _tres(ledger: Ledger | None, now: Instant) -> dict[str, float]:
    if ledger is None:
        return {}
    used = ledger.as_of(now)
    used.pop(WALL, None)
    return used
