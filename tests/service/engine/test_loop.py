"""When cycles run, when ticks come, and that time does not run backwards."""

from __future__ import annotations

import asyncio
import time

import pytest

from packhorse.scheduler.model.event import AttemptStarted, Event, JobsForgotten, NodeSilenced
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.service.clock import ManualClock, SystemClock
from packhorse.scheduler.service.loop import CycleTrigger, TickTimer

AT = Instant(1)
STARTED = AttemptStarted(AT, JobId(1), AttemptKey(JobId(1), 1, 1))
CHANGED: list[Event] = [JobsForgotten(AT, ()), NodeSilenced(AT, NodeName("n"))]


def a_trigger(gap_s: float = 30.0) -> CycleTrigger:
    return CycleTrigger(lambda: pytest.fail("nothing to wake for"), gap_s)


def test_nothing_happened() -> None:
    trigger = a_trigger()
    assert not trigger.due(5)
    trigger.saw(CHANGED, eligible_by_start=False)
    assert not trigger.due(5)


def test_a_start_matters_to_those_who_wait_for_it() -> None:
    trigger = a_trigger()
    trigger.saw([STARTED], eligible_by_start=False)
    assert not trigger.due(5)
    trigger.saw([STARTED], eligible_by_start=True)
    assert trigger.due(5)


def test_nobody_waits() -> None:
    trigger = a_trigger()
    trigger.again()
    assert not trigger.due(0)
    assert not trigger.due(1), "what was due for nobody is not due for the next"


async def test_the_first_at_once_the_next_after_the_gap() -> None:
    rung = asyncio.Event()
    trigger = CycleTrigger(rung.set, 0.03)
    trigger.again()
    assert trigger.due(1)
    begun = time.monotonic()
    trigger.ran(0.001)
    trigger.again()
    assert not trigger.due(1)
    trigger.again()
    assert not trigger.due(1)
    await asyncio.wait_for(rung.wait(), 10)
    assert time.monotonic() - begun >= 0.029
    assert trigger.due(1)
    trigger.stop()


async def test_long_cycles_leave_half_of_the_time_to_others() -> None:
    trigger = a_trigger(0.0)
    trigger.ran(60.0)
    trigger.again()
    assert not trigger.due(1)
    trigger.stop()
    assert not trigger.due(1)


def test_a_tick_comes_when_it_is_due() -> None:
    clock = ManualClock()
    ticks: list[Instant] = []
    timer = TickTimer(clock, lambda: ticks.append(clock.now()))
    due = Instant(clock.now() + 10 * US)
    timer.set(Instant(due + US))
    timer.set(due)
    timer.set(due)
    clock.advance(9)
    assert not ticks
    clock.advance(5)
    assert ticks == [due]
    timer.set(Instant(clock.now() + US))
    timer.set(None)
    clock.advance(5)
    assert ticks == [due]


async def test_the_system_clock_calls() -> None:
    clock = SystemClock()
    rung = asyncio.Event()
    clock.call_at(Instant(clock.now() + 2000), rung.set)
    clock.call_at(Instant(clock.now() + 1000), lambda: pytest.fail("cancelled")).cancel()
    await asyncio.wait_for(rung.wait(), 10)


class Hands:
    """The clocks that a SystemClock looks at: one that people set and one that they do not. Nanoseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.tick = 1_000_000_000_000, 0
        monkeypatch.setattr(time, "time_ns", lambda: self.wall)
        monkeypatch.setattr(time, "clock_gettime_ns", lambda _: self.tick)

    def wait(self, seconds: int, *, and_set_by: int = 0) -> None:
        self.tick += seconds * 1_000_000_000
        self.wall += (seconds + and_set_by) * 1_000_000_000


def test_a_clock_set_back_does_not_run_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands(monkeypatch)
    clock = SystemClock()
    first = clock.now()
    hands.wait(10, and_set_by=-3600)
    assert clock.now() - first == 9 * US, "a tenth slower, until the machine has caught up"
    hands.wait(0, and_set_by=3600)
    assert clock.now() == hands.wall // 1000


@pytest.mark.parametrize("day", [-86_400, 86_400])
def test_a_clock_set_by_a_day_ends_nothing(monkeypatch: pytest.MonkeyPatch, day: int) -> None:
    hands = Hands(monkeypatch)
    clock = SystemClock()
    first = clock.now()
    hands.wait(1, and_set_by=day)
    for _ in range(3600):
        clock.now()
        hands.wait(1)
    assert 3600 * US * 9 // 10 <= clock.now() - first <= 3600 * US * 11 // 10 + 2 * US
    hands.wait(0, and_set_by=-day)
    hands.wait(7200)
    assert clock.now() == hands.wall // 1000


def test_a_small_step_and_a_suspended_machine_are_followed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands(monkeypatch)
    clock = SystemClock()
    hands.wait(1, and_set_by=59)
    assert clock.now() == hands.wall // 1000
    hands.wait(86_400)
    assert clock.now() == hands.wall // 1000


def test_a_log_from_the_future_holds_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    later = Instant(clock.now() + 3600 * US)
    clock.not_before(later)
    assert clock.now() >= later
