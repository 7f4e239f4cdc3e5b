"""The most value a problem could place: bounds from volumes alone, without a solver.

Three relaxations, each valid by itself, and the smallest counts: (1) of every resource summed over the nodes
where anything fits, a fractional knapsack of all jobs; (2) node by node, the best value per unit of
each resource among the classes that fit there; (3) all jobs. `lp_bound` (packing/cpsat.py) is tighter and
slower.
"""

from __future__ import annotations

import math

import numpy as np

from packhorse.scheduler.core.packing.problem import Problem
from packhorse.scheduler.model.resources import WHOLE


def most_members(problem: Problem) -> np.ndarray:
    """How many members of a class would fit on a node if nothing else were placed `[n_classes, n_nodes]`."""
    most = np.zeros((len(problem.asks), problem.n_nodes), dtype=np.int64)
    real = problem.dev_type >= 0
    for c, ask in enumerate(problem.asks):
        if ask.count == 0:
            continue
        fit = np.full(problem.n_nodes, ask.count, dtype=np.int64)
        for i, amount in enumerate(ask.amounts):
            if amount:
                np.minimum(fit, problem.free[:, i] // amount, out=fit)
        if ask.n_devices:
            may = real & np.isin(problem.dev_type, ask.types) if ask.types else real
            each = np.where(may, problem.dev_free // ask.milli, 0).sum(axis=1)
            np.minimum(fit, each // ask.n_devices, out=fit)
        if ask.per_node:
            np.minimum(fit, ask.per_node, out=fit)
        if ask.nodes is None:
            most[c] = fit
        else:
            allowed = list(ask.nodes)
            most[c, allowed] = fit[allowed]
    return most


def volume_bound(problem: Problem, kept: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Per rank, the most value it could reach while the more important ranks reach at least `kept`.

    A kept rank takes room into account only where all its jobs are kept: then it is known what they take.
    """
    most = most_members(problem)
    usable = np.asarray((most > 0).any(axis=0))
    taken = _volumes(problem)
    room = np.concatenate(
        [problem.free[usable].sum(axis=0), [_device_room(problem, usable)], np.array(problem.licences)]
    ).astype(np.int64)
    bounds = []
    for r, rank in enumerate(problem.ranks):
        classes = [c for c, ask in enumerate(problem.asks) if ask.rank == rank and ask.count]
        counts = {
            c: min(problem.asks[c].count, int(most[c].sum()) // problem.asks[c].members) for c in classes
        }
        whole = sum(problem.asks[c].value * n for c, n in counts.items())
        values = np.array([problem.asks[c].value for c in classes], dtype=np.float64)
        n_jobs = np.array([counts[c] for c in classes], dtype=np.float64)
        bound = float(whole)
        for i in range(room.size):
            needs = np.array([taken[c][i] for c in classes], dtype=np.float64)
            bound = min(bound, _knapsack(values, n_jobs, needs, float(room[i])))
        bound = min(bound, _by_node(problem, most, classes))
        bounds.append(min(rounded_down(problem, rank, bound), whole))
        if r < len(kept) and kept[r] == sum(problem.asks[c].value * problem.asks[c].count for c in classes):
            for c in classes:
                if problem.asks[c].value:
                    room -= np.array(taken[c], dtype=np.int64) * problem.asks[c].count
    return tuple(bounds)


def rounded_down(problem: Problem, rank: int, bound: float) -> int:
    """The largest value that jobs of the rank can sum up to and that is not above the bound, by the common
    divisor of their values; a little is allowed for what floating point lost."""
    step = math.gcd(*(ask.value for ask in problem.asks if ask.rank == rank))
    return int((bound * (1 + 1e-9) + 1e-4) // step) * step if step else 0


def _volumes(problem: Problem) -> list[list[int]]:
    """What one job takes of each resource over all its members, of device thousandths, and of licences."""
    none = (0,) * len(problem.licences)
    return [
        [a * ask.members for a in ask.amounts]
        + [ask.n_devices * ask.milli * ask.members]
        + list(ask.licences or none)
        for ask in problem.asks
    ]


def _device_room(problem: Problem, usable: np.ndarray) -> int:
    smallest = min((ask.milli for ask in problem.asks if ask.n_devices and ask.count), default=WHOLE)
    milli = problem.dev_free[usable]
    return int(milli[(milli >= smallest) & (problem.dev_type[usable] >= 0)].sum())


def _knapsack(values: np.ndarray, counts: np.ndarray, needs: np.ndarray, room: float) -> float:
    """Most value of jobs that may be cut in pieces, if only this one resource were short."""
    order = np.argsort(-values / np.maximum(needs, 1e-9), kind="stable")
    need = (needs * counts)[order]
    before = np.concatenate([[0.0], np.cumsum(need)[:-1]])
    part = np.clip((room - before) / np.maximum(need, 1e-9), 0.0, 1.0)
    part[need == 0] = 1.0
    return float((part * (values * counts)[order]).sum())


def _by_node(problem: Problem, most: np.ndarray, classes: list[int]) -> float:
    """Sum over the nodes of the most value each could hold, by its scarcest resource, any number of jobs."""
    best = np.full(problem.n_nodes, np.inf)
    if not classes:
        return 0.0
    fits = most[classes] > 0
    each = np.array([problem.asks[c].value / problem.asks[c].members for c in classes])
    milli = np.where(problem.dev_type >= 0, problem.dev_free, 0).sum(axis=1)
    for i in range(problem.free.shape[1] + 1):
        device = i == problem.free.shape[1]
        need = np.array(
            [
                problem.asks[c].n_devices * problem.asks[c].milli if device else problem.asks[c].amounts[i]
                for c in classes
            ],
            dtype=np.float64,
        )
        ratio = np.divide(each, need, out=np.full(each.shape, np.inf), where=need > 0)
        densest = np.where(fits, ratio[:, None], 0.0).max(axis=0)
        room = milli if device else problem.free[:, i]
        hold = np.where(densest > 0, densest * np.where(room > 0, room, 1), 0.0)
        np.minimum(best, hold, out=best)
    return float(best.sum())
