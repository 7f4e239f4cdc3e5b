"""A run of a policy in figures: small, exact to ten digits, ready for JSON; and one run against another."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.metrics import classes, cost, fairness, slowdown, usage
from packhorse.simulator.metrics.columns import Columns, Metric, Times, columns, times
from packhorse.simulator.metrics.cost import Prices
from packhorse.simulator.metrics.fairness import Change
from packhorse.simulator.metrics.slowdown import Spread
from packhorse.simulator.metrics.usage import Window
from packhorse.simulator.outcome import NOT_YET, Outcome

DIGITS: Final = 10
"""Significant digits of a figure: the order in which a processor sums may change the last ones of a float."""


class OtherJobs(PackhorseError):
    """Two runs cannot be compared: they are not of the same jobs."""


class Used(NamedTuple):
    """What each job used on the mean while it ran, thousandths of a CPU and a device, `[n]`; NaN: unknown."""

    cpu_milli: Metric
    gpu_milli: Metric


class ClassOfJobs(msgspec.Struct, frozen=True):
    """The jobs of one class: how many, and those that began or ended."""

    name: str
    n: int
    wait_s: Spread | None
    slowdown: Spread | None


class Share(msgspec.Struct, frozen=True):
    """Shares of the capacity, 0 to 1. allocated: from first submission to last end; busy: without warm-up and
    drain; useful: without what restarts lost; used: None where unknown; lost: idle while a job waits.
    """

    allocated: float
    busy: float
    useful: float
    used: float | None
    lost: float


class Summary(msgspec.Struct, frozen=True):
    """One run. Formulas: packhorse.simulator.metrics and docs/metrics.md.

    free_block: time mean, and what it is at least for 95 % of the time. unfair: share of the jobs whose
    finish_time_fairness is above 1. gpu, energy_kwh, cost: None without devices or prices.
    """

    policy: str
    trace: str
    seed: int
    jobs: int
    users: int
    capacity_cpus: float
    capacity_gpus: int
    never_started: int
    never_ended: int
    makespan_s: float
    wait_s: Spread | None
    turnaround_s: Spread | None
    slowdown: Spread | None
    per_processor_slowdown: Spread | None
    by_size: list[ClassOfJobs]
    by_run: list[ClassOfJobs]
    by_user: list[ClassOfJobs]
    cpu: Share
    gpu: Share | None
    queue_mean: float
    queue_max: int
    stranded: float
    free_block_mean: float
    free_block_p5: float
    jain_users: float | None
    equal_users: float
    finish_time_fairness: Spread | None
    unfair: float | None
    restarts: int
    restarted_jobs: int
    lost_cpu_hours: float
    lost_gpu_hours: float
    stopped_hours: float
    energy_kwh: float | None
    cost: float | None


def summarise(
    outcome: Outcome, of: Columns | None = None, prices: Prices | None = None, used: Used | None = None
) -> Summary:
    """of: the trace's columns, where the caller has them already. A few seconds for a million jobs."""
    of = of or columns(outcome.jobs)
    spent, within = times(outcome, of), usage.whole(outcome, of)
    run_us = np.fromiter((job.run_us for job in outcome.jobs), np.int64, len(outcome.jobs))
    slow = slowdown.bounded_slowdown(spent)
    sized = _sized(outcome, of)
    equal = fairness.equal_users(of, run_us)
    rho = fairness.finish_time_fairness(spent.turnaround, of, run_us, sized.capacity_milli, equal)
    curve, busy = usage.curve(outcome, of), usage.busy(of)
    cpus = _Kind(outcome.capacity_milli, of.cpu_milli, curve.cpu_milli, used.cpu_milli if used else None)
    gpus = _Kind(
        outcome.capacity_gpus * WHOLE, of.gpu_milli, curve.gpu_milli, used.gpu_milli if used else None
    )
    seen = outcome.samples
    found = Summary(
        policy=outcome.policy,
        trace=outcome.trace,
        seed=outcome.seed,
        jobs=len(outcome.jobs),
        users=len(of.users),
        capacity_cpus=outcome.capacity_milli / WHOLE,
        capacity_gpus=outcome.capacity_gpus,
        never_started=int((outcome.start_us == NOT_YET).sum()),
        never_ended=int((outcome.end_us == NOT_YET).sum()),
        makespan_s=usage.makespan_s(within),
        wait_s=slowdown.spread(spent.wait),
        turnaround_s=slowdown.spread(spent.turnaround),
        slowdown=slowdown.spread(slow),
        per_processor_slowdown=slowdown.spread(
            slowdown.per_processor_slowdown(spent, sized.amount_milli / WHOLE)
        ),
        by_size=_by_class(classes.sizes(of), spent, slow),
        by_run=_by_class(classes.runs(run_us), spent, slow),
        by_user=_by_class(classes.user_classes(of, run_us), spent, slow),
        cpu=_share(cpus, curve, spent, within, busy),
        gpu=_share(gpus, curve, spent, within, busy) if outcome.capacity_gpus else None,
        queue_mean=usage.queue_length(curve, within),
        queue_max=usage.longest_queue(curve),
        stranded=usage.stranded(outcome, within),
        free_block_mean=usage.free_block(outcome, within),
        free_block_p5=usage.time_quantile(seen.free_block, seen.at_us, within, 0.05),
        jain_users=fairness.jain(fairness.user_means(slow, of)) if len(of.users) > 1 else None,
        equal_users=equal,
        finish_time_fairness=slowdown.spread(rho),
        unfair=None if np.isnan(rho).all() else float((rho > 1).sum() / (~np.isnan(rho)).sum()),
        restarts=cost.preemptions(outcome),
        restarted_jobs=int((outcome.restarts > 0).sum()),
        lost_cpu_hours=cost.lost_cpu_hours(outcome, of),
        lost_gpu_hours=cost.lost_gpu_hours(outcome, of),
        stopped_hours=cost.stopped_hours(outcome),
        energy_kwh=cost.energy_kwh(outcome, curve, prices, within) if prices else None,
        cost=cost.money(outcome, curve, prices, within) if prices else None,
    )
    return msgspec.convert(_rounded(msgspec.to_builtins(found)), Summary)


def compare(mine: Outcome, base: Outcome, of: Columns | None = None) -> Change:
    """Who is better and who is worse off than in the other run; OtherJobs where that had other jobs. of: of
    the other run's jobs.
    """
    mine = aligned(mine, base)
    of = of or columns(base.jobs)
    delta_s = fairness.deltas(times(mine, of).turnaround, times(base, of).turnaround)
    found = fairness.change(delta_s, of, base.policy)
    return msgspec.convert(_rounded(msgspec.to_builtins(found)), Change)


def aligned(mine: Outcome, base: Outcome) -> Outcome:
    """The run with its jobs in the order of the other's: jobs that wait for another one come when that has
    ended, which differs from policy to policy. Raises OtherJobs unless they are the same jobs.
    """
    if mine.jobs is base.jobs:
        return mine
    here, there = [job.id for job in mine.jobs], [job.id for job in base.jobs]
    if here == there:
        return mine
    place = {id: i for i, id in enumerate(here)}
    for id in there:
        if id not in place:
            raise OtherJobs(
                f"{base.policy} ran job {id}, which {mine.policy} did not: run both on the same trace"
            )
    if len(here) != len(there) or len(place) != len(there):
        raise OtherJobs(
            f"{mine.policy} ran {len(here)} jobs, {base.policy} {len(there)}: run both on the same trace"
        )
    order = np.array([place[id] for id in there], np.int64)
    return mine._replace(
        jobs=[mine.jobs[i] for i in order.tolist()],
        nodes=[mine.nodes[i] for i in order.tolist()],
        start_us=mine.start_us[order],
        end_us=mine.end_us[order],
        restarts=mine.restarts[order],
        lost_us=mine.lost_us[order],
        stopped_us=mine.stopped_us[order],
    )


class _Sized(NamedTuple):
    """By what jobs are measured: devices, if any job asks for one, else CPU."""

    amount_milli: np.ndarray
    capacity_milli: int


def _sized(outcome: Outcome, of: Columns) -> _Sized:
    if of.gpu_milli.any():
        return _Sized(of.gpu_milli, outcome.capacity_gpus * WHOLE)
    return _Sized(of.cpu_milli, outcome.capacity_milli)


def _by_class(cut: classes.Classes, spent: Times, slow: Metric) -> list[ClassOfJobs]:
    waits, slows = slowdown.by_class(spent.wait, cut), slowdown.by_class(slow, cut)
    return [
        ClassOfJobs(name, int(mask.sum()), waits.get(name), slows.get(name)) for name, mask in cut.items()
    ]


class _Kind(NamedTuple):
    """CPUs or devices: what the cluster has, what each job asks for `[n]`, what is allocated by point of the
    curve `[m]`, and what each job used `[n]`.
    """

    capacity_milli: int
    asked_milli: np.ndarray
    allocated_milli: np.ndarray
    used_milli: Metric | None


def _share(kind: _Kind, curve: usage.Curve, spent: Times, within: Window, busy: Window) -> Share:
    capacity = kind.capacity_milli
    return Share(
        allocated=usage.allocated(kind.allocated_milli, capacity, curve.at_us, within),
        busy=usage.allocated(kind.allocated_milli, capacity, curve.at_us, busy),
        useful=usage.useful(spent, kind.asked_milli, capacity, within),
        used=None if kind.used_milli is None else usage.used(spent, kind.used_milli, capacity, within),
        lost=usage.loss_of_capacity(kind.allocated_milli, capacity, curve, within),
    )


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return float(f"{value:.{DIGITS}g}")
        case dict():
            return {name: _rounded(each) for name, each in value.items()}
        case list():
            return [_rounded(each) for each in value]
        case _:
            return value
