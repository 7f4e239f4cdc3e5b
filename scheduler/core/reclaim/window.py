"""Moving-window statistics: Rzadca et al., "Autopilot: workload autoscaling at Google", EuroSys 2020, section
3.2.2 (the recommenders of the open-source Vertical Pod Autoscaler follow the same design)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from packhorse.scheduler.core.reclaim.peaks import Peaks
from packhorse.scheduler.core.reclaim.rule import Estimator, Samples, more, seconds_us
from packhorse.scheduler.core.reclaim.settings import Own, Settings

BUCKETS: Final = 512
PER_OCTAVE: Final = 24
"""Buckets of usage: 2.9 % wide, up to 2 TiB."""

LATEST_US: Final = 3600 * 1_000_000
"""A limit is the highest that was recommended in the last hour (the paper, end of the section)."""

_DEEP: Final = 32.0
"""Weights grow by so many powers of two before a row is scaled down again."""


class Window:
    """T = the maximum over the last hour of (1 + margin) × S.

    S for percentile_milli 1000: the peak of the last window_s. Below: the percentile of a histogram of all
    samples, the weight of a sample of age t being 2^(-t/window_s); the upper end of its bucket.
    The paper takes the peak or the 98th percentile of memory, a half-life of 48 h and a margin of 10 to 15 %.
    A sample's weight is not multiplied with its load, as it is for CPU there.
    """

    def __init__(self, settings: Settings) -> None:
        self._times = 1 + (settings.margin_milli or 0) / 1000
        self._share = settings.percentile_milli / 1000
        self._half_us = seconds_us(settings.window_s)
        self._peaks = Peaks(self._half_us)
        self._latest = Peaks(LATEST_US)
        self._histogram = settings.percentile_milli < 1000
        self._weight = np.zeros((0, BUCKETS), dtype=np.float32)
        self._base = np.zeros(0)

    def grow(self, n: int) -> None:
        self._peaks.grow(n)
        self._latest.grow(n)
        if self._histogram:
            self._weight, self._base = more(self._weight, n), more(self._base, n)

    def clear(self, row: int) -> None:
        self._peaks.clear(row)
        self._latest.clear(row)
        if self._histogram:
            self._weight[row] = 0
            self._base[row] = 0

    def forget(self, row: int) -> None:
        self.clear(row)

    def observe(self, samples: Samples) -> np.ndarray:
        rows, used, age_us = samples.rows, samples.used_mib, samples.age_us
        if self._histogram:
            statistic = self._percentile(rows, used, age_us)
        else:
            statistic = self._peaks.add(rows, used, age_us)
        latest: np.ndarray = self._latest.add(rows, statistic, age_us) * self._times
        return latest

    def learned(self) -> list[float]:
        return []

    def teach(self, learned: Sequence[float]) -> None:
        if learned:
            raise ValueError(f"{len(learned)} numbers learned, and window learns none")

    def _percentile(self, rows: np.ndarray, used: np.ndarray, age_us: np.ndarray) -> np.ndarray:
        """Old samples are made lighter by making new ones heavier."""
        power = age_us / self._half_us - self._base[rows]
        deep = np.flatnonzero(power > _DEEP)
        if len(deep):
            self._weight[rows[deep]] *= np.exp2(-power[deep]).astype(np.float32)[:, None]
            self._base[rows[deep]] += power[deep]
            power[deep] = 0
        bucket = np.ceil(np.log2(np.maximum(used, 1)) * PER_OCTAVE).astype(np.intp)
        self._weight[rows, np.minimum(bucket, BUCKETS - 1)] += np.exp2(power)
        below = np.cumsum(self._weight[rows], axis=1)
        found = (below < self._share * below[:, -1:]).sum(axis=1)
        upper: np.ndarray = np.ceil(np.exp2(np.minimum(found, BUCKETS - 1) / PER_OCTAVE)).astype(np.int64)
        return upper


WINDOW: Final = Estimator(
    "window",
    "peak or percentile of a moving window, as Autopilot's",
    Own(margin_milli=150, half_life_s=0, window_s=172_800),
    Window,
)
