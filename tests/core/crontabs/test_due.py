"""Cron arithmetic against days worked out by hand, and against the zone database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.core.crontabs.due import next_after
from packhorse.scheduler.model.cron import parse_cron
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.service.zone import offsets_of

UTC_ONLY = ((0, 0),)
BERLIN = offsets_of(ZoneInfo("Europe/Berlin"), int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()))


def after(when: str, text: str, zone: str = "UTC", n: int = 1) -> list[str]:
    """The next n instants in local time."""
    tz = ZoneInfo(zone)
    now = int(datetime.fromisoformat(text).replace(tzinfo=tz).timestamp())
    offsets = UTC_ONLY if zone == "UTC" else BERLIN
    found = []
    for _ in range(n):
        at = next_after(parse_cron(when), now, offsets)
        assert at is not None and at > now
        now = at
        found.append(datetime.fromtimestamp(now, tz).strftime("%Y-%m-%d %H:%M%z"))
    return found


@pytest.mark.parametrize(
    ("when", "now", "found"),
    [
        ("* * * * *", "2026-11-28T12:00:30", "2026-11-28 12:01+0000"),
        ("* * * * *", "2026-11-28T12:00:00", "2026-11-28 12:01+0000"),
        ("*/15 * * * *", "2026-11-28T12:46:00", "2026-11-28 13:00+0000"),
        ("5-20/5 3,4 * * *", "2026-11-28T03:20:00", "2026-11-28 04:05+0000"),
        ("@hourly", "2026-12-31T23:00:00", "2027-01-01 00:00+0000"),
        ("@weekly", "2026-11-28T12:00:00", "2026-11-29 00:00+0000"),
        ("@fika", "2026-11-28T15:00:00", "2026-11-29 15:00+0000"),
        ("0 0 13 * fri", "2026-11-28T00:00:00", "2026-12-04 00:00+0000"),
        ("0 0 13 * *", "2026-11-28T00:00:00", "2026-12-13 00:00+0000"),
        ("0 0 */2 * mon", "2026-11-28T00:00:00", "2026-12-07 00:00+0000"),
        ("0 0 29 2 *", "2026-11-28T00:00:00", "2028-02-29 00:00+0000"),
        ("0 12 * jan-mar sat,7", "2026-11-28T00:00:00", "2027-01-02 12:00+0000"),
    ],
)
def test_by_hand(when: str, now: str, found: str) -> None:
    assert after(when, now) == [found]


def test_a_day_that_never_comes() -> None:
    assert next_after(parse_cron("0 0 30 2 *"), 0, UTC_ONLY) is None


def test_the_clock_is_put_forward() -> None:
    """29 March 2026, 2:00 to 3:00: what was for half past two is due at once, and every hour goes on."""
    assert after("30 2 * * *", "2026-03-28T12:00:00", "Europe/Berlin", 2) == [
        "2026-03-29 03:00+0200",
        "2026-03-30 02:30+0200",
    ]
    assert after("30 * * * *", "2026-03-29T01:00:00", "Europe/Berlin", 2) == [
        "2026-03-29 01:30+0100",
        "2026-03-29 03:30+0200",
    ]


def test_the_clock_is_put_back() -> None:
    """25 October 2026, 3:00 to 2:00: half past two comes twice, and counts once."""
    assert after("30 2 * * *", "2026-10-25T00:00:00", "Europe/Berlin", 2) == [
        "2026-10-25 02:30+0200",
        "2026-10-26 02:30+0100",
    ]
    assert after("30 * * * *", "2026-10-25T02:00:00", "Europe/Berlin", 3) == [
        "2026-10-25 02:30+0200",
        "2026-10-25 02:30+0100",
        "2026-10-25 03:30+0100",
    ]


@given(
    st.integers(0, 59),
    st.integers(4, 23),
    st.integers(0, 20 * 366 * 1440).map(lambda n: 1_767_225_600 + 60 * n),
)
def test_away_from_changes_it_is_the_clock_on_the_wall(minute: int, hour: int, now: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    at = next_after(parse_cron(f"{minute} {hour} * * *"), now, BERLIN)
    assert at is not None
    local = datetime.fromtimestamp(at, zone)
    assert (local.hour, local.minute) == (hour, minute)
    assert timedelta(0) < timedelta(seconds=at - now) <= timedelta(hours=25)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "60 * * * *",
        "* * 0 * *",
        "* * * 13 *",
        "9-3 * * * *",
        "@never",
        "*/0 * * * *",
        "x * * * *",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(BadValue):
        parse_cron(text)
