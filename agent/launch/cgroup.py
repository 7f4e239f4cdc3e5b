"""One job's cgroup directories: make, ask, kill, remove. Both versions; what differs is in the file names."""

from __future__ import annotations

import errno
import os
import time

from packhorse.agent.launch.spec import Group

PROCS = "cgroup.procs"


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


def join(group: Group) -> None:
    """Puts the calling process into the group."""
    write(f"{group.path}/{PROCS}", "0")


def leave(group: Group) -> None:
    """Brings the calling process back from the group to its own."""
    write(f"{group.home}/{PROCS}", "0")


def members(group: Group) -> list[int]:
    """The processes in the group; [] if it is gone."""
    try:
        return [int(pid) for pid in _read(f"{group.path}/{PROCS}").split()]
    except OSError:
        return []


def kill(group: Group) -> bool:
    """Kills all of a version 2 group in one stroke; False where the kernel (before 5.14) or the version
    cannot.
    """
    if group.version != 2:
        return False
    try:
        write(f"{group.path}/cgroup.kill", "1")
    except OSError:
        return False
    return True


def oom_kills(group: Group) -> int:
    """Processes of the group that the kernel killed for memory."""
    if not group.memory:
        return 0
    try:
        text = _read(f"{group.path}/{'memory.oom_control' if group.version == 1 else 'memory.events'}")
    except OSError:
        return 0
    return next((int(line[9:]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)


def peak_kib(group: Group) -> int:
    """The most memory the group ever held, page cache included; 0 where it is not counted."""
    if not group.memory:
        return 0
    try:
        peak = _read(f"{group.path}/{'memory.max_usage_in_bytes' if group.version == 1 else 'memory.peak'}")
    except OSError:
        return 0
    return int(peak) // 1024


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
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 1 << 20).decode()
    finally:
        os.close(fd)
