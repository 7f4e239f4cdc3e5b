"""Room on the disk, and a ballast file that is thrown overboard when there is none.

Below `reserve` the engine takes on no new work. Should the disk fill up all the same (others write to it
too), the ballast is what the ends of running work are recorded in until an operator has made room.
"""

from __future__ import annotations

import os
from pathlib import Path

from packhorse.scheduler.store.protocol import MIB, Space

DEFAULT_RESERVE = 64 * MIB
DEFAULT_BALLAST = 16 * MIB


class DiskSpace:
    """Watches the file system of the store's directory."""

    def __init__(self, store: Path, reserve: int = DEFAULT_RESERVE, ballast: int = DEFAULT_BALLAST) -> None:
        self._directory = store.parent
        self._ballast = store.with_name(store.name + ".ballast")
        self._ballast_size = ballast
        self._reserve = reserve

    def space(self) -> Space:
        """What is free now, the ballast not counted."""
        status = os.statvfs(self._directory)
        return Space(status.f_bavail * status.f_frsize, self._reserve)

    def has_ballast(self) -> bool:
        """The ballast is on the disk in full."""
        try:
            return self._ballast.stat().st_size == self._ballast_size > 0
        except FileNotFoundError:
            return False

    def load_ballast(self) -> bool:
        """Write the ballast if it is missing and the reserve stays free besides; True if it is there."""
        if self.has_ballast():
            return True
        if not self._ballast_size or self.space().free < self._reserve + self._ballast_size:
            return False
        fd = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, self._ballast_size)
        except OSError:  # somebody else was quicker, or the file system cannot
            self._ballast.unlink()
            return False
        finally:
            os.close(fd)
        return True

    def make_room(self) -> None:
        """Drop the ballast if the reserve is used up."""
        if self._directory.is_dir() and self.space().low:
            self.drop_ballast()

    def drop_ballast(self) -> int:
        """Give the ballast's room to the store; returns how many bytes that was."""
        try:
            size = self._ballast.stat().st_size
            self._ballast.unlink()
        except FileNotFoundError:
            return 0
        return size
