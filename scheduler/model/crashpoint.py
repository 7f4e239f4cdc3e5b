"""Named points at which a process can be told to die, so that tests can crash it everywhere it matters.

A point is registered where it is passed: `register("supervisor.after_fork", "what a death here leaves
behind")` at import, `crash_point("supervisor.after_fork")` in the code. Two variables of the environment
drive it, read once at import (or again by `arm`):

PACKHORSE_CRASH_AT   comma list of `name` or `name:nth` (nth passing, from 1): SIGKILL to itself there.
PACKHORSE_CRASH_LOG  file to which every passing is appended as `name pid passed` or `name pid died`.
                     With it, `nth` counts the passings of all processes that share the file; without it,
                     those of this process.

With neither set a passing costs one test of a global. Standard library only.
"""

from __future__ import annotations

import os
import signal

REGISTERED: dict[str, str] = {}
"""Every known point: name -> what dying there simulates."""

_at: dict[str, int] = {}
_log: str = ""
_armed: bool = False
_passed: dict[str, int] = {}


def register(name: str, description: str) -> str:
    """Makes `name` a crash point and returns it. Raises ValueError if it means something else already."""
    known = REGISTERED.setdefault(name, description)
    if known != description:
        raise ValueError(f'crash point "{name}" is registered twice: {known!r} and {description!r}')
    return name


def arm(environment: dict[str, str] | None = None) -> None:
    """Reads the two variables from `environment` (default: the process's own) and starts counting afresh.

    Raises ValueError for a malformed PACKHORSE_CRASH_AT.
    """
    global _at, _log, _armed
    source = os.environ if environment is None else environment
    at: dict[str, int] = {}
    for item in source.get("PACKHORSE_CRASH_AT", "").split(","):
        if item := item.strip():
            name, _, nth = item.partition(":")
            if nth and (not nth.isdigit() or int(nth) < 1):
                raise ValueError(f'PACKHORSE_CRASH_AT: "{item}" is not "name" or "name:nth" with nth from 1')
            at[name] = int(nth or "1")
    _at = at
    _log = source.get("PACKHORSE_CRASH_LOG", "")
    _armed = bool(_at or _log)
    _passed.clear()


def crash_point(name: str) -> None:
    """Dies here by SIGKILL if told to; otherwise does nothing. Raises KeyError when armed and `name` is
    unregistered.
    """
    if _armed:
        _pass(name)


def _pass(name: str) -> None:
    if name not in REGISTERED:
        raise KeyError(f'crash point "{name}" is not registered')
    _passed[name] = nth = _passed.get(name, 0) + 1
    wanted = _at.get(name, 0)
    dies = _noted(name, wanted) if _log else nth == wanted
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()


def _noted(name: str, wanted: int) -> bool:
    """Appends a passing of `name` to the shared log; whether it is the one at which to die.

    Counted and written under a lock: of several processes that pass at once exactly one has each number.
    """
    import fcntl  # only where tests ask for it

    fd = os.open(_log, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with open(_log, encoding="utf-8") as lines:
            nth = 1 + sum(1 for line in lines if line.partition(" ")[0] == name)
        dies = nth == wanted
        os.write(fd, f"{name} {os.getpid()} {'died' if dies else 'passed'}\n".encode())
        return dies
    finally:
        os.close(fd)


arm()
