"""What waiting jobs were told about their starts, and how right that was.

A job is told at its first consideration, and again when as much time has passed since it was told last as
before that, `AGAIN_S` at least: at most 2 + log2(wait / AGAIN_S) times, so that the log grows with the number
of jobs and hardly with their waits. Every estimate is scored when the job starts. What was told to a job that
ends, is held or changed before it starts counts for nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.model.event import StartEstimate
from packhorse.scheduler.model.ids import US, Instant, JobId

KEPT: Final = 2_000
"""Scored estimates that are remembered one by one, the last ones."""

DAYS: Final = 400

AGAIN_S: Final = 600

COVERAGE: Final = 0.8
"""The share of starts that is to be inside the interval."""

_RATE: Final = 0.005
"""How fast the level follows: Gibbs and Candès (2021) use this value."""

_LEVELS: Final = (0.005, 0.2)

_TOLERANCE_US: Final = US
"""The interval is told in seconds."""


class Told(NamedTuple):
    """An estimate, and when it was made."""

    at: Instant
    estimate: StartEstimate


class Scored(NamedTuple):
    """An estimate of a job that has started. nth: 0 for the first one that it was told."""

    at: Instant
    estimate: StartEstimate
    start: Instant
    partition: str
    nth: int

    @property
    def inside(self) -> bool:
        """Whether the start was in the interval."""
        low, high = self.estimate.low - _TOLERANCE_US, self.estimate.high + _TOLERANCE_US
        return low <= self.start <= high


class Day(NamedTuple):
    """Estimates scored on a day (number of days since 1970), those inside their intervals, and the sums of
    errors of the medians and of waits, in seconds."""

    day: int
    n: int
    inside: int
    error_s: int
    wait_s: int


Key = tuple[JobId, bool]
"""A job, or the first or (True) last task of an array."""


class Track:
    """Estimates that have been scored. level: the share of starts that is aimed to be below the interval, and
    above it. n, n_inside: how many there ever were, and how many held. known: what core/when/calibration.py
    made of the first so many of them; no part of what makes them equal."""

    __slots__ = ("days", "known", "level", "n", "n_inside", "scored")

    def __init__(self) -> None:
        self.scored: deque[Scored] = deque(maxlen=KEPT)
        self.days: deque[Day] = deque(maxlen=DAYS)
        self.level = (1 - COVERAGE) / 2
        self.n = 0
        self.n_inside = 0
        self.known: tuple[int, np.ndarray, np.ndarray] | None = None

    def score(self, scored: Scored) -> None:
        """One more."""
        self.scored.append(scored)
        inside = scored.inside
        self.n += 1
        self.n_inside += inside
        low, high = _LEVELS
        outside = 0.0 if inside else 1.0
        self.level = min(max(self.level + _RATE * (1 - COVERAGE - outside) / 2, low), high)
        day = scored.start // (86_400 * US)
        before = self.days.pop() if self.days and self.days[-1].day == day else Day(day, 0, 0, 0, 0)
        error_s = abs(scored.start - scored.estimate.median) // US
        wait_s = (scored.start - scored.at) // US
        self.days.append(
            Day(day, before.n + 1, before.inside + inside, before.error_s + error_s, before.wait_s + wait_s)
        )

    def copy(self) -> Track:
        """As it is now."""
        copy = Track()
        copy.scored, copy.days = self.scored.copy(), self.days.copy()
        copy.level, copy.n, copy.n_inside = self.level, self.n, self.n_inside
        copy.known = self.known
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Track):
            return NotImplemented
        return (
            (self.n, self.n_inside, self.level) == (other.n, other.n_inside, other.level)
            and self.days == other.days
            and self.scored == other.scored
        )

    __hash__ = None  # type: ignore[assignment]


class EstimateBook:
    """See the module. first: estimates at a job's first consideration; again: those told later, of which the
    long waits have more. Each goes by its own past."""

    __slots__ = ("again", "first", "told")

    def __init__(self) -> None:
        self.told: dict[Key, tuple[Told, ...]] = {}
        self.first = Track()
        self.again = Track()

    def due(self, key: Key, now: Instant) -> bool:
        """Whether the job is to be told (again)."""
        told = self.told.get(key)
        if told is None:
            return True
        return now - told[-1].at >= max(AGAIN_S * US, told[-1].at - told[0].at)

    def tell(self, at: Instant, estimates: Iterable[StartEstimate], waits: Callable[[JobId], bool]) -> None:
        """These estimates were made; those of jobs that do not wait any more are forgotten."""
        for key in [key for key in self.told if not waits(key[0])]:
            del self.told[key]
        self.restore((Told(at, estimate) for estimate in estimates), ())

    def newest(self, job: JobId, last: bool = False) -> Told | None:
        """What the job was told last."""
        told = self.told.get((job, last))
        return told[-1] if told else None

    def void(self, job: JobId) -> None:
        """What the job was told counts for nothing any more."""
        self.told.pop((job, False), None)
        self.told.pop((job, True), None)

    def started(self, job: JobId, start: Instant, partition: str, last: bool = False) -> None:
        """The job starts: all that it was told is scored."""
        for nth, told in enumerate(self.told.pop((job, last), ())):
            self._track(nth).score(Scored(told.at, told.estimate, start, partition, nth))

    def restore(self, told: Iterable[Told], scored: Iterable[Scored]) -> None:
        """More of what was remembered, after what is there."""
        for one in told:
            key = (one.estimate.job, one.estimate.last)
            self.told[key] = (*self.told.get(key, ()), one)
        for some in scored:
            self._track(some.nth).scored.append(some)

    def _track(self, nth: int) -> Track:
        return self.again if nth else self.first

    def copy(self) -> EstimateBook:
        """As it is now."""
        copy = EstimateBook()
        copy.told = self.told.copy()
        copy.first, copy.again = self.first.copy(), self.again.copy()
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EstimateBook):
            return NotImplemented
        return self.told == other.told and self.first == other.first and self.again == other.again

    __hash__ = None  # type: ignore[assignment]
