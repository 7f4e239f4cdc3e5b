"""The contact file: when this machine last heard from its scheduler. Jobs with a lease live by it.

One line, `BOOT_ID MICROSECONDS`, on the clock that counts from boot, suspension included, and that nobody
can set.
"""

from __future__ import annotations

import os
import time

from packhorse.agent.launch import processes


def boot_clock_us() -> int:
    """Microseconds since boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def note_contact(path: str) -> None:
    """Writes that the scheduler was heard from now. Not made durable: after a reboot there is nothing left
    to lease.
    """
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="ascii") as out:
        out.write(f"{processes.boot_id()} {boot_clock_us()}\n")
    os.replace(temporary, path)


def last_contact_us(path: str) -> int:
    """The contact noted in `path`, on the clock of `boot_clock_us`; 0 if none was noted since boot."""
    try:
        with open(path, encoding="ascii") as lines:
            boot, _, at = lines.readline().partition(" ")
        return int(at) if boot == processes.boot_id() else 0
    except (OSError, ValueError):
        return 0
