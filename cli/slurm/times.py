"""Instants as the commands print them: local time, `2026-11-23T05:53:22`, or as SLURM_TIME_FORMAT says."""

from __future__ import annotations

import os
from time import localtime, strftime, time

_seen: dict[int, str] = {}
_chosen: list[str] = []


def stamp(seconds: int) -> str:
    """The instant, in the format that SLURM_TIME_FORMAT chooses (standard, relative, or strftime's
    letters).
    """
    text = _seen.get(seconds)
    if text is None:
        if not _chosen:
            _chosen.append(os.environ.get("SLURM_TIME_FORMAT") or "standard")
        if _chosen[0] == "standard":
            when = localtime(seconds)
            text = "%04d-%02d-%02dT%02d:%02d:%02d" % when[:6]  # noqa: UP031 - twice as fast as an f-string here
        elif _chosen[0] == "relative":
            text = _relative(seconds)
        else:
            text = strftime(_chosen[0], localtime(seconds))
        _seen[seconds] = text
    return text


def forget_format() -> None:
    """Reads SLURM_TIME_FORMAT again (for a process that runs several commands)."""
    _chosen.clear()
    _seen.clear()


def _relative(seconds: int) -> str:
    """Slurm's relative form: the nearer the instant, the less of its date."""
    when = localtime(seconds)
    now = localtime(time())
    days = (seconds + (when.tm_gmtoff or 0)) // 86400 - (int(time()) + (now.tm_gmtoff or 0)) // 86400
    if days == 0:
        return strftime("%H:%M:%S", when)
    if days == -1:
        return strftime("Ystday %H:%M", when)
    if days == 1:
        return strftime("Tomorr %H:%M", when)
    if not -365 <= days <= 365:
        return strftime("%-d %b %Y", when)
    if not -1 <= days <= 6:
        return strftime("%-d %b %H:%M", when)
    return strftime("%a %H:%M", when)
