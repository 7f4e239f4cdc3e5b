"""Past errors correct estimates, and the interval keeps what it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from packhorse.scheduler.core.when.book import EstimateBook, Scored
from packhorse.scheduler.core.when.calibration import NEAREST, calibrated, error
from packhorse.scheduler.core.when.futures import Foreseen
from packhorse.scheduler.model.event import Basis, StartEstimate
from packhorse.scheduler.model.ids import US, Instant, JobId
from tests.core.scenario import NOON


def foreseen(wait_s: int, limit_s: int = 3600) -> Foreseen:
    return Foreseen(JobId(7), False, Basis(wait_s, wait_s // 2, limit_s, 10_000, wait_s))


def started(of: StartEstimate, wait_s: float) -> Scored:
    return Scored(NOON, of, Instant(NOON + round(wait_s * US)), "main", 0)


def told(book: EstimateBook, wait_s: int, limit_s: int = 3600) -> tuple[float, float, float]:
    """Seconds from now: low, median, high."""
    [found] = calibrated(book, [foreseen(wait_s, limit_s)], NOON)
    assert found.low <= found.median <= found.high
    low, median, high = ((at - NOON) / US for at in found[1:4])
    return low, median, high


def learn(book: EstimateBook, wait_s: int, factor: float, n: int, limit_s: int = 3600) -> None:
    for _ in range(n):
        [estimate] = calibrated(book, [foreseen(wait_s, limit_s)], NOON)
        book.first.score(started(estimate, wait_s * factor))


def test_without_a_past_it_is_what_was_foreseen_give_or_take() -> None:
    low, median, high = told(EstimateBook(), 1000)
    assert median == 1000
    assert low < 500 and high > 2000


def test_a_bias_is_learned() -> None:
    book = EstimateBook()
    learn(book, 10_000, 3.0, 50)
    low, median, high = told(book, 10_000)
    assert median == pytest.approx(30_000, rel=0.01)
    assert high - low < 0.05 * median
    assert error(book.first.scored[-1]) == pytest.approx(math.log(30_030 / 10_030))


def test_it_is_learned_from_those_that_are_alike() -> None:
    book = EstimateBook()
    learn(book, 10_000, 3.0, NEAREST)
    learn(book, 100, 0.5, NEAREST)
    assert told(book, 10_000)[1] == pytest.approx(30_000, rel=0.01)
    assert told(book, 100)[1] == pytest.approx(50, rel=0.05)


def test_later_estimates_go_by_their_own_past() -> None:
    book = EstimateBook()
    learn(book, 10_000, 3.0, 50)
    book.tell(NOON, [StartEstimate(JobId(7), NOON, NOON, NOON)], lambda job: True)
    assert told(book, 10_000)[1] == 10_000


def test_eight_of_ten_hold_even_where_errors_drift() -> None:
    chance = np.random.default_rng(4)
    book, inside = EstimateBook(), []
    for i in range(1800):
        wait_s = int(chance.lognormal(7, 1.5)) + 1
        [estimate] = calibrated(book, [foreseen(wait_s)], NOON)
        spread = 0.3 + 0.7 * (i // 600)
        scored = started(estimate, wait_s * math.exp(chance.normal(0.3 * (i // 600), spread)))
        book.first.score(scored)
        inside.append(scored.inside)
    assert np.mean(inside[:600]) == pytest.approx(0.8, abs=0.04)
    assert np.mean(inside[700:]) == pytest.approx(0.8, abs=0.04)


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    book = EstimateBook()
    learn(book, 500, 2.0, 30)
    some = [foreseen(10 * i) for i in range(600)]
    together = calibrated(book, some, NOON)
    assert together == [found for one in some for found in calibrated(book, [one], NOON)]


def test_what_was_worked_out_before_is_the_same_anew() -> None:
    book, other = EstimateBook(), EstimateBook()
    for i in range(30):
        [estimate] = calibrated(book, [foreseen(100 * i)], NOON)
        for of in (book, other):
            of.first.score(started(estimate, 70.0 * i))
    assert calibrated(book, [foreseen(500)], NOON) == calibrated(other, [foreseen(500)], NOON)
    assert book == other
