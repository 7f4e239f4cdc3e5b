"""Runs the shadow beside the live scheduler: a copy before a pass, the comparison after it on a thread.

The live loop pays for a copy of the state's dictionaries, at most every so many seconds, and for nothing
else: the other configuration decides on a thread, one pass at a time, and after a pass that took long there
is none for twenty times as long. What goes wrong there is kept for whoever asks, and ends nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import structlog

from packhorse.scheduler.core.shadow.compare import Difference, Outcome, cpus, differences, outcome
from packhorse.scheduler.core.shadow.ledger import Ledger
from packhorse.scheduler.core.shadow.twin import Moment, decided, moment, twin
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import Instant

log = structlog.get_logger(__name__)

EVERY_S: Final = 10.0

SPARE: Final = 20.0
"""Times as long as the last pass took there is none."""


class Shadow(NamedTuple):
    """What runs: under which name, with which configuration, since when."""

    name: str
    config: ClusterConfig
    since: Instant


class Compared(NamedTuple):
    """One pass. Thousandths of the cluster's CPUs in use after it."""

    found: list[Difference]
    live_milli: int
    shadow_milli: int


class Shadowing:
    """See the module. All methods belong to the event loop. error: why the last pass failed, or why there is
    no shadow although the configuration names one; "" for nothing."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._not_before = 0.0
        self._moment: Moment | None = None
        self._busy: asyncio.Task[None] | None = None
        self.shadow: Shadow | None = None
        self.ledger = Ledger()
        self.error = ""
        self.n_failed = 0
        self.last_at = Instant(0)
        self.last_s = 0.0

    def switch_on(self, name: str, config: ClusterConfig, now: Instant) -> None:
        """From now on, with an empty ledger."""
        self.switch_off()
        self.shadow = Shadow(name, config, now)
        self.ledger = Ledger()
        self.error, self.n_failed = "", 0
        self.last_at, self.last_s = Instant(0), 0.0
        self._not_before = 0.0

    def switch_off(self) -> None:
        """What was found stays."""
        self.shadow = None
        self._moment = None

    async def stop(self) -> None:
        """End it; a pass that is under way ends unheard."""
        self.switch_off()
        if self._busy is not None:
            self._busy.cancel()
            await asyncio.gather(self._busy, return_exceptions=True)

    def before(self, state: State, now: Instant) -> None:
        """A live pass follows."""
        if self.shadow is None or self._moment is not None or self._busy is not None:
            return
        if time.monotonic() >= self._not_before:
            self._moment = moment(state, now)

    def after(self, state: State, events: Sequence[Event]) -> None:
        """The live pass is over; it decided these events."""
        of, self._moment = self._moment, None
        if of is None or self.shadow is None:
            return
        try:
            live = outcome(state, events)
        except Exception as error:
            self._failed(error)
            return
        self._busy = asyncio.get_running_loop().create_task(self._compare(self.shadow, of, live))

    def drop(self) -> None:
        """The state of before the pass is worth nothing any more."""
        self._moment = None

    async def _compare(self, shadow: Shadow, of: Moment, live: Outcome) -> None:
        began = time.monotonic()
        try:
            compared = await asyncio.to_thread(_compared, shadow.config, of, live)
        except Exception as error:
            if self.shadow is shadow:
                self._failed(error)
        else:
            if self.shadow is shadow:
                self.ledger.add(of.at, *compared)
                self.last_at, self.error = of.at, ""
        finally:
            self.last_s = time.monotonic() - began
            self._not_before = time.monotonic() + max(self._every_s, SPARE * self.last_s)
            self._busy = None

    def _failed(self, error: Exception) -> None:
        log.error("shadow.failed", why=f"{type(error).__name__}: {error}")
        self.error = f"{type(error).__name__}: {error}"
        self.n_failed += 1
        self._not_before = time.monotonic() + self._every_s


def _compared(config: ClusterConfig, of: Moment, live: Outcome) -> Compared:
    """On the thread."""
    state = twin(of, config)
    used, capacity = cpus(state.node_columns)
    other = outcome(state, decided(state, of.at))
    whole = max(capacity, 1)
    return Compared(
        list(differences(live, other)),
        1000 * (used + live.cpu_milli) // whole,
        1000 * (used + other.cpu_milli) // whole,
    )
