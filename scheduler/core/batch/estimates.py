"""What waiting jobs are expected to do: mean run time, and how fast their slowdown grows while they wait.

A prediction is a distribution: a job may run any share of its limit that the last jobs of anybody ran, or
what its user's last jobs ran of theirs, the more likely the closer their limits are to its own. Of that only
two means are kept:

    mean_s   E[run]
    rate     E[1 / max(run, 10 s)], bounded slowdown gained per second of waiting

The weighing of samples is that of a kernel estimate over log(limit); a job all of whose samples used their
limit in full keeps its limit, so exact estimates stay exact. Time limits stay the bound for backfilling: a
prediction that is wrong costs a turn, never a promise.

Rows of equal user and limit share a *kind*, which is predicted once: when a row of it arrives, and when a job
of its user has ended.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from packhorse.scheduler.core.batch.samples import NOMINAL_S, Samples
from packhorse.scheduler.core.pending_columns import FOREVER, PendingColumns
from packhorse.scheduler.model.ids import US

BOUND_S: Final = 10.0
"""Shorter jobs count as running this long, as in bounded slowdown."""

_RECENT: Final = 500
"""Arrivals that "small" is measured against."""

_AT_ONCE: Final = 2048
"""Kinds that are predicted together."""

_MOST_KINDS: Final = 50_000
"""Kinds beyond which those without rows are dropped."""


class Estimates:
    """Expectations of the rows of PendingColumns, by kind. Derived: made anew after a restart.

    mean_s, rate: `[n_kinds]` and more, see the module.
    """

    __slots__ = ("_code", "_limit_s", "_recent", "_uid", "mean_s", "rate")

    def __init__(self) -> None:
        self._code: dict[tuple[int, float], int] = {}
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._uid = np.zeros(64, dtype=np.int64)
        self._limit_s, self.mean_s, self.rate = np.zeros(64), np.zeros(64), np.zeros(64)

    def refresh(self, pending: PendingColumns, slots: np.ndarray, samples: Samples) -> int:
        """Every row of these slots has a kind, and every kind of theirs what the samples now say. How many
        rows arrived since the last time."""
        guess = pending.guess[slots]
        fresh = slots[guess < 0]
        stale = np.zeros(len(self._code), dtype=np.bool_)
        if samples.touched:
            stale[guess[guess >= 0]] = True
            stale &= np.isin(self._uid[: stale.size], list(samples.touched))
            samples.touched.clear()
        if not fresh.size:
            self._predict(np.flatnonzero(stale), samples)
            return 0
        if stale.size > _MOST_KINDS:
            self._compact(pending)
            stale = np.ones(len(self._code), dtype=np.bool_)
        fresh = fresh[np.argsort(pending.id[fresh], kind="stable")]
        limits = pending.duration_us[fresh]
        limits_s = np.where(limits == FOREVER, NOMINAL_S, limits / US)
        kinds = zip(pending.uid[fresh].tolist(), limits_s.tolist(), strict=True)
        pending.guess[fresh] = codes = np.array([self._intern(kind) for kind in kinds], dtype=np.intp)
        self._predict(np.union1d(np.flatnonzero(stale), codes), samples)
        self._recent.extend(self.mean_s[codes[-_RECENT:]].tolist())
        return int(codes.size)

    def small_s(self) -> float:
        """The median prediction of the last arrivals: a job that is expected to run no longer is small."""
        recent = sorted(self._recent)
        return recent[len(recent) // 2] if recent else 0.0

    # -- inside ------------------------------------------------------------------------------------------

    def _intern(self, kind: tuple[int, float]) -> int:
        code = self._code.get(kind)
        if code is None:
            code = self._code[kind] = len(self._code)
            if code >= self.rate.size:
                for title in ("_uid", "_limit_s", "mean_s", "rate"):
                    column = getattr(self, title)
                    setattr(self, title, np.concatenate([column, np.zeros_like(column)]))
            self._uid[code], self._limit_s[code] = kind
        return code

    def _predict(self, codes: np.ndarray, samples: Samples) -> None:
        """Anew, for these kinds."""
        if codes.size > _AT_ONCE:
            for at in range(0, codes.size, _AT_ONCE):
                self._predict(codes[at : at + _AT_ONCE], samples)
            return
        shares = np.minimum(np.array(samples.shares or (1.0,)), 1.0)
        limit_s, uids = self._limit_s[codes], self._uid[codes]
        run = limit_s * shares.mean()
        rate = (1.0 / np.maximum(limit_s[:, None] * shares, BOUND_S)).mean(axis=1)
        weights = np.ones(codes.size)
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
        self.mean_s[codes] = run / weights
        self.rate[codes] = rate / weights

    def _compact(self, pending: PendingColumns) -> None:
        """Only kinds that rows have; what is expected of them is lost."""
        rows = np.flatnonzero((pending.id > 0) & (pending.guess >= 0))
        used, codes = np.unique(pending.guess[rows], return_inverse=True)
        pending.guess[rows] = codes
        kinds = list(zip(self._uid[used].tolist(), self._limit_s[used].tolist(), strict=True))
        self._code = {}
        for kind in kinds:
            self._intern(kind)
