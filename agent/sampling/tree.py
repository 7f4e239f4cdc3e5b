"""What the processes of an attempt use, by /proc: all there is where no cgroup tells, and its disk traffic.

The supervisor is the parent of whatever loses its own, so what a process of the job used is with that process
while it lives and with the supervisor once it was waited for. Parents are read before their children: what
ends in between is missed until the next look, never counted twice.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from packhorse.agent.launch import processes
from packhorse.agent.sampling.openfile import OpenFile

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")

MEMBERS_S = 2.0
"""A list of the job's processes is good for so long where only its memory is asked for."""

MOST = 1024
"""Processes of an attempt that are looked at, the oldest first: a fork bomb must not keep the agent busy.
What the others use is in the attempt's exit record, and their memory in that of the cgroup."""

MOST_EXACT = 64
"""With more processes, shared pages are not counted exactly."""

_EXACT_SHARE = 0.00002
"""Of a processor, for counting one attempt's shared pages exactly: a look at a large address space takes
milliseconds."""

# Fields of /proc/PID/stat from the third on.
_STATE, _UTIME, _STIME, _CUTIME, _CSTIME, _N_THREADS, _START, _VSIZE = 0, 11, 12, 13, 14, 17, 19, 20


class Totals(NamedTuple):
    """Since the supervisor began: processor time, and bytes that went to or came from disks."""

    user_us: int = 0
    system_us: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


class _Process:
    """One process, by files that stay open: they are its own, whoever gets its number later."""

    __slots__ = ("_children", "_io", "_stat", "_statm", "pid")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._stat = OpenFile(f"/proc/{pid}/stat")
        self._children = OpenFile(f"/proc/{pid}/task/{pid}/children")
        self._statm = OpenFile(f"/proc/{pid}/statm")
        self._io = OpenFile(f"/proc/{pid}/io")

    def stat(self) -> list[bytes]:
        """[] if it has ended."""
        try:
            return self._stat.read().rpartition(b")")[2].split()
        except OSError:
            return []

    def children(self, stat: list[bytes]) -> list[int]:
        """Of a process with one thread one read tells."""
        if stat[_N_THREADS] == b"1":
            try:
                return [int(pid) for pid in self._children.read().split()]
            except OSError:
                pass  # it has ended, or this kernel has no such file
        return processes.children(self.pid)

    def pages(self) -> tuple[int, int, int]:
        """Of its address space: all, resident, resident of files and shared memory. Raises OSError."""
        size, resident, shared = self._statm.read().split(maxsplit=3)[:3]
        return int(size), int(resident), int(shared)

    def io(self) -> tuple[int, int]:
        """Bytes that it and those it waited for read from and wrote to disks; (0, 0) if not told."""
        try:
            lines = self._io.read().splitlines()
            return int(lines[4].split()[1]), int(lines[5].split()[1])
        except (OSError, IndexError, ValueError):
            return 0, 0

    def close(self) -> None:
        for file in (self._stat, self._children, self._statm, self._io):
            file.close()


class TreeMeter:
    """The processes below one supervisor (pid, start_time as in launcher.Supervised).

    group: the directory of the cgroup that holds them, "" without: one read then tells who they are.
    """

    def __init__(self, pid: int, start_time: int, group: str = "") -> None:
        self._procs = OpenFile(f"{group}/cgroup.procs") if group else None
        self._supervisor = _Process(pid)
        self._start = str(start_time).encode()
        self._members: dict[int, _Process] = {}
        self._listed_at = 0.0
        self._exact_at = 0.0
        self._exact_kib = 0  # and what the quick count said at that time
        self._exact_quick_kib = 0

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes as last listed."""
        return tuple(self._members)

    def reaped(self) -> Totals:
        """What the supervisor has of those that it waited for; of earlier attempts too, if it had some."""
        stat = self._supervisor_stat()
        return self._reaped(stat) if stat else Totals()

    def totals(self) -> Totals:
        """What the job has used, `reaped` at its start not taken off. Lists its processes anew."""
        stat = self._supervisor_stat()
        if not stat:
            return Totals()
        user, system, read, written = self._reaped(stat)
        for process, fields in self._walk(stat):
            user += (int(fields[_UTIME]) + int(fields[_CUTIME])) * _TICK_US
            system += (int(fields[_STIME]) + int(fields[_CSTIME])) * _TICK_US
            more_read, more_written = process.io()
            read += more_read
            written += more_written
        return Totals(user, system, read, written)

    def virtual_kib(self) -> int:
        """The address spaces of the processes as last listed, together."""
        total = 0
        for process in self._members.values():
            if fields := process.stat():
                total += int(fields[_VSIZE]) // 1024
        return total

    def memory_kib(self) -> int:
        """What the job's processes hold now.

        One process: what is resident. Several: what is shared between them is counted once, by the kernel's
        own count (PSS) where that is cheap, else by taking it that they share the same pages of files.
        """
        if time.monotonic() - self._listed_at > MEMBERS_S:
            stat = self._supervisor_stat()
            self._walk(stat) if stat else self._keep({})
        own = most_shared = n = 0
        for process in self._members.values():
            try:
                _, resident, shared = process.pages()
            except (OSError, ValueError):
                continue  # it has ended
            n += resident > 0
            own += max(0, resident - shared)
            most_shared = max(most_shared, shared)
        quick_kib = (own + most_shared) * _PAGE_KIB
        return self._exact(quick_kib) if 1 < n <= MOST_EXACT else quick_kib

    def close(self) -> None:
        self._keep({})
        self._supervisor.close()
        if self._procs is not None:
            self._procs.close()

    def _supervisor_stat(self) -> list[bytes]:
        stat = self._supervisor.stat()
        alive = bool(stat) and stat[_START] == self._start and stat[_STATE] not in (b"Z", b"X")
        return stat if alive else []

    def _reaped(self, stat: list[bytes]) -> Totals:
        read, written = self._supervisor.io()
        return Totals(int(stat[_CUTIME]) * _TICK_US, int(stat[_CSTIME]) * _TICK_US, read, written)

    def _walk(self, supervisor: list[bytes]) -> list[tuple[_Process, list[bytes]]]:
        """Everything below the supervisor, parents first, with their stat fields."""
        self._listed_at = time.monotonic()
        found: list[tuple[_Process, list[bytes]]] = []
        alive: dict[int, _Process] = {}
        ahead = [(self._supervisor, supervisor)]
        listed = self._listed()
        for parent, stat in ahead:
            if len(found) >= MOST:
                break
            for pid in parent.children(stat)[:MOST] if listed is None else listed:
                process = self._members.get(pid) or _Process(pid)
                fields = process.stat()
                if not fields:  # ended; and if its number is another's now, that one is read the next time
                    process.close()
                    continue
                alive[pid] = process
                found.append((process, fields))
                if listed is None:
                    ahead.append((process, fields))
        self._keep(alive)
        return found

    def _listed(self) -> list[int] | None:
        """The members of the cgroup, older ones first; None where there is none, or it is gone.

        Not the supervisor, which passes through it while it starts the job.
        """
        if self._procs is None:
            return None
        try:
            found = {int(pid) for pid in self._procs.read().split()}
            return sorted(found - {self._supervisor.pid})[:MOST]
        except (OSError, ValueError):
            return None

    def _keep(self, alive: dict[int, _Process]) -> None:
        for pid, process in self._members.items():
            if pid not in alive:
                process.close()
        self._members = alive

    def _exact(self, quick_kib: int) -> int:
        """The exact count, as often as it is cheap; between two, what the quick one has changed by."""
        now = time.monotonic()
        if now >= self._exact_at:
            self._exact_kib = processes.memory_kib(self._members, exact=True) or quick_kib
            self._exact_quick_kib = quick_kib
            took = time.monotonic() - now
            self._exact_at = now + took / _EXACT_SHARE
        return max(0, self._exact_kib + quick_kib - self._exact_quick_kib)
