"""Usage estimates judged on usage over time: what an estimate would have kept idle, and when it was too low.

A sample is judged by the estimate from the samples before it; only then is it told to the estimator. An
estimate is never above what was asked for, E <= L; where more than that was used, L counts as used (a
machine would have stopped the attempt at its own limit, whatever was estimated), and the sample is counted in
`beyond`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.reclaim.estimators import Estimates, Settings
from packhorse.scheduler.model.ids import US
from packhorse.simulator.traces.usage import Series

DAY_US: Final = 86_400 * US
TOGETHER_US: Final = 30 * US
"""Samples so close to each other are told in one go."""


class Samples(NamedTuple):
    """Of all series, in order of time; all `[n]`. vm: which series. Amounts in MiB, used at most limit.

    groups: where those that are told together begin, and the end of the last.
    """

    at_us: np.ndarray
    vm: np.ndarray
    limit_mib: np.ndarray
    used_mib: np.ndarray
    beyond: np.ndarray
    groups: np.ndarray


class Score(NamedTuple):
    """slack: sum(E - used) / sum(E). overrun: share of samples with used > E. days_overrun: share of VM-days
    with one or more of them. reclaimed: 1 - sum(E) / sum(L). beyond: share of samples with used > L."""

    n_samples: int
    n_days: int
    slack: float
    overrun: float
    days_overrun: float
    reclaimed: float
    beyond: float


def samples(series: Sequence[Series]) -> Samples:
    """All samples of memory; the limits are what had been asked for."""
    at = np.concatenate([each.at_us for each in series])
    vm = np.repeat(np.arange(len(series)), [len(each.at_us) for each in series])
    limit = np.concatenate([each.mem_asked_mib for each in series])
    used = np.concatenate([each.mem_mib for each in series])
    order = np.lexsort((vm, at))
    at, vm, limit, used = at[order], vm[order], limit[order], used[order]
    return Samples(at, vm, limit, np.minimum(used, limit), used > limit, _groups(at, vm))


def _groups(at_us: np.ndarray, vm: np.ndarray) -> np.ndarray:
    """Runs of samples within TOGETHER_US in which every series comes once."""
    begins, within = [0], set[int]()
    for i, (at, which) in enumerate(zip(at_us.tolist(), vm.tolist(), strict=True)):
        if at - at_us[begins[-1]] > TOGETHER_US or which in within:
            begins.append(i)
            within.clear()
        within.add(which)
    return np.array([*begins, len(at_us)])


def estimated(told: Samples, name: str, settings: Settings) -> np.ndarray:
    """The estimate of each sample from those before it, MiB `[n]`. A series starts with its first sample."""
    estimates = Estimates(name, settings)
    found = np.zeros(len(told.at_us), dtype=np.int64)
    limits: dict[int, int] = {}
    for begin, end in zip(told.groups[:-1].tolist(), told.groups[1:].tolist(), strict=True):
        keys, now_us = told.vm[begin:end].tolist(), int(told.at_us[begin])
        for key, limit in zip(keys, told.limit_mib[begin:end].tolist(), strict=True):
            known = limits.get(key)
            if known is None:
                estimates.add(key, limit, now_us)
            elif known != limit:
                estimates.set_limit(key, limit)
            limits[key] = limit
        found[begin:end] = estimates.estimates(keys, now_us)
        estimates.observe(keys, told.used_mib[begin:end], now_us)
    return found


def score(told: Samples, estimate_mib: np.ndarray, which: np.ndarray | None = None) -> Score:
    """Of estimates as estimated() gives them; which: only these samples, `[n]` true or false.

    Days are counted from the first sample of all.
    """
    counted = np.ones(len(told.at_us), dtype=np.bool_) if which is None else which
    used, limit, estimate = told.used_mib[counted], told.limit_mib[counted], estimate_mib[counted]
    over = used > estimate
    days = told.vm[counted] * (1 << 20) + (told.at_us[counted] - told.at_us[0]) // DAY_US
    n_days = len(np.unique(days))
    kept, asked = max(int(estimate.sum()), 1), max(int(limit.sum()), 1)
    return Score(
        len(used),
        n_days,
        1 - int(used.sum()) / kept,
        float(over.mean()),
        len(np.unique(days[over])) / n_days,
        1 - kept / asked,
        float(told.beyond[counted].mean()),
    )
