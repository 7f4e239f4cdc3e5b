"""Borg's usage estimate (Verma et al., EuroSys'15, section 5.5; there it is called a reservation)."""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.reclaim.peaks import Peaks
from packhorse.scheduler.core.reclaim.settings import Settings
from packhorse.scheduler.model.ids import US

MARGIN_MILLI: Final = 250


class Borg:
    """Towards (peak of the last window_s) × (1 + margin).

    The paper decays "slowly towards the actual usage plus a safety margin" and gives neither; of usage it
    takes the recent peak here, as DESIGN asks.
    """

    def __init__(self, settings: Settings) -> None:
        margin = MARGIN_MILLI if settings.margin_milli is None else settings.margin_milli
        self._times = 1 + margin / 1000
        self._peaks = Peaks(settings.window_s * US)

    def grow(self, n: int) -> None:
        self._peaks.grow(n)

    def clear(self, row: int, limit_mib: int, estimate_mib: int) -> None:
        self._peaks.clear(row, int(estimate_mib / self._times))

    def observe(self, rows: np.ndarray, used_mib: np.ndarray, age_us: np.ndarray) -> np.ndarray:
        return self._peaks.add(rows, used_mib, age_us) * self._times
