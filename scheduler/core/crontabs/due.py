"""The next instant at which a line of a crontab is due, in a time zone that is given as data.

Where the clock is put forward, times of day that do not exist are due at the moment it is; where it is put
back, times that come twice count once. Lines for every hour just follow the hours, as Vixie's cron has it.
"""

from __future__ import annotations

from datetime import date

from packhorse.scheduler.model.cron import Cron
from packhorse.scheduler.model.crontab import Offsets

DAY_S = 86_400
EPOCH = date(1970, 1, 1).toordinal()
MOST_DAYS = 40 * 366
"""No line with any day has none within so many: 29 February on a certain day of the week comes every 28 years,
and 40 around a year that is no leap year."""


def next_after(cron: Cron, now_s: int, offsets: Offsets) -> int | None:
    """Seconds since the epoch, later than now_s; None if there is no such day."""
    for number, (start, offset) in enumerate(offsets):
        end = offsets[number + 1][0] if number + 1 < len(offsets) else None
        if end is not None and end <= now_s + 1:
            continue
        first = now_s + 1 + offset
        if number:
            before = start + offsets[number - 1][1]
            if start > now_s:
                first = start + offset
                if before < first and not cron.every_hour and _next(cron, before, first) is not None:
                    return start
            if not cron.every_hour:
                first = max(first, before)
        found = _next(cron, first, None if end is None else end + offset)
        if found is not None:
            return found - offset
        if end is None:
            return None
    return None


def _next(cron: Cron, first: int, end: int | None) -> int | None:
    """The first local time from `first` on, and before `end`, in seconds as if it were UTC."""
    day, rest = divmod(first, DAY_S)
    from_minute = -(-rest // 60)
    for _ in range(MOST_DAYS):
        if end is not None and day * DAY_S >= end:
            return None
        if _fits(cron, day):
            for hour in sorted(cron.hours):
                if hour < from_minute // 60:
                    continue
                for minute in sorted(cron.minutes):
                    if hour * 60 + minute >= from_minute:
                        found = day * DAY_S + hour * 3600 + minute * 60
                        return found if end is None or found < end else None
        day, from_minute = day + 1, 0
    return None


def _fits(cron: Cron, day: int) -> bool:
    when = date.fromordinal(EPOCH + day)
    if when.month not in cron.months:
        return False
    in_month, in_week = when.day in cron.days, when.isoweekday() % 7 in cron.weekdays
    return in_month or in_week if cron.either_day else in_month and in_week
