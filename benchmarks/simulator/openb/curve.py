"""The published metric: what is allocated, by percent of all devices asked for so far."""

from __future__ import annotations

import numpy as np


def percent(milli: np.ndarray, capacity_milli: int) -> np.ndarray:
    """Of the capacity, unrounded."""
    return milli * 100 / max(capacity_milli, 1)


def alloc_curve(arrived_milli: np.ndarray, placed_milli: np.ndarray, capacity_milli: int) -> dict[int, float]:
    """Value at x: mean of the allocated percent, rounded to 2 digits, over all arrivals whose arrived percent
    rounds to x. An x that no arrival rounds to is left out.

    arrived_milli, placed_milli: sums after each arrival.
    """
    at = np.round(percent(arrived_milli, capacity_milli)).astype(np.int64)
    value = np.round(percent(placed_milli, capacity_milli), 2)
    xs, inverse, n = np.unique(at, return_inverse=True, return_counts=True)
    mean = np.bincount(inverse, weights=value, minlength=xs.size) / n
    return {int(x): round(float(y), 4) for x, y in zip(xs, mean, strict=True)}


def last_at_each_percent(arrived_milli: np.ndarray, capacity_milli: int) -> dict[int, int]:
    """By percent, how many have arrived with the last arrival that rounds to it."""
    at = np.round(percent(arrived_milli, capacity_milli)).astype(np.int64)
    ends = np.flatnonzero(np.diff(at, append=at[-1:] + 1)) + 1
    return {int(at[end - 1]): int(end) for end in ends}
