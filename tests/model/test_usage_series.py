"""Series of usage: what they keep when they are cut down, and that they come back from their bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.model.usage_series import MAX_POINTS, Point, Series, decode

SMALL = st.integers(0, 1 << 40)
POINTS = st.lists(
    st.tuples(st.integers(0, 4000), SMALL, SMALL, SMALL, *[st.integers(-1, 1 << 20)] * 3), max_size=700
)


def made(points: list[Point]) -> Series:
    series = Series()
    for point in points:
        series.add(point)
    return series


@given(POINTS)
def test_comes_back_from_its_bytes(measured: list[tuple[int, ...]]) -> None:
    series = made([Point(*values) for values in measured])
    again = decode(series.encode())
    assert list(again) == list(series)
    assert again.step_s == series.step_s


@given(POINTS)
def test_keeps_the_highest_memory_the_end_and_the_order(measured: list[tuple[int, ...]]) -> None:
    points = [Point(*values) for values in measured]
    kept = list(made(points))
    assert len(kept) <= MAX_POINTS
    if points:
        assert max(point.mem_kib for point in kept) == max(point.mem_kib for point in points)
        assert max(point.cache_kib for point in kept) == max(point.cache_kib for point in points)
        assert kept[-1].at_s == max(point.at_s for point in points)
        assert kept[-1].cpu_ms == max(point.cpu_ms for point in points)
    for before, after in pairwise(kept):
        assert before.at_s <= after.at_s and before.cpu_ms <= after.cpu_ms


def test_a_long_series_covers_its_whole_length_in_equal_steps() -> None:
    kept = list(made([Point(1_000_000 + s, s * 1000, 5) for s in range(0, 100_000, 10)]))
    assert kept[0].at_s < 1_000_000 + 1000 and kept[-1].at_s == 1_099_990
    assert MAX_POINTS // 2 - 1 <= len(kept) <= MAX_POINTS
    steps = {after.at_s - before.at_s for before, after in pairwise(kept[:-1])}
    assert max(steps) <= 2 * min(steps)


def test_a_series_from_its_bytes_goes_on() -> None:
    first = made([Point(s, s * 10, 7) for s in range(1, 200)])
    again = decode(first.encode())
    for s in range(200, 400):
        first.add(Point(s, s * 10, 9))
        again.add(Point(s, s * 10, 9))
    assert len(again) <= MAX_POINTS
    assert [p.mem_kib for p in again][-1] == 9 and next(iter(again)).mem_kib == 7
    assert list(again)[-1] == list(first)[-1]


def test_devices_that_come_late_are_unknown_before() -> None:
    series = made([Point(1, 1, 1), Point(2, 2, 2, busy_milli=500)])
    assert [point.busy_milli for point in decode(series.encode())] == [-1, 500]


def test_unknown_and_known_merge_to_the_known() -> None:
    series = Series()
    for at, busy in ((1, 400), (1, -1), (1, 100)):
        series.add(Point(at, at, 1, busy_milli=busy))
    assert [point.busy_milli for point in series] == [300]


def test_an_hour_takes_few_bytes() -> None:
    mem = [200_000 + (s * 7919) % 3000 for s in range(360)]
    series = made([Point(1_700_000_000 + 10 * s, s * 9_987, mem[s]) for s in range(360)])
    assert len(series.encode()) / len(series) < 8


@pytest.mark.parametrize("data", [b"", b"\1", b"\2\0\0\1", b"\1\1xx", b"\1\0\x05\x01", b"\1\0\x80"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="series of usage"):
        decode(data)


def test_numbers_without_end_are_damage() -> None:
    body = bytearray([1, 1]) + (b"\xff" * 10 + b"\x01") * 4
    with pytest.raises(ValueError, match="numbers without end"):
        decode(bytes([1, 0]) + bytes(body))
