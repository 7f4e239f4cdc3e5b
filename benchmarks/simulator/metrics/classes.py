"""Jobs by size, by run time, and by how much their user asks of the cluster.

Classes depend on the trace alone, so that a class is the same jobs under every policy.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.metrics.columns import US, Columns

SIZES: Final = (0, 1, 4, 16, 64, 256, 1024)
"""A class is what is above one bound, up to the next: 2 to 4, 5 to 16."""

RUNS_S: Final = (("1 min", 60), ("10 min", 600), ("1 h", 3600), ("8 h", 28800))
"""Upper bounds; what runs longer is the last class."""

HEAVY: Final = 0.5
"""The users that ask for most, who make up half of all that is asked for together."""
LIGHT: Final = 0.1
"""The users that ask for least, who make up a tenth together."""

Classes = dict[str, np.ndarray]
"""Masks `[n]` by name; each job is in one of them, and none is empty."""


def sizes(of: Columns) -> Classes:
    """By devices, if any job asks for one; jobs without are then a class of their own. Else by CPUs.
    1 includes what asks for less.
    """
    if of.gpu_milli.any():
        without = {"no GPU": of.gpu_milli == 0} if (of.gpu_milli == 0).any() else {}
        return without | _cut(of.gpu_milli, "GPU", of.gpu_milli > 0)
    return _cut(of.cpu_milli, "CPU", np.ones(of.cpu_milli.size, bool))


def _cut(milli: np.ndarray, unit: str, among: np.ndarray) -> Classes:
    amount = -(-milli // WHOLE)
    found: Classes = {}
    for low, high in zip(SIZES, [*SIZES[1:], None], strict=True):
        name = f"{high}" if high == 1 else f"over {low}" if high is None else f"{low + 1} to {high}"
        inside = amount > low if high is None else (amount <= high) & ((amount > low) | (low == 0))
        if (among & inside).any():
            found[f"{name} {unit}{'' if high == 1 else 's'}"] = among & inside
    return found


def runs(run_us: np.ndarray) -> Classes:
    """By run time. run_us: by the trace, `[n]`."""
    found: Classes = {}
    low = -1
    for name, high in RUNS_S:
        found[f"runs to {name}"] = (run_us > low) & (run_us <= high * US)
        low = high * US
    found[f"runs over {RUNS_S[-1][0]}"] = run_us > low
    return {name: mask for name, mask in found.items() if mask.any()}


def work(of: Columns, run_us: np.ndarray) -> np.ndarray:
    """What each job asks of the cluster, `[n]`: run time x devices, if any job asks for one, else x CPUs;
    in thousandths times microseconds.
    """
    amount = of.gpu_milli if of.gpu_milli.any() else of.cpu_milli
    return np.asarray(amount.astype(np.float64) * run_us)


def user_classes(of: Columns, run_us: np.ndarray) -> Classes:
    """By how much their user asks for, all jobs together: the heavy users ask for the first half of all work,
    the light ones for the last tenth, medium is between. Heavier users first, of equals the name first; the
    user who crosses a bound belongs to what is above it. Empty where the trace names no users.
    """
    if len(of.users) < 2:
        return {}
    asked = np.bincount(of.user, work(of, run_us), len(of.users))
    order = sorted(range(len(of.users)), key=lambda i: (-asked[i], of.users[i]))
    above = np.cumsum(asked[order]) - asked[order]
    part = np.empty(len(of.users), np.int64)
    part[order] = np.searchsorted((HEAVY, 1 - LIGHT), above / max(asked.sum(), 1.0), side="right")
    found = {
        name: part[of.user] == i for i, name in enumerate(("heavy users", "medium users", "light users"))
    }
    return {name: mask for name, mask in found.items() if mask.any()}
