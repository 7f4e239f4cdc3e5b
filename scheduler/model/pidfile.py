"""Pid files that tell the truth: a daemon holds a lock on its own for as long as it lives.

Standard library only: daemons and commands both load it.
"""

from __future__ import annotations

import fcntl
import os

from packhorse.scheduler.model.errors import PackhorseError


class AlreadyRunning(PackhorseError):
    """Another process holds the pid file."""

    def __init__(self, path: str, pid: int) -> None:
        super().__init__(f"{path}: process {pid} runs already; stop it first (packhorse down)")
        self.path = path
        self.pid = pid


class PidFile:
    """Taken by a daemon at start, held until the process ends; the kernel lets go whatever happens."""

    def __init__(self, path: str) -> None:
        """Raises AlreadyRunning, or OSError if the file cannot be written."""
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _number(self._fd)
            os.close(self._fd)
            raise AlreadyRunning(path, pid) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Empty the file and let go; after this nobody runs as far as the file tells."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)


def running_pid(path: str) -> int:
    """The pid of the daemon that holds this file, 0 if none does."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        return _unlocked_guess(path)
    except OSError:
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _number(fd)
    else:
        return 0
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


def _number(fd: int) -> int:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else 0
