"""When a scheduling cycle runs, and when the core is told that time has passed.

A cycle runs because something changed, never because time went by: the first change after a pause at once,
so that it shares the commit of the submission that caused it, and under load once in MIN_GAP_S, or half of
the time where a cycle itself takes longer than that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.service.clock import Alarm, Clock

MIN_GAP_S = 0.020
"""At most fifty cycles in a second: what changes meanwhile is decided together."""

LONG_S = 0.002

UNRELATED = frozenset(
    {
        ev.ArrayTaskSplit,
        ev.AttemptStarted,
        ev.BatchEnded,
        ev.CallAnswered,
        ev.CrontabSet,
        ev.JobEnding,
        ev.JobGranted,
        ev.JobTerminating,
        ev.JobWarned,
        ev.JobsForgotten,
        ev.MemoryEstimated,
        ev.NodeDowned,
        ev.NodeDrained,
        ev.NodeSilenced,
        ev.PolicyTaught,
        ev.SchedulerStarted,
        ev.StartsEstimated,
        ev.StepCreated,
        ev.StepEnding,
        ev.StepPartEnded,
        ev.StepStarted,
        ev.TriggerSet,
        ev.TriggersCleared,
        ev.TriggersFired,
    }
)
"""Events after which nothing can start that could not start before. An attempt that started may make jobs
eligible which depend on it; the events that say so are not in here. Where less memory is expected to be
used, the step itself says whether somebody waits for that (Decision.more)."""


class CycleTrigger:
    """Decides when the next cycle is due. `wake` is called when one is, outside any other change."""

    def __init__(self, wake: Callable[[], None], min_gap_s: float = MIN_GAP_S) -> None:
        self._wake = wake
        self._min_gap_s = min_gap_s
        self._wanted = False
        self._not_before = 0.0
        self._last_s = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    def saw(self, events: Iterable[Event], eligible_by_start: bool) -> None:
        """Something happened. eligible_by_start: jobs wait for others to start."""
        if self._wanted:
            return
        for event in events:
            kind = type(event)
            if kind not in UNRELATED or (eligible_by_start and kind is ev.AttemptStarted):
                self._wanted = True
                return

    @property
    def is_long(self) -> bool:
        """The last cycle took longer than a commit does."""
        return self._last_s > LONG_S

    def again(self) -> None:
        """A cycle left work that it could have done."""
        self._wanted = True

    def due(self, n_to_serve: int) -> bool:
        """Whether a cycle should run now; if one is wanted but too early, it will be woken for.

        n_to_serve: jobs that only wait for resources; without any, a cycle has nothing to decide.
        """
        if not self._wanted:
            return False
        if n_to_serve == 0:
            self._wanted = False
            return False
        early = self._not_before - time.monotonic()
        if early <= 0:
            return True
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(early, self._ring)
        return False

    def ran(self, seconds: float) -> None:
        """A cycle took this long and is over."""
        self._wanted = False
        self._last_s = seconds
        self._not_before = time.monotonic() + max(self._min_gap_s, seconds)

    def stop(self) -> None:
        """No more cycles until `due` is asked again."""
        self._wanted = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        self._alarm = None
        self._wake()


class TickTimer:
    """Sleeps until the core has something to do at a certain instant, and not a moment less."""

    def __init__(self, clock: Clock, tick: Callable[[], None]) -> None:
        self._clock = clock
        self._tick = tick
        self._at: Instant | None = None
        self._alarm: Alarm | None = None

    def set(self, at: Instant | None) -> None:
        """The next instant at which something is due; None: never."""
        if at == self._at:
            return
        self.stop()
        if at is not None:
            self._at = at
            self._alarm = self._clock.call_at(at, self._ring)

    def stop(self) -> None:
        """No tick any more until an instant is set."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._at = None

    def _ring(self) -> None:
        self._alarm = self._at = None
        self._tick()
