"""Jobs that wait: by ask class, first come first tried, with an optional bounded hold."""

from __future__ import annotations

import heapq
from collections import deque
from typing import NamedTuple

from packhorse.scheduler.core.packing.online import Placer, Taken
from packhorse.simulator.openb.stranding import Stranding


class Hold(NamedTuple):
    """A job whose best placement strands more than `above` of what it asks for may wait until `arrivals` more
    jobs have come."""

    arrivals: int
    above: float


class Started(NamedTuple):
    """position: of the arrival. waited: how many arrivals came after it before it started."""

    position: int
    code: int
    taken: Taken
    waited: int


class Queue:
    """Waiting jobs of one run. A pass starts all that fit and are not held, in order of arrival."""

    def __init__(self, placer: Placer, hold: Hold | None, stranding: Stranding | None) -> None:
        self._placer = placer
        self._hold = hold
        self._stranding = stranding
        self._waiting: dict[int, deque[int]] = {}
        self.n_tries = 0

    def add(self, position: int, code: int) -> None:
        """A job has arrived."""
        self._waiting.setdefault(code, deque()).append(position)

    def relearn(self, stranding: Stranding | None) -> None:
        """From now on this says what a placement strands."""
        self._stranding = stranding

    def waiting(self) -> dict[int, list[int]]:
        """Positions that wait, by class."""
        return {code: list(jobs) for code, jobs in self._waiting.items() if jobs}

    def start(self, now: int) -> list[Started]:
        """A pass. now: position of the last arrival.

        Placing makes no class fit that did not, so one that does not fit is left out for the rest of the pass.
        """
        started: list[Started] = []
        heads = [(jobs[0], code) for code, jobs in self._waiting.items() if jobs]
        heapq.heapify(heads)
        while heads:
            position, code = heads[0]
            taken = self._try(position, code, now)
            if taken is None:
                heapq.heappop(heads)
                continue
            jobs = self._waiting[code]
            jobs.popleft()
            started.append(Started(position, code, taken, now - position))
            if jobs:
                heapq.heapreplace(heads, (jobs[0], code))
            else:
                heapq.heappop(heads)
        return started

    def _try(self, position: int, code: int, now: int) -> Taken | None:
        self.n_tries += 1
        if self._hold is None or self._stranding is None or now >= position + self._hold.arrivals:
            return self._placer.place(code)
        found = self._placer.best(code)
        if found is None or self._stranding.part(code, found[0], found[1]) > self._hold.above:
            return None
        return self._placer.take(code, found[0], found[1])
