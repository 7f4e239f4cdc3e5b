"""What a cgroup counts of an attempt. Both versions; a figure that its controllers do not give is None."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from packhorse.agent.launch.spec import Group
from packhorse.agent.sampling.openfile import OpenFile

_FILES = (b"active_file", b"inactive_file")


class Memory(NamedTuple):
    """counted_kib: what counts against the limit for good; cache_kib: page cache that the kernel drops."""

    counted_kib: int
    cache_kib: int


class GroupMeter:
    """The groups of one attempt, of whichever hierarchies they are."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._usage = self._stat = self._oom = self._cpu = self._user = self._system = None
        self._io: OpenFile | None = None
        for group in groups:
            old = group.version == 1
            if group.memory:
                self._usage = OpenFile(f"{group.path}/{'memory.usage_in_bytes' if old else 'memory.current'}")
                self._stat = OpenFile(f"{group.path}/memory.stat")
                self._oom = OpenFile(f"{group.path}/{'memory.oom_control' if old else 'memory.events'}")
                self._names = tuple((b"total_" if old else b"") + name + b" " for name in _FILES)
            if old and os.path.exists(f"{group.path}/cpuacct.usage_user"):
                self._user = OpenFile(f"{group.path}/cpuacct.usage_user")
                self._system = OpenFile(f"{group.path}/cpuacct.usage_sys")
            if not old:
                self._cpu = OpenFile(f"{group.path}/cpu.stat")
                if os.path.exists(f"{group.path}/io.stat"):
                    self._io = OpenFile(f"{group.path}/io.stat")
            elif self._io is None and os.path.exists(f"{group.path}/blkio.throttle.io_service_bytes"):
                self._io = OpenFile(f"{group.path}/blkio.throttle.io_service_bytes")
        self.counts_memory = self._usage is not None
        self.counts_cpu = self._user is not None or self._cpu is not None
        self.counts_io = self._io is not None

    def usage_kib(self) -> int:
        """All that is charged, page cache included: one cheap read. Raises OSError, ValueError."""
        assert self._usage is not None
        return _whole(self._usage.read()) // 1024

    def memory(self) -> Memory:
        """What is charged now. Page cache is what lies on the two lists of file pages; pages of files in
        memory (tmpfs) are on neither and count. Raises OSError, ValueError."""
        assert self._stat is not None
        usage_kib = self.usage_kib()
        text = self._stat.read()
        cache_kib = sum(_field(text, name) for name in self._names) // 1024
        return Memory(max(0, usage_kib - cache_kib), cache_kib)

    def cpu_us(self) -> tuple[int, int]:
        """User and system time of all processes that were ever in the group. Raises OSError, ValueError."""
        if self._cpu is not None:
            text = self._cpu.read()
            return _field(text, b"user_usec "), _field(text, b"system_usec ")
        assert self._user is not None and self._system is not None
        return _whole(self._user.read()) // 1000, _whole(self._system.read()) // 1000

    def oom_kills(self) -> int:
        """Processes that the kernel ended for memory, 0 where it does not count them."""
        if self._oom is None:
            return 0
        try:
            return _field(self._oom.read(), b"oom_kill ")
        except (OSError, ValueError):
            return 0

    def io_bytes(self) -> tuple[int, int]:
        """Read and written on all devices. Raises OSError, ValueError."""
        assert self._io is not None
        read = written = 0
        for line in self._io.read().splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in (b"Read", b"Write"):  # version 1: "8:0 Read 4096"
                read += int(words[2]) if words[1] == b"Read" else 0
                written += int(words[2]) if words[1] == b"Write" else 0
                continue
            for word in words[1:]:  # version 2: "8:0 rbytes=4096 wbytes=0 …"
                name, _, amount = word.partition(b"=")
                read += int(amount) if name == b"rbytes" else 0
                written += int(amount) if name == b"wbytes" else 0
        return read, written

    def close(self) -> None:
        for file in (self._usage, self._stat, self._oom, self._cpu, self._user, self._system, self._io):
            if file is not None:
                file.close()


def _whole(text: bytes) -> int:
    """The number that a file holds. Raises ValueError for anything else, negative ones included."""
    value = int(text)
    if value < 0:
        raise ValueError(f"{value} is no amount")
    return value


def _field(text: bytes, name: bytes) -> int:
    """The number behind `name ` at the start of a line. Raises ValueError."""
    start = 0 if text.startswith(name) else text.find(b"\n" + name) + 1
    if not start and not text.startswith(name):
        raise ValueError(f"no {name.decode().strip()} is told")
    start += len(name)
    end = text.find(b"\n", start)
    return _whole(text[start:end] if end >= 0 else text[start:])
