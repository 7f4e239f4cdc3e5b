"""Our own usage estimate: as far above its peak as it pays to be, by how such attempts have grown so far.

    T = min over w in WINDOWS_S, x in TIMES of the price below, or L where that is cheaper
    price(w, x) = x P_w / P + overrun_days × rate_w,c(x)
    price(L)    = L / P

P_w: the peak of the last w. P: the mean over all attempts of the longest P_w. rate_w,c(x): how often a day
attempts of class c have used more than x P_w (core/reclaim/growth.py). So memory is kept idle where that is
cheap for the risk it takes away: attempts that hold little get much room in proportion, the big ones only as
much as such attempts have needed; and on a site where usage hardly moves the room shrinks by itself.

Class of an attempt: how long ago its P_w was reached (an old peak is seldom passed), and how restless it is,
the mean relative change between peaks of STEP_S, with a half-life of RESTLESS_S.

Ours. Minimising the price of slack and overruns together is Autopilot's idea (EuroSys 2020, section 3.2.3); a
rate of passing a threshold by class, drawn towards that of all, is textbook survival analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from packhorse.scheduler.core.reclaim.growth import TIMES, Growth
from packhorse.scheduler.core.reclaim.peaks import Peaks
from packhorse.scheduler.core.reclaim.rule import Estimator, Samples, more, seconds_us
from packhorse.scheduler.core.reclaim.settings import Own, Settings
from packhorse.scheduler.model.ids import US

WINDOWS_S: Final = (86_400, 604_800)
"""A day and a week: what usage follows where people or timers work."""

HOUR_US: Final = 3600 * US
DAY_US: Final = 24 * HOUR_US
STEP_S: Final = 300
RESTLESS_S: Final = 7200

AGES_US: Final = np.array([4 * HOUR_US, 24 * HOUR_US, 96 * HOUR_US])
CHANGES: Final = np.array([0.0015, 0.005, 0.02])
"""Bounds of the classes."""

SMALLEST: Final = 1 / 256
"""A peak counts for no less than this share of the limit."""

_LEVELS: Final = 8
"""Sizes are told apart in eighths of a doubling where the best x is looked up."""
_OCTAVES: Final = 20


class Anchor:
    """One of WINDOWS_S: the peaks within it, and how attempts have grown past these."""

    def __init__(self, window_us: int) -> None:
        self.peaks = Peaks(window_us)
        self.growth = Growth(len(AGES_US) + 1, len(CHANGES) + 1)
        self.peak = np.zeros(0)
        """By row, at least SMALLEST of the limit; 0 before the first sample."""
        self._sum, self._n = 0.0, 0
        """Of all peaks that are not 0. Exact, since each is a multiple of SMALLEST."""
        self.reached_us = np.zeros(0, dtype=np.int64)
        self.kind = np.zeros(0, dtype=np.intp)

    def grow(self, n: int) -> None:
        self.peaks.grow(n)
        self.peak = more(self.peak, n)
        self.reached_us = more(self.reached_us, n)
        self.kind = more(self.kind, n)

    def clear(self, row: int) -> None:
        self.peaks.clear(row)
        self._sum -= float(self.peak[row])
        self._n -= int(self.peak[row] > 0)
        self.peak[row] = 0
        self.reached_us[row] = 0

    @property
    def mean(self) -> float:
        """The mean peak of all attempts that were measured, 0 if none was. Costs nothing, however many."""
        return self._sum / max(self._n, 1)

    def learn(self, samples: Samples) -> None:
        """How far these are above the peaks of before."""
        known = samples.gap_us > 0
        rows, used = samples.rows[known], samples.used_mib[known]
        self.growth.add(self.kind[rows], used / self.peak[rows], samples.gap_us[known] / DAY_US)

    def add(self, samples: Samples, restless: np.ndarray) -> None:
        """Take the samples in, of attempts of these classes of restlessness."""
        rows = samples.rows
        peak = self.peaks.add(rows, samples.used_mib, samples.age_us)
        self.reached_us[rows] = np.where(samples.used_mib >= peak, samples.age_us, self.reached_us[rows])
        before = self.peak[rows]
        self.peak[rows] = np.maximum(peak, np.maximum(samples.limit_mib * SMALLEST, 1))
        self._sum += float((self.peak[rows] - before).sum())
        self._n += len(rows) - int(np.count_nonzero(before))
        since = np.digitize(samples.age_us - self.reached_us[rows], AGES_US)
        self.kind[rows] = since * (len(CHANGES) + 1) + restless

    def best(self, rows: np.ndarray, mean: float, overrun_days: float) -> tuple[np.ndarray, np.ndarray]:
        """The cheapest x P_w and its price, were there no limits. mean: P of the formula."""
        rates, size = self.growth.rates() * overrun_days, self.peak[rows] / mean
        half = _LEVELS * _OCTAVES
        level = np.clip(np.rint(np.log2(size) * _LEVELS), -half, half).astype(np.intp) + half
        codes, which = np.unique(self.kind[rows] * (2 * half + 1) + level, return_inverse=True)
        kinds, levels = np.divmod(codes, 2 * half + 1)
        x = (np.exp2((levels - half) / _LEVELS)[:, None] * TIMES + rates[kinds]).argmin(axis=1)[which]
        return TIMES[x] * self.peak[rows], TIMES[x] * size + rates[self.kind[rows], x]


class Packhorse:
    """See the module. What is learned is shared by all rows."""

    def __init__(self, settings: Settings) -> None:
        self._overrun_days = float(settings.overrun_days)
        self._anchors = [Anchor(seconds_us(window)) for window in WINDOWS_S]
        self._step = np.zeros(0, dtype=np.int64)
        self._step_peak = np.zeros(0, dtype=np.int64)
        self._step_before = np.zeros(0, dtype=np.int64)
        self._change = np.zeros(0)

    def grow(self, n: int) -> None:
        for anchor in self._anchors:
            anchor.grow(n)
        self._step = more(self._step, n)
        self._step_peak = more(self._step_peak, n)
        self._step_before = more(self._step_before, n)
        self._change = more(self._change, n)

    def clear(self, row: int) -> None:
        for anchor in self._anchors:
            anchor.clear(row)
        self._step[row] = -1
        self._step_peak[row] = self._step_before[row] = -1
        self._change[row] = 0

    def forget(self, row: int) -> None:
        self.clear(row)

    def observe(self, samples: Samples) -> np.ndarray:
        restless = np.digitize(self._restless(samples), CHANGES)
        for anchor in self._anchors:
            anchor.learn(samples)
            anchor.add(samples, restless)
        mean = self._anchors[-1].mean
        target = samples.limit_mib.astype(np.float64)
        price = target / mean
        for anchor in self._anchors:
            estimate, its_price = anchor.best(samples.rows, mean, self._overrun_days)
            target = np.where(its_price < price, estimate, target)
            price = np.minimum(its_price, price)
        return target

    def learned(self) -> list[float]:
        return [number for anchor in self._anchors for number in anchor.growth.learned()]

    def teach(self, learned: Sequence[float]) -> None:
        size = len(learned) // len(self._anchors)
        if size * len(self._anchors) < len(learned):
            raise ValueError(f"{len(learned)} numbers learned, where a multiple of {len(self._anchors)} is")
        bounds = range(0, len(learned) + 1, size)
        for anchor, (begin, end) in zip(self._anchors, pairwise(bounds), strict=True):
            anchor.growth.teach(learned[begin:end])

    def _restless(self, samples: Samples) -> np.ndarray:
        """Take the samples in; how much each row changes from one step to the next, of its larger peak."""
        rows, used, step = samples.rows, samples.used_mib, samples.age_us // (STEP_S * US)
        passed = step > self._step[rows]
        entered, now = rows[passed], used[passed]
        before, peak = self._step_before[entered], self._step_peak[entered]
        known = before >= 0
        change = np.abs(peak - before) / np.maximum(np.maximum(peak, before), 1)
        n_steps = step[passed] - self._step[entered]
        weight = np.where(known, 1 - np.exp2(-n_steps * (STEP_S / RESTLESS_S)), 0)
        self._change[entered] += weight * (change - self._change[entered])
        self._step_before[entered], self._step_peak[entered] = peak, now
        self._step[entered] = step[passed]
        within = rows[~passed]
        self._step_peak[within] = np.maximum(self._step_peak[within], used[~passed])
        changes: np.ndarray = self._change[rows]
        return changes


PACKHORSE: Final = Estimator(
    "packhorse",
    "as far above its peak as pays, by how such attempts have grown so far",
    Own(margin_milli=0, half_life_s=300, window_s=86_400),
    Packhorse,
)
