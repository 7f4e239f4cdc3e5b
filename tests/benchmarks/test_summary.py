"""Runs in figures: what they hold, that they are JSON, and tables of several policies."""

from __future__ import annotations

import math
import random

import msgspec
import numpy as np
import pytest

from packhorse.simulator.figures import FIGURES, shown, value, written
from packhorse.simulator.metrics.columns import columns
from packhorse.simulator.metrics.cost import Prices
from packhorse.simulator.outcome import NOT_YET, Outcome
from packhorse.simulator.summary import OtherJobs, Summary, Used, compare, summarise
from packhorse.simulator.table import by_policy, table
from packhorse.simulator.traces.job import TraceJob
from tests.benchmarks.outcomes import S, outcome, played, random_jobs, samples


def two() -> list[TraceJob]:
    return [
        TraceJob("a", 0, 100 * S, tasks=8, user="ann"),
        TraceJob("b", 0, 20 * S, tasks=4, user="bob"),
        TraceJob("c", 10 * S, 20 * S, user="bob"),
    ]


def fcfs(seed: int = 1, later: float = 0) -> Outcome:
    seen = samples((0, 8, 0, 2, 1), (100, 5, 0, 0, 2, 3), (120, 0, 0, 0, 0, 8))
    return outcome(two(), [(0, 100), (100, 120), (100 + later, 120 + later)], seed=seed, seen=seen)


def sjf(seed: int = 1) -> Outcome:
    seen = samples((0, 4, 0, 1, 1, 4), (10, 5, 0, 1, 2, 3), (20, 1, 0, 1, 1, 7), (30, 8, 0, 0, 1), (130,))
    return outcome(two(), [(30, 130), (0, 20), (10, 30)], policy="sjf", seed=seed, seen=seen)


def test_a_summary_by_hand() -> None:
    found = summarise(fcfs())
    assert (found.policy, found.seed, found.jobs, found.users) == ("fcfs", 1, 3, 2)
    assert (found.capacity_cpus, found.capacity_gpus, found.gpu) == (8.0, 0, None)
    assert (found.never_started, found.never_ended, found.makespan_s) == (0, 0, 120.0)
    assert found.wait_s is not None and (found.wait_s.n, found.wait_s.max) == (3, 100.0)
    assert found.wait_s.mean == pytest.approx(190 / 3)
    assert found.slowdown is not None and found.slowdown.mean == pytest.approx((1 + 6 + 5.5) / 3)
    assert found.per_processor_slowdown is not None
    assert found.per_processor_slowdown.mean == pytest.approx((1 + 1.5 + 5.5) / 3)
    assert found.cpu.allocated == found.cpu.useful == pytest.approx((800 + 100) / 960)
    assert (found.cpu.used, found.cpu.lost) == (None, 0.0)
    assert [found.queue_mean, found.queue_max] == pytest.approx([190 / 120, 2])
    assert found.jain_users == pytest.approx((1 + 5.75) ** 2 / (2 * (1 + 5.75**2)))
    assert [(c.name, c.n) for c in found.by_size] == [("1 CPU", 1), ("2 to 4 CPUs", 1), ("5 to 16 CPUs", 1)]
    assert [(c.name, c.n) for c in found.by_user] == [("heavy users", 1), ("medium users", 2)]
    assert (found.energy_kwh, found.cost, found.restarts) == (None, None, 0)


def test_a_summary_with_devices_prices_and_use() -> None:
    jobs = [TraceJob("a", 0, 3600 * S, n_gpus=4), TraceJob("b", 0, 3600 * S)]
    ran = outcome(jobs, [(0, 3600), (0, NOT_YET)], gpus=8, seen=samples((0,), (3600,)))
    used = Used(np.array([500, math.nan]), np.array([2000, math.nan]))
    found = summarise(ran, columns(jobs), Prices(gpu_busy_watts=500, per_gpu_hour=2), used)
    assert found.gpu is not None
    assert (found.gpu.allocated, found.gpu.used, found.cpu.used) == (0.5, 0.25, 0.0625)
    assert (found.energy_kwh, found.cost) == (2.0, 8.0)
    assert (found.never_started, found.never_ended) == (0, 1)
    assert found.finish_time_fairness is not None and found.finish_time_fairness.n == 1
    assert (found.unfair, found.jain_users) == (0.0, None)


def test_a_summary_of_nothing() -> None:
    found = summarise(outcome([], []))
    assert (found.jobs, found.wait_s, found.unfair, found.cpu.allocated) == (0, None, None, 0.0)
    assert table([found])


def test_a_summary_is_json_and_always_the_same() -> None:
    jobs = random_jobs(200, random.Random(3), 8)
    first, again = (msgspec.json.encode(summarise(played(jobs, 8))) for _ in range(2))
    assert first == again
    assert msgspec.json.decode(first, type=Summary) == summarise(played(jobs, 8))
    assert len(max(first.decode().replace(",", ":").split(":"), key=len)) < 40, "floats are rounded"


def test_one_run_against_another() -> None:
    found = compare(sjf(), fcfs())
    assert (found.against, found.better, found.worse, found.same) == ("fcfs", 2, 1, 0)
    assert [p.name for p in found.losers] == ["ann"]
    assert [p.name for p in found.gainers] == ["bob"]


def test_runs_of_other_jobs_are_not_compared() -> None:
    with pytest.raises(OtherJobs, match="sjf ran 3 jobs, fcfs 1: run both on the same trace"):
        compare(sjf(), outcome(two()[:1], [(0, 1)]))
    with pytest.raises(OtherJobs, match="fcfs ran job z, which sjf did not"):
        compare(sjf(), fcfs()._replace(jobs=[TraceJob("z", 0, S), *two()[1:]]))


def test_jobs_that_came_in_another_order_are_matched() -> None:
    order = [2, 0, 1]
    ran = sjf()
    columns_of = {
        name: getattr(ran, name)[order]
        for name in ("start_us", "end_us", "restarts", "lost_us", "stopped_us")
    }
    other = ran._replace(jobs=[ran.jobs[i] for i in order], nodes=[ran.nodes[i] for i in order], **columns_of)
    assert compare(other, fcfs()) == compare(ran, fcfs())


def test_the_mean_and_deviation_over_seeds() -> None:
    wait = next(figure for figure in FIGURES if figure.name == "wait mean")
    runs = [summarise(fcfs(1)), summarise(fcfs(2, later=30))]
    found = value(wait, runs)
    assert found is not None and [*found] == pytest.approx([205 / 3, 10 / 2**0.5])
    assert written(wait, found) == "68.3 ± 7.1"
    assert written(wait, value(wait, runs[:1])) == "63.3"
    assert written(wait, value(wait, [])) == "–"


def test_only_figures_that_a_run_has_are_shown() -> None:
    names = {(figure.name, figure.unit) for figure in shown([summarise(fcfs())])}
    assert ("CPU", "%") in names
    assert not names & {("GPU", "%"), ("restarts", ""), ("cost", ""), ("CPU used", "%"), ("stranded", "%")}
    restarted = fcfs()._replace(restarts=np.array([0, 1, 0]))
    assert "restarts" in {figure.name for figure in shown([summarise(fcfs()), summarise(restarted)])}


def test_policies_side_by_side() -> None:
    runs = [summarise(ran) for ran in (fcfs(2), sjf(), fcfs(1, later=30))]
    assert [(policy, [run.seed for run in mine]) for policy, mine in by_policy(runs).items()] == [
        ("fcfs", [1, 2]),
        ("sjf", [1]),
    ]
    text = table(runs)
    lines = text.splitlines()
    assert lines[0] == "by hand: mean ± deviation of 2 seeds, 3 jobs"
    assert lines[2].split("  ")[0].strip() == "jobs"
    assert lines[3].startswith("fcfs") and "68.3 ± 7.1" in lines[3]
    assert lines[4].startswith("sjf")
    assert len(lines[2]) == len(lines[3]) == len(lines[4])
    assert table(runs[1:2]).startswith("by hand: seed 1, 3 jobs\n")


def test_traces_are_told_apart() -> None:
    other = msgspec.structs.replace(summarise(sjf()), trace="another")
    assert [line for line in table([summarise(fcfs()), other]).splitlines() if "seed" in line] == [
        "by hand: seed 1, 3 jobs",
        "another: seed 1, 3 jobs",
    ]
