"""How much longer a job took than it ran, and what remains of such values when a trace becomes one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np

from packhorse.simulator.metrics.columns import Metric, Times

BOUND_S: Final = 10.0
"""A job that runs shorter counts as if it ran so long, lest jobs of a second make up the whole mean."""


class Spread(msgspec.Struct, frozen=True):
    """Of n values: mean, median, 95th and 99th percentile, the greatest; a percentile between two values is
    interpolated linearly between them.
    """

    n: int
    mean: float
    median: float
    p95: float
    p99: float
    max: float


def bounded_slowdown(of: Times) -> Metric:
    """max(1, turnaround / max(run, 10 s)); turnaround is wait + run of a job that was never interrupted.

    Feitelson, Rudolph, Schwiegelshohn, Sevcik and Wong, "Theory and Practice in Parallel Job Scheduling",
    JSSPP 1997.
    """
    return np.asarray(np.maximum(1.0, of.turnaround / np.maximum(of.run, BOUND_S)))


def per_processor_slowdown(of: Times, procs: np.ndarray) -> Metric:
    """max(1, turnaround / (procs x max(run, 10 s))): a wide job may wait longer. procs: `[n]`; below 1 counts
    as 1.

    Zotkin and Keleher, "Job-Length Estimation and Performance in Backfilling Schedulers", HPDC 1999.
    """
    return np.asarray(np.maximum(1.0, of.turnaround / (np.maximum(procs, 1) * np.maximum(of.run, BOUND_S))))


def spread(values: Metric) -> Spread | None:
    """Of those that are known (not NaN); None of none."""
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    median, p95, p99 = np.percentile(known, (50, 95, 99))
    return Spread(
        int(known.size), float(known.mean()), float(median), float(p95), float(p99), float(known.max())
    )


def by_class(values: Metric, classes: Mapping[str, np.ndarray]) -> dict[str, Spread]:
    """Of each class that has a known value. classes: masks `[n]` by name."""
    found = {name: spread(values[mask]) for name, mask in classes.items()}
    return {name: each for name, each in found.items() if each is not None}
