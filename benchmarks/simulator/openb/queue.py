"""Jobs that wait: what does not fit is tried again in order of arrival, what would strand devices is held."""

from __future__ import annotations

import heapq
from collections import deque
from enum import IntEnum
from typing import NamedTuple

from packhorse.scheduler.core.packing.online import Placer, Taken
from packhorse.simulator.openb.stranding import Stranding


class Hold(NamedTuple):
    """A job whose best placement strands more than `above` of what it asks for may be held, until it has a
    better one or `arrivals` more jobs have come. All held together ask for `at_most` of all devices.
    """

    arrivals: int
    above: float
    at_most: float


class Started(NamedTuple):
    """position: of the arrival. waited: how many arrivals came after it before it started."""

    position: int
    code: int
    taken: Taken
    waited: int


class _Where(IntEnum):
    """Where a job is: just come, tried and does not fit, or held."""

    NEW = 0
    WAITING = 1
    HELD = 2


class Queue:
    """Waiting jobs of one run. A pass starts all that fit and are not held, in order of arrival."""

    def __init__(self, placer: Placer, hold: Hold | None, stranding: Stranding | None) -> None:
        """Of a hold and what says how much is stranded, both or neither."""
        self._placer = placer
        self._hold = hold
        self._stranding = stranding
        self._new: list[tuple[int, int]] = []
        self._waiting: dict[int, list[int]] = {}  # heaps: one whose hold has ended may be older than the rest
        self._held: dict[int, deque[int]] = {}
        self.held_milli = 0
        self.n_tries = 0

    def add(self, position: int, code: int) -> None:
        """A job has arrived."""
        self._new.append((position, code))

    def relearn(self, stranding: Stranding | None) -> None:
        """From now on this says what a placement strands."""
        self._stranding = stranding

    def waiting(self) -> dict[int, list[int]]:
        """Positions that were tried and do not fit, by class."""
        return {code: sorted(jobs) for code, jobs in self._waiting.items() if jobs}

    def held(self) -> dict[int, list[int]]:
        """Positions that are held, by class."""
        return {code: list(jobs) for code, jobs in self._held.items() if jobs}

    def start(self, now: int) -> list[Started]:
        """A pass. now: position of the last arrival.

        Placing makes no class fit that did not, so one that does not is left out for the rest of the pass.
        """
        self._end_holds(now)
        turns = [(jobs[0], _Where.WAITING, code) for code, jobs in self._waiting.items() if jobs]
        turns += [(jobs[0], _Where.HELD, code) for code, jobs in self._held.items() if jobs]
        turns += [(position, _Where.NEW, code) for position, code in self._new]
        self._new.clear()
        heapq.heapify(turns)
        started: list[Started] = []
        while turns:
            position, where, code = heapq.heappop(turns)
            taken = self._try(code, where)
            if taken is not None:
                started.append(Started(position, code, taken, now - position))
            if where is _Where.NEW:
                if taken is None:
                    self._put_aside(position, code)
                continue
            if taken is None:
                continue
            if where is _Where.WAITING:
                heapq.heappop(self._waiting[code])
            else:
                self._leave_hold(code)
            jobs = self._waiting[code] if where is _Where.WAITING else self._held[code]
            if jobs:
                heapq.heappush(turns, (jobs[0], where, code))
        return started

    def _try(self, code: int, where: _Where) -> Taken | None:
        """Place a job of this class unless it does not fit or is to be held."""
        self.n_tries += 1
        if where is _Where.WAITING or self._hold is None or self._stranding is None:
            return self._placer.place(code)
        found = self._placer.best(code)
        if found is None:
            return None
        room = where is _Where.HELD or self._room_to_hold(code, self._hold)
        if room and self._stranding.part(code, found[0], found[1]) > self._hold.above:
            return None
        return self._placer.take(code, found[0], found[1])

    def _put_aside(self, position: int, code: int) -> None:
        """Just come and not placed: held if it could have been."""
        if self._hold is not None and self._placer.best(code) is not None:
            self._held.setdefault(code, deque()).append(position)
            self.held_milli += self._milli(code)
        else:
            heapq.heappush(self._waiting.setdefault(code, []), position)

    def _end_holds(self, now: int) -> None:
        """Those held for long enough wait like the others."""
        if self._hold is None:
            return
        for code, jobs in self._held.items():
            while jobs and now >= jobs[0] + self._hold.arrivals:
                heapq.heappush(self._waiting.setdefault(code, []), jobs[0])
                self._leave_hold(code)

    def _leave_hold(self, code: int) -> None:
        self._held[code].popleft()
        self.held_milli -= self._milli(code)

    def _room_to_hold(self, code: int, hold: Hold) -> bool:
        return self.held_milli + self._milli(code) <= hold.at_most * self._placer.capacity_milli

    def _milli(self, code: int) -> int:
        want = self._placer.want(code)
        return want.milli * want.n_devices
