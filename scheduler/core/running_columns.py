"""What runs, as releases to come: which amounts become free where and when.

It is assumed that jobs use their whole time limit, or run as long as a predictor said (core/predictors.py). A
job without a limit ends NEVER: planned starts that wait for it are not shown, but nothing without a limit may
slip in before them.

Rows of amounts are made when a cycle asks for them, so that jobs which come and go while nothing waits cost
an entry in a dictionary only.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.node_columns import NodeColumns
from packhorse.scheduler.core.packing.board import MEM
from packhorse.scheduler.core.predictors import corrected_us
from packhorse.scheduler.model.ids import UNKNOWN, Instant, JobId, NodeName
from packhorse.scheduler.model.resources import Placement

NEVER: Final = Instant(1 << 60)
"""After every instant with a name, and before now plus FOREVER of the pending columns."""


_STALE: Final = 4096
"""Entries of jobs that have gone, not worth a sweep."""


class Releases(NamedTuple):
    """One entry per job and node, by end. row: of NodeColumns. table: amounts `[n_resources, …]`, of which
    the entries are the columns `at`; it is that of the columns itself, and not to be changed."""

    end: np.ndarray
    row: np.ndarray
    table: np.ndarray
    at: np.ndarray

    @property
    def amounts(self) -> np.ndarray:
        """Amounts by entry `[n_resources, n_entries]`."""
        return self.table[:, self.at]


class RunningColumns:
    """See the module. Every method but add raises KeyError for a job that does not run."""

    def __init__(self) -> None:
        n = 16
        self._end = np.zeros(n, dtype=np.int64)
        self._row = np.zeros(n, dtype=np.intp)
        self._amounts = np.zeros((0, n), dtype=np.int64)
        self._live = np.zeros(n, dtype=np.bool_)
        self._free: list[int] = list(range(n - 1, -1, -1))
        self._jobs: dict[JobId, tuple[Instant, tuple[Placement, ...]]] = {}
        self._expected: dict[JobId, tuple[Instant, int, Instant]] = {}
        """Of jobs that are expected to end before their limit: when they began, how long they were expected
        to run then, and when they will end as far as is known now."""
        self._soon: list[tuple[Instant, JobId]] = []
        """A heap of these ends; those that do not count any more among them."""
        self._limit_us: dict[JobId, int] = {}
        self._longest: list[tuple[int, JobId]] = []
        """A heap of limits, negative; those of jobs that have gone among them."""
        self._entries: dict[JobId, list[int]] = {}
        self._fresh: dict[JobId, None] = {}
        self._shift: dict[JobId, dict[NodeName, int]] = {}
        """Of jobs that borrow or lend memory: how much more of it becomes free at their end."""
        self._order = np.zeros(0, dtype=np.intp)
        self._moved = np.zeros(n, dtype=np.bool_)
        """Entries that came, went or have another end since they were put in order."""
        self._unordered = False
        self._renumbered = 0
        """That of the nodes when the amounts were taken from them."""

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job: JobId) -> bool:
        return job in self._jobs

    def jobs(self) -> tuple[JobId, ...]:
        """Who runs, in order of start."""
        return tuple(self._jobs)

    def add(self, job: JobId, end_by: Instant, placements: tuple[Placement, ...], limit_us: int = 0) -> None:
        """The job holds the placements and has to end at end_by (0: never). limit_us: what it may run in all,
        0 for any time. ValueError if known."""
        if job in self._jobs:
            raise ValueError(f"job {job} already runs")
        self._limit_us[job] = limit_us
        heapq.heappush(self._longest, (-limit_us, job))
        if len(self._longest) > 2 * len(self._jobs) + _STALE:
            self._longest = [(-limit, id) for id, limit in self._limit_us.items()]
            heapq.heapify(self._longest)
        self._jobs[job] = (end_by, placements)
        self._fresh[job] = None

    def hold(self, job: JobId, placements: tuple[Placement, ...], shift: dict[NodeName, int]) -> None:
        """Other parts of its memory are lent to the job. shift: how much more memory than it holds itself
        becomes free on these nodes when it ends, in MiB; less if negative."""
        self._jobs[job] = (self._jobs[job][0], placements)
        self._shift.pop(job, None)
        if any(shift.values()):
            self._shift[job] = shift
        self._drop(self._entries.pop(job, ()))
        self._fresh[job] = None

    def renew(self, job: JobId, end_by: Instant) -> None:
        """The job holds other amounts of its placements than before, and has to end then (0: never); nothing
        is expected of it. So a suspended job: when its memory becomes free nobody knows, so planned starts do
        not count on it, and its CPUs are nothing that is still to come."""
        self._jobs[job] = (end_by, self._jobs[job][1])
        self._expected.pop(job, None)
        self._drop(self._entries.pop(job, ()))
        self._fresh[job] = None

    def expect(self, job: JobId, since: Instant, run_us: int) -> None:
        """The job runs since then and is expected to run that long; 0: until its limit."""
        if run_us:
            self._expect(job, since, run_us, Instant(since + run_us))
        elif self._expected.pop(job, None):
            self._set(job)

    def began(self, job: JobId, since: Instant) -> None:
        """It runs only since then."""
        expected = self._expected.get(job)
        if expected is not None:
            self.expect(job, since, expected[1])

    def correct(self, now: Instant) -> None:
        """Jobs that have outlived what was expected get another expectation."""
        while self._soon and self._soon[0][0] <= now:
            end, job = heapq.heappop(self._soon)
            since, run_us, expected = self._expected.get(job, (UNKNOWN, 0, UNKNOWN))
            if expected != end:
                continue
            limit = self._jobs[job][0]
            later = Instant(since + corrected_us(now - since, run_us, limit - since if limit else 0))
            if limit and later >= limit:
                self.expect(job, since, 0)
            else:
                self._expect(job, since, run_us, later)

    def longest_limit_us(self) -> int:
        """The longest limit of all that run, 0 if none has any."""
        heap = self._longest
        while heap and self._limit_us.get(heap[0][1]) != -heap[0][0]:
            heapq.heappop(heap)
        return -heap[0][0] if heap else 0

    def set_end(self, job: JobId, end_by: Instant) -> None:
        """The job has to end then (0: never)."""
        self._jobs[job] = (end_by, self._jobs[job][1])
        self._set(job)

    def end(self, job: JobId) -> Instant:
        """When the job is expected to end, 0 for never."""
        end_by = self._jobs[job][0]
        expected = self._expected.get(job)
        return min(expected[2], end_by or expected[2]) if expected else end_by

    def shift(self, job: JobId) -> dict[NodeName, int]:
        """How much more memory than it holds itself becomes free on these nodes when it ends, in MiB."""
        return self._shift.get(job, {})

    def _expect(self, job: JobId, since: Instant, run_us: int, end: Instant) -> None:
        self._expected[job] = (since, run_us, end)
        heapq.heappush(self._soon, (end, job))
        self._set(job)

    def _set(self, job: JobId) -> None:
        for entry in self._entries.get(job, ()):
            self._end[entry] = self.end(job) or NEVER
            self._moved[entry] = self._unordered = True

    def remove(self, job: JobId) -> None:
        """The job holds nothing any more."""
        del self._jobs[job]
        del self._limit_us[job]
        self._expected.pop(job, None)
        self._fresh.pop(job, None)
        self._shift.pop(job, None)
        self._drop(self._entries.pop(job, ()))

    def releases(self, nodes: NodeColumns) -> Releases:
        """All entries by end; equal ends in an order of their own that does not matter to sums.

        nodes: the columns in which the jobs hold their allocations.
        """
        missing = len(nodes.resources) - self._amounts.shape[0]
        if missing > 0:
            extra = np.zeros((missing, self._end.shape[0]), dtype=np.int64)
            self._amounts = np.concatenate([self._amounts, extra])
        if self._renumbered != nodes.renumbered:
            self._renumbered = nodes.renumbered
            for entries in self._entries.values():
                self._drop(entries)
            self._entries.clear()
            self._fresh = dict.fromkeys(self._jobs)
        if self._fresh:
            for job in self._fresh:
                self._enter(job, nodes)
            self._fresh.clear()
        if self._unordered:
            self._put_in_order()
        order = self._order
        return Releases(self._end[order], self._row[order], self._amounts, order)

    def _drop(self, entries: Iterable[int]) -> None:
        for entry in entries:
            self._live[entry] = False
            self._moved[entry] = self._unordered = True
            self._free.append(entry)

    def _put_in_order(self) -> None:
        """Sorted by end; nearly free where little has changed, since what was in order stays so."""
        kept = self._order[~self._moved[self._order]]
        moved = np.flatnonzero(self._moved & self._live)
        order = np.concatenate([kept, moved])
        self._order = order[np.argsort(self._end[order], kind="stable")]
        self._moved[:] = False
        self._unordered = False

    def _enter(self, job: JobId, nodes: NodeColumns) -> None:
        placements = self._jobs[job][1]
        shift = self._shift.get(job)
        entries = []
        for placement in placements:
            if not self._free:
                self._grow()
            entry = self._free.pop()
            self._end[entry] = self.end(job) or NEVER
            self._row[entry] = nodes.row_of[placement.node]
            self._amounts[:, entry] = nodes.amounts_held(job, placement)
            if shift:
                self._amounts[MEM, entry] += shift.get(placement.node, 0)
            self._live[entry] = True
            self._moved[entry] = self._unordered = True
            entries.append(entry)
        self._entries[job] = entries

    def _grow(self) -> None:
        old = self._end.shape[0]
        self._end = np.concatenate([self._end, np.zeros_like(self._end)])
        self._row = np.concatenate([self._row, np.zeros_like(self._row)])
        self._live = np.concatenate([self._live, np.zeros_like(self._live)])
        self._moved = np.concatenate([self._moved, np.zeros_like(self._moved)])
        self._amounts = np.concatenate([self._amounts, np.zeros_like(self._amounts)], axis=1)
        self._free.extend(range(2 * old - 1, old - 1, -1))
