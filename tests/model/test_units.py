"""Times, memory and counts in Slurm's spellings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.model.units import (
    NO_LIMIT,
    UnitError,
    format_clock,
    format_elapsed,
    format_mem_mib,
    format_size,
    format_time_limit,
    parse_count,
    parse_count_range,
    parse_mem_mib,
    parse_time_limit_s,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 300),
        ("0", NO_LIMIT),
        ("1:30", 90),
        ("0:3600", 3600),
        ("11:00:00", 11 * 3600),
        ("25:00:00", 25 * 3600),
        ("1:2:3", 3723),
        ("2-0", 2 * 86400),
        ("1-12:30", 86400 + 12 * 3600 + 30 * 60),
        ("1-00:00:05", 86405),
        ("UNLIMITED", NO_LIMIT),
        ("infinite", NO_LIMIT),
        ("-1", NO_LIMIT),
    ],
)
def test_time_limit(text: str, seconds: int) -> None:
    assert parse_time_limit_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "banana", ":5", "1:", "1:2:3:4", "1-0:0:0:0", "-5", "1--2", "1.5", "5m", "9" * 19, "1-", "٥"]
)
def test_time_limit_unreadable(text: str) -> None:
    with pytest.raises(UnitError):
        parse_time_limit_s(text)


@given(st.integers(1, 400 * 86400))
def test_time_limit_round_trip(seconds: int) -> None:
    assert parse_time_limit_s(format_clock(seconds)) == seconds
    days, clock = divmod(seconds, 86400)
    if days or clock >= 3600:
        assert parse_time_limit_s(format_elapsed(seconds)) == seconds


def test_durations() -> None:
    assert [format_elapsed(s) for s in (0, 59, 600, 3600, 86399, 86400, 190000)] == [
        "0:00",
        "0:59",
        "10:00",
        "1:00:00",
        "23:59:59",
        "1-00:00:00",
        "2-04:46:40",
    ]
    assert [format_clock(s) for s in (0, 87, 86400)] == ["00:00:00", "00:01:27", "1-00:00:00"]
    assert format_time_limit(NO_LIMIT) == "UNLIMITED"


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("4096", 4096),
        ("0", 0),
        ("100M", 100),
        ("100mb", 100),
        ("2G", 2048),
        ("2g", 2048),
        ("1GB", 1024),
        ("1T", 1 << 20),
        ("1P", 1 << 30),
        ("1K", 1),
        ("2049KB", 3),
    ],
)
def test_memory(text: str, mib: int) -> None:
    assert parse_mem_mib(text) == mib


@pytest.mark.parametrize(
    "text", ["", "lots", "1.5G", "-1", "1X", "G", "1 G", "1GG", "1MK", "1Bb", "1B", "0x10", "٥"]
)
def test_memory_unreadable(text: str) -> None:
    with pytest.raises(UnitError):
        parse_mem_mib(text)


@given(st.integers(1, 1 << 40))
def test_memory_round_trip(mib: int) -> None:
    assert parse_mem_mib(format_mem_mib(mib)) == mib


def test_sizes() -> None:
    assert [format_mem_mib(m) for m in (0, 500, 1000, 1024, 1536, 16384, 1 << 20)] == [
        "0",
        "500M",
        "1000M",
        "1G",
        "1536M",
        "16G",
        "1T",
    ]
    assert format_size(10500, "K") == "10500K"
    assert format_size(2048, "K") == "2M"
    assert format_size(2662.4, "K", exact=False) == "2.60M"
    assert format_size(500, "M", as_unit="G") == "0.49G"
    assert format_size(1, "G", as_unit="M") == "1024M"
    assert format_size(4096, "M", convert=False) == "4096M"
    assert format_size(2048, "") == "2K"
    assert format_size(7, "") == "7"


def test_counts() -> None:
    assert parse_count("64") == 64
    assert parse_count_range("2-8") == (2, 8)
    assert parse_count_range("1k") == (1024, 1024)
    for bad in ("", "zero", "-1", "1.0", "99999999999999999999"):
        with pytest.raises(UnitError):
            parse_count(bad)
    with pytest.raises(UnitError, match="between 1 and 9"):
        parse_count("10", low=1, high=9)
    for bad in ("", "8-2", "2-", "-2", "a"):
        with pytest.raises(UnitError):
            parse_count_range(bad)
