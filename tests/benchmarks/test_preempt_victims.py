"""Preemption in the simulator: the daemon's own rules, on a day of the benchmark's jobs."""

from __future__ import annotations

from benchmarks.preempt_victims import jobs, run
from packhorse.scheduler.model.cluster import VictimOrder


def test_high_jobs_hardly_wait_and_least_lost_work_loses_less_than_the_newest() -> None:
    least, newest = (run(1, victims, days=1) for victims in VictimOrder)
    assert least.n_victims > 0 and newest.n_victims > 0
    assert least.high_wait_s < 60 and newest.high_wait_s < 60
    assert least.lost_cpu_h < newest.lost_cpu_h
    assert least == run(1, VictimOrder.WORK, days=1), "same input, same output"


def test_the_same_seed_gives_the_same_jobs() -> None:
    assert jobs(3, 1) == jobs(3, 1) != jobs(4, 1)
