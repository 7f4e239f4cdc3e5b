"""The figures of runs that tables show: their names, units and order, and means over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from packhorse.simulator.metrics.slowdown import Spread
from packhorse.simulator.summary import Share, Summary


class Better(StrEnum):
    """Which way a figure is wished to go."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class Figure(NamedTuple):
    """One column of a table. of: its value in a run, None where it has none. decimals: shown.
    hint: what it is, in a line."""

    group: str
    name: str
    unit: str
    decimals: int
    better: Better
    of: Callable[[Summary], float | None]
    hint: str


class Value(NamedTuple):
    """Over the seeds that have one: mean, and the sample deviation, None of a single seed."""

    mean: float
    sd: float | None


def _spread(of: Callable[[Summary], Spread | None], part: str) -> Callable[[Summary], float | None]:
    return lambda run: None if (found := of(run)) is None else float(getattr(found, part))


def _percent(of: Callable[[Summary], float | None]) -> Callable[[Summary], float | None]:
    return lambda run: None if (found := of(run)) is None else 100 * found


def _gpu(of: Callable[[Share], float | None]) -> Callable[[Summary], float | None]:
    return _percent(lambda run: of(run.gpu) if run.gpu else None)


_LOW, _HIGH = Better.LOWER, Better.HIGHER

# fmt: off
FIGURES: Final = (
    Figure("jobs", "wait mean", "s", 1, _LOW, _spread(lambda run: run.wait_s, "mean"),
           "first start - submission"),
    Figure("jobs", "wait median", "s", 1, _LOW, _spread(lambda run: run.wait_s, "median"),
           "half of the jobs wait at most so long"),
    Figure("jobs", "wait p95", "s", 0, _LOW, _spread(lambda run: run.wait_s, "p95"),
           "95 % of the jobs wait at most so long"),
    Figure("jobs", "wait max", "s", 0, _LOW, _spread(lambda run: run.wait_s, "max"),
           "the longest wait of a job"),
    Figure("jobs", "turnaround mean", "s", 1, _LOW, _spread(lambda run: run.turnaround_s, "mean"),
           "end - submission"),
    Figure("slowdown", "mean", "", 2, _LOW, _spread(lambda run: run.slowdown, "mean"),
           "bounded slowdown: max(1, turnaround / max(run, 10 s))"),
    Figure("slowdown", "median", "", 2, _LOW, _spread(lambda run: run.slowdown, "median"),
           "half of the jobs have at most so much"),
    Figure("slowdown", "p95", "", 2, _LOW, _spread(lambda run: run.slowdown, "p95"),
           "95 % of the jobs have at most so much"),
    Figure("slowdown", "p99", "", 2, _LOW, _spread(lambda run: run.slowdown, "p99"),
           "99 % of the jobs have at most so much"),
    Figure("slowdown", "max", "", 1, _LOW, _spread(lambda run: run.slowdown, "max"),
           "of the job that has most"),
    Figure("slowdown", "per processor", "", 2, _LOW, _spread(lambda run: run.per_processor_slowdown, "mean"),
           "mean of max(1, turnaround / (processors x max(run, 10 s)))"),
    Figure("cluster", "CPU", "%", 2, _HIGH, _percent(lambda run: run.cpu.allocated),
           "area under the allocated CPU / (CPU of the cluster x makespan)"),
    Figure("cluster", "CPU busy window", "%", 2, _HIGH, _percent(lambda run: run.cpu.busy),
           "allocated CPU, without the first 5 % of the submissions and what follows the last"),
    Figure("cluster", "CPU used", "%", 2, _HIGH, _percent(lambda run: run.cpu.used),
           "CPU used by the jobs / CPU of the cluster"),
    Figure("cluster", "CPU idle in need", "%", 2, _LOW, _percent(lambda run: run.cpu.lost),
           "loss of capacity: CPU that is idle while a job waits"),
    Figure("cluster", "GPU", "%", 2, _HIGH, _gpu(lambda share: share.allocated),
           "area under the allocated devices / (devices of the cluster x makespan)"),
    Figure("cluster", "GPU busy window", "%", 2, _HIGH, _gpu(lambda share: share.busy),
           "allocated devices, without the first 5 % of the submissions and what follows the last"),
    Figure("cluster", "GPU used", "%", 2, _HIGH, _gpu(lambda share: share.used),
           "devices used by the jobs / devices of the cluster"),
    Figure("cluster", "GPU idle in need", "%", 2, _LOW, _gpu(lambda share: share.lost),
           "loss of capacity: devices that are idle while a job waits"),
    Figure("cluster", "stranded", "%", 2, _LOW, _percent(lambda run: run.stranded if run.gpu else None),
           "free devices on nodes without free CPU / all free devices, over time"),
    Figure("cluster", "free block", "", 2, Better.NEITHER, lambda run: run.free_block_mean,
           "most wholly free devices (or CPUs) of one node, mean over time"),
    Figure("cluster", "makespan", "h", 2, _LOW, lambda run: run.makespan_s / 3600,
           "last end - first submission"),
    Figure("cluster", "queue mean", "jobs", 2, _LOW, lambda run: run.queue_mean,
           "waiting jobs, mean over time"),
    Figure("cluster", "queue max", "jobs", 0, _LOW, lambda run: run.queue_max,
           "most jobs that waited at once"),
    Figure("fairness", "Jain", "", 4, _HIGH, lambda run: run.jain_users,
           "(sum x)^2 / (n x sum x^2) over users, x: mean bounded slowdown of a user's jobs; 1: all equal"),
    Figure("fairness", "rho mean", "", 2, _LOW, _spread(lambda run: run.finish_time_fairness, "mean"),
           "finish-time fairness: turnaround / turnaround alone in an equal user's part of the cluster"),
    Figure("fairness", "rho p95", "", 2, _LOW, _spread(lambda run: run.finish_time_fairness, "p95"),
           "finish-time fairness of which 95 % of the jobs have at most so much"),
    Figure("fairness", "rho above 1", "%", 1, _LOW, _percent(lambda run: run.unfair),
           "jobs that would end sooner if every user had an equal part of the cluster"),
    Figure("interruptions", "never started", "jobs", 0, _LOW, lambda run: run.never_started,
           "jobs that did not begin by the end of the simulation"),
    Figure("interruptions", "never ended", "jobs", 0, _LOW, lambda run: run.never_ended,
           "jobs that did not end by the end of the simulation"),
    Figure("interruptions", "restarts", "", 0, _LOW, lambda run: run.restarts,
           "how often a job that ran had to begin again"),
    Figure("interruptions", "lost", "CPU-h", 1, _LOW, lambda run: run.lost_cpu_hours,
           "run time x CPUs that had to be done again"),
    Figure("interruptions", "lost", "GPU-h", 1, _LOW, lambda run: run.lost_gpu_hours,
           "run time x devices that had to be done again"),
    Figure("interruptions", "stopped", "h", 1, _LOW, lambda run: run.stopped_hours,
           "time between first start and end in which jobs did not run"),
    Figure("money", "energy", "kWh", 1, _LOW, lambda run: run.energy_kwh,
           "idle and busy power by the given prices, over the makespan"),
    Figure("money", "cost", "", 2, _LOW, lambda run: run.cost,
           "by the given prices"),
)
# fmt: on

INTERRUPTIONS: Final = "interruptions"
"""The group whose figures are 0 in most runs, and are shown only where they are not."""


def value(figure: Figure, runs: Sequence[Summary]) -> Value | None:
    """Of the runs of one policy on one trace, one for each seed; None where none has one."""
    found = [each for run in runs if (each := figure.of(run)) is not None]
    if not found:
        return None
    return Value(statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else None)


def shown(runs: Sequence[Summary]) -> list[Figure]:
    """Those that at least one run has."""

    def has(figure: Figure, run: Summary) -> bool:
        found = figure.of(run)
        return found is not None and (found != 0 or figure.group != INTERRUPTIONS)

    return [figure for figure in FIGURES if any(has(figure, run) for run in runs)]


def written(figure: Figure, found: Value | None) -> str:
    """As tables show it: 1,234.5 ± 6.7; a dash where there is none."""
    if found is None:
        return "–"
    text = f"{found.mean:,.{figure.decimals}f}"
    return text if found.sd is None else f"{text} ± {found.sd:,.{figure.decimals}f}"
