"""Millions of values as a few hundred points of a curve that still has every extreme."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from packhorse.simulator.metrics.usage import Window

POINTS: Final = 300
"""Of a distribution, of each kind of rank."""

INTERVALS: Final = 600
"""Of the band of a curve over time: about two pixels each."""

MEANS: Final = 150
"""Intervals of its line: fewer, so that the lines of several policies can be told apart."""


class Ranked(NamedTuple):
    """Some of the values in order, `[k]`, and what part of all values is at most that, above 0 to 1."""

    value: np.ndarray
    part: np.ndarray
    n: int


class Interval(NamedTuple):
    """A curve over time: bounds of the intervals `[k + 1]`, microseconds, and in each the time mean, the
    least and the greatest value, `[k]`.
    """

    bounds_us: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def ranked(values: np.ndarray) -> Ranked:
    """Of the known values (not NaN): evenly spread ranks, and ever denser ones towards both ends, with the
    least and the greatest value.
    """
    known = np.sort(values[~np.isnan(values)])
    n = known.size
    if n <= 3 * POINTS:
        return Ranked(known, np.arange(1, n + 1) / max(n, 1), n)
    even = np.linspace(0, n - 1, POINTS)
    dense = np.geomspace(1, n, POINTS) - 1
    ranks = np.unique(np.concatenate([even, dense, n - 1 - dense]).round().astype(np.int64))
    return Ranked(known[ranks], (ranks + 1) / n, n)


def intervals(at_us: np.ndarray, values: np.ndarray, within: Window, n: int = INTERVALS) -> Interval:
    """Of a curve of steps: a value holds from its instant to the next, `[m]` in order; 0 before the first."""
    at = np.concatenate([[min(within.start_us, int(at_us[0]) if at_us.size else 0) - 1], at_us])
    value = np.concatenate([[0], values]).astype(np.float64)
    bounds = np.linspace(within.start_us, within.start_us + within.length_us, n + 1)
    area = np.concatenate([[0.0], np.cumsum(value[:-1] * np.diff(at))])
    holds = np.searchsorted(at, bounds, side="right") - 1
    area_at = area[holds] + value[holds] * (bounds - at[holds])
    first, beyond = holds[:-1], np.searchsorted(at, bounds[1:], side="left")
    pairs = np.stack([first, np.maximum(beyond, first + 1)], axis=1).ravel()
    padded = np.append(value, value[-1])
    return Interval(
        bounds_us=bounds,
        mean=np.diff(area_at) / np.diff(bounds),
        low=np.minimum.reduceat(padded, pairs)[::2],
        high=np.maximum.reduceat(padded, pairs)[::2],
    )
