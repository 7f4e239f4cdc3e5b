"""The highest value of the last while, per row, in bounded memory."""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.reclaim.rule import more

SPANS: Final = 16
"""A window is kept as so many spans and the one that is open: it is up to 1/16 longer than asked."""


class Peaks:
    """Moving maxima of rows. The maximum of each span is kept in a ring; one that is older than the window is
    forgotten whole. Time is that of each row, in microseconds, and does not go back."""

    __slots__ = ("_max", "_span", "_span_us")

    def __init__(self, window_us: int) -> None:
        self._span_us = max(1, -(-window_us // SPANS))
        self._max = np.zeros((0, SPANS + 1), dtype=np.int64)
        self._span = np.zeros(0, dtype=np.int64)

    def grow(self, n: int) -> None:
        """There are rows 0 to n - 1."""
        self._max = more(self._max, n)
        self._span = more(self._span, n)

    def clear(self, row: int) -> None:
        """The row begins anew, at time 0."""
        self._max[row] = 0
        self._span[row] = 0

    def add(self, rows: np.ndarray, values: np.ndarray, at_us: np.ndarray) -> np.ndarray:
        """Take in one value each, 0 or more; the peaks with it. All `[n]`, rows without a repetition."""
        span = at_us // self._span_us
        moved = np.flatnonzero(span > self._span[rows])
        if len(moved):
            self._advance(rows[moved], span[moved])
        place = span % (SPANS + 1)
        self._max[rows, place] = np.maximum(self._max[rows, place], values)
        peaks: np.ndarray = self._max[rows].max(axis=1, initial=0)
        return peaks

    def _advance(self, rows: np.ndarray, span: np.ndarray) -> None:
        """Empty the spans that these rows have entered or skipped."""
        ages = (span[:, None] - np.arange(SPANS + 1)) % (SPANS + 1)
        self._max[rows] = np.where(ages < (span - self._span[rows])[:, None], 0, self._max[rows])
        self._span[rows] = span
