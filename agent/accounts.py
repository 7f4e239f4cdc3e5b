"""Who the users of this machine are: its own answers, asked for again after a while.

Every job needs them, and where accounts come from a directory service an answer is a call over the network.
"""

from __future__ import annotations

import os
import pwd
import time

KEPT_S = 10.0
"""How long an answer is believed: so long a user who was added to a group may have to wait for it."""

_MOST = 1000

_entries: dict[tuple[int, str], tuple[float, dict[str, str]]] = {}
_groups: dict[tuple[str, int], tuple[float, tuple[int, ...]]] = {}


def variables(uid: int, user: str) -> dict[str, str]:
    """The environment that names this user and their home; `user` is believed where none is known."""
    now = time.monotonic()
    kept = _entries.get((uid, user))
    if kept is not None and now < kept[0]:
        return kept[1]
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        found = {"USER": user, "LOGNAME": user}
    else:
        found = {
            "USER": entry.pw_name,
            "LOGNAME": entry.pw_name,
            "HOME": entry.pw_dir,
            "SHELL": entry.pw_shell or "/bin/sh",
        }
    if len(_entries) >= _MOST:
        _entries.clear()
    _entries[uid, user] = now + KEPT_S, found
    return found


def groups(user: str, gid: int) -> tuple[int, ...]:
    """All groups of this user, `gid` among them."""
    now = time.monotonic()
    kept = _groups.get((user, gid))
    if kept is not None and now < kept[0]:
        return kept[1]
    try:
        found = tuple(os.getgrouplist(user, gid))
    except (KeyError, OSError):
        found = (gid,)
    if len(_groups) >= _MOST:
        _groups.clear()
    _groups[user, gid] = now + KEPT_S, found
    return found
