"""Whether users get less than others or than their part, and who is worse off than under another policy."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from packhorse.simulator.metrics.classes import work
from packhorse.simulator.metrics.columns import US, Columns, Metric
from packhorse.simulator.metrics.slowdown import BOUND_S

SAME_S: Final = 1.0
"""A job that ends within so much of its other end is neither better nor worse off."""

MOST: Final = 20
"""So many of those who lose or gain most are named."""


def jain(values: np.ndarray) -> float | None:
    """(sum x)^2 / (n x sum x^2): 1 where all have the same, 1/n where one has all. Values that are NaN do not
    count; None of none.

    Jain, Chiu and Hawe, "A Quantitative Measure of Fairness and Discrimination", DEC-TR-301, 1984.
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    squares = float((known**2).sum())
    return float(known.sum()) ** 2 / (known.size * squares) if squares else 1.0


def user_means(values: Metric, of: Columns) -> np.ndarray:
    """Of the jobs of each user, `[n_users]`; NaN of a user without a known value."""
    known = ~np.isnan(values)
    count = np.bincount(of.user[known], minlength=len(of.users))
    total = np.bincount(of.user[known], values[known], len(of.users))
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def equal_users(of: Columns, run_us: np.ndarray) -> float:
    """How many users of equal work there would be: 1 / sum of (share of all work)^2. Of the trace alone.

    Hill, "Diversity and Evenness", Ecology 54(2), 1973 (number of order 2).
    """
    asked = np.bincount(of.user, work(of, run_us), len(of.users))
    total = float(asked.sum())
    return 1.0 / float(((asked / total) ** 2).sum()) if total else 1.0


def finish_time_fairness(
    turnaround: Metric, of: Columns, run_us: np.ndarray, capacity_milli: int, n_users: float
) -> Metric:
    """rho = turnaround in the shared cluster / turnaround alone in 1/n of it; above 1, sharing harms.

    Alone: the user's own jobs, in order of submission, in a slice of capacity / n that is divisible without
    rest and takes one job after the other, each at the whole slice, but no job ends before submit + run:
    with d the amount, r the run time and s the submission of the user's j-th job, and c = capacity / n,
    F_j = max(s_j, F_(j-1)) + d_j r_j / c, and alone_j = max(s_j + r_j, F_j) - s_j, at least 10 s (as for
    the slowdown).
    n: equal_users (a fixed number, so that policies compare). capacity_milli: devices, if any job asks for
    one (jobs without are NaN then), else CPU. Submissions are those of the trace.

    rho: Mahajan et al., "Themis", NSDI 2020, who take for n the applications present and for alone the best
    placement in 1/n of the cluster, and count an application where we count the jobs of a user. The slice's
    virtual finish: Demers, Keshav and Shenker, "Analysis and Simulation of a Fair Queueing Algorithm", 1989.
    """
    amount = of.gpu_milli if of.gpu_milli.any() else of.cpu_milli
    service = amount.astype(np.float64) * run_us * n_users / max(capacity_milli, 1)
    order = np.lexsort((np.arange(amount.size), of.submit_us, of.user))
    finish = np.empty(amount.size)
    bounds = np.flatnonzero(np.diff(of.user[order])) + 1
    for mine in np.split(order, bounds):
        done = np.cumsum(service[mine])
        begin = of.submit_us[mine] - (done - service[mine])
        finish[mine] = done + np.maximum.accumulate(begin)
    alone_us = np.maximum(run_us, finish - of.submit_us)
    return np.where(amount > 0, turnaround * US / np.maximum(alone_us, BOUND_S * US), np.nan)


class Party(msgspec.Struct, frozen=True):
    """A user: its jobs, and how much longer they take in all and on the mean, hours; below 0: less long."""

    name: str
    n: int
    sum_h: float
    mean_h: float


class Change(msgspec.Struct, frozen=True):
    """One policy against another, by turnaround of the jobs that ended under both.

    better, worse, same: jobs. gained_h, lost_h: sums over the better and over the worse, hours, 0 or more.
    users_better, users_worse: whose jobs end more than a second sooner or later in all.
    losers, gainers: the users who lose and gain most in all, at most 20 of each.
    """

    against: str
    better: int
    worse: int
    same: int
    gained_h: float
    lost_h: float
    users_better: int
    users_worse: int
    losers: list[Party]
    gainers: list[Party]


def deltas(mine: Metric, base: Metric) -> Metric:
    """What each job takes longer, seconds: turnaround - turnaround under the other policy."""
    return np.asarray(mine - base)


def change(delta_s: Metric, of: Columns, against: str) -> Change:
    """See Change. delta_s: by deltas."""
    known = np.where(np.isnan(delta_s), 0.0, delta_s)
    better, worse = known < -SAME_S, known > SAME_S
    count = np.bincount(of.user, ~np.isnan(delta_s), len(of.users))
    total = np.bincount(of.user, known, len(of.users)) / 3600
    order = sorted(range(len(of.users)), key=lambda i: (-total[i], of.users[i]))
    parties = [
        Party(of.users[i], int(count[i]), float(total[i]), float(total[i] / count[i]))
        for i in order
        if count[i]
    ]
    return Change(
        against=against,
        better=int(better.sum()),
        worse=int(worse.sum()),
        same=int((~np.isnan(delta_s)).sum() - better.sum() - worse.sum()),
        gained_h=float(-known[better].sum()) / 3600,
        lost_h=float(known[worse].sum()) / 3600,
        users_better=sum(party.sum_h * 3600 < -SAME_S for party in parties),
        users_worse=sum(party.sum_h * 3600 > SAME_S for party in parties),
        losers=[party for party in parties[:MOST] if party.sum_h > 0],
        gainers=[party for party in parties[::-1][:MOST] if party.sum_h < 0],
    )
