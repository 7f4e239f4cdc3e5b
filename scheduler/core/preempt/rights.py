"""Who may have whom make room: QOS over QOS, a higher partition tier over a lower one.

A job's rights follow from its *group*, its QOS and partition. By QOS a job may preempt the jobs of those that
its own names (`preempts`); by partition those in partitions of a lower tier. Which of the two counts is
`[preemption] type`; with "both", a QOS gives no right over jobs of a higher tier. QOS that may preempt each
other, in however wide a circle, have no rights over one another: somebody would be first to give way again
and again. So rights never run in a circle, whatever the type, and no two jobs take turns at each other.

What becomes of a victim is said by what gave the right: its own QOS or its own partition, and where that says
nothing, by the configuration (Slurm's precedence, preempt/qos and preempt/partition_prio).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from packhorse.scheduler.model.accounts import Holder, PreemptMode, Qos
from packhorse.scheduler.model.cluster import ClusterConfig, Partition, PreemptBy
from packhorse.scheduler.model.job import ArrayJob, Job


class Group(NamedTuple):
    """Jobs that have the same rights."""

    qos: str
    partition: str


def group_of(job: Job | ArrayJob) -> Group:
    """The job's."""
    return Group(job.spec.qos, job.spec.partition)


class Right(NamedTuple):
    """mode: what becomes of the victim, never CLUSTER or OFF. grace_s: how long it has between the warning
    and the end. exempt_s: how long it runs before. by: QOS or PARTITION, what gave the right."""

    mode: PreemptMode
    grace_s: int
    exempt_s: int
    by: PreemptBy


class Rights:
    """See the module. Made for a configuration and the QOS as they are; answers are kept."""

    __slots__ = ("_able", "_config", "_known", "_least_tier", "_of_qos", "_qos", "_tiers")

    def __init__(self, config: ClusterConfig, qos: Mapping[str, Qos]) -> None:
        self._config = config
        self._qos = dict(qos)
        self._tiers = {p.name: p.priority_tier for p in config.partitions}
        self._least_tier = min(self._tiers.values(), default=0)
        self._of_qos = _without_circles(self._qos)
        self._known: dict[tuple[Group, Group], Right | None] = {}
        self._able = np.zeros(0, dtype=np.bool_)

    def any(self, group: Group) -> bool:
        """Whether jobs of the group may preempt some others at all."""
        kind = self._config.preemption.type
        by_qos = kind in (PreemptBy.QOS, PreemptBy.BOTH) and bool(self._of_qos.get(group.qos))
        by_tier = kind in (PreemptBy.PARTITION, PreemptBy.BOTH) and self._tier(group) > self._least_tier
        return by_qos or by_tier

    def able(self, holders: Sequence[Holder]) -> np.ndarray:
        """Which of these may preempt some others at all `[n]`: those of the last call, and new ones."""
        fresh = [self.any(Group(one.qos, one.partition)) for one in holders[self._able.size :]]
        if fresh:
            self._able = np.concatenate([self._able, fresh])
        return self._able

    def over(self, group: Group, other: Group) -> Right | None:
        """The right of jobs of the group over those of the other one, None if there is none."""
        key = (group, other)
        if key not in self._known:
            self._known[key] = self._find(group, other)
        return self._known[key]

    def terms(self, other: Group, by: PreemptBy) -> Right | None:
        """What becomes of jobs of that group that make room by such a right; None if they never do."""
        config, qos, partition = self._config.preemption, self._qos.get(other.qos), self._partition(other)
        mode, grace_s = PreemptMode.CLUSTER, 0
        if by is PreemptBy.PARTITION and partition is not None:
            mode, grace_s = PreemptMode(partition.preempt_mode), partition.grace_s
        elif qos is not None:
            mode, grace_s = qos.preempt_mode, qos.grace_s
        mode = mode or config.mode
        if mode in (PreemptMode.OFF, PreemptMode.CLUSTER):
            return None
        exempt_s = (qos.exempt_s if qos is not None else 0) or config.exempt_s
        return Right(mode, grace_s or config.grace_s, exempt_s, by)

    def _find(self, group: Group, other: Group) -> Right | None:
        kind = self._config.preemption.type
        higher = self._tier(group) - self._tier(other)
        by_qos = kind is PreemptBy.QOS or (kind is PreemptBy.BOTH and higher >= 0)
        if by_qos and other.qos in self._of_qos.get(group.qos, ()):
            return self.terms(other, PreemptBy.QOS)
        if kind in (PreemptBy.PARTITION, PreemptBy.BOTH) and higher > 0:
            return self.terms(other, PreemptBy.PARTITION)
        return None

    def _tier(self, group: Group) -> int:
        return self._tiers.get(group.partition, 0)

    def _partition(self, group: Group) -> Partition | None:
        return next((p for p in self._config.partitions if p.name == group.partition), None)


def _without_circles(qos: Mapping[str, Qos]) -> dict[str, frozenset[str]]:
    """Whose jobs each QOS may preempt, without those that lead back to it, itself included."""
    reach: dict[str, set[str]] = {}
    for name in qos:
        seen: set[str] = set()
        todo = [name]
        while todo:
            for other in qos[todo.pop()].preempts:
                if other in qos and other not in seen:
                    seen.add(other)
                    todo.append(other)
        reach[name] = seen
    return {
        name: frozenset(other for other in one.preempts if other in qos and name not in reach[other])
        for name, one in qos.items()
    }
