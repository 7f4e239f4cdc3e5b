"""Who is not to be killed when memory runs out: the supervisor, which passes through its job's group.

For an instant it is a member beside the job's first process, and of a job with a small limit the larger one.
Only root can protect itself, and children inherit it: whoever starts something for the job steps back first.
"""

from __future__ import annotations

import os

_FILE = "/proc/self/oom_score_adj"
_NEVER = b"-1000"

_own = b""
"""What it was before, b"" where there is no protection."""


def protect() -> None:
    """Takes the calling process out of the kernel's choice, if it may."""
    global _own
    if os.geteuid() != 0:
        return
    try:
        fd = os.open(_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        before = os.read(fd, 16).strip()
        os.pwrite(fd, _NEVER, 0)
        _own = before
    except OSError:  # a container without the right
        pass
    finally:
        os.close(fd)


def step_back() -> bool:
    """Makes the calling process one to choose as others, and with it what it starts; False if it was one."""
    return bool(_own) and _write(_own)


def step_forward() -> None:
    """Undoes `step_back`."""
    _write(_NEVER)


def _write(value: bytes) -> bool:
    fd = os.open(_FILE, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value)
    finally:
        os.close(fd)
    return True
