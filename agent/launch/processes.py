"""Processes as /proc shows them: identity, children, memory, environment."""

from __future__ import annotations

import os
from collections.abc import Iterable

BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")

_boot_id = ""


def boot_id() -> str:
    """Names this run of the kernel; another after every reboot."""
    global _boot_id
    if not _boot_id:
        _boot_id = _read(BOOT_ID_FILE).decode().strip()
    return _boot_id


def start_time(pid: int) -> int:
    """When `pid` started, in clock ticks since boot; 0 if it is gone or only a zombie is left.

    With the boot id this tells a process from a later one that got the same number.
    """
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in (b"Z", b"X") else 0


def is_running(pid: int, started: int) -> bool:
    """Whether the process `pid` that started at `started` still runs."""
    return started > 0 and start_time(pid) == started


def parent(pid: int) -> int:
    """The parent of `pid`, 0 if it is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, parents first; zombies included.

    A tree that forks while it is read may hide its newest members: repeat until nothing is left.
    """
    found: list[int] = []
    ahead = [pid]
    while ahead:
        ahead = [child for at in ahead for child in children(at)]
        found += ahead
    return found


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`; [] if it is gone."""
    if not _HAS_CHILDREN:
        return _children_by_scan(pid)
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        try:
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
        except OSError:
            pass
    return found


def _children_by_scan(pid: int) -> list[int]:
    return [other for other in all_pids() if parent(other) == pid]


def all_pids() -> list[int]:
    """Every process this machine shows."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def with_environment(entry: str) -> list[int]:
    """Running processes that were executed with `entry` (K=V) in their environment, and all that descend
    from them.

    Processes of other users are seen by root only. A program that hides its environment, or was executed with
    another one by a parent that is gone, is not found. Reads all of /proc.
    """
    wanted = entry.encode()
    marked = []
    for pid in all_pids():
        try:
            environment = _read(f"/proc/{pid}/environ")
        except OSError:
            continue
        if wanted in environment.split(b"\0"):
            marked.append(pid)
    found = dict.fromkeys(marked)
    for pid in marked:
        found.update(dict.fromkeys(descendants(pid)))
    return [pid for pid in found if start_time(pid)]


def state(pid: int) -> str:
    """What `pid` does, as the kernel says: "R" runs, "S" sleeps, "D" waits for a device, "T" and "t" stopped,
    "Z" ended; "X" for one that is gone.
    """
    fields = _stat(pid)
    return fields[0].decode() if fields else "X"


def threads(pid: int) -> list[int]:
    """The threads of `pid`; [] if it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def arguments(pid: int) -> list[bytes]:
    """What `pid` was executed with, its name first; [] if it is gone."""
    try:
        return _read(f"/proc/{pid}/cmdline").split(b"\0")[:-1]
    except OSError:
        return []


def session(pid: int) -> int:
    """The session of `pid`, 0 if it is gone."""
    fields = _stat(pid)
    return int(fields[3]) if fields else 0


def in_sessions(sessions: set[int]) -> list[int]:
    """Running processes of these sessions, and all that descend from them. Reads all of /proc."""
    sessions = sessions - {0}
    members = [pid for pid in all_pids() if session(pid) in sessions] if sessions else []
    found = dict.fromkeys(members)
    for pid in members:
        found.update(dict.fromkeys(descendants(pid)))
    return [pid for pid in found if start_time(pid)]


def memory_kib(pids: Iterable[int], *, exact: bool = False) -> int:
    """Memory that `pids` hold together.

    By resident pages, pages shared between them counted more than once; `exact` shares those out (PSS), which
    costs the kernel a walk over each address space.
    """
    total = 0
    for pid in pids:
        try:
            if exact:
                for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
                    if line.startswith(b"Pss:"):
                        total += int(line.split()[1])
            else:
                total += int(_read(f"/proc/{pid}/statm").split()[1]) * _PAGE_KIB
        except (OSError, IndexError):
            pass
    return total


def cpu_us(pids: Iterable[int]) -> tuple[int, int]:
    """User and system time of `pids` and of the children they have waited for."""
    user = system = 0
    for pid in pids:
        if fields := _stat(pid):
            user += (int(fields[11]) + int(fields[13])) * _TICK_US
            system += (int(fields[12]) + int(fields[14])) * _TICK_US
    return user, system


def send(pids: Iterable[int], number: int) -> int:
    """Sends a signal to each of `pids` that exists; how many got it. Never to init, itself or a process
    group.
    """
    own = os.getpid()
    reached = 0
    for pid in pids:
        if pid > 1 and pid != own:
            try:
                os.kill(pid, number)
                reached += 1
            except (ProcessLookupError, PermissionError):
                pass
    return reached


def _stat(pid: int) -> list[bytes]:
    """Fields of /proc/PID/stat from the third (state) on; [] if there is no such process."""
    try:
        return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return []


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)


_HAS_CHILDREN = os.path.exists("/proc/self/task/self/children") or os.path.exists(
    f"/proc/self/task/{os.getpid()}/children"
)
