"""Dates and times in the forms of --begin and sacct -S. It is 05:53 of Monday, 23 November 2026."""

import calendar
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.cli.slurm.when import WhenError, parse_when_s

NOW = calendar.timegm((2026, 11, 23, 5, 53, 0))


def read(text: str, *, past: bool = False) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(parse_when_s(text, NOW, past=past)))


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("now", "2026-11-23T05:53:00"),
        ("now+1hour", "2026-11-23T06:53:00"),
        ("now + 5 minutes", "2026-11-23T05:58:00"),
        ("now+60", "2026-11-23T05:54:00"),
        ("now-2days", "2026-11-21T05:53:00"),
        ("now+1week", "2026-11-30T05:53:00"),
        ("16:00", "2026-11-23T16:00:00"),
        ("5:00", "2026-11-24T05:00:00"),
        ("4pm", "2026-11-23T16:00:00"),
        ("4:30 PM", "2026-11-23T16:30:00"),
        ("04:30:15am", "2026-11-24T04:30:15"),
        ("midnight", "2026-11-24T00:00:00"),
        ("noon", "2026-11-23T12:00:00"),
        ("fika", "2026-11-23T15:00:00"),
        ("teatime", "2026-11-23T16:00:00"),
        ("tomorrow", "2026-11-24T00:00:00"),
        ("tomorrow 14:30", "2026-11-24T14:30:00"),
        ("16:00 tomorrow", "2026-11-24T16:00:00"),
        ("today 23:00", "2026-11-23T23:00:00"),
        ("2027-01-20", "2027-01-20T00:00:00"),
        ("2027-01-20T12:34", "2027-01-20T12:34:00"),
        ("2027-01-20T12:34:56", "2027-01-20T12:34:56"),
        ("1970-01-01-00:00:01", "1970-01-01T00:00:01"),
        ("112426", "2026-11-24T00:00:00"),
        ("0101", "2027-01-01T00:00:00"),
        ("12/25", "2026-12-25T00:00:00"),
        ("12/25/27", "2027-12-25T00:00:00"),
        ("11.24", "2026-11-24T00:00:00"),
        ("1130-12:00", "2026-11-30T12:00:00"),
        ("uts1795413181", "2026-11-23T05:53:01"),
    ],
)
def test_forms(text: str, when: str) -> None:
    assert read(text) == when


def test_accounting_looks_back() -> None:
    assert read("5:00", past=True) == "2026-11-23T05:00:00"
    assert read("midnight", past=True) == "2026-11-23T00:00:00"
    assert read("0101", past=True) == "2026-01-01T00:00:00"


@pytest.mark.parametrize(
    ("text", "pos"),
    [
        ("someday", 0),
        ("", 0),
        ("25:00", 5),
        ("12:60", 5),
        ("now+", 4),
        ("now+x", 4),
        ("now*5", 3),
        ("16:00 17:00", 11),
        ("today tomorrow", 6),
        ("5", 0),
        ("0230", 0),
        ("2027-02-31", 0),
        ("-", 0),
        ("now 5:00", 4),
    ],
)
def test_unreadable(text: str, pos: int) -> None:
    with pytest.raises(WhenError) as caught:
        read(text)
    assert str(caught.value) == f"Invalid time specification (pos={pos}): {text}"


@given(st.integers(0, 4_000_000_000))
def test_iso_round_trip(instant: int) -> None:
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(instant))
    assert parse_when_s(text, NOW) == instant


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_when_s(text, NOW)
    except WhenError:
        pass
