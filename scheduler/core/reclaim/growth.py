"""How attempts grow past their peaks: a law that is learned from all attempts of a site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

TIMES: Final = np.concatenate([np.geomspace(1.03, 4, 40), np.geomspace(4.5, 300, 18)])
"""Multiples of a peak that are told apart: 3.5 % steps where most growth is."""

PRIOR_DAYS: Final = 5.0
"""So many days of the growth that is assumed before any was seen: past x times the peak, 1 / x² a day."""

SHARED_DAYS: Final = 20.0
"""So many days of its group are in the law of each class, and of all groups in that of each group."""

_MOST_DAYS: Final = 200_000.0
"""When so much was seen it is halved, so that what a site did long ago fades."""


class Growth:
    """Counts of samples above the peak before, by class of attempt and by how far above.

    Classes are numbered by group: n_kinds of the first group, as many of the next, ...
    """

    def __init__(self, n_groups: int, n_kinds: int) -> None:
        n_classes = n_groups * n_kinds
        self._shape = (n_groups, n_kinds)
        self._above = np.zeros((n_classes, len(TIMES) + 1))
        self._days = np.zeros(n_classes)

    def add(self, classes: np.ndarray, ratios: np.ndarray, days: np.ndarray) -> None:
        """Samples of these classes were so many times the peak before, so long after the sample before."""
        past = np.searchsorted(TIMES, ratios, side="left")
        np.add.at(self._days, classes, days)
        np.add.at(self._above, (classes, past), 1)
        if self._days.sum() > _MOST_DAYS:
            self._days /= 2
            self._above /= 2

    def rates(self) -> np.ndarray:
        """How often a day an attempt passes each of TIMES its peak: `[n_classes, n_times]`.

        With n samples above and d days of a class: (n + SHARED_DAYS r) / (d + SHARED_DAYS), where r is the
        same of its group; in that r is the same of all, into which PRIOR_DAYS of the prior are mixed.
        """
        past = np.cumsum(self._above[:, :0:-1], axis=1)[:, ::-1].reshape(*self._shape, -1)
        days = self._days.reshape(*self._shape, 1)
        rates: np.ndarray = TIMES**-2.0
        for axes, share in (((0, 1), PRIOR_DAYS), ((1,), SHARED_DAYS), ((), SHARED_DAYS)):
            of, over = past.sum(axis=axes, keepdims=True), days.sum(axis=axes, keepdims=True)
            rates = (of + share * rates) / (over + share)
        return rates.reshape(len(self._days), -1)

    def learned(self) -> list[float]:
        """Everything that was counted."""
        return [*self._days.tolist(), *self._above.ravel().tolist()]

    def teach(self, learned: Sequence[float]) -> None:
        """Counts that learned() gave. ValueError for another number of them, or for what is no count."""
        n = len(self._days)
        if len(learned) != n + self._above.size:
            raise ValueError(f"{len(learned)} numbers learned, where {n + self._above.size} are")
        counts = np.array(learned, dtype=np.float64)
        if not (np.isfinite(counts).all() and counts.min() >= 0):
            raise ValueError("of what was learned not all is a count")
        self._days, self._above = counts[:n], counts[n:].reshape(self._above.shape)
