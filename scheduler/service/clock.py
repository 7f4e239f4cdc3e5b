"""Where time comes from: the machine's clock for the daemon, a hand on the dial for tests."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

from packhorse.scheduler.model.ids import US, Instant

LONGEST_SLEEP_S = 60.0
"""A timer far away looks at the clock again after this long: the machine's clock may be set meanwhile."""


LONGEST_LEAP_US = 60 * US
"""So far ahead the machine's clock is followed at once."""


def _boot_clock_us() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Alarm(Protocol):
    """Something that will be called once."""

    def cancel(self) -> None:
        """It will not be called any more."""


class Clock(Protocol):
    """Tells the time, never backwards, and calls when an instant has come."""

    def now(self) -> Instant: ...

    def not_before(self, at: Instant) -> None:
        """From now on it is `at` or later: a log must not run backwards because a machine's clock did."""

    def call_at(self, at: Instant, callback: Callable[[], None]) -> Alarm:
        """Call `callback` on the event loop as soon as now() >= at."""


class SystemClock:
    """The machine's clock, made monotonic and without leaps.

    Set back, it runs a tenth slower until the two agree again; set ahead by over LONGEST_LEAP_US, a tenth
    faster. Otherwise every job's time limit would be over at once when somebody sets the clock to tomorrow.
    Time in which the machine was suspended is no leap: the clock of the nodes' supervisors counts it too.
    """

    def __init__(self) -> None:
        self._last_tick = _boot_clock_us()
        self._last_us = time.time_ns() // 1000

    def now(self) -> Instant:
        tick = _boot_clock_us()
        wall = time.time_ns() // 1000
        passed = tick - self._last_tick
        if wall < self._last_us:
            wall = self._last_us + passed * 9 // 10
        elif wall - self._last_us > passed + LONGEST_LEAP_US:
            wall = min(wall, self._last_us + passed * 11 // 10)
        self._last_tick = tick
        self._last_us = wall
        return Instant(wall)

    def not_before(self, at: Instant) -> None:
        self._last_us = max(self._last_us, at)

    def call_at(self, at: Instant, callback: Callable[[], None]) -> Alarm:
        return _Sleeper(self, at, callback)


class _Sleeper:
    """A timer of the event loop that looks at the clock when it rings, and sleeps on if it was early."""

    def __init__(self, clock: SystemClock, at: Instant, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._at = at
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._handle = self._sleep()

    def cancel(self) -> None:
        self._handle.cancel()

    def _sleep(self) -> asyncio.TimerHandle:
        left = (self._at - self._clock.now()) / US
        return self._loop.call_later(min(max(left, 0.0), LONGEST_SLEEP_S), self._ring)

    def _ring(self) -> None:
        if self._clock.now() >= self._at:
            self._callback()
        else:
            self._handle = self._sleep()


BEGINNING = Instant(1_700_000_000 * US)


class ManualClock:
    """Stands still until it is moved; what falls due is called while it moves."""

    def __init__(self, now: Instant = BEGINNING) -> None:
        self._now = now
        self._order = count()
        self._alarms: list[tuple[Instant, int, _Set]] = []

    def now(self) -> Instant:
        return self._now

    def not_before(self, at: Instant) -> None:
        self._now = max(self._now, at)

    def call_at(self, at: Instant, callback: Callable[[], None]) -> Alarm:
        alarm = _Set(callback)
        heapq.heappush(self._alarms, (at, next(self._order), alarm))
        return alarm

    def advance(self, seconds: float) -> None:
        """Move on, stopping at each alarm on the way."""
        self.advance_to(Instant(self._now + round(seconds * US)))

    def advance_to(self, at: Instant) -> None:
        """Move on to this instant, stopping at each alarm on the way."""
        while self._alarms and self._alarms[0][0] <= at:
            due, _, alarm = heapq.heappop(self._alarms)
            self._now = max(self._now, due)
            alarm.ring()
        self._now = max(self._now, at)


class _Set:
    """An alarm of a ManualClock."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def ring(self) -> None:
        if self._callback is not None:
            self._callback()
