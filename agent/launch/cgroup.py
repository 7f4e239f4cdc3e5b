"""One job's cgroup directories: make, ask, kill, remove. Both versions; what differs is in the file names."""

from __future__ import annotations

import errno
import os
import time
from typing import NamedTuple

from packhorse.agent.launch import bpf
from packhorse.agent.launch.spec import Group

PROCS = "cgroup.procs"
_CHARGED_AHEAD = 2 << 20


def create(group: Group) -> None:
    """Makes the directory and sets its limits. Raises OSError with the file that refused.

    What an earlier try left there is used again; a group of an ended supervisor is empty by now.
    """
    try:
        os.mkdir(group.path, 0o755)
    except FileExistsError:
        pass
    for name, value in group.writes:
        write(f"{group.path}/{name}", value)
    if group.deny:
        bpf.keep_from_devices(group.path, group.deny)


def join(group: Group) -> None:
    """Puts the calling process, which has one thread, into the group."""
    write(f"{group.path}/{_own_file(group)}", "0")


def leave(group: Group) -> None:
    """Brings the calling process, which has one thread, back from the group to its own."""
    write(f"{group.home}/{_own_file(group)}", "0")


def _own_file(group: Group) -> str:
    """Where the caller writes itself.

    To move a whole process the kernel holds every fork of the machine up and waits for those under way: 6 ms
    on an idle machine, seconds where a fork bomb's processes wait for their turn in the midst of one. A
    thread that moves itself waits for nobody, and of a process with one thread that is all. Version 2 cannot
    do that.
    """
    return "tasks" if group.version == 1 else PROCS


def members(group: Group) -> list[int]:
    """The processes in the group; [] if it is gone."""
    try:
        return [int(pid) for pid in _read(f"{group.path}/{PROCS}").split()]
    except OSError:
        return []


def kill(group: Group) -> bool:
    """Kills all of a version 2 group in one stroke; False where the kernel (before 5.14) or the version
    cannot. Then nothing can fork in the group any more if the pids controller is here, so that who kills its
    members one by one comes to an end.
    """
    name = "cgroup.kill" if group.version == 2 else "pids.max"
    try:
        write(f"{group.path}/{name}", "1" if group.version == 2 else "0")
    except OSError:
        return False
    return group.version == 2


def freeze(group: Group, on: bool) -> bool:
    """Stops everything in the group where it is, or lets it go on; False where the group cannot do that.

    A version 1 group takes a KILL only when it goes on.
    """
    if group.version == 2:
        name, value = "cgroup.freeze", "1" if on else "0"
    else:
        name, value = "freezer.state", "FROZEN" if on else "THAWED"
    try:
        write(f"{group.path}/{name}", value)
    except OSError:
        return False
    return True


def is_frozen(group: Group) -> bool:
    """Whether everything in a group that was told to freeze has come to a stop."""
    try:
        if group.version == 2:
            return _field(f"{group.path}/cgroup.events", "frozen") == 1
        return _read(f"{group.path}/freezer.state").strip() == "FROZEN"
    except OSError:
        return False


class MemoryHistory(NamedTuple):
    """What a group's memory came to.

    peak_kib: the most it ever held, page cache included. cache_kib: file pages that it still holds, which the
    kernel takes away before it lets anybody go short. oom_kills: processes of the group that the kernel
    killed for memory. at_limit: it met its own limit at some time, so that it need not have been the
    machine's.
    """

    peak_kib: int = 0
    cache_kib: int = 0
    oom_kills: int = 0
    at_limit: bool = False


def memory_history(group: Group) -> MemoryHistory:
    """What the group's memory came to; zeros where it is not counted."""
    if not group.memory:
        return MemoryHistory()
    try:
        if group.version == 1:
            peak = int(_read(f"{group.path}/memory.max_usage_in_bytes"))
            kills = _field(f"{group.path}/memory.oom_control", "oom_kill")
            limit = int(_read(f"{group.path}/memory.limit_in_bytes"))
            # memory.failcnt stays 0 on new kernels. What is charged in advance may be missing at the peak.
            at_limit = peak >= limit - max(_CHARGED_AHEAD, limit // 50)
            prefix = "total_"
        else:
            peak = _count(f"{group.path}/memory.peak")  # since Linux 5.19
            kills = _field(f"{group.path}/memory.events", "oom_kill")
            at_limit = _field(f"{group.path}/memory.events", "oom") > 0
            prefix = ""
        stat = _read(f"{group.path}/memory.stat").splitlines()
    except OSError:
        return MemoryHistory()
    files = (f"{prefix}active_file ", f"{prefix}inactive_file ")
    cache = sum(int(line.rpartition(" ")[2]) for line in stat if line.startswith(files))
    return MemoryHistory(peak // 1024, cache // 1024, kills, at_limit)


def _count(path: str) -> int:
    """The number in a file; 0 where there is no such file."""
    try:
        return int(_read(path))
    except FileNotFoundError:
        return 0


def _field(path: str, name: str) -> int:
    """The number after `name` in a file of such lines; 0 if there is none."""
    lines = (line.split() for line in _read(path).splitlines())
    return next((int(words[1]) for words in lines if words[0] == name), 0)


def memory_kib(group: Group) -> int:
    """What the group holds now, without page cache that could be dropped at once; 0 where it is not
    counted.
    """
    if not group.memory:
        return 0
    try:
        now = "memory.usage_in_bytes" if group.version == 1 else "memory.current"
        used = int(_read(f"{group.path}/{now}"))
        text = _read(f"{group.path}/memory.stat")
    except OSError:
        return 0
    name = "total_inactive_file " if group.version == 1 else "inactive_file "
    idle = next((int(line[len(name) :]) for line in text.splitlines() if line.startswith(name)), 0)
    return max(0, used - idle) // 1024


def remove(group: Group, *, tries: int = 8) -> bool:
    """Removes the directory; False if the kernel still holds it (processes that are going) after about 50
    ms.
    """
    for attempt in range(tries):
        try:
            os.rmdir(group.path)
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno != errno.EBUSY or attempt + 1 == tries:
                return False
            time.sleep(0.0002 * 2**attempt)
        else:
            return True
    return False


def write(path: str, value: str) -> None:
    """One write, as the kernel wants it. Raises OSError naming `path`."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(fd)


def _read(path: str) -> str:
    """All of it: the kernel gives a page at a time, of the list of a crowd too."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 1 << 20):
            parts.append(part)
        return b"".join(parts).decode()
    finally:
        os.close(fd)
