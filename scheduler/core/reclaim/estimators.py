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

from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from packhorse.scheduler.core.reclaim.borg import BORG
from packhorse.scheduler.core.reclaim.packhorse import PACKHORSE
from packhorse.scheduler.core.reclaim.rule import Estimator, Samples, more, seconds_us
from packhorse.scheduler.core.reclaim.settings import Settings
from packhorse.scheduler.core.reclaim.window import WINDOW

__all__ = ["ESTIMATORS", "Estimates", "Estimator", "Settings"]


ESTIMATORS: Final[Mapping[str, Estimator]] = MappingProxyType(
    {estimator.name: estimator for estimator in (BORG, WINDOW, PACKHORSE)}
)
"""All that come with Packhorse."""


class Estimates:
    """The estimates of attempts that run, a row each. Every method but add raises KeyError for a key that was
    not added; times are microseconds of one clock."""

    def __init__(self, name: str, settings: Settings | None = None) -> None:
        """By an estimator of ESTIMATORS; ValueError lists them where there is none of this name."""
        if name not in ESTIMATORS:
            raise ValueError(f'estimator "{name}" is not known; there are {", ".join(sorted(ESTIMATORS))}')
        filled = ESTIMATORS[name].own.fill(settings or Settings())
        self._rule = ESTIMATORS[name].rule(filled)
        self._settle_us, self._silent_us = seconds_us(filled.settle_s), seconds_us(filled.silent_s)
        self._half_us, self._kept_us = seconds_us(filled.half_life_s), seconds_us(filled.window_s)
        self._rows: dict[Hashable, int] = {}
        self._free: list[int] = []
        self._limit = np.zeros(0, dtype=np.int64)
        self._started_us = np.zeros(0, dtype=np.int64)
        self._seen_us = np.zeros(0, dtype=np.int64)
        """The last sample, or when the row was added."""
        self._measured = np.zeros(0, dtype=np.bool_)
        self._estimate = np.zeros(0, dtype=np.float64)
        self._floor = np.zeros(0, dtype=np.int64)
        """What was estimated before a restart, and until when that counts."""
        self._floor_until_us = np.zeros(0, dtype=np.int64)

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

        estimate_mib: go on from this estimate of before a restart. It stands for samples that are lost, so it
        is not gone below for window_s after now_us (default: the start), from which silence counts too.
        """
        if key in self._rows:
            raise ValueError(f"{key!r} is known already")
        if limit_mib < 0 or (estimate_mib or 0) < 0:
            raise ValueError(f"{key!r}: limit {limit_mib} MiB, estimate {estimate_mib} MiB: negative")
        if not self._free:
            self._grow()
        row = self._rows[key] = self._free.pop()
        seen_us = started_us if now_us is None else max(now_us, started_us)
        self._limit[row] = limit_mib
        self._started_us[row], self._seen_us[row] = started_us, seen_us
        self._measured[row] = False
        self._estimate[row] = limit_mib if estimate_mib is None else min(estimate_mib, limit_mib)
        self._floor[row] = estimate_mib or 0
        self._floor_until_us[row] = seen_us + self._kept_us
        self._rule.clear(row)

    def remove(self, key: Hashable) -> None:
        """The attempt has ended."""
        row = self._rows.pop(key)
        self._rule.forget(row)
        self._free.append(row)

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
        if not len(rows):
            return
        if used.min() < 0:
            raise ValueError(f"{keys[int(used.argmin())]!r}: {used.min()} MiB used: negative")
        if len(set(rows.tolist())) < len(rows):
            raise ValueError("a key comes twice")
        seen, limit = self._seen_us[rows], self._limit[rows]
        now = np.maximum(now_us, seen)
        before, age_us = self._held(rows, now), now - self._started_us[rows]
        heard = now - seen <= self._silent_us
        used = np.minimum(used, limit)
        gap_us = np.where(heard & self._measured[rows], now - seen, 0)
        target = self._rule.observe(Samples(rows, used, limit, age_us, gap_us))
        floor = np.where(now < self._floor_until_us[rows], self._floor[rows], 0)
        target = np.clip(target, np.maximum(used, floor), limit)
        settled_us = age_us - self._settle_us
        falls_us = np.where(heard, np.clip(settled_us, 0, now - seen), 0)
        at_once = 0.0 if self._half_us else (heard & (settled_us >= 0))
        left = np.exp2(-falls_us / max(self._half_us, 1)) * (1 - at_once)
        self._estimate[rows] = np.maximum(target, target + (before - target) * left)
        self._seen_us[rows] = now
        self._measured[rows] = True

    def estimates(self, keys: Sequence[Hashable], now_us: int) -> np.ndarray:
        """What they are expected to use at now_us, in MiB, rounded up: integers `[n]`, 0 to their limits."""
        rows = self._at(keys)
        held = self._held(rows, np.maximum(now_us, self._seen_us[rows]))
        rounded: np.ndarray = np.ceil(held).astype(np.int64)
        return rounded

    def learned(self) -> list[float]:
        """What the estimator knows of attempts in general, to be stored; empty if it learns nothing."""
        return self._rule.learned()

    def teach(self, learned: Sequence[float]) -> None:
        """Go on from what learned() gave, of the same estimator; ValueError if it cannot be."""
        self._rule.teach(learned)

    def _held(self, rows: np.ndarray, now_us: np.ndarray) -> np.ndarray:
        """The estimates as they are at now_us `[n]`, not before their last samples."""
        limit = self._limit[rows]
        estimate = np.minimum(self._estimate[rows], limit)
        lost = np.clip((now_us - self._seen_us[rows] - self._silent_us) / self._silent_us, 0, 1)
        settling = now_us - self._started_us[rows] < self._settle_us
        held: np.ndarray = np.where(settling, limit, estimate + (limit - estimate) * lost)
        return held

    def _at(self, keys: Sequence[Hashable]) -> np.ndarray:
        return np.fromiter(map(self._rows.__getitem__, keys), dtype=np.intp, count=len(keys))

    def _grow(self) -> None:
        had = len(self._limit)
        n = max(16, 2 * had)
        self._free = list(range(n - 1, had - 1, -1))
        self._limit, self._started_us = more(self._limit, n), more(self._started_us, n)
        self._seen_us, self._measured = more(self._seen_us, n), more(self._measured, n)
        self._estimate, self._floor = more(self._estimate, n), more(self._floor, n)
        self._floor_until_us = more(self._floor_until_us, n)
        self._rule.grow(n)
