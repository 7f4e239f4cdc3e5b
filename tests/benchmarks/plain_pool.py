"""A pool of equal processors under the textbook policies, in plain Python: slow, short, easy to believe.

Knows nothing of the core. Times are whole seconds. Everything that happens at one instant is seen first, then
one pass over the queue decides, unless it is told to decide after every single thing; jobs run for as long
as they run, whatever was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Job(NamedTuple):
    """limit: what its user asked for; run: how long it takes. Jobs are numbered in order of submission."""

    submit: int
    run: int
    limit: int
    procs: int


Key = Callable[[Job, int], float]
"""What a queue is sorted by, lowest first, at this time."""


def _log10(x: float) -> float:
    return math.log10(max(x, 1.0))


def _wfp3(job: Job, wait: float) -> float:
    return -((wait / max(job.limit, 1.0)) ** 3) * job.procs


def _unicep(job: Job, wait: float) -> float:
    return -wait / (max(math.log2(job.procs), 1e-9) * max(job.limit, 1.0))


KEYS: dict[str, Key] = {
    "fcfs": lambda j, now: 0.0,
    "sjf": lambda j, now: j.limit,
    "ljf": lambda j, now: -j.limit,
    "saf": lambda j, now: j.limit * j.procs,
    "sqf": lambda j, now: j.procs,
    "f1": lambda j, now: _log10(j.limit) * j.procs + 870 * _log10(j.submit),
    "f2": lambda j, now: math.sqrt(j.limit) * j.procs + 25_600 * _log10(j.submit),
    "f3": lambda j, now: j.limit * j.procs + 6_860_000 * _log10(j.submit),
    "f4": lambda j, now: j.limit * math.sqrt(j.procs) + 530_000 * _log10(j.submit),
    "wfp3": lambda j, now: _wfp3(j, now - j.submit),
    "unicep": lambda j, now: _unicep(j, now - j.submit),
    "wfp3-rl": lambda j, now: _wfp3(j, -1 - j.submit),
    "unicep-rl": lambda j, now: _unicep(j, -1 - j.submit),
}


class Pool:
    """jobs: by submission. order: one of KEYS. backfill: easy, sjbf, textbook, textbook-sjbf, before, none.
    keep_next: the first job that does not fit stays the first. one_by_one: see the module."""

    def __init__(
        self,
        jobs: Sequence[Job],
        procs: int,
        order: str,
        backfill: str,
        keep_next: bool = False,
        one_by_one: bool = False,
    ) -> None:
        self.jobs = jobs
        self.free = procs
        self.key = KEYS[order]
        self.backfill = backfill
        self.keep_next = keep_next
        self.one_by_one = one_by_one
        self.next = -1
        self.queue: list[int] = []
        self.running: dict[int, int] = {}
        """Jobs and their expected ends."""
        self.starts = [-1] * len(jobs)
        self.ends = [-1] * len(jobs)

    def run(self) -> list[int]:
        """When each job starts."""
        coming = list(range(len(self.jobs)))
        while coming or self.running:
            now = min([self.ends[i] for i in self.running] + [self.jobs[i].submit for i in coming[:1]])
            while coming and self.jobs[coming[0]].submit == now:
                self.queue.append(coming.pop(0))
                if self.one_by_one:
                    self.decide(now)
            for i in [i for i in self.running if self.ends[i] == now]:
                del self.running[i]
                self.free += self.jobs[i].procs
                if self.one_by_one:
                    self.decide(now)
            self.decide(now)
        assert not self.queue
        return self.starts

    def decide(self, now: int) -> None:
        self.queue.sort(key=lambda i: (i != self.next, self.key(self.jobs[i], now), i))
        while self.queue and self.jobs[self.queue[0]].procs <= self.free:
            self.start(self.queue[0], now)
        if not self.queue:
            return
        head, rest = self.queue[0], self.queue[1:]
        self.next = head if self.keep_next else -1
        if self.backfill == "none":
            return
        shadow, extra = self.shadow(self.jobs[head].procs, now)
        if self.backfill.endswith("sjbf"):
            rest.sort(key=lambda i: self.jobs[i].limit)
        if self.backfill == "before":
            rest.sort()
        for i in rest:
            job = self.jobs[i]
            if job.procs > self.free:
                continue
            if self.backfill == "before":
                if now + job.limit < shadow:
                    self.start(i, now)
            elif now + job.limit <= shadow:
                self.start(i, now)
            elif job.procs <= extra:
                self.start(i, now)
                extra -= job.procs

    def start(self, i: int, now: int) -> None:
        self.queue.remove(i)
        self.free -= self.jobs[i].procs
        self.starts[i], self.ends[i] = now, now + self.jobs[i].run
        self.running[i] = now + self.jobs[i].limit

    def shadow(self, procs: int, now: int) -> tuple[float, int]:
        """When so many are free by what is expected, and how many are left over then."""
        free = self.free
        releases = sorted((max(end, now + TICK), self.jobs[i].procs) for i, end in self.running.items())
        at = -1.0
        for end, n in releases:
            if free >= procs and (self.backfill.startswith("textbook") or end > at):
                break
            free += n
            at = end
        return at, free - procs


TICK = 1e-6
"""A job that should have ended already is expected to do so that soon."""
