"""The contact file: when this machine last heard from its scheduler. Jobs with a lease live by it.

One line, `BOOT_ID MICROSECONDS`, on the clock that counts from boot, suspension included, and that nobody
can set.
"""

from __future__ import annotations

import errno
import os
import time

from packhorse.agent.launch import processes


def boot_clock_us() -> int:
    """Microseconds since boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def note_contact(path: str) -> None:
    """Writes that the scheduler was heard from now. Not made durable: after a reboot there is nothing left
    to lease.

    A full disk does not keep it from an existing file. Raises OSError.
    """
    text = f"{processes.boot_id()} {boot_clock_us()}\n".encode()
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "wb") as out:
            out.write(text)
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        # The block of the last contact can still be written; what is left of a longer one follows the line.
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(fd, text, 0)
        finally:
            os.close(fd)


def last_contact_us(path: str) -> int:
    """The contact noted in `path`, on the clock of `boot_clock_us`; 0 if none was noted since boot."""
    try:
        with open(path, encoding="ascii") as lines:
            boot, _, at = lines.readline().partition(" ")
        return int(at) if boot == processes.boot_id() else 0
    except (OSError, ValueError):
        return 0
