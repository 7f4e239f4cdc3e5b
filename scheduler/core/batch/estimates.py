"""What waiting jobs are expected to do: mean run time, and how fast their slowdown grows while they wait.

A prediction is a distribution: a job may run any share of its limit that the last jobs of anybody ran, or
what its user's last jobs ran of theirs, the more likely the closer their limits are to its own. Of that only
two means are kept:

    mean_s   E[run]
    rate     E[1 / max(run, 10 s)], bounded slowdown gained per second of waiting

The weighing of samples is that of a kernel estimate over log(limit); a job all of whose samples used their
limit in full keeps its limit, so exact estimates stay exact. Time limits stay the bound for backfilling: a
prediction that is wrong costs a turn, never a promise.

A row is predicted when a pass first sees it, and again when a job of its user has ended; those of equal user
and limit together. A new process predicts all of them anew.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from packhorse.scheduler.core.batch.arrivals import RECENT, Arrivals
from packhorse.scheduler.core.batch.samples import NOMINAL_S, Samples
from packhorse.scheduler.core.pending_columns import FOREVER, PendingColumns
from packhorse.scheduler.model.ids import US

BOUND_S: Final = 10.0
"""Shorter jobs count as running this long, as in bounded slowdown."""

_AT_ONCE: Final = 2048
"""Pairs of user and limit that are predicted together."""

_MOST_LIMIT_S: Final = (1 << 31) - 1


class Estimates:
    """Keeps the columns mean_s and rate of PendingColumns, and what the last arrivals are expected to run."""

    __slots__ = ("_recent", "_seen")

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._seen = 0

    def refresh(
        self, pending: PendingColumns, slots: np.ndarray, samples: Samples, arrivals: Arrivals
    ) -> None:
        """All rows of these slots, and all who arrived, are predicted as the module says."""
        self._see(samples, arrivals)
        due = pending.rate[slots] == 0
        if samples.touched:
            due |= np.isin(pending.uid[slots], np.array(list(samples.touched), dtype=np.uint32))
            samples.touched.clear()
        if not due.any():
            return
        rows = slots[due]
        limit_us = pending.duration_us[rows]
        limit_s = np.where(limit_us == FOREVER, 0, limit_us // US)
        pending.mean_s[rows], pending.rate[rows] = _by_kind(samples, pending.uid[rows], limit_s)

    def _see(self, samples: Samples, arrivals: Arrivals) -> None:
        new = arrivals.newest(min(arrivals.n - self._seen, RECENT))
        self._seen = arrivals.n
        if new:
            uids, limits = np.array(new, dtype=np.int64).T
            self._recent.extend(_by_kind(samples, uids, limits)[0].tolist())

    def small_s(self) -> float:
        """The median prediction of the last arrivals: a job that is expected to run no longer is small."""
        recent = sorted(self._recent)
        return recent[len(recent) // 2] if recent else 0.0


def _by_kind(samples: Samples, uids: np.ndarray, limit_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`predicted`, of whole seconds (0: no limit), with equal pairs of user and limit worked out once."""
    kinds, of = np.unique(
        uids.astype(np.int64) << 31 | np.minimum(limit_s, _MOST_LIMIT_S), return_inverse=True
    )
    mean_s, rate = np.empty(kinds.size), np.empty(kinds.size)
    for at in range(0, kinds.size, _AT_ONCE):
        some = kinds[at : at + _AT_ONCE]
        limits = (some & _MOST_LIMIT_S).astype(np.float64)
        limits[limits == 0] = NOMINAL_S
        mean_s[at : at + _AT_ONCE], rate[at : at + _AT_ONCE] = predicted(samples, some >> 31, limits)
    return mean_s[of], rate[of]


def predicted(samples: Samples, uids: np.ndarray, limit_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean run time and rate of jobs of these users with these limits, see the module. All `[n]`."""
    shares = np.minimum(np.array(samples.shares or (1.0,)), 1.0)
    run = limit_s * shares.mean()
    rate = (1.0 / np.maximum(limit_s[:, None] * shares, BOUND_S)).mean(axis=1)
    weights = np.ones(limit_s.size)
    for uid in np.unique(uids).tolist():
        own = np.array(samples.own(uid)).reshape(-1, 2)
        if own.size:
            mine = np.flatnonzero(uids == uid)
            limit = limit_s[mine, None]
            weight = np.minimum(own[:, 0] / limit, limit / own[:, 0])
            likely_s = np.minimum(own[:, 1] / own[:, 0], 1.0) * limit
            weights[mine] += weight.sum(axis=1)
            run[mine] += (weight * likely_s).sum(axis=1)
            rate[mine] += (weight / np.maximum(likely_s, BOUND_S)).sum(axis=1)
    return run / weights, rate / weights
