"""Usage estimates judged on usage over time: what an estimate would have kept idle, and when it was too low.

A sample is judged by the estimate from the samples before it; only then is it told to the estimator. An
estimate is never above what was asked for, E <= L; where more than that was used, L counts as used (a
machine would have stopped the attempt at its own limit, whatever was estimated), and the sample is counted in
`beyond`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.reclaim.estimators import Estimates, Settings
from packhorse.scheduler.model.ids import US
from packhorse.simulator.traces.usage import Series

DAY_US: Final = 86_400 * US
TOGETHER_US: Final = 30 * US
"""Samples of several series so close to each other are told in one go."""


class Group(NamedTuple):
    """A stretch of samples, begin to end - 1, told at at_us; every series at most once.

    limits: of those whose limit is not that of their sample before, or that have none before: MiB by vm.
    """

    begin: int
    end: int
    at_us: int
    vms: list[int]
    limits: dict[int, int]


class Samples(NamedTuple):
    """Of all series, in order of time; all `[n]`. vm: which series. Amounts in MiB, used at most limit.

    groups: those that are told together, in order.
    """

    at_us: np.ndarray
    vm: np.ndarray
    limit_mib: np.ndarray
    used_mib: np.ndarray
    beyond: np.ndarray
    groups: tuple[Group, ...]


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
    """All samples of memory; the limits are what had been asked for.

    Of two samples of one series within TOGETHER_US the later counts, so that there is one in every slot.
    """
    series = [_spaced(each) for each in series]
    at = np.concatenate([each.at_us for each in series])
    vm = np.repeat(np.arange(len(series)), [len(each.at_us) for each in series])
    limit = np.concatenate([each.mem_asked_mib for each in series])
    used = np.concatenate([each.mem_mib for each in series])
    order = np.lexsort((vm, at))
    at, vm, limit, used = at[order], vm[order], limit[order], used[order]
    return Samples(at, vm, limit, np.minimum(used, limit), used > limit, tuple(_groups(at, vm, limit)))


def _spaced(series: Series) -> Series:
    last = np.append(np.diff(series.at_us) > TOGETHER_US, True)
    return Series(series.name, *(column[last] for column in series[1:]))


def _groups(at_us: np.ndarray, vm: np.ndarray, limit_mib: np.ndarray) -> Iterator[Group]:
    """All samples, cut where one is more than TOGETHER_US after the first of its group."""
    times, vms, limits = at_us.tolist(), vm.tolist(), limit_mib.tolist()
    known: dict[int, int] = {}
    begin = 0
    while begin < len(times):
        end, changed = begin, dict[int, int]()
        while end < len(times) and times[end] - times[begin] <= TOGETHER_US:
            which = vms[end]
            if known.get(which) != limits[end]:
                known[which] = changed[which] = limits[end]
            end += 1
        yield Group(begin, end, times[begin], vms[begin:end], changed)
        begin = end


def estimated(told: Samples, name: str, settings: Settings) -> np.ndarray:
    """The estimate of each sample from those before it, MiB `[n]`. A series starts with its first sample."""
    estimates = Estimates(name, settings)
    found = np.zeros(len(told.at_us), dtype=np.int64)
    for begin, end, at_us, vms, limits in told.groups:
        for vm, limit in limits.items():
            if vm in estimates:
                estimates.set_limit(vm, limit)
            else:
                estimates.add(vm, limit, at_us)
        found[begin:end] = estimates.estimates(vms, at_us)
        estimates.observe(vms, told.used_mib[begin:end], at_us)
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
