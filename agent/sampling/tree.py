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

MEMBERS_S = 1.0
"""A list of the job's processes is good for so long where only its memory is asked for."""

_EXACT_SHARE = 0.002
"""Of a processor, for counting shared pages exactly: a look at a large address space takes milliseconds."""


class Totals(NamedTuple):
    """Since the supervisor began: processor time, and bytes that went to or came from disks."""

    user_us: int = 0
    system_us: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


class TreeMeter:
    """The processes below one supervisor (pid, start_time as in launcher.Supervised)."""

    def __init__(self, pid: int, start_time: int) -> None:
        self._pid = pid
        self._start_time = start_time
        self._members: dict[int, OpenFile] = {}
        self._listed_at = 0.0
        self._exact_at = 0.0
        self._exact_kib = 0  # and what the quick count said at that time
        self._exact_quick_kib = 0

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes as last listed."""
        return tuple(self._members)

    def list_members(self) -> None:
        """Look who belongs to the job now."""
        self._listed_at = time.monotonic()
        alive = processes.descendants(self._pid) if self._is_there() else []
        for gone in self._members.keys() - set(alive):
            self._members.pop(gone).close()
        # In the order of the walk, parents first.
        self._members = {pid: self._members.get(pid) or OpenFile(f"/proc/{pid}/statm") for pid in alive}

    def reaped(self) -> Totals:
        """What the supervisor has of those that it waited for; of earlier attempts too, if it had some."""
        if not self._is_there():
            return Totals()
        fields = _stat(self._pid)
        own_read, own_written = _io(self._pid)
        if not fields:
            return Totals()
        return Totals(int(fields[13]) * _TICK_US, int(fields[14]) * _TICK_US, own_read, own_written)

    def totals(self) -> Totals:
        """What the job has used, `reaped` at its start not taken off. Lists its processes anew."""
        user, system, read, written = self.reaped()
        self.list_members()
        for pid in self._members:
            if fields := _stat(pid):
                user += (int(fields[11]) + int(fields[13])) * _TICK_US
                system += (int(fields[12]) + int(fields[14])) * _TICK_US
            more_read, more_written = _io(pid)
            read += more_read
            written += more_written
        return Totals(user, system, read, written)

    def memory_kib(self) -> tuple[int, int]:
        """What the job's processes hold now, and their address spaces together.

        One process: what is resident. Several: what is shared between them is counted once, by the kernel's
        own count (PSS) where that is cheap, else by taking it that they share the same pages of files.
        """
        if time.monotonic() - self._listed_at > MEMBERS_S:
            self.list_members()
        own_kib = shared_kib = virtual_kib = n = 0
        for file in self._members.values():
            try:
                size, resident, shared = map(int, file.read().split()[:3])
            except (OSError, ValueError):
                continue  # it has ended
            n += resident > 0
            virtual_kib += size * _PAGE_KIB
            own_kib += max(0, resident - shared) * _PAGE_KIB
            shared_kib = max(shared_kib, shared * _PAGE_KIB)
        quick_kib = own_kib + shared_kib
        return (self._exact(quick_kib) if n > 1 else quick_kib), virtual_kib

    def _exact(self, quick_kib: int) -> int:
        """The exact count, as often as it is cheap; between two, what the quick one has changed by."""
        now = time.monotonic()
        if now >= self._exact_at:
            self._exact_kib = processes.memory_kib(self._members, exact=True) or quick_kib
            self._exact_quick_kib = quick_kib
            took = time.monotonic() - now
            self._exact_at = now + took / _EXACT_SHARE
        return max(0, self._exact_kib + quick_kib - self._exact_quick_kib)

    def close(self) -> None:
        for file in self._members.values():
            file.close()
        self._members.clear()

    def _is_there(self) -> bool:
        return processes.is_running(self._pid, self._start_time)


def _stat(pid: int) -> list[bytes]:
    """Fields of /proc/PID/stat from the third on; [] if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def _io(pid: int) -> tuple[int, int]:
    """Bytes that the process and those it waited for read from and wrote to disks; (0, 0) if not told."""
    try:
        with open(f"/proc/{pid}/io", "rb", buffering=0) as file:
            lines = file.read().splitlines()
        return int(lines[4].split()[1]), int(lines[5].split()[1])
    except (OSError, IndexError, ValueError):
        return 0, 0
