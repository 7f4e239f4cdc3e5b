"""The order "multifactor": Slurm's priority/multifactor, on columns.

priority = age + association + fairshare + job size + partition + QOS + TRES - nice + site factor, where each
term is its weight times a factor from 0 to 1, rounded to a whole number:

| term | factor |
|---|---|
| age | wait since it could start / max_age, at most 1 |
| association | priority of its association / the highest of all |
| fairshare | Fair Tree: rank of its association / number of users (core/accounts/fair_tree.py) |
| job size | mean of its nodes / all nodes and its CPUs / all CPUs; with favor_small 1 - that |
| partition | priority of its partition / the highest of all |
| QOS | priority of its QOS / the highest of all |
| TRES | for each that has a weight: what it asks for / what its partition has |

A job with a priority of its own (`--priority`, `scontrol update`) has that. Terms are rounded one by one, so
that what `sprio` shows adds up to the priority; Slurm rounds the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.priority import base_priority
from packhorse.scheduler.core.standings import ASSOC, FAIR, PARTITION, QOS
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.cluster import Priorities
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import Active, Ended, Job, Pending


class Factors(NamedTuple):
    """From 0 to 1, `[n]` each; tres `[n_weights, n]`. nice: less the site factor. own: the priority that a
    job was given, where explicit says so; all `[n]`."""

    age: np.ndarray
    assoc: np.ndarray
    fairshare: np.ndarray
    job_size: np.ndarray
    partition: np.ndarray
    qos: np.ndarray
    tres: np.ndarray
    nice: np.ndarray
    explicit: np.ndarray
    own: np.ndarray


class Terms(NamedTuple):
    """Whole numbers, `[n]` each; tres `[n_weights, n]`. priority: at least 1, their sum less nice."""

    age: np.ndarray
    assoc: np.ndarray
    fairshare: np.ndarray
    job_size: np.ndarray
    partition: np.ndarray
    qos: np.ndarray
    tres: np.ndarray
    priority: np.ndarray


def weigh(weights: Priorities, factors: Factors) -> Terms:
    """The terms that the factors come to."""
    age = _term(weights.weight_age, factors.age)
    assoc = _term(weights.weight_assoc, factors.assoc)
    fairshare = _term(weights.weight_fairshare, factors.fairshare)
    size = _term(weights.weight_job_size, factors.job_size)
    partition = _term(weights.weight_partition, factors.partition)
    qos = _term(weights.weight_qos, factors.qos)
    of_each = np.array([weight for _, weight in weights.weight_tres], dtype=np.float64)
    tres = _term(of_each[:, None], factors.tres)
    total = age + assoc + fairshare + size + partition + qos + tres.sum(axis=0) - factors.nice
    priority = np.where(factors.explicit, factors.own, np.maximum(total, 1))
    return Terms(age, assoc, fairshare, size, partition, qos, tres, priority)


def _term(weight: float | np.ndarray, factor: np.ndarray) -> np.ndarray:
    return np.floor(weight * factor + 0.5).astype(np.int64)


def shown(state: State, now: Instant, jobs: Sequence[Job]) -> list[int]:
    """The priority that people see of each job: what the next pass goes by, and of one that runs or ran what
    it was started by. Jobs are rows of tables: an array's task that still waits has the array's number."""
    pending, partitions = state.pending_columns, {p.name: p for p in state.config.partitions}
    waiting = [i for i, job in enumerate(jobs) if isinstance(job.phase, Pending) and job.id in pending]
    slots = np.array([pending.slot(jobs[i].id) for i in waiting], dtype=np.intp)
    found = [0] * len(jobs)
    for i, priority in zip(waiting, Key(state, now).priority(slots).tolist(), strict=True):
        found[i] = max(priority, 1)
    for i, job in enumerate(jobs):
        if not found[i]:
            started_by = job.phase.priority if isinstance(job.phase, Active | Ended) else 0
            found[i] = started_by or base_priority(job.spec, partitions.get(job.spec.partition))
    return found


class Key:
    """Priorities at one moment, of rows and of jobs."""

    def __init__(self, state: State, now: Instant) -> None:
        self.state, self.now = state, now
        self.weights = state.config.priorities
        self.pending = state.pending_columns
        self.known = state.standings
        fair = state.fair_shares.of(state.accounts, state.spent, now, self.weights)
        board = state.node_columns.board()
        self.known.refresh(state.config, state.accounts, fair, state.nodes, board.serial)

    def __call__(self, slots: np.ndarray) -> np.ndarray:
        """The least first `[n]`."""
        return -self.priority(slots)

    def priority(self, slots: np.ndarray) -> np.ndarray:
        """Of these rows `[n]`."""
        return weigh(self.weights, self.factors(slots)).priority

    def factors(self, slots: np.ndarray) -> Factors:
        """Of these rows."""
        pending = self.pending
        of_holder = self.known.of_holders(pending)[:, pending.holder[slots]]
        since = pending.eligible_at[slots]
        wait_s = np.where(since > 0, np.maximum(self.now - since, 0), 0) / US
        size, tres = self.known.sizes(pending, slots)
        explicit = pending.explicit[slots]
        return self._factors(
            wait_s, of_holder, size, tres, pending.nice[slots], explicit, pending.own_priority[slots]
        )

    def of_jobs(self, jobs: Sequence[Job]) -> np.ndarray:
        """Of jobs that hold an allocation: as if they still waited and were as old as at their start
        `[n]`."""
        wait_s, holders, sizes, nice, own = [], [], [], [], []
        for job in jobs:
            active, spec = job.phase, job.spec
            assert isinstance(active, Active)
            wait_s.append(max(active.granted_at - active.eligible_at, 0) / US)
            holders.append(self.known.of_holder(holder_of(spec, job.owner)))
            sizes.append(self.known.size(spec.ask, spec.partition, spec.licenses))
            nice.append(spec.nice - spec.site_factor)
            own.append(-1 if spec.priority is None else spec.priority)
        given = np.array(own, dtype=np.int64)
        amounts = np.array(sizes).T
        factors = self._factors(
            np.array(wait_s), np.array(holders).T, amounts[0], amounts[1:], np.array(nice), given >= 0, given
        )
        return -weigh(self.weights, factors).priority

    def _factors(
        self,
        wait_s: np.ndarray,
        of_holder: np.ndarray,
        size: np.ndarray,
        tres: np.ndarray,
        nice: np.ndarray,
        explicit: np.ndarray,
        own: np.ndarray,
    ) -> Factors:
        age = np.minimum(wait_s / self.weights.max_age_s, 1.0)
        return Factors(
            age,
            of_holder[ASSOC],
            of_holder[FAIR],
            size,
            of_holder[PARTITION],
            of_holder[QOS],
            tres,
            nice,
            explicit,
            own,
        )
