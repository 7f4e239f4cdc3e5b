"""Part of a plan taken out to be placed anew: which nodes, and the smaller Problem they make.

Nodes are chosen around a class that was left behind: half of them lack the least for one of its jobs, the
others are where the jobs in the way could go. What stays (jobs with a member outside) counts as taken.
"""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing.best_fit import Room
from packhorse.scheduler.core.packing.bound import most_members
from packhorse.scheduler.core.packing.problem import Placed, Problem, Solution
from packhorse.scheduler.model.resources import WHOLE


class Dice:
    """Chance that is the same for the same seed: splitmix64 (Steele, Lea, Flood, OOPSLA 2014), many at a
    time."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = (seed * 0x9E3779B97F4A7C15 + 1) % 2**64

    def throw(self, n: int) -> np.ndarray:
        """n numbers, each from 0 up to below 1."""
        z = np.uint64(self._state) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        self._state = (self._state + n * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**53


class Plan:
    """A solution that changes: what is placed, what is free, what is left behind."""

    __slots__ = ("_next", "by_node", "jobs", "left", "most", "problem", "room")

    def __init__(self, problem: Problem, solution: Solution) -> None:
        self.problem = problem
        self.most = most_members(problem)
        self.room = Room(problem)
        self.jobs: dict[int, Placed] = {}
        self.by_node: list[dict[int, None]] = [{} for _ in range(problem.n_nodes)]
        self.left = np.array([ask.count for ask in problem.asks], dtype=np.int64)
        self._next = 0
        for job in solution.placed:
            self.put(job)

    def put(self, job: Placed) -> None:
        """Placed."""
        self._move(job, 1)
        self.jobs[self._next] = job
        for node, _ in job.members:
            self.by_node[node][self._next] = None
        self._next += 1

    def drop(self, key: int) -> None:
        """No longer placed."""
        job = self.jobs.pop(key)
        self._move(job, -1)
        for node, _ in job.members:
            del self.by_node[node][key]

    def _move(self, job: Placed, times: int) -> None:
        ask = self.problem.asks[job.ask]
        for node, devices in job.members:
            self.room.take(ask, node, devices, times)
        for i, amount in enumerate(ask.licences):
            self.room.licences[i] -= amount * times
        self.left[job.ask] -= times

    def solution(self) -> Solution:
        """As it stands."""
        return Solution(tuple(self.jobs.values()))

    def waiting(self) -> np.ndarray:
        """Classes left behind that some node could take, most important first."""
        classes = np.flatnonzero((self.left > 0) & self.most.any(axis=1))
        return classes[np.argsort([self.problem.asks[c].rank for c in classes], kind="stable")]

    def lacks(self, c: int) -> tuple[np.ndarray, np.ndarray]:
        """Nodes that could take the class if they were emptied of this plan, and how much each lacks now: the
        sum of the parts of the need that are missing."""
        ask = self.problem.asks[c]
        nodes = np.flatnonzero(self.most[c])
        need = np.array(ask.amounts, dtype=np.float64)
        short = np.maximum(need - self.room.free[nodes], 0.0) / np.maximum(need, 1.0)
        lack = short.sum(axis=1)
        if ask.n_devices:
            usable = self.room.usable(ask, nodes)
            if ask.shares:
                top = np.where(self.problem.dev_type[nodes] >= 0, self.room.devices[nodes], 0).max(axis=1)
                lack += np.where(usable.any(axis=1), 0.0, np.maximum(ask.milli - top, 1) / ask.milli)
            else:
                lack += np.maximum(ask.n_devices - usable.sum(axis=1), 0) / ask.n_devices
        return nodes, lack


def choose(plan: Plan, c: int, k: int, dice: Dice) -> np.ndarray:
    """Up to k nodes around class c, ascending."""
    nodes, lack = plan.lacks(c)
    near = nodes[np.argsort(lack + 0.5 * dice.throw(lack.size), kind="stable")]
    near = near[: max(k // 2, min(2 * plan.problem.asks[c].members, k))]
    useful = np.asarray((plan.most > 0).any(axis=0))
    useful[near] = False
    others = np.flatnonzero(useful)
    room = plan.room.free[others] / plan.room.most
    slack = room.mean(axis=1) + plan.room.devices[others].sum(axis=1) / (
        WHOLE * max(plan.room.devices.shape[1], 1)
    )
    order = np.argsort(-slack * dice.throw(others.size), kind="stable")
    return np.sort(np.concatenate([near, others[order[: k - near.size]]]))


def carve(plan: Plan, nodes: np.ndarray) -> tuple[Problem, Solution, list[int]]:
    """The problem of these nodes, its part of the plan, and which jobs of the plan that is."""
    problem, room = plan.problem, plan.room
    index = {node: i for i, node in enumerate(nodes.tolist())}
    keys = sorted({key for node in index for key in plan.by_node[node]})
    inside, barred = _inside(plan, keys, index)
    free, devices = room.free[nodes], room.devices[nodes]
    licences = list(room.licences)
    count = plan.left.copy()
    hint = []
    for key in inside:
        job = plan.jobs[key]
        ask = problem.asks[job.ask]
        for node, taken in job.members:
            free[index[node]] += np.array(ask.amounts, dtype=np.int64)
            devices[index[node], list(taken)] += ask.milli
        licences = [a + b for a, b in zip(licences, ask.licences, strict=False)] or licences
        count[job.ask] += 1
        hint.append(Placed(job.ask, tuple((index[node], taken) for node, taken in job.members)))
    cost = problem.wake_cost[nodes].copy()
    cost[sorted({i for _, i in barred})] = 0
    asks = []
    for c, (ask, n) in enumerate(zip(problem.asks, count.tolist(), strict=True)):
        allowed = ask.nodes
        if allowed is not None:
            allowed = tuple(i for i in np.flatnonzero(plan.most[c, nodes] > 0).tolist())
        if ask.per_node and any(other == c for other, _ in barred):
            open_to = range(len(index)) if allowed is None else allowed
            allowed = tuple(i for i in open_to if (c, i) not in barred)
        asks.append(ask._replace(count=n, nodes=allowed))
    part = Problem(free, devices, problem.dev_type[nodes], cost, tuple(licences), tuple(asks))
    return part, Solution(tuple(hint)), inside


def _inside(plan: Plan, keys: list[int], index: dict[int, int]) -> tuple[list[int], set[tuple[int, int]]]:
    """The jobs that may move: all members inside; and where others stay, as (class, index of the node).

    Where a class has a limit per node and one of its jobs stays, all its jobs on the node do.
    """
    inside = {key: None for key in keys if all(node in index for node, _ in plan.jobs[key].members)}
    staying = [key for key in keys if key not in inside]
    barred: set[tuple[int, int]] = set()
    while staying:
        for key in staying:
            inside.pop(key, None)
            job = plan.jobs[key]
            barred.update((job.ask, index[node]) for node, _ in job.members if node in index)
        staying = [
            key
            for key in inside
            if plan.problem.asks[plan.jobs[key].ask].per_node
            and any((plan.jobs[key].ask, index[node]) in barred for node, _ in plan.jobs[key].members)
        ]
    return list(inside), barred


def replace(plan: Plan, nodes: np.ndarray, keys: list[int], found: Solution) -> None:
    """Put the answer of a carved problem in the place of its part of the plan."""
    for key in keys:
        plan.drop(key)
    at = nodes.tolist()
    for job in found.placed:
        plan.put(Placed(job.ask, tuple((at[i], devices) for i, devices in job.members)))
