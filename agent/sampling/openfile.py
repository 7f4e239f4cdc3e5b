"""Files of /proc and of cgroups that are read again and again."""

from __future__ import annotations

import os
import resource

_SHARE_OF_FILES = 4
"""At most one in so many of the files that this process may have open is kept open here."""

_LARGEST = 1 << 16


class OpenFile:
    """One file, kept open between reads: an open costs as much as several reads.

    Where too many are open already it is opened for every read. A file of /proc/PID that is kept open is that
    process's, whoever gets its number later.
    """

    n_kept = 0

    __slots__ = ("_fd", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def read(self) -> bytes:
        """All of it (64 KiB at most). Raises OSError if it, or what it tells of, is gone."""
        if self._fd >= 0:
            return os.pread(self._fd, _LARGEST, 0)
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        if OpenFile.n_kept < _most_kept():
            OpenFile.n_kept += 1
            self._fd = fd
            return os.pread(fd, _LARGEST, 0)
        try:
            return os.pread(fd, _LARGEST, 0)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Let go of it; a later read opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            OpenFile.n_kept -= 1


def _most_kept() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _SHARE_OF_FILES
