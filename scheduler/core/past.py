"""What a state remembers beside jobs and nodes, as chunks of a snapshot and back.

How long jobs ran, who used how much, when jobs came, how usage grows: some megabytes at most, whatever the
number of jobs that ever ran, so that recovery need not read the accounting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

import msgspec

from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.accounts.decay import Decay
from packhorse.scheduler.core.accounts.spent import Charge, Ledger, Spent
from packhorse.scheduler.core.batch.arrivals import Arrival
from packhorse.scheduler.core.batch.hours import Hours
from packhorse.scheduler.core.predictors import Kind
from packhorse.scheduler.core.state import Frozen, State
from packhorse.scheduler.core.steps.book import JobSteps
from packhorse.scheduler.core.when.book import Day, EstimateBook, Scored, Told
from packhorse.scheduler.model.accounts import AccountsDelta, AssociationKey
from packhorse.scheduler.model.crontab import Crontab
from packhorse.scheduler.model.event import UsageLearned
from packhorse.scheduler.model.ids import Instant, JobId, NodeName
from packhorse.scheduler.model.reservation import Reservation
from packhorse.scheduler.model.trigger import Trigger

_AT_ONCE: Final = 1_000
_USERS_AT_ONCE: Final = 100
_STEPS_AT_ONCE: Final = 100
"""Values per chunk; a user has up to 20 run times."""

_ANY: Final = -1
"""For the CPUs of a kind: all jobs of the user."""

_T = TypeVar("_T")


class PastChunk(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """One piece. Pieces of a kind continue each other."""


class Runs(PastChunk, frozen=True, array_like=True, tag="runs", gc=False):
    """User, CPUs in thousandths, time limit, and the last two run times, in microseconds."""

    last: list[tuple[int, int, int, int, int]]


class Shares(PastChunk, frozen=True, array_like=True, tag="shares", gc=False):
    """Run times as shares of time limits, of the last jobs of anybody."""

    shares: list[float]


class Own(PastChunk, frozen=True, array_like=True, tag="own", gc=False):
    """Time limits and run times of each user's last jobs, in seconds."""

    own: list[tuple[int, tuple[tuple[float, float], ...]]]


class Used(PastChunk, frozen=True, array_like=True, tag="used", gc=False):
    """What users have used, weighed since `base`."""

    base: Instant | None
    used: list[tuple[int, float]]


class Arrived(PastChunk, frozen=True, array_like=True, tag="arrived", gc=False):
    """Arrivals by hour of day, up to `last`, and the last ones: user and time limit in seconds."""

    counts: list[float]
    watched_h: list[float]
    last: int
    recent: list[tuple[int, int]]


class Learned(PastChunk, frozen=True, array_like=True, tag="learned", gc=False):
    """What an estimator of usage has learned."""

    at: Instant
    estimator: str
    learned: tuple[float, ...]


class Booked(PastChunk, frozen=True, array_like=True, tag="booked", gc=False):
    """A part of the book of accounts."""

    delta: AccountsDelta


class Estimated(PastChunk, frozen=True, array_like=True, tag="estimated", gc=False):
    """What waiting jobs were told about their starts, and estimates of jobs that have started."""

    told: list[Told]
    scored: list[Scored]


class Hits(PastChunk, frozen=True, array_like=True, tag="hits", gc=False):
    """How right estimates were, day by day and in all, and the level that follows from it. again: of those
    that were not their jobs' first."""

    again: bool
    days: list[Day]
    level: float
    n: int
    n_inside: int


class Spend(PastChunk, frozen=True, array_like=True, tag="spend", gc=False):
    """What associations (or QOS, which have no account) have spent: since when, how it fades, and for each
    name the amount and the rate; and what running jobs are charged."""

    decay: Decay
    ledgers: list[tuple[AssociationKey, str, Instant, Decay, list[tuple[str, float]], list[tuple[str, int]]]]
    charges: list[tuple[JobId, Charge]]


class Reserved(PastChunk, frozen=True, array_like=True, tag="reserved", gc=False):
    """Reservations, in the order in which they came."""

    reservations: list[Reservation]


class Stepped(PastChunk, frozen=True, array_like=True, tag="steps", gc=False):
    """Steps of jobs that run."""

    steps: list[tuple[JobId, JobSteps]]


class Openings(PastChunk, frozen=True, array_like=True, tag="openings", gc=False):
    """Partitions that an administrator opened or closed, and how."""

    states: list[tuple[str, str]]


class Triggered(PastChunk, frozen=True, array_like=True, tag="triggers", gc=False):
    """Triggers, and the number of the next one."""

    next_id: int
    triggers: list[Trigger]
    silent: list[NodeName]


class Crontabs(PastChunk, frozen=True, array_like=True, tag="crontabs", gc=False):
    crontabs: list[Crontab]


AnyPast = (
    Openings
    | Triggered
    | Crontabs
    | Stepped
    | Runs
    | Shares
    | Own
    | Used
    | Arrived
    | Learned
    | Booked
    | Spend
    | Reserved
    | Estimated
    | Hits
)


def pieces(frozen: Frozen) -> Iterator[AnyPast]:
    """All that is remembered; at least one piece."""
    history, hours = frozen.history, frozen.arrivals.hours
    recent = [(arrival.uid, arrival.limit_s) for arrival in frozen.arrivals.recent]
    yield Arrived(hours.counts, hours.watched_h, hours.last, recent)
    for last in _some(history.last().items(), _AT_ONCE):
        yield Runs([(*_numbers(key), *two) for key, two in last])
    yield Shares(list(history.samples.shares))
    for own in _some(history.samples.users().items(), _USERS_AT_ONCE):
        yield Own(own)
    base, used = frozen.usage.past()
    for some in _some(used.items(), _AT_ONCE):
        yield Used(base, some)
    if frozen.learned is not None:
        yield Learned(frozen.learned.at, frozen.learned.estimator, frozen.learned.learned)
    yield from _booked(frozen.accounts)
    yield from _estimated(frozen.estimates)
    if frozen.spent.counting:
        yield from _spent(frozen.spent)
    for reservations in _some(frozen.reservations.values(), _AT_ONCE):
        yield Reserved(reservations)
    for steps in _some(frozen.steps.items(), _STEPS_AT_ONCE):
        yield Stepped(steps)
    for states in _some(frozen.partition_states.items(), _AT_ONCE):
        yield Openings(states)
    if frozen.triggers.next_id > 1:
        book = frozen.triggers
        yield Triggered(book.next_id, list(book.by_id.values()), sorted(book.silent))
    for crontabs in _some(frozen.crontabs.values(), _USERS_AT_ONCE):
        yield Crontabs(crontabs)


def _booked(accounts: AccountBook) -> Iterator[Booked]:
    whole = accounts.delta()
    for title in ("accounts", "users", "associations", "qos"):
        for some in _some(getattr(whole, title), _AT_ONCE):
            yield Booked(AccountsDelta(**{title: tuple(some)}))


def _estimated(book: EstimateBook) -> Iterator[Estimated | Hits]:
    for again, track in ((False, book.first), (True, book.again)):
        if track.n:
            yield Hits(again, list(track.days), track.level, track.n, track.n_inside)
    for told in _some((told for several in book.told.values() for told in several), _AT_ONCE):
        yield Estimated(told, [])
    for scored in _some((*book.first.scored, *book.again.scored), _AT_ONCE):
        yield Estimated([], scored)


def _spent(spent: Spent) -> Iterator[Spend]:
    ledgers = [(key, "", ledger) for key, ledger in spent.by_key.items()]
    ledgers += [(AssociationKey(""), name, ledger) for name, ledger in spent.by_qos.items()]
    yield Spend(spent.decay, [], [])
    for some in _some(ledgers, _AT_ONCE):
        rows = [(k, q, x.at, x.decay, list(x.used.items()), list(x.rates.items())) for k, q, x in some]
        yield Spend(spent.decay, rows, [])
    for charges in _some(spent.charges.items(), _AT_ONCE):
        yield Spend(spent.decay, [], charges)


def take(state: State, piece: AnyPast) -> None:
    """Give the state what the piece holds."""
    match piece:
        case Arrived(counts, watched_h, last, recent):
            state.arrivals.hours = Hours(counts, watched_h, last)
            state.arrivals.recent.extend(Arrival(uid, limit_s) for uid, limit_s in recent)
            state.arrivals.n = len(recent)
        case Runs():
            state.history.restore(
                (uid if cpu_milli == _ANY else Kind(uid, cpu_milli, limit_us), (first, second))
                for uid, cpu_milli, limit_us, first, second in piece.last
            )
        case Shares():
            state.history.samples.restore(piece.shares, ())
        case Own():
            state.history.samples.restore((), piece.own)
        case Used():
            state.usage.restore(piece.base, piece.used)
        case Learned():
            state.learned = UsageLearned(piece.at, piece.estimator, piece.learned)
        case Booked():
            state.accounts.change(piece.delta)
        case Reserved(reservations):
            state.reservations.update((r.name, r) for r in reservations)
        case Stepped(steps):
            state.steps.update(steps)
        case Openings(states):
            state.partition_states.update(states)
        case Triggered(next_id, triggers, silent):
            state.triggers.by_id = {trigger.id: trigger for trigger in triggers}
            state.triggers.next_id, state.triggers.silent = next_id, set(silent)
        case Crontabs(crontabs):
            state.crontabs.update((crontab.owner.uid, crontab) for crontab in crontabs)
        case Estimated():
            state.estimates.restore(piece.told, piece.scored)
        case Hits(again, days, level, n, n_inside):
            track = state.estimates.again if again else state.estimates.first
            track.days.extend(days)
            track.level, track.n, track.n_inside = level, n, n_inside
        case Spend():
            _take_spent(state.spent, piece)


def _take_spent(spent: Spent, piece: Spend) -> None:
    spent.counting, spent.decay = True, piece.decay
    for key, qos, at, decay, used, rates in piece.ledgers:
        ledger = Ledger(decay, at)
        ledger.used, ledger.rates = dict(used), dict(rates)
        if qos:
            spent.by_qos[qos] = ledger
        else:
            spent.by_key[key] = ledger
    spent.charges.update(piece.charges)


def _numbers(key: int | Kind) -> tuple[int, int, int]:
    return key if isinstance(key, Kind) else (key, _ANY, 0)


def _some(values: Iterable[_T], n: int) -> Iterator[list[_T]]:
    rest = iter(values)
    while some := list(islice(rest, n)):
        yield some
