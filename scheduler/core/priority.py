"""The order in which waiting jobs are looked at.

Higher partition tier first, then higher priority, then lower id. The priority of a job is the one it was
given (`--priority`, `scontrol update`), else BASE_PRIORITY plus its partition's priority and its site factor,
less its nice value. The order "multifactor" works it out otherwise (core/multifactor.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from packhorse.scheduler.model.cluster import ClusterConfig, Partition
from packhorse.scheduler.model.job import JobSpec

BASE_PRIORITY: Final = 10_000
"""Of a job with neither priority nor nice: room for nice values of Slurm's usual range above zero."""


def base_priority(spec: JobSpec, partition: Partition | None) -> int:
    """The priority that a job shows; at least 1, since Slurm shows 0 for held jobs only.

    The order itself uses the same sum without that bound.
    """
    if spec.priority is not None:
        return max(spec.priority, 1)
    bonus = partition.priority if partition else 0
    return max(BASE_PRIORITY + bonus + spec.site_factor - spec.nice, 1)


class Rules:
    """What the configuration says about order and limits, as arrays by partition code.

    One object per configuration and PendingColumns; arrays grow with the codes that the columns give out.
    uniform: no partition differs from another in tier or priority. limited: some partition is down or
    has a limit that a waiting job can run into.
    """

    __slots__ = ("_bonuses", "_tiers", "config", "limited", "partitions", "uniform")

    def __init__(self, config: ClusterConfig) -> None:
        self.config = config
        self.partitions = {p.name: p for p in config.partitions}
        tiers = {p.priority_tier for p in config.partitions}
        bonuses = {p.priority for p in config.partitions}
        self.uniform = len(tiers) <= 1 and len(bonuses) <= 1
        self.limited = any(not p.up or p.max_time_s or p.max_nodes or p.min_nodes for p in config.partitions)
        self._tiers = np.zeros(0, dtype=np.int64)
        self._bonuses = np.zeros(0, dtype=np.int64)

    def tier_and_bonus(self, name: str) -> tuple[int, int]:
        """Tier and priority of the partition. One that is not configured (any more) is like the others if
        these are alike, else behind them."""
        p = self.partitions.get(name)
        if p is None and self.uniform:
            p = next(iter(self.partitions.values()), None)
        return (p.priority_tier, p.priority) if p else (0, 0)

    def by_code(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Tiers and priorities, indexed like names."""
        if len(names) != self._tiers.shape[0]:
            pairs = [self.tier_and_bonus(name) for name in names]
            self._tiers = np.array([tier for tier, _ in pairs], dtype=np.int64)
            self._bonuses = np.array([bonus for _, bonus in pairs], dtype=np.int64)
        return self._tiers, self._bonuses
