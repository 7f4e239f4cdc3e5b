"""How busy each hour of the day usually is, by the jobs that arrive in it; and which hour is quiet.

A job that takes a whole partition stops everybody else for as long as it runs. By day that is many jobs, by
night few, and a late one can as well wait for the evening: the other jobs are served meanwhile, up to its
planned start.

Counts and the time they were counted over fade with a half-life of four weeks, so that the profile follows
the site. Before anything is known all hours are alike, and nothing waits. Hours are those of the cluster's
origin (UTC where none is set).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from packhorse.scheduler.model.ids import US, Instant

_HOUR_US: Final = 3600 * US
_FADING: Final = 0.5 ** (1 / (24 * 28))
"""Per hour."""

_PRIOR_H: Final = 0.5
"""Hours' worth of the mean that each hour is thought to have been seen before."""

_SHORTEST_S: Final = 600.0
"""A job is looked at as blocking at least this long."""

_LOOK_H: Final = 24
"""Starts that are compared, at whole hours."""


class Hours:
    """Arrivals by hour of day, and how long each hour was watched. last: up to when, -1: nothing came yet."""

    __slots__ = ("_cum", "counts", "last", "watched_h")

    def __init__(self, counts: Sequence[float] = (), watched_h: Sequence[float] = (), last: int = -1) -> None:
        self.counts = list(counts) or [0.0] * 24
        self.watched_h = list(watched_h) or [0.0] * 24
        self.last = last
        self._cum: np.ndarray | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hours):
            return NotImplemented
        return (self.counts, self.watched_h, self.last) == (other.counts, other.watched_h, other.last)

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> Hours:
        """As they are now."""
        return Hours(self.counts, self.watched_h, self.last)

    def as_of(self, since_us: int) -> Hours:
        """As they are if nothing more arrives before then."""
        copy = self.copy()
        copy.see(since_us, 0)
        return copy

    def see(self, since_us: int, arrived: int) -> None:
        """The time is now since_us after the origin, and so many jobs have just arrived."""
        if self.last < 0 or since_us - self.last > 60 * 24 * _HOUR_US:
            self.last = since_us
        while self.last < since_us:
            at = min(since_us, (self.last // _HOUR_US + 1) * _HOUR_US)
            self.watched_h[self.last // _HOUR_US % 24] += (at - self.last) / _HOUR_US
            if at % _HOUR_US == 0:
                self.watched_h = [h * _FADING for h in self.watched_h]
                self.counts = [n * _FADING for n in self.counts]
            self.last = at
        self.counts[since_us // _HOUR_US % 24] += arrived
        self._cum = None

    def quiet_from(self, first: Instant, run_s: float, submitted: int, level: float, slope: float) -> Instant:
        """When to start a job that could start at `first` and runs that long: the first of that instant and
        the whole hours of the day after it at which it stops hardly more arrivals than at the best of them.

        Instants since the origin. level, slope: how far up from the best to the worst is quiet enough; slope
        is added per microsecond since `submitted`, and that may be a time to come.
        """
        starts = [int(first), *((first // _HOUR_US + h) * _HOUR_US for h in range(1, _LOOK_H))]
        busy = [self.busy(at, run_s) for at in starts]
        least, most = min(busy), max(busy)
        for at, much in zip(starts, busy, strict=True):
            enough = level + slope * max(0, at - submitted)
            if much <= least + enough * (most - least) + 1e-9:
                return Instant(at)
        return first

    def busy(self, at_us: int, run_s: float) -> float:
        """Arrivals while a job runs that begins then, per hour, against those of all hours."""
        if self._cum is None:
            self._cum = self._profile()
        run_us = max(run_s, _SHORTEST_S) * US
        return (self._until(at_us + run_us) - self._until(at_us)) / (run_us / _HOUR_US)

    def _profile(self) -> np.ndarray:
        """Arrivals from midnight up to each hour, 24 in all `[25]`."""
        counts, watched_h = np.array(self.counts), np.array(self.watched_h)
        seen = float(watched_h.sum())
        mean = float(counts.sum()) / seen if seen > 0 else 1.0
        mean = mean if mean > 0 else 1.0
        rates = (counts + _PRIOR_H * mean) / (watched_h + _PRIOR_H)
        return np.concatenate([[0.0], (rates * 24 / rates.sum()).cumsum()])

    def _until(self, at_us: float) -> float:
        """Arrivals from the origin up to then."""
        assert self._cum is not None
        days, rest = divmod(at_us / _HOUR_US, 24)
        hour = min(23, int(rest))
        before = float(self._cum[hour])
        return days * 24 + before + (rest - hour) * (float(self._cum[hour + 1]) - before)
