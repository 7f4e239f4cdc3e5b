"""What running attempts will use of the memory they may use: usage estimates E below their limits L.

By name, in ESTIMATORS. What is the same for all, with s = settle_s, q = silent_s:

    E = L                                until an attempt has run for s
    E <- max(T, T + (E - T) 2^(-dt/h))   at each sample, dt after the one before it; T: the estimator's
                                         target, h: half_life_s. So E rises at once and falls slowly
    E                                    between samples, for q; then it rises to L on a straight line
                                         within q (nothing is known of an attempt that is not measured)
    used <= E <= L                       always, used being the last sample; used is cut at L

A gap of more than q lets nothing decay when samples come again. Time before s counts for T, not for decay.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

import numpy as np

from packhorse.scheduler.core.reclaim.borg import Borg
from packhorse.scheduler.core.reclaim.settings import Settings
from packhorse.scheduler.model.ids import US

__all__ = ["ESTIMATORS", "Estimates", "Estimator", "Rule", "Settings"]


class Rule(Protocol):
    """What an estimator remembers of each row, and where it would have the estimates go."""

    def grow(self, n: int) -> None:
        """There are rows 0 to n - 1."""

    def clear(self, row: int, limit_mib: int, estimate_mib: int) -> None:
        """The row is a new attempt; estimate_mib: what is known of it from before a restart, or 0."""

    def observe(self, rows: np.ndarray, used_mib: np.ndarray, age_us: np.ndarray) -> np.ndarray:
        """Take in a sample each, at that age of the attempt; the targets in MiB. All `[n]`, each row once."""


class Estimator(NamedTuple):
    """By name. rule: of these settings, with no rows."""

    name: str
    summary: str
    rule: Callable[[Settings], Rule]


ESTIMATORS: Final[Mapping[str, Estimator]] = MappingProxyType(
    {
        estimator.name: estimator
        for estimator in (Estimator("borg", "slowly down to the peak of the last hour and a margin", Borg),)
    }
)
"""All that come with Packhorse."""


class Estimates:
    """The estimates of attempts that run, a row each. Every method but add raises KeyError for a key that was
    not added; times are microseconds of one clock."""

    def __init__(self, name: str, settings: Settings | None = None) -> None:
        """By an estimator of ESTIMATORS; ValueError lists them where there is none of this name."""
        if name not in ESTIMATORS:
            raise ValueError(f'estimator "{name}" is not known; there are {", ".join(sorted(ESTIMATORS))}')
        self._settings = settings or Settings()
        self._rule = ESTIMATORS[name].rule(self._settings)
        self._rows: dict[Hashable, int] = {}
        self._free: list[int] = []
        self._limit = np.zeros(0, dtype=np.int64)
        self._started_us = np.zeros(0, dtype=np.int64)
        self._seen_us = np.zeros(0, dtype=np.int64)
        """The last sample, or when the row was added."""
        self._estimate = np.zeros(0, dtype=np.float64)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._rows

    def add(
        self,
        key: Hashable,
        limit_mib: int,
        started_us: int,
        estimate_mib: int | None = None,
        now_us: int | None = None,
    ) -> None:
        """An attempt runs since started_us. ValueError if known, or if an amount is negative.

        estimate_mib: go on from this estimate (after a restart), which holds for silent_s from now_us on
        (default: from the start); what is not known is taken to be its limit.
        """
        if key in self._rows:
            raise ValueError(f"{key!r} is known already")
        if limit_mib < 0 or (estimate_mib or 0) < 0:
            raise ValueError(f"{key!r}: limit {limit_mib} MiB, estimate {estimate_mib} MiB: negative")
        if not self._free:
            self._grow()
        row = self._rows[key] = self._free.pop()
        known = limit_mib if estimate_mib is None else min(estimate_mib, limit_mib)
        self._limit[row] = limit_mib
        self._started_us[row] = started_us
        self._seen_us[row] = started_us if now_us is None else max(now_us, started_us)
        self._estimate[row] = known
        self._rule.clear(row, limit_mib, 0 if estimate_mib is None else known)

    def remove(self, key: Hashable) -> None:
        """The attempt has ended."""
        self._free.append(self._rows.pop(key))

    def set_limit(self, key: Hashable, limit_mib: int) -> None:
        """The attempt may use so much from now on; what is known of its use stays. ValueError if negative."""
        if limit_mib < 0:
            raise ValueError(f"{key!r}: limit {limit_mib} MiB: negative")
        self._limit[self._rows[key]] = limit_mib

    def observe(self, keys: Sequence[Hashable], used_mib: Sequence[int] | np.ndarray, now_us: int) -> None:
        """One sample of each of these attempts, all at now_us; a time before its last sample counts as that.

        ValueError for a negative amount, as many amounts as keys not given, or a key that comes twice;
        nothing is taken in then.
        """
        rows = self._at(keys)
        used = np.asarray(used_mib, dtype=np.int64)
        if used.shape != rows.shape:
            raise ValueError(f"{len(rows)} keys and amounts of shape {used.shape}")
        if used.size and used.min() < 0:
            raise ValueError(f"{keys[int(used.argmin())]!r}: {used.min()} MiB used: negative")
        if len(set(rows.tolist())) < len(rows):
            raise ValueError("a key comes twice")
        settings, seen = self._settings, self._seen_us[rows]
        now = np.maximum(now_us, seen)
        before = self._held(rows, now)
        limit, age_us = self._limit[rows], now - self._started_us[rows]
        used = np.minimum(used, limit)
        target = np.clip(self._rule.observe(rows, used, age_us), used, limit)
        gap_us = np.minimum(now - seen, np.maximum(age_us - settings.settle_s * US, 0))
        gap_us[now - seen > settings.silent_s * US] = 0
        left = np.exp2(-gap_us / (settings.half_life_s * US)) if settings.half_life_s else 0.0
        self._estimate[rows] = np.maximum(target, target + (before - target) * left)
        self._seen_us[rows] = now

    def estimates(self, keys: Sequence[Hashable], now_us: int) -> np.ndarray:
        """What they are expected to use at now_us, in MiB, rounded up: integers `[n]`, 0 to their limits."""
        rows = self._at(keys)
        held = self._held(rows, np.maximum(now_us, self._seen_us[rows]))
        rounded: np.ndarray = np.ceil(held).astype(np.int64)
        return rounded

    def _held(self, rows: np.ndarray, now_us: np.ndarray) -> np.ndarray:
        """The estimates as they are at now_us `[n]`, not before their last samples."""
        limit, silent_us = self._limit[rows], self._settings.silent_s * US
        estimate = np.minimum(self._estimate[rows], limit)
        lost = np.clip((now_us - self._seen_us[rows] - silent_us) / silent_us, 0, 1)
        estimate = estimate + (limit - estimate) * lost
        settling = now_us - self._started_us[rows] < self._settings.settle_s * US
        held: np.ndarray = np.where(settling, limit, estimate)
        return held

    def _at(self, keys: Sequence[Hashable]) -> np.ndarray:
        return np.fromiter(map(self._rows.__getitem__, keys), dtype=np.intp, count=len(keys))

    def _grow(self) -> None:
        n = len(self._limit)
        more = max(16, n)
        self._free = list(range(n + more - 1, n - 1, -1))
        for name in ("_limit", "_started_us", "_seen_us", "_estimate"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros(more, dtype=column.dtype)]))
        self._rule.grow(n + more)
