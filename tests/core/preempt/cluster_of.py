"""Clusters with QOS that preempt each other, for tests of preemption."""

from __future__ import annotations

from typing import Any

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.model.accounts import AccountsDelta, PreemptMode, Qos
from packhorse.scheduler.model.cluster import Partition, PreemptBy, Preemption, Reclaim
from packhorse.scheduler.model.event import AccountsChanged, JobEnding
from tests.core.scenario import Cluster, a_cluster, a_config

LOW, NORMAL, HIGH = "low", "normal", "high"
FAST = Partition("fast", priority_tier=10)


def a_qos(name: str, *preempts: str, mode: str = "", grace_s: int = 0, exempt_s: int = 0) -> Qos:
    """One whose jobs may preempt those of the others."""
    return Qos(name, preempts=preempts, preempt_mode=PreemptMode(mode), grace_s=grace_s, exempt_s=exempt_s)


def know(cluster: Cluster, *qos: Qos) -> None:
    """These QOS are in the book."""
    event = AccountsChanged(cluster.clock.now, AccountsDelta(qos=qos), 0)
    apply(cluster.state, event)
    cluster.log.append(event)


def yielding(
    nodes: int = 1,
    cpus: int = 4,
    gpus: int = 0,
    qos: tuple[Qos, ...] = (a_qos(LOW), a_qos(HIGH, LOW)),
    others: tuple[Partition, ...] = (FAST,),
    fields: dict[str, Any] | None = None,
    **preemption: Any,
) -> Cluster:
    """Equal nodes, and jobs of QOS low that make room for those of QOS high; preemption: its settings."""
    settings = Preemption(**{"type": PreemptBy.QOS, **preemption})
    names = Reclaim(stoppable_qos=(LOW, HIGH, *(one.name for one in qos)))
    config = a_config(preemption=settings, reclaim=names, others=others, **(fields or {}))
    cluster = a_cluster(nodes, cpus, gpus=gpus, config=config)
    know(cluster, *qos)
    return cluster


def told(cluster: Cluster) -> list[int]:
    """Jobs that are told to make room by the next passes, until there is nothing more to decide."""
    n = len(cluster.log)
    for _ in range(20):
        before = len(cluster.log)
        cluster.run_cycle()
        if len(cluster.log) == before:
            break
    return [event.job for event in cluster.log[n:] if isinstance(event, JobEnding)]
