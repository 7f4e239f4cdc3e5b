"""Distributions of run times."""

from __future__ import annotations

import numpy as np
import pytest

from packhorse.scheduler.core.batch.samples import Samples
from packhorse.scheduler.core.when.runs import RunTimes

HALVES = (np.arange(100) + 0.5) / 100


def known(*shares: float, uid: int = 1, limit_s: int = 1000) -> RunTimes:
    samples = Samples()
    for share in shares:
        samples.add(uid, limit_s * 1_000_000, round(share * limit_s * 1e6))
    return RunTimes(samples)


def test_without_a_past_a_job_runs_as_long_as_it_may() -> None:
    assert set(RunTimes(Samples()).drawn(1, 600, HALVES)) == {600}
    assert set(RunTimes(Samples()).drawn(1, 0, HALVES)) == {86_400}


def test_a_user_is_known_better_than_the_rest() -> None:
    samples = Samples()
    for _ in range(20):
        samples.add(2, 10**9, 10**9)
        samples.add(1, 10**9, 10**8)
    times = RunTimes(samples)
    assert times.drawn(1, 1000, HALVES).mean() < 200 < 400 < times.drawn(3, 1000, HALVES).mean()


def test_who_runs_already_runs_longer() -> None:
    times = known(*[0.1] * 10, *[0.9] * 10)
    assert times.left(1, 1000, 500, HALVES) == pytest.approx(400), "only the long ones are left"
    both = times.left(1, 1000, 50, HALVES)
    assert {round(left) for left in both} == {50, 850}


def test_a_job_that_has_outlived_all_others_goes_on_within_its_limit() -> None:
    times = known(*[0.1] * 20)
    left = times.left(1, 1000, 600, HALVES)
    assert 1 <= left.min() < left.max() <= 400
    assert set(times.left(1, 1000, 1000, HALVES)) == {60}, "it is overdue"
