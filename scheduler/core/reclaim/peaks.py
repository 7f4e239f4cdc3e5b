"""The highest value of the last while, per row, in bounded memory."""

from __future__ import annotations

from typing import Final

import numpy as np

SPANS: Final = 16
"""A window is remembered in so many spans and the one that is open: it is at most 1/16 longer than asked."""


class Peaks:
    """Moving maxima of rows. A span's maximum is kept in a ring; one that is older than the window is
    forgotten whole. Time is that of each row, in microseconds, and does not go back."""

    __slots__ = ("_max", "_span", "_span_us")

    def __init__(self, window_us: int) -> None:
        self._span_us = max(1, -(-window_us // SPANS))
        self._max = np.zeros((0, SPANS + 1), dtype=np.int64)
        self._span = np.zeros(0, dtype=np.int64)

    def grow(self, n: int) -> None:
        """There are rows 0 to n - 1."""
        more = n - len(self._span)
        self._max = np.concatenate([self._max, np.zeros((more, SPANS + 1), dtype=np.int64)])
        self._span = np.concatenate([self._span, np.zeros(more, dtype=np.int64)])

    def clear(self, row: int, value: int) -> None:
        """The row begins anew, with this as its peak at time 0."""
        self._max[row] = 0
        self._max[row, 0] = value
        self._span[row] = 0

    def add(self, rows: np.ndarray, values: np.ndarray, at_us: np.ndarray) -> np.ndarray:
        """Take in one value each; the peaks with it. All `[n]`, rows without a repetition."""
        table, span = self._max[rows], at_us // self._span_us
        passed = np.minimum(span - self._span[rows], SPANS + 1)
        ages = (span[:, None] - np.arange(SPANS + 1)) % (SPANS + 1)
        table[ages < passed[:, None]] = 0
        here = (np.arange(len(rows)), span % (SPANS + 1))
        table[here] = np.maximum(table[here], values)
        self._max[rows], self._span[rows] = table, span
        peaks: np.ndarray = table.max(axis=1, initial=0)
        return peaks
