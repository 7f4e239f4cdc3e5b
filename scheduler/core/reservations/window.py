"""When a reservation holds: its present window or the next one, and those that follow.

A window that repeats moves on by whole hours or days of 86,400 s; the state is told of it by an event
(core/reservations/over.py), and until then the window that comes is found here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.reservation import Repeat, Reservation

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
AHEAD: Final = 9
"""Windows of one that repeats which plans look at: more than a week of days, so that a weekend is among
them."""

_STEP_S: Final = {Repeat.HOURLY: HOUR_S, Repeat.WEEKLY: 7 * DAY_S}


class Window(NamedTuple):
    """From start up to, and without, end."""

    start: Instant
    end: Instant

    def holds(self, at: int) -> bool:
        """Whether it is open then."""
        return self.start <= at < self.end


def weekday(at: int, utc_offset_s: int) -> int:
    """0: Monday … 6: Sunday."""
    return (((at // US) + utc_offset_s) // DAY_S + 3) % 7  # the first of January 1970 was a Thursday


def allowed_day(repeat: Repeat, at: int, utc_offset_s: int) -> bool:
    """Whether a window may begin then: on weekdays only, on weekends only."""
    if repeat is Repeat.WEEKDAY:
        return weekday(at, utc_offset_s) < 5
    if repeat is Repeat.WEEKEND:
        return weekday(at, utc_offset_s) >= 5
    return True


def following(r: Reservation, start: Instant) -> Instant:
    """When the window after the one that starts then begins."""
    step = _STEP_S.get(r.repeat, DAY_S) * US
    at = start + step
    while not allowed_day(r.repeat, at, r.utc_offset_s):
        at += step
    return Instant(at)


def windows(r: Reservation, now: Instant) -> Iterator[Window]:
    """The present window and those to come, without end where it repeats; the last one if it is over."""
    window = Window(r.start_at, r.end_at)
    length = r.end_at - r.start_at
    while r.repeat and window.end <= now:
        start = following(r, window.start)
        window = Window(start, Instant(start + length))
    yield window
    while r.repeat:
        start = following(r, window.start)
        window = Window(start, Instant(start + length))
        yield window


def window(r: Reservation, now: Instant) -> Window:
    """The present window or the next one."""
    return next(windows(r, now))


def ahead(r: Reservation, now: Instant) -> list[Window]:
    """The windows that plans look at."""
    return list(islice(windows(r, now), AHEAD))


def overlap(a: Reservation, b: Reservation, now: Instant) -> bool:
    """Whether a window of one meets one of the other, as far as is looked ahead from either."""
    first, second = ahead(a, now), ahead(b, now)
    if a.repeat and not b.repeat:
        first = _up_to(a, now, second[-1].end)
    elif b.repeat and not a.repeat:
        second = _up_to(b, now, first[-1].end)
    return any(x.start < y.end and y.start < x.end for x in first for y in second)


def over_run_us(r: Reservation, over_run_s: int) -> int:
    """How long its jobs may run on when a window is over: never into the next one."""
    us = over_run_s * US
    if not r.repeat:
        return us
    return max(0, min(us, following(r, r.start_at) - r.end_at))


_MOST: Final = 20_000
"""Windows compared with one far away: two years of hours."""


def _up_to(r: Reservation, now: Instant, end: Instant) -> list[Window]:
    out = []
    for found in islice(windows(r, now), _MOST):
        if found.start >= end:
            break
        out.append(found)
    return out
