"""Borg's usage estimate: Verma et al., "Large-scale cluster management at Google with Borg", EuroSys 2015,
section 5.5 (there it is called a reservation)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from packhorse.scheduler.core.reclaim.peaks import Peaks
from packhorse.scheduler.core.reclaim.rule import Estimator, Samples, seconds_us
from packhorse.scheduler.core.reclaim.settings import Own, Settings


class Borg:
    """T = (1 + margin) × the peak of the last window_s.

    The paper: 300 s after the start the reservation "decays slowly towards the actual usage plus a safety
    margin", and is "rapidly increased if the usage exceeds it". It gives neither margin nor speed, and
    measures every few seconds. Where samples are minutes apart the last one alone says little, so the
    recent peak stands for the usage here; window_s 1 gives the paper's wording.
    """

    def __init__(self, settings: Settings) -> None:
        self._times = 1 + (settings.margin_milli or 0) / 1000
        self._peaks = Peaks(seconds_us(settings.window_s))

    def grow(self, n: int) -> None:
        self._peaks.grow(n)

    def clear(self, row: int) -> None:
        self._peaks.clear(row)

    def forget(self, row: int) -> None:
        self._peaks.clear(row)

    def observe(self, samples: Samples) -> np.ndarray:
        peaks: np.ndarray = self._peaks.add(samples.rows, samples.used_mib, samples.age_us) * self._times
        return peaks

    def learned(self) -> list[float]:
        return []

    def teach(self, learned: Sequence[float]) -> None:
        if learned:
            raise ValueError(f"{len(learned)} numbers learned, and borg learns none")


BORG: Final = Estimator(
    "borg",
    "slowly down to the recent peak and a margin",
    Own(margin_milli=250, half_life_s=3600, window_s=3600),
    Borg,
)
