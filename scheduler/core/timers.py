"""Instants at which something is due, so that the engine sleeps exactly as long as it may.

A heap of (instant, kind, id). Nothing is ever taken out early: an entry whose job has moved on is
stale and is dropped when it comes up. Whether an entry still stands is decided by `tick`, which knows
the rules; here is only the order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from enum import IntEnum

from packhorse.scheduler.model.ids import Instant, JobId


class Timer(IntEnum):
    """What is due. The order is that in which things of one instant are done."""

    BEGIN = 0  # a begin time, requeue delay or backoff is over
    DOOMED = 1  # a dependency failed and the job wants to be cancelled then
    TERMINATE = 2  # the delayed order to stop an attempt
    LIMIT = 3  # the time limit
    WARN = 4  # the signal before the time limit
    LEASE = 5  # a silent node has stopped the job by itself
    RANK = 6  # it has run for so long that it stands elsewhere in the order
    SWITCHES = 8  # it has waited long enough for few switches
    DEADLINE = 7  # it can no longer be over by its deadline, or runs at it
    GANG = 9  # its gang has waited for as long as its members want
    STEP_LIMIT = 10  # the time limit of a step of its own
    INACTIVE = 12  # it has had no step for as long as an allocation may
    NOTHING_LEFT = 11  # it was told to end, and there is nothing of it that could


Entry = tuple[Instant, Timer, JobId]
_SMALL = 4096
"""Stale entries that are not worth a sweep."""

Stands = Callable[[Entry], bool]


class Timers:
    """Heap of what may be due, earliest first; leases apart, since they can be suspended as a whole."""

    __slots__ = ("_heap", "_leases", "_sweep_at")

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._leases: list[Entry] = []
        self._sweep_at = _SMALL

    def __len__(self) -> int:
        return len(self._heap) + len(self._leases)

    def add(self, at: Instant, kind: Timer, job: JobId) -> None:
        """Something may be due then. O(log n)."""
        heapq.heappush(self._leases if kind is Timer.LEASE else self._heap, (at, kind, job))

    def next(self, stands: Stands, leases: bool) -> Instant | None:
        """The earliest instant of an entry that stands, None without one; drops stale ones on the way."""
        if len(self._heap) > self._sweep_at:
            self._sweep(stands)
        at = self._first(self._heap, stands)
        lease = self._first(self._leases, stands) if leases else None
        if at is None or lease is None:
            return at if lease is None else lease
        return min(at, lease)

    def due(self, now: Instant, stands: Stands, leases: bool) -> list[Entry]:
        """The entries up to now that stand, in order. They stay until their events make them stale."""
        found: list[Entry] = []
        for heap in (self._heap, self._leases) if leases else (self._heap,):
            mine: list[Entry] = []
            while heap and heap[0][0] <= now:
                entry = heapq.heappop(heap)
                if (not mine or mine[-1] != entry) and stands(entry):
                    mine.append(entry)
            for entry in mine:
                heapq.heappush(heap, entry)
            found += mine
        return found

    def _sweep(self, stands: Stands) -> None:
        """Short jobs with long limits leave entries that would come up hours later: away with them.

        Done again when as many more have come, so that an entry costs O(log n) all in all.
        """
        self._heap = [entry for entry in self._heap if stands(entry)]
        heapq.heapify(self._heap)
        self._sweep_at = 2 * len(self._heap) + _SMALL

    @staticmethod
    def _first(heap: list[Entry], stands: Stands) -> Instant | None:
        while heap:
            if stands(heap[0]):
                return heap[0][0]
            heapq.heappop(heap)
        return None
