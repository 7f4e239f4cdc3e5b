"""Usage estimates: the rules that all estimators keep, and what each adds."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core.reclaim.estimators import ESTIMATORS, Estimates, Settings
from packhorse.scheduler.core.reclaim.growth import TIMES, Growth
from packhorse.scheduler.core.reclaim.packhorse import Anchor
from packhorse.scheduler.core.reclaim.peaks import SPANS, Peaks
from packhorse.scheduler.core.reclaim.rule import Samples
from packhorse.scheduler.model.ids import US

MINUTE = 60 * US
HOUR = 60 * MINUTE
LIMIT = 1000

NAMES = pytest.mark.parametrize("name", ESTIMATORS)
SAMPLES = st.lists(st.tuples(st.integers(0, 2 * LIMIT), st.integers(0, 40)), min_size=1, max_size=60)
"""Used MiB, and minutes since the sample before."""


def fed(
    name: str, samples: list[tuple[int, int]], chosen: Settings | None = None
) -> tuple[Estimates, list[int], int]:
    """One attempt with these samples; the estimates right after each, and the time of the last."""
    estimates, now, seen = Estimates(name, chosen), 0, []
    estimates.add("a", LIMIT, 0)
    for used, minutes in samples:
        now += minutes * MINUTE
        estimates.observe(["a"], [used], now)
        seen.append(int(estimates.estimates(["a"], now)[0]))
    return estimates, seen, now


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match='"bork" is not known; there are borg, packhorse, window'):
        Estimates("bork", Settings())


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"settle_s": -1}, "settle_s is -1, and has to be 0 or more"),
        ({"silent_s": 0}, "silent_s is 0, and has to be 1 or more"),
        ({"window_s": 0}, "window_s is 0, and has to be 1 or more"),
        ({"margin_milli": -5}, "margin_milli is -5, and has to be 0 or more"),
        ({"percentile_milli": 1001}, "percentile_milli is 1001, and has to be 1000 or less"),
    ],
)
def test_constants_out_of_range_are_named(wrong: dict[str, int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Settings(**wrong)


@NAMES
@settings(max_examples=25, deadline=None)
@given(samples=SAMPLES)
def test_between_the_last_sample_and_the_limit(name: str, samples: list[tuple[int, int]]) -> None:
    _, seen, _ = fed(name, samples, Settings(overrun_days=1))
    assert all(min(used, LIMIT) <= e <= LIMIT for e, (used, _) in zip(seen, samples, strict=True))


@NAMES
@settings(max_examples=20, deadline=None)
@given(samples=SAMPLES, minutes=st.lists(st.integers(0, 60), min_size=1, max_size=8))
def test_silence_never_lets_an_estimate_fall(
    name: str, samples: list[tuple[int, int]], minutes: list[int]
) -> None:
    """Held for 15 minutes, at the limit after as many more; asking changes nothing."""
    estimates, seen, last = fed(name, [(100, 1)] * 10 + samples, Settings(overrun_days=1))
    later = [int(estimates.estimates(["a"], last + m * MINUTE)[0]) for m in sorted(minutes)]
    assert later == sorted(later)
    assert all(e == seen[-1] for e, m in zip(later, sorted(minutes), strict=True) if m <= 15)
    assert all(e == LIMIT for e, m in zip(later, sorted(minutes), strict=True) if m >= 30)
    assert estimates.estimates(["a"], last)[0] == seen[-1]


@NAMES
@settings(max_examples=10, deadline=None)
@given(samples=SAMPLES)
def test_the_same_samples_give_the_same_estimates(name: str, samples: list[tuple[int, int]]) -> None:
    assert fed(name, samples)[1] == fed(name, samples)[1]


@pytest.mark.parametrize("name", ["borg", "window"])
@settings(max_examples=25, deadline=None)
@given(
    used=st.lists(st.lists(st.integers(0, LIMIT), min_size=3, max_size=3), min_size=1, max_size=40),
    more=st.lists(st.integers(0, LIMIT), min_size=40, max_size=40),
)
def test_who_uses_more_is_never_expected_to_use_less(
    name: str, used: list[list[int]], more: list[int]
) -> None:
    """Row by row: estimators that learn nothing from others judge each attempt alone."""
    estimates = Estimates(name, Settings(percentile_milli=1000))
    for key in range(4):
        estimates.add(key, LIMIT, 0)
    for i, sample in enumerate(used):
        now = (i + 1) * 5 * MINUTE
        estimates.observe([0, 1, 2, 3], [*sample, min(sample[0] + more[i], LIMIT)], now)
        low, _, _, high = estimates.estimates([0, 1, 2, 3], now)
        assert high >= low


@NAMES
def test_the_limit_until_it_has_settled_then_down_with_time_and_up_at_once(name: str) -> None:
    chosen = Settings(settle_s=300, overrun_days=1)
    estimates, seen, now = fed(name, [(100, 1)] * 90, chosen)
    assert seen[:4] == [LIMIT] * 4
    assert seen == sorted(seen, reverse=True)
    assert 100 <= seen[-1] < 600
    estimates.observe(["a"], [900], now + MINUTE)
    assert estimates.estimates(["a"], now + MINUTE)[0] >= 900


def test_borg_by_hand() -> None:
    """Limit 1000, peak 100, margin a quarter: after a half-life half of the way from 1000 to 125 is left."""
    chosen = Settings(margin_milli=250, half_life_s=3600, window_s=3600, silent_s=7200)
    estimates, _, _ = fed("borg", [(100, 5), (100, 60)], chosen)
    assert estimates.estimates(["a"], 65 * MINUTE)[0] == 563  # 125 + 875 / 2, rounded up


def test_window_percentile_by_hand() -> None:
    """98 samples of 100 and two of 900: the 98th percentile is 100, to a bucket of 3 %; the peak is 900."""
    samples = [(100, 5)] * 49 + [(900, 5)] + [(100, 5)] * 49 + [(900, 5)] + [(100, 5)] * 13
    long = Settings(margin_milli=0, window_s=10**9)
    assert fed("window", samples, long)[1][-1] == 900
    at_98 = Settings(margin_milli=0, window_s=10**9, percentile_milli=980)
    assert 100 <= fed("window", samples, at_98)[1][-1] <= 103
    at_99 = Settings(margin_milli=0, window_s=10**9, percentile_milli=990)
    assert 900 <= fed("window", samples, at_99)[1][-1] <= 927


def test_a_percentile_forgets_with_its_half_life() -> None:
    """A day of 900, then one of 100: with a half-life of an hour nothing but 100 counts."""
    samples = [(900, 5)] * 288 + [(100, 5)] * 288
    kept = Settings(margin_milli=0, window_s=3600, percentile_milli=980)
    assert fed("window", samples, kept)[1][-1] <= 103


@NAMES
def test_a_gap_lets_nothing_fall(name: str) -> None:
    """After hours without a sample the estimate is back at the limit, and falls from there."""
    chosen = Settings(half_life_s=3600, overrun_days=1)
    _, seen, _ = fed(name, [(100, 5)] * 50 + [(100, 300)] + [(100, 5)], chosen)
    assert seen[-3] < seen[-1] < seen[-2] == LIMIT


@NAMES
def test_after_a_restart_it_goes_on_from_the_estimate(name: str) -> None:
    estimates = Estimates(name, Settings(overrun_days=1))
    estimates.add("a", LIMIT, 0, estimate_mib=700, now_us=50 * HOUR)
    assert estimates.estimates(["a"], 50 * HOUR)[0] == 700
    for minute in range(5, 60, 5):
        estimates.observe(["a"], [100], 50 * HOUR + minute * MINUTE)
        assert estimates.estimates(["a"], 50 * HOUR + minute * MINUTE)[0] == 700
    for minute in range(60, 50 * 60, 5):
        estimates.observe(["a"], [100], 50 * HOUR + minute * MINUTE)
    assert estimates.estimates(["a"], 99 * HOUR + 55 * MINUTE)[0] < 700


@NAMES
def test_rows_are_used_again_without_a_trace(name: str) -> None:
    estimates = Estimates(name, Settings(half_life_s=0, overrun_days=1))
    for round in range(40):
        keys = [(round, i) for i in range(20)]
        for key in keys:
            estimates.add(key, LIMIT, round * HOUR)
        for minute in range(0, 30, 5):
            used = [900 if round % 2 else 10] * len(keys)
            estimates.observe(keys, used, round * HOUR + minute * MINUTE)
        found = estimates.estimates(keys, round * HOUR + 25 * MINUTE)
        assert (found >= 900).all() if round % 2 else (found < 900).all()
        for key in keys:
            estimates.remove(key)
    assert len(estimates) == 0 and (39, 0) not in estimates
    assert len(estimates._limit) == 32


@NAMES
def test_bad_calls_change_nothing(name: str) -> None:
    estimates, seen, now = fed(name, [(100, 5)] * 20)
    with pytest.raises(ValueError, match="'a' is known already"):
        estimates.add("a", LIMIT, 0)
    with pytest.raises(ValueError, match="'b': limit -1 MiB"):
        estimates.add("b", -1, 0)
    with pytest.raises(ValueError, match="'a': limit -1 MiB"):
        estimates.set_limit("a", -1)
    with pytest.raises(KeyError):
        estimates.observe(["a", "b"], [900, 900], now)
    with pytest.raises(ValueError, match="'a': -7 MiB used"):
        estimates.observe(["a"], [-7], now)
    with pytest.raises(ValueError, match="a key comes twice"):
        estimates.observe(["a", "a"], [900, 900], now)
    with pytest.raises(ValueError, match="1 keys and amounts of shape"):
        estimates.observe(["a"], [900, 900], now)
    estimates.observe([], [], now)
    assert estimates.estimates(["a"], now)[0] == seen[-1]


@NAMES
def test_a_clock_that_goes_back_counts_as_standing_still(name: str) -> None:
    estimates, seen, now = fed(name, [(100, 5)] * 20)
    estimates.observe(["a"], [100], now - HOUR)
    assert LIMIT >= estimates.estimates(["a"], now - HOUR)[0] >= 100
    assert estimates.estimates(["a"], now)[0] == seen[-1]


@NAMES
def test_limits_that_change_and_limits_of_nothing(name: str) -> None:
    estimates, seen, now = fed(name, [(300, 5)] * 100, Settings(overrun_days=1))
    estimates.set_limit("a", 200)
    assert estimates.estimates(["a"], now)[0] == 200
    estimates.set_limit("a", LIMIT)
    assert estimates.estimates(["a"], now)[0] == seen[-1]
    estimates.add("none", 0, now)
    estimates.observe(["none"], [50], now + 10 * MINUTE)
    assert estimates.estimates(["none"], now + 10 * MINUTE)[0] == 0


@NAMES
def test_ten_thousand_attempts_are_observed_in_one_go(name: str) -> None:
    """A few milliseconds on a quiet core; the bound is for busy ones, and far below a loop over rows."""
    n, rng = 10_000, np.random.default_rng(1)
    estimates = Estimates(name)
    for key in range(n):
        estimates.add(key, 4096, 0)
    keys, took = list(range(n)), []
    for i in range(8):
        used = rng.integers(0, 4096, n)
        began = time.process_time()
        estimates.observe(keys, used, (i + 1) * 5 * MINUTE)
        took.append(time.process_time() - began)
    assert min(took) < 0.1


@settings(max_examples=60, deadline=None)
@given(
    samples=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 30)), min_size=1, max_size=80),
    window=st.integers(1, 200),
)
def test_moving_peaks_against_a_plain_search(samples: list[tuple[int, int]], window: int) -> None:
    """No sample of the window is missed; none counts that is older than the window and one span."""
    peaks = Peaks(window)
    peaks.grow(2)
    peaks.clear(1)
    span, now, told = -(-window // SPANS), 0, list[tuple[int, int]]()
    for value, gap in samples:
        now += gap
        told.append((now, value))
        (found,) = peaks.add(np.array([1]), np.array([value]), np.array([now])).tolist()
        assert found >= max(v for at, v in told if at > now - window)
        assert found <= max(v for at, v in told if at > now - SPANS * span - span)


def test_growth_is_counted_by_class_and_drawn_towards_all() -> None:
    """Two samples above 1.5 times the peak in 20 days of class 0, none in as many of class 1 of its group and
    of class 2 of another."""
    growth = Growth(2, 2)
    growth.add(np.zeros(20, dtype=int), np.array([1.6, 1.6] + [0.5] * 18), np.ones(20))
    growth.add(np.full(20, 1), np.full(20, 0.5), np.ones(20))
    growth.add(np.full(20, 2), np.full(20, 0.5), np.ones(20))
    below, above = np.searchsorted(TIMES, 1.5), np.searchsorted(TIMES, 1.7)
    rates = growth.rates()
    together = (2 + 5 * TIMES[below] ** -2) / 65
    first, second = (2 + 20 * together) / 60, 20 * together / 40
    assert rates[0, below] == pytest.approx((2 + 20 * first) / 40)
    assert rates[1, below] == pytest.approx(20 * first / 40)
    assert rates[2, below] == pytest.approx(20 * second / 40)
    assert rates[3, below] == pytest.approx(second)
    assert rates[0, above] == pytest.approx(rates[1, above])
    assert rates[0, above] == pytest.approx(5 * TIMES[above] ** -2 / 65 * 20 / 60 * 20 / 40)
    assert (np.diff(rates, axis=1) <= 0).all()


def restless_site(spikes: bool) -> Estimates:
    """200 attempts for a day, which use 100 of 1000; with spikes each doubles for a moment at some time."""
    estimates, keys = Estimates("packhorse"), list(range(200))
    for key in keys:
        estimates.add(key, LIMIT, 0)
    for slot in range(288):
        used = [200 if spikes and slot >= 24 and slot % 199 == key else 100 for key in keys]
        estimates.observe(keys, used, slot * 5 * MINUTE)
    return estimates


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5_000), st.integers(1, 4_000)), max_size=80))
@settings(max_examples=50, deadline=None)
def test_the_mean_peak_is_that_of_all_who_run(steps: list[tuple[int, int, int]]) -> None:
    """Kept up to date, not added up at each report."""
    anchor = Anchor(HOUR)
    anchor.grow(10)
    for i, (row, used, limit) in enumerate(steps):
        if used % 4:
            one = np.array([row])
            age, gap = np.array([i * 10 * MINUTE]), np.array([0])
            samples = Samples(one, np.array([min(used, limit)]), np.array([limit]), age, gap)
            anchor.add(samples, np.array([0]))
        else:
            anchor.clear(row)
        assert anchor.mean == anchor.peak.sum() / max(np.count_nonzero(anchor.peak), 1)


def test_packhorse_learns_how_much_room_a_site_needs() -> None:
    """A newcomer that uses 100 gets little room where nobody grows, and double where others have doubled."""
    found = []
    for site in (restless_site(spikes=False), restless_site(spikes=True)):
        began = 288 * 5 * MINUTE
        site.add("new", LIMIT, began)
        for slot in range(30):
            keys = ["new", *range(200)]
            site.observe(keys, [100] * 201, began + slot * 5 * MINUTE)
        found.append(int(site.estimates(["new"], began + 30 * 5 * MINUTE)[0]))
    quiet, spiky = found
    assert quiet < 175 < 200 < spiky < 300


def test_what_was_learned_survives_a_restart() -> None:
    site = restless_site(spikes=False)
    taught, fresh = Estimates("packhorse"), Estimates("packhorse")
    taught.teach(site.learned())
    assert taught.learned() == site.learned()
    found = []
    for estimates in (taught, fresh):
        estimates.add("new", LIMIT, 0)
        for slot in range(30):
            estimates.observe(["new"], [100], slot * 5 * MINUTE)
        found.append(int(estimates.estimates(["new"], 145 * MINUTE)[0]))
    assert found[0] < 175 < 300 < found[1]
    for broken in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not all is a count"):
            fresh.teach([broken, *site.learned()[1:]])


@NAMES
def test_what_another_estimator_learned_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="3 numbers learned"):
        Estimates(name).teach([1.0, 2.0, 3.0])
