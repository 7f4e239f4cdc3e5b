"""The next instant at which a line of a crontab is due, in a time zone that is given as data.

Where the clock is put forward, times of day that do not exist are due at the moment it is; where it is put
back, times that come twice count once. Lines for every hour just follow the hours, as Vixie's cron has it.
"""

from __future__ import annotations

from packhorse.scheduler.model.cron import Cron
from packhorse.scheduler.model.crontab import Offsets

DAY_S = 86_400
MOST_DAYS = 40 * 366
"""No line with any day has none within so many: 29 February on a certain day of the week comes every 28
years, and after 40 around a year that is no leap year."""


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
    month, day_of_month = _civil(day)
    if month not in cron.months:
        return False
    in_month, in_week = day_of_month in cron.days, (day + 4) % 7 in cron.weekdays  # 1 January 1970: Thursday
    return in_month or in_week if cron.either_day else in_month and in_week


def _civil(day: int) -> tuple[int, int]:
    """Month and day of the month, of days since 1 January 1970. Howard Hinnant, "chrono-compatible low-level
    date algorithms", 2014: years from March on, so that the leap day is a year's last."""
    _, in_era = divmod(day + 719_468, 146_097)
    year = (in_era - in_era // 1460 + in_era // 36_524 - in_era // 146_096) // 365
    in_year = in_era - (365 * year + year // 4 - year // 100)
    from_march = (5 * in_year + 2) // 153
    return (from_march + 2) % 12 + 1, in_year - (153 * from_march + 2) // 5 + 1
