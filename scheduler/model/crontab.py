"""Users' crontabs: jobs that are run again and again (scrontab)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.job import JobSpec, Owner

Offsets = tuple[tuple[int, int], ...]
"""A time zone: from these seconds since the epoch on, local time is so many seconds ahead of UTC. The first
holds before it too, the last for ever."""

DISABLED = "#DISABLED: "
"""Stands before the line of an entry whose job was cancelled."""


class CronLine(NamedTuple):
    """A line of a crontab that is a job. line: its place in the text, from 0 on; when: model/cron.py."""

    line: int
    when: str
    spec: JobSpec


class CronEntry(NamedTuple):
    """The job of a line."""

    line: int
    when: str
    job: JobId


class Crontab(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One user's. text: as written, with lines that were disabled since."""

    owner: Owner
    text: str
    entries: tuple[CronEntry, ...] = ()
    offsets: Offsets = ((0, 0),)
