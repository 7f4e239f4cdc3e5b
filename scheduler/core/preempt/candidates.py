"""Who could make room for jobs of a group, and what would be lost by it.

What a job loses is its work: how long it has run, times its share of the cluster (of CPUs or of devices, the
larger), since its start; nothing if it can write a checkpoint when it is told, or is only suspended.
RESTART_S is added to everybody's time, for what stopping and starting again costs. Of equal ones those come
first that would hold their room for the longest, then the newest.

Nobody makes room before its exempt time is over. Jobs on slices of a device never do: what a device can be
cut into once they are gone is not known here. Nor do suspended ones, whose CPUs are free already.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.active import ran_us
from packhorse.scheduler.core.packing.board import CPU, MEM, SLOTS, TMP
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.preempt.eviction import notice_s
from packhorse.scheduler.core.preempt.rights import Right
from packhorse.scheduler.core.preempt.room import Taken
from packhorse.scheduler.core.running_columns import NEVER
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import PreemptMode
from packhorse.scheduler.model.cluster import VictimOrder
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.job import Active, Job

RESTART_S: Final = 30
"""The default of kill_wait: about what an attempt takes to end."""

_AMOUNTS: Final = (CPU, MEM, TMP)


class Candidate(NamedTuple):
    """A running job that may have to make room. holds: what that makes free. end: when it is over anyway.
    cost: what would be lost. notice_us: how long it has between the warning and the end."""

    id: JobId
    right: Right
    holds: Taken
    end: Instant
    cost: int
    notice_us: int


class Candidates:
    """Those for one group, the cheapest first. at: by position on the board. gives: sums of what they hold by
    position `[n_resources, n_nodes]`. exempt_until: when the next one may have to make room, NEVER if there
    is none. Vectors over all pairs of a candidate and one of its nodes say what is lost at least
    (`least_cost`)."""

    def __init__(self, found: list[Candidate], exempt_until: int, shape: tuple[int, ...]) -> None:
        self.all = found
        self.exempt_until = exempt_until
        self.at: dict[int, list[Candidate]] = {}
        self.gives = np.zeros(shape, dtype=np.int64)
        for candidate in found:
            for position, pairs in candidate.holds:
                self.at.setdefault(position, []).append(candidate)
                for resource, amount in pairs:
                    self.gives[resource, position] += amount
        self._vectors: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def drop(self, ids: Set[JobId]) -> None:
        """These are candidates no more."""
        for candidate in [one for one in self.all if one.id in ids]:
            for position, pairs in candidate.holds:
                self.at[position] = [one for one in self.at[position] if one.id != candidate.id]
                if not self.at[position]:
                    del self.at[position]
                for resource, amount in pairs:
                    self.gives[resource, position] -= amount
        self.all = [one for one in self.all if one.id not in ids]
        self._vectors = None

    def least_cost(self, lack: np.ndarray) -> np.ndarray:
        """What is lost at least on each node to make up for what it lacks, if only parts of jobs could leave
        `[n_nodes]`; lack: of CPU, memory and scratch space `[3, n_nodes]`."""
        position, cost, amounts = self._pairs()
        n = self.gives.shape[1]
        out = np.full(n, np.inf)
        np.minimum.at(out, position, cost)
        for lacking, amount in zip(lack, amounts, strict=True):
            if not (lacking > 0).any():
                continue
            some = np.flatnonzero(amount > 0)
            each = cost[some] / amount[some]
            some = some[np.lexsort((each, position[some]))]
            where, given = position[some], amount[some]
            upto = given.cumsum()
            first = np.searchsorted(where, where)  # where each node's begin
            before = upto - given - np.where(first > 0, upto[np.maximum(first - 1, 0)], 0)
            used = np.clip(lacking[where] - before, 0, given)
            bound = np.bincount(where, weights=used * (cost[some] / given), minlength=n)
            out = np.maximum(out, bound)
        return out

    def _pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position, cost and CPU, memory and scratch space `[3, n]` of all pairs."""
        if self._vectors is None:
            pairs = [(candidate, *hold) for candidate in self.all for hold in candidate.holds]
            amounts = np.zeros((len(_AMOUNTS), len(pairs)), dtype=np.int64)
            for i, (_, _, held) in enumerate(pairs):
                for resource, amount in held:
                    if resource in _AMOUNTS:
                        amounts[_AMOUNTS.index(resource), i] = amount
            position = np.array([position for _, position, _ in pairs], dtype=np.intp)
            cost = np.array([candidate.cost for candidate, _, _ in pairs], dtype=np.float64)
            self._vectors = position, cost, amounts
        return self._vectors


def candidates(
    state: State, field: Field, rights: list[tuple[JobId, Right]], now: Instant, stopped_too: bool = False
) -> Candidates:
    """Of these running jobs those that could make room by these rights. stopped_too: also suspended ones."""
    found: list[tuple[tuple[int, ...], Candidate]] = []
    exempt_until = int(NEVER)
    jobs, nodes, amounts_of = state.jobs, state.node_columns, state.preempting.amounts
    for id, right in rights:
        job = jobs[id]
        active = job.phase
        assert isinstance(active, Active)
        if active.ending is not None or (active.suspended_at and not stopped_too):
            continue
        amounts = amounts_of(nodes, id, active)
        if amounts.sliced:
            continue
        if right.mode is PreemptMode.SUSPEND and not _can_be_suspended(state, active):
            continue
        begun = active.started_at or active.granted_at
        if begun + right.exempt_s * US > now:
            exempt_until = min(exempt_until, begun + right.exempt_s * US)
            continue
        end = state.running_columns.end(id) or NEVER
        candidate = Candidate(
            id,
            right,
            _freed(state, id, active, right, amounts.holds),
            end,
            lost(state, job, active, right, now, amounts.share),
            notice_s(state.config.preemption, job, right) * US,
        )
        found.append(((candidate.cost, -end, -begun, id), candidate))
    found.sort(key=lambda pair: pair[0])
    return Candidates([candidate for _, candidate in found], exempt_until, field.free.shape)


def lost(state: State, job: Job, active: Active, right: Right, now: Instant, share: int) -> int:
    """What would be lost, in microseconds of the whole cluster's millionths. share: of these."""
    run_us = ran_us(active, now)
    if state.config.preemption.victims is VictimOrder.NEWEST:
        return run_us
    if job.spec.checkpoint is not None or right.mode is PreemptMode.SUSPEND:
        run_us = 0
    return (run_us + RESTART_S * US) * share


def _freed(state: State, id: JobId, active: Active, right: Right, holds: Taken) -> Taken:
    """Of what it holds. A suspended job keeps all but its CPUs; what it lends, or has lent to it, is freed as
    the books say."""
    if right.mode is PreemptMode.SUSPEND:
        return [(position, [(r, n) for r, n in pairs if r in (CPU, SLOTS)]) for position, pairs in holds]
    shift = state.running_columns.shift(id)
    if not shift:
        return holds
    more = [shift.get(p.node, 0) for p in active.placements]
    return [
        (position, [(r, max(n + extra, 0) if r == MEM else n) for r, n in pairs])
        for (position, pairs), extra in zip(holds, more, strict=True)
    ]


def _can_be_suspended(state: State, active: Active) -> bool:
    """It has begun, and its node can be told."""
    return bool(active.started_at) and state.nodes[active.placements[0].node].reachable
