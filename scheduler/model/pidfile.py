"""Pid files that tell the truth: a daemon holds a lock on its own for as long as it lives.

Standard library only: daemons and commands both load it.
"""

from __future__ import annotations

import fcntl
import os
import time

from packhorse.scheduler.model.errors import PackhorseError

GOING_S = 10.0
"""How long a killed daemon may take to let go: its threads end one by one, on a busy machine in a second."""

_LOOK_S = 0.005


class AlreadyRunning(PackhorseError):
    """Another process holds the pid file."""

    def __init__(self, path: str, pid: int) -> None:
        super().__init__(f"{path}: process {pid} runs already; stop it first (packhorse down)")
        self.path = path
        self.pid = pid


class PidFile:
    """Taken by a daemon at start, held until the process ends; the kernel lets go whatever happens."""

    def __init__(self, path: str) -> None:
        """Raises AlreadyRunning, or OSError if the file cannot be written.

        Waits for a daemon that was killed and for those who only look, as `running_pid` does.
        """
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + GOING_S
        while not _locked(self._fd, fcntl.LOCK_EX):
            pid = _number(self._fd)
            looked_at = _locked(self._fd, fcntl.LOCK_SH)  # nobody holds it: somebody looks
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            if not (looked_at or _is_going(pid)) or time.monotonic() > deadline:
                os.close(self._fd)
                raise AlreadyRunning(path, pid)
            time.sleep(_LOOK_S)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Empty the file and let go; after this nobody runs as far as the file tells."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)


def running_pid(path: str) -> int:
    """The pid of the daemon that holds this file, 0 if none does, or only one that was killed."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        return _unlocked_guess(path)
    except OSError:
        return 0
    try:
        if _locked(fd, fcntl.LOCK_SH):
            return 0
        pid = _number(fd)
        return 0 if _is_going(pid) else pid
    finally:
        os.close(fd)


def _unlocked_guess(path: str) -> int:
    """For those who may only read the file: the number in it, if such a process exists."""
    try:
        with open(path, encoding="ascii") as text:
            pid = int(text.read() or "0")
        os.stat(f"/proc/{pid}")
    except (OSError, ValueError):
        return 0
    return pid


def _locked(fd: int, kind: int) -> bool:
    """Whether the lock could be taken at once."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_going(pid: int) -> bool:
    """Whether the process was ended and only some of its threads are left, which keep its files open."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[:1] == [b"Z"]
    except OSError:
        return False


def _number(fd: int) -> int:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else 0
