"""One scheduler per store: an advisory lock on a file beside it, held as long as the process lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from packhorse.scheduler.model.errors import StoreError


class StoreLocked(StoreError):
    """Another process (or another part of this one) has the store open. pid 0: not known."""

    def __init__(self, path: Path, pid: int) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"store {path} is in use by {who}: stop it first (`packhorse down`)")
        self.pid = pid


class StoreLock:
    """Holds the lock from construction to `release`. The kernel lets go of it when the process dies."""

    def __init__(self, store: Path) -> None:
        """Raises StoreLocked if it is taken. The lock file stays behind: removing it could let two in."""
        self._fd = os.open(
            store.with_name(store.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            text = os.pread(self._fd, 32, 0).strip()
            os.close(self._fd)
            if not isinstance(error, BlockingIOError):
                raise StoreError(f"store {store} cannot be locked: {error.strerror}") from error
            raise StoreLocked(store, int(text) if text.isdigit() else 0) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    @property
    def held(self) -> bool:
        return self._fd >= 0

    def release(self) -> None:
        """Let others in; a second time does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
