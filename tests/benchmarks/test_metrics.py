"""Metrics of outcomes: by hand, and against plain loops over random ones."""

from __future__ import annotations

import math
import random
import statistics

import numpy as np
import pytest

from packhorse.simulator.metrics import classes, cost, fairness, slowdown, usage
from packhorse.simulator.metrics.columns import Columns, columns, submitted_us, times
from packhorse.simulator.outcome import NOT_YET, Outcome
from packhorse.simulator.traces.job import TraceJob
from tests.benchmarks.outcomes import S, outcome, played, random_jobs, samples


def job(name: str, submit: float, run: float, **rest: object) -> TraceJob:
    return TraceJob(name, round(submit * S), round(run * S), **rest)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=[1, 2, 3])
def chance(request: pytest.FixtureRequest) -> tuple[Outcome, Columns]:
    jobs = random_jobs(400, random.Random(request.param), 16)
    return played(jobs, 16, seed=request.param), columns(jobs)


# ------------------------------------------------------------------------------------------ jobs as columns


def test_what_a_job_asks_for_is_what_its_tasks_ask_for() -> None:
    of = columns(
        [
            job("share", 0, 1, tasks=3, cpu_milli=500, n_gpus=1, gpu_milli=250, user="b"),
            job("whole", 1, 1, tasks=2, cpu_milli=2000, n_gpus=2, gpu_milli=250, user="a"),
            job("none", 2, 1, user="b"),
        ]
    )
    assert of.cpu_milli.tolist() == [1500, 4000, 1000]
    assert of.gpu_milli.tolist() == [750, 4000, 0]
    assert (of.user.tolist(), of.users) == ([0, 1, 0], ("b", "a"))


def test_what_never_began_or_ended_has_no_times() -> None:
    ran = outcome([job(n, 5, 10) for n in "abc"], [(7, 17), (8, NOT_YET), (NOT_YET, NOT_YET)])
    of = times(ran, columns(ran.jobs))
    np.testing.assert_array_equal(of.wait, [2, 3, math.nan])
    np.testing.assert_array_equal(of.turnaround, [12, math.nan, math.nan])
    np.testing.assert_array_equal(of.run, [10, math.nan, math.nan])


def test_an_interrupted_job_ran_while_it_got_somewhere() -> None:
    ran = outcome([job("a", 0, 100)], [(10, 200)], restarts=[2], lost=[30], stopped=[60])
    of = times(ran, columns(ran.jobs))
    assert (of.wait.tolist(), of.turnaround.tolist(), of.run.tolist()) == ([10], [200], [100])
    assert slowdown.bounded_slowdown(of).tolist() == [2.0]


def test_a_job_after_another_is_submitted_when_that_has_ended() -> None:
    jobs = [
        job("a", 0, 10),
        job("b", 1, 10, after="a", think_us=5 * S),
        job("c", 90, 10, after="a"),
        job("d", 1, 10, after="z"),
        job("e", 1, 10, after="f"),
        job("f", 1, 10),
        job("g", 1, 10, after="a", think_us=50 * S),
        job("h", 1, 10, after="f"),
    ]
    never = (NOT_YET, NOT_YET)
    ran = outcome(jobs, [(20, 30), (40, 50), (91, 101), (3, 13), never, never, (60, 70), (4, 14)])
    assert times(ran, columns(jobs)).wait[:4].tolist() == [20, 39, 1, 2], "as the trace says"
    ran = ran._replace(think_times=True)
    found = times(ran, columns(jobs)).wait
    np.testing.assert_array_equal(found, [20, 5, 1, 2, math.nan, math.nan, 0, 3])
    assert submitted_us(ran, columns(jobs))[4] == NOT_YET


# ------------------------------------------------------------------------------------------------- slowdown


def test_slowdown_is_bounded_below_ten_seconds() -> None:
    jobs = [job("a", 0, 1, tasks=2), job("b", 0, 20, tasks=4), job("c", 0, 5)]
    ran = outcome(jobs, [(99, 100), (20, 40), (0, 5)])
    of = times(ran, columns(jobs))
    assert slowdown.bounded_slowdown(of).tolist() == [10.0, 2.0, 1.0]
    assert slowdown.per_processor_slowdown(of, np.array([2, 4, 0])).tolist() == [5.0, 1.0, 1.0]


def test_a_spread_by_hand() -> None:
    values = np.array([math.nan, *range(101)])
    assert slowdown.spread(values) == slowdown.Spread(101, 50.0, 50.0, 95.0, 99.0, 100.0)
    assert slowdown.spread(np.array([math.nan])) is None
    masks = {"low": np.arange(102) < 3, "none": np.arange(102) < 1}
    assert {name: (s.n, s.mean) for name, s in slowdown.by_class(values, masks).items()} == {"low": (2, 0.5)}


def test_slowdown_of_random_runs(chance: tuple[Outcome, Columns]) -> None:
    ran, of = chance
    expected = []
    for i, each in enumerate(ran.jobs):
        wait, run = (int(ran.start_us[i]) - each.submit_us) / 1e6, each.run_us / 1e6
        expected.append(max(1.0, (wait + run) / max(run, 10.0)))
    found = slowdown.spread(slowdown.bounded_slowdown(times(ran, of)))
    assert found is not None
    assert found.mean == pytest.approx(statistics.fmean(expected), rel=1e-12)
    assert found.median == pytest.approx(statistics.median(expected), rel=1e-12)
    assert found.max == max(expected) > 50


# -------------------------------------------------------------------------------------------------- classes


def test_classes_of_size() -> None:
    of = columns([job("x", 0, 1, cpu_milli=milli) for milli in (500, 1000, 1001, 4000, 5000, 2_000_000)])
    assert {name: np.flatnonzero(mask).tolist() for name, mask in classes.sizes(of).items()} == {
        "1 CPU": [0, 1],
        "2 to 4 CPUs": [2, 3],
        "5 to 16 CPUs": [4],
        "over 1024 CPUs": [5],
    }
    of = columns([job("x", 0, 1, n_gpus=n) for n in (0, 1, 4)])
    assert list(classes.sizes(of)) == ["no GPU", "1 GPU", "2 to 4 GPUs"]


def test_classes_of_run_time() -> None:
    run_us = np.array([0, 60, 61, 3600, 28801]) * S
    assert {name: np.flatnonzero(mask).tolist() for name, mask in classes.runs(run_us).items()} == {
        "runs to 1 min": [0, 1],
        "runs to 10 min": [2],
        "runs to 1 h": [3],
        "runs over 8 h": [4],
    }


def test_classes_of_users_go_by_the_work_they_ask_for() -> None:
    """60 of 100 is the first half and more, 35 reaches 95, and the last 5 are light."""
    jobs = [job("x", 0, run, user=user) for user, run in (("l", 5), ("h", 20), ("m", 35), ("h", 40))]
    of = columns(jobs)
    found = classes.user_classes(of, np.array([j.run_us for j in jobs]))
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "heavy users": [False, True, False, True],
        "medium users": [False, False, True, False],
        "light users": [True, False, False, False],
    }
    assert classes.user_classes(columns([job("x", 0, 1)]), np.array([S])) == {}


def test_classes_take_every_job_once(chance: tuple[Outcome, Columns]) -> None:
    _, of = chance
    run_us = np.array([j.run_us for j in chance[0].jobs])
    for cut in (classes.sizes(of), classes.runs(run_us), classes.user_classes(of, run_us)):
        assert (np.sum(list(cut.values()), axis=0) == 1).all()
        assert len(cut) >= 2


# ---------------------------------------------------------------------------------------------------- usage


def test_areas_by_hand() -> None:
    """8 CPUs and 4 devices from 0 to 100 s: 4 CPUs and 1 device to 50 s, then all CPUs and 2 to 90 s."""
    seen = samples((0, 4, 1, 0, 1, 3, 0), (50, 8, 2, 3, 2, 1, 1), (90, 0, 0, 1, 0, 4, 0))
    jobs = [job("a", 0, 90), job("b", 20, 30)]
    ran = outcome(jobs, [(0, 100), (50, 80)], gpus=4, seen=seen)
    of = usage.Curve(seen.at_us, seen.cpu_milli, seen.gpu_milli, seen.waiting)
    within = usage.whole(ran, columns(jobs))
    assert within == (0, 100 * S)
    assert usage.makespan_s(within) == 100
    assert usage.allocated(of.cpu_milli, 8000, of.at_us, within) == pytest.approx((4 * 50 + 8 * 40) / 800)
    assert usage.allocated(of.gpu_milli, 4000, of.at_us, within) == pytest.approx((50 + 2 * 40) / 400)
    part = usage.Window(40 * S, 60 * S)
    assert usage.allocated(of.cpu_milli, 8000, of.at_us, part) == pytest.approx(0.75)
    assert usage.queue_length(of, within) == pytest.approx(1.3)
    assert usage.longest_queue(of) == 3
    assert usage.loss_of_capacity(of.cpu_milli, 8000, of, within) == pytest.approx(8 * 10 / 800)
    assert usage.stranded(ran, within) == pytest.approx(40 / (3 * 50 + 2 * 40 + 4 * 10))
    assert usage.free_block(ran, within) == pytest.approx((3 * 50 + 40 + 4 * 10) / 100)
    assert usage.time_quantile(seen.free_block, seen.at_us, within, 0.05) == 1
    assert usage.time_quantile(seen.free_block, seen.at_us, within, 0.5) == 3
    assert usage.time_quantile(seen.free_block, seen.at_us, within, 0.95) == 4


def test_the_curve_is_that_of_the_jobs_whatever_was_sampled() -> None:
    jobs = [job("a", 0, 50, tasks=3, n_gpus=1), job("b", 10, 5), job("c", 10, 5), job("d", 60, 1)]
    ran = outcome(jobs, [(0, 50), (50, 55), (12, NOT_YET), (NOT_YET, NOT_YET)], seen=samples((0, 7)))
    of = usage.curve(ran, columns(jobs))
    assert (of.at_us // S).tolist() == [0, 10, 12, 50, 55, 60]
    assert (of.cpu_milli // 1000).tolist() == [3, 3, 4, 2, 1, 1]
    assert (of.gpu_milli // 1000).tolist() == [3, 3, 3, 0, 0, 0]
    assert of.waiting.tolist() == [0, 2, 1, 0, 0, 1]


def test_of_interrupted_jobs_only_the_samples_tell() -> None:
    seen = samples((0, 1), (5, 0, 0, 1), (10, 1))
    jobs, ran = [job("a", 0, 10)], [(0, 20)]
    for run in (
        outcome(jobs, ran, seen=seen, restarts=[1], lost=[5]),
        outcome(jobs, ran, seen=seen, stopped=[5]),
    ):
        of = usage.curve(run, columns(jobs))
        assert (of.cpu_milli.tolist(), of.waiting.tolist()) == ([1000, 0, 1000], [0, 1, 0])


def test_what_is_used_is_known_only_of_measured_jobs() -> None:
    jobs = [job("a", 0, 50, tasks=4), job("b", 0, 100)]
    ran = outcome(jobs, [(0, 50), (0, 100)])
    of = columns(jobs)
    spent, within = times(ran, of), usage.whole(ran, of)
    assert usage.useful(spent, of.cpu_milli, 8000, within) == pytest.approx((4 * 50 + 100) / 800)
    assert usage.used(spent, np.array([1500, math.nan]), 8000, within) == pytest.approx(1.5 * 50 / 800)
    assert usage.used(spent, np.array([math.nan, math.nan]), 8000, within) is None


def test_an_empty_run_has_no_area() -> None:
    ran = outcome([], [])
    within = usage.whole(ran, columns([]))
    of = usage.curve(ran, columns([]))
    assert usage.allocated(of.cpu_milli, 8000, of.at_us, within) == usage.longest_queue(of) == 0
    assert usage.stranded(ran, within) == 0
    assert usage.busy(columns([])) == (0, 0)
    assert usage.time_quantile(ran.samples.free_block, ran.samples.at_us, within, 0.5) == 0


def test_a_run_with_an_endless_job_lasts_as_long_as_it_was_watched() -> None:
    ran = outcome([job("a", 3, 9), job("b", 3, 9)], [(3, 12), (NOT_YET, NOT_YET)], seen=samples((3,), (44,)))
    assert usage.whole(ran, columns(ran.jobs)) == (3 * S, 44 * S)


def test_the_busy_window_leaves_out_warm_up_and_drain() -> None:
    of = columns([job("x", i, 500) for i in range(100)])
    assert usage.busy(of) == (5 * S, 99 * S)


def test_areas_are_sums_over_jobs(chance: tuple[Outcome, Columns]) -> None:
    """Allocated CPU is the sum of CPUs x run; by Little's law the queue is the sum of waits / time."""
    ran, of = chance
    within, curve = usage.whole(ran, of), usage.curve(ran, of)
    area = sum(j.tasks * j.run_us for j in ran.jobs)
    length = max(ran.end_us.tolist()) - min(j.submit_us for j in ran.jobs)
    share = usage.allocated(curve.cpu_milli, 16000, curve.at_us, within)
    assert share == pytest.approx(area / (16 * length), rel=1e-9)
    useful = usage.useful(times(ran, of), of.cpu_milli, 16000, within)
    assert useful == pytest.approx(area / (16 * length), rel=1e-9)
    waited = sum(int(ran.start_us[i]) - j.submit_us for i, j in enumerate(ran.jobs))
    assert usage.queue_length(curve, within) == pytest.approx(waited / length, rel=1e-9)


def test_the_curve_is_what_is_seen_when_all_is_sampled(chance: tuple[Outcome, Columns]) -> None:
    ran, of = chance
    seen = usage.curve(ran._replace(restarts=ran.restarts + 1), of)
    last = np.append(seen.at_us[1:] != seen.at_us[:-1], True)
    for exact, sampled in zip(usage.curve(ran, of), seen, strict=True):
        assert exact.tolist() == sampled[last].tolist()


def test_area_in_a_window_counts_parts_of_jobs(chance: tuple[Outcome, Columns]) -> None:
    ran, of = chance
    within, curve = usage.busy(of), usage.curve(ran, of)
    area = sum(
        j.tasks * max(0, min(int(end), within.end_us) - max(int(start), within.start_us))
        for j, start, end in zip(ran.jobs, ran.start_us, ran.end_us, strict=True)
    )
    share = usage.allocated(curve.cpu_milli, 16000, curve.at_us, within)
    assert share == pytest.approx(area / 16 / within.length_us, rel=1e-9)


# ------------------------------------------------------------------------------------------------- fairness


def test_jain() -> None:
    assert fairness.jain(np.array([3.0, 3.0, math.nan])) == pytest.approx(1.0)
    assert fairness.jain(np.array([5.0, 0.0, 0.0, 0.0])) == pytest.approx(0.25)
    assert fairness.jain(np.array([1.0, 3.0])) == pytest.approx(16 / 20)
    assert fairness.jain(np.zeros(3)) == 1.0
    assert fairness.jain(np.array([math.nan])) is None


def test_means_of_users() -> None:
    of = columns([job("x", 0, 1, user=u) for u in "abac"])
    np.testing.assert_array_equal(
        fairness.user_means(np.array([1.0, 5.0, 2.0, math.nan]), of), [1.5, 5, math.nan]
    )


def test_equal_users() -> None:
    jobs = [job("x", 0, run, user=user) for user, run in (("a", 10), ("b", 10), ("c", 20))]
    assert fairness.equal_users(columns(jobs), np.array([10, 10, 20])) == pytest.approx(1 / (1 / 8 + 1 / 4))


def test_finish_time_fairness_by_hand() -> None:
    """Two users share 8 CPUs, so alone is 4 CPUs. a's first job, 8 CPUs x 10 s, takes 20 s alone; its second,
    4 CPUs x 10 s, submitted at 5 s, ends at 30 s; b's, 1 CPU x 10 s, no sooner than it runs.
    """
    jobs = [
        job("a1", 0, 10, tasks=8, user="a"),
        job("b", 0, 10, user="b"),
        job("a2", 5, 10, tasks=4, user="a"),
    ]
    found = fairness.finish_time_fairness(
        np.array([10.0, 20.0, 50.0]), columns(jobs), np.array([j.run_us for j in jobs]), 8000, 2
    )
    assert found.tolist() == pytest.approx([10 / 20, 20 / 10, 50 / 25])


def test_finish_time_fairness_of_random_runs(chance: tuple[Outcome, Columns]) -> None:
    ran, of = chance
    finish: dict[str, float] = {}
    expected = []
    for i, each in sorted(enumerate(ran.jobs), key=lambda pair: pair[1].submit_us):
        begin = max(each.submit_us, finish.get(each.user, 0.0))
        finish[each.user] = begin + each.tasks * each.run_us * 3 / 16
        alone = max(each.submit_us + each.run_us, finish[each.user]) - each.submit_us
        expected.append((int(ran.end_us[i]) - each.submit_us) / max(alone, 10 * S))
    run_us = np.array([j.run_us for j in ran.jobs])
    found = fairness.finish_time_fairness(times(ran, of).turnaround, of, run_us, 16000, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.max() > 1


def test_who_is_worse_off() -> None:
    of = columns([job("x", 0, 1, user=u) for u in "aabbc"])
    delta = fairness.deltas(
        np.array([10.0, 7210.0, 1.5, 0.0, math.nan]), np.array([10.0, 10.0, 1.0, 3600, 5])
    )
    found = fairness.change(delta, of, "fcfs")
    assert (found.against, found.better, found.worse, found.same) == ("fcfs", 1, 1, 2)
    assert (found.gained_h, found.lost_h) == (1.0, 2.0)
    assert [(p.name, p.n, p.sum_h, p.mean_h) for p in found.losers] == [("a", 2, 2.0, 1.0)]
    assert [(p.name, p.n) for p in found.gainers] == [("b", 2)]


def test_only_twenty_losers_are_named() -> None:
    of = columns([job("x", 0, 1, user=f"u{i:02}") for i in range(30)])
    found = fairness.change(np.arange(30) * 3600.0, of, "fcfs")
    assert [p.name for p in found.losers] == [f"u{i}" for i in range(29, 9, -1)]
    assert found.gainers == []


# ----------------------------------------------------------------------------------------------------- cost


def test_lost_work_by_hand() -> None:
    jobs = [job("a", 0, 60, tasks=2, n_gpus=4), job("b", 0, 60)]
    ran = outcome(jobs, [(0, 9000), (0, 60)], restarts=[2, 0], lost=[1800, 0], stopped=[7200, 0])
    of = columns(jobs)
    assert cost.preemptions(ran) == 2
    assert (cost.lost_cpu_hours(ran, of), cost.lost_gpu_hours(ran, of)) == (1.0, 4.0)
    assert cost.stopped_hours(ran) == 2.0


def test_energy_and_money_by_hand() -> None:
    """An hour: 2 nodes at 100 W, 8 CPUs at 1 W of which 4 at 5 W, 4 devices at 50 W of which 1 at 450 W."""
    ran = outcome([job("a", 0, 3600, cpu_milli=4000, n_gpus=1)], [(0, 3600)], gpus=4)
    of = columns(ran.jobs)
    within, curve = usage.whole(ran, of), usage.curve(ran, of)
    prices = cost.Prices(
        nodes=2,
        node_watts=100,
        cpu_idle_watts=1,
        cpu_busy_watts=5,
        gpu_idle_watts=50,
        gpu_busy_watts=450,
        per_kwh=0.5,
        per_cpu_hour=0.01,
        per_gpu_hour=2,
        per_hour=10,
    )
    kwh = (200 + 8 + 4 * 4 + 200 + 400) / 1000
    assert cost.energy_kwh(ran, curve, prices, within) == pytest.approx(kwh)
    assert cost.money(ran, curve, prices, within) == pytest.approx(kwh * 0.5 + 4 * 0.01 + 2 + 10)
    assert cost.money(ran, curve, cost.Prices(), within) == 0
