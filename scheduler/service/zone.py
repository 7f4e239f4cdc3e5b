"""This host's time zone as data, so that what is decided by it can be decided again elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from packhorse.scheduler.model.crontab import Offsets

YEARS = 50
"""How far changes of the clock are foreseen; with every edit of a crontab anew."""

LOCALTIME = Path("/etc/localtime")


def offsets_of(zone: tzinfo, from_s: int) -> Offsets:
    """The zone from a day before from_s on: each change of the clock within YEARS, to the minute."""
    at = datetime.fromtimestamp(from_s, UTC).replace(second=0, microsecond=0) - timedelta(days=1)
    offset = _offset(zone, at)
    found = [(int(at.timestamp()), offset)]
    for _ in range(YEARS * 366):
        following = at + timedelta(days=1)
        new = _offset(zone, following)
        if new != offset:
            low, high = at, following
            while high - low > timedelta(minutes=1):
                middle = low + timedelta(minutes=(high - low) // timedelta(minutes=2))
                low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
            found.append((int(high.timestamp()), new))
        at, offset = following, new
    return tuple(found)


def _offset(zone: tzinfo, at: datetime) -> int:
    offset = at.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def local_zone() -> tzinfo:
    """The zone of this host: TZ where it names one, else /etc/localtime; UTC where there is neither."""
    import os
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    name = os.environ.get("TZ", "").removeprefix(":")
    try:
        if name:
            return ZoneInfo(name)
        with LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return UTC
