"""How long jobs may run, as distributions: drawn from what jobs ran of their time limits before.

As in core/batch/estimates.py a job may run any share of its limit that the last jobs of anybody ran (together
these weigh 1), or what its user's last jobs ran of theirs, the more likely the closer their limits are to its
own and the later they ended. Of a job that runs already only what is longer than it has run counts.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.batch.samples import NOMINAL_S, OWN, Samples

_OLDEST: Final = 0.3
"""What the oldest job of a user that is remembered weighs against the newest."""

_AGES: Final = [np.linspace(_OLDEST, 1.0, n) for n in range(OWN + 1)]
"""Weights of so many jobs of a user, oldest first."""

_OVERDUE_S: Final = 60.0
"""A job that is over its limit is expected to run for so much longer."""


class RunTimes:
    """Distributions by user and time limit, each made once."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._shares = np.minimum(np.array(samples.shares or (1.0,)), 1.0)
        self._known: dict[tuple[int, float], tuple[np.ndarray, np.ndarray]] = {}

    def of(self, uid: int, limit_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Run times in seconds, ascending, and the share of jobs that run as long or shorter. limit_s 0: no
        limit."""
        known = self._known.get((uid, limit_s))
        if known is None:
            known = self._known[uid, limit_s] = self._made(uid, limit_s or NOMINAL_S)
        return known

    def _made(self, uid: int, limit_s: float) -> tuple[np.ndarray, np.ndarray]:
        runs = self._shares * limit_s
        weights = np.full(runs.size, 1.0 / runs.size)
        own = np.array(self._samples.own(uid)).reshape(-1, 2)
        if own.size:
            limits = own[:, 0]
            near = np.minimum(limits / limit_s, limit_s / limits) * _AGES[limits.size]
            runs = np.concatenate([runs, np.minimum(own[:, 1] / limits, 1.0) * limit_s])
            weights = np.concatenate([weights, near])
        order = np.argsort(runs, kind="stable")
        sums = np.cumsum(weights[order])
        return np.maximum(runs[order], 1.0), sums / sums[-1]

    def drawn(self, uid: int, limit_s: float, chances: np.ndarray) -> np.ndarray:
        """Run times at these shares of the distribution, of the same shape."""
        runs, sums = self.of(uid, limit_s)
        return runs[np.minimum(np.searchsorted(sums, chances), runs.size - 1)]

    def left(self, uid: int, limit_s: float, passed_s: float, chances: np.ndarray) -> np.ndarray:
        """How much longer a job runs that has run for passed_s, at least a second."""
        runs, sums = self.of(uid, limit_s)
        first = int(np.searchsorted(runs, passed_s, side="right"))
        if first == runs.size:  # none was ever as long
            most = passed_s if not limit_s else min(passed_s, limit_s - passed_s)
            return np.maximum(chances * most, 1.0) if most > 0 else np.full(chances.shape, _OVERDUE_S)
        below = float(sums[first - 1]) if first else 0.0
        at = np.searchsorted(sums, below + chances * (1.0 - below))
        return np.maximum(runs[np.minimum(at, runs.size - 1)] - passed_s, 1.0)
