"""Memory and number of a job's processes, counted from time to time: the bounds where no cgroup sets them.

What this can do less well than a cgroup, and nothing here can change:

- between two looks a job may be above its limit; a look comes sooner the faster the job grows (below);
- pages that processes share count once for each of them until the sum passes the limit, then once (PSS);
- what the job keeps in files of memory (/dev/shm, tmpfs) is counted only while it is mapped;
- the whole job is ended, not the one process that the kernel would choose.

The next look is due when the job would reach its limit if it went on growing twice as fast as it did since
the last one, never sooner than SOONEST_US and never later than the interval asked for.
"""

from __future__ import annotations

from typing import NamedTuple

from packhorse.agent.launch.control import OrderedCause
from packhorse.agent.launch.spec import Group, Limits

SOONEST_US = 50_000
"""A look at a few processes takes 0.1 ms: at most 0.2 % of a processor."""


class Excess(NamedTuple):
    """A limit that was passed: cause and detail for the exit record, notice for the job's stderr."""

    cause: OrderedCause
    detail: str
    notice: str


class Watch:
    """When to look, and what to make of it. Instants are microseconds since boot.

    due: the instant of the next look, 0 where cgroups bound all that has a limit. peak_kib: the most seen.
    """

    def __init__(self, limits: Limits, groups: tuple[Group, ...], began: int) -> None:
        bounded = any(group.memory and group.writes for group in groups)
        self.limit_kib = 0 if bounded else limits.mem_mib * 1024
        self.most = 0 if any(group.writes_to("pids.max") for group in groups) else limits.pids
        self.interval_us = limits.mem_sample_ms * 1000
        self.peak_kib = 0
        self._before_kib = 0
        self._looked_at = began
        self.due = 0
        if self.limit_kib or self.most:
            self.due = began + min(SOONEST_US, self.interval_us)

    def seen(self, now: int, held_kib: int, n_processes: int) -> Excess | None:
        """What follows from what the job holds at `now`; moves `due` on."""
        self.peak_kib = max(self.peak_kib, held_kib)
        if self.limit_kib and held_kib > self.limit_kib:
            limit_mib = self.limit_kib // 1024
            what = f"{held_kib // 1024} MiB used, limit {limit_mib} MiB (seen by sampling, without a cgroup)"
            return Excess("oom", what, "DUE TO MEMORY LIMIT")
        if self.most and n_processes > self.most:
            what = f"{n_processes} processes, limit {self.most} (seen by sampling, without a cgroup)"
            return Excess("terminated", what, "DUE TO PROCESS LIMIT")
        self.due = now + self._pause_us(now, held_kib, n_processes)
        self._before_kib = held_kib
        self._looked_at = now
        return None

    def _pause_us(self, now: int, held_kib: int, n_processes: int) -> int:
        pause_us = self.interval_us
        if n_processes * 2 > self.most > 0:
            pause_us = SOONEST_US
        grown_kib = held_kib - self._before_kib
        if grown_kib > 0 and self.limit_kib:
            us_per_kib = (now - self._looked_at) / grown_kib
            pause_us = min(pause_us, int((self.limit_kib - held_kib) * us_per_kib / 2))
        # Doubled at most: what starts slowly may be quick the next moment.
        pause_us = min(pause_us, 2 * max(now - self._looked_at, SOONEST_US))
        return min(self.interval_us, max(SOONEST_US, pause_us))
