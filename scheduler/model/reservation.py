"""Reservations: nodes, or some of their CPUs, set aside for a window of time and some users."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from packhorse.scheduler.model.ids import UNKNOWN, Instant, NodeName


class Repeat(StrEnum):
    """How a window comes back once it is over, with Slurm's words."""

    NEVER = ""
    HOURLY = "HOURLY"
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    WEEKDAY = "WEEKDAY"
    WEEKEND = "WEEKEND"


class Reservation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """nodes: all that it has. cpu_milli: of each of them in the same order, empty: the whole nodes.

    start_at, end_at: its window, or of one that repeats the present or next one. users, accounts, groups,
    qos: who may use it; a name that begins with "-" may not. flags: Slurm's words, sorted. licenses: set
    aside too, as in a job's spec. partition: nodes were taken from, "" for any. purge_after_s: with
    PURGE_COMP, it goes when it has been unused for so long, -1: never. max_start_delay_s: jobs that may use
    it and start no later than that use it without naming it (flag MAGNETIC needs none).
    """

    name: str
    start_at: Instant
    end_at: Instant
    nodes: tuple[NodeName, ...] = ()
    cpu_milli: tuple[int, ...] = ()
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    licenses: str = ""
    partition: str = ""
    features: str = ""
    repeat: Repeat = Repeat.NEVER
    purge_after_s: int = -1
    max_start_delay_s: int = 0
    comment: str = ""
    created_at: Instant = UNKNOWN
    used_at: Instant = UNKNOWN
