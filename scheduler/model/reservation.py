"""Reservations: nodes, or some of their CPUs, set aside for a window of time and some users."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from packhorse.scheduler.model.ids import UNKNOWN, Instant, NodeName

MAINT: Final = "MAINT"
OVERLAP: Final = "OVERLAP"
IGNORE_JOBS: Final = "IGNORE_JOBS"
FLEX: Final = "FLEX"
MAGNETIC: Final = "MAGNETIC"
ANY_NODES: Final = "ANY_NODES"
STATIC_ALLOC: Final = "STATIC"
PART_NODES: Final = "PART_NODES"
SPEC_NODES: Final = "SPEC_NODES"
ALL_NODES: Final = "ALL_NODES"
REPLACE_DOWN: Final = "REPLACE_DOWN"
PURGE_COMP: Final = "PURGE_COMP"
NO_HOLD_JOBS: Final = "NO_HOLD_JOBS_AFTER_END"

FLAGS: Final = (
    MAINT,
    OVERLAP,
    IGNORE_JOBS,
    SPEC_NODES,
    ALL_NODES,
    ANY_NODES,
    STATIC_ALLOC,
    PART_NODES,
    REPLACE_DOWN,
    PURGE_COMP,
    FLEX,
    MAGNETIC,
    NO_HOLD_JOBS,
)
"""Those that mean something here, as `scontrol show reservation` writes them and in its order; those of a
window that repeats are kept as `Repeat`."""


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
    it and start no later than that use it without naming it (flag MAGNETIC needs none). created_at: since
    when nodes and window are what they are; what ran before may go on. used_at: when the last job of it
    ended. group_users: who was in its groups when these were set. utc_offset_s: east of Greenwich, for what
    is a weekday.
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
    group_users: tuple[str, ...] = ()
    utc_offset_s: int = 0

    @property
    def whole(self) -> bool:
        """Whether nobody else may be on its nodes at all."""
        return bool(self.nodes) and not self.cpu_milli

    @property
    def bound(self) -> bool:
        """Whether its jobs are bound to its nodes and its window."""
        return FLEX not in self.flags

    def ignores(self, other: Reservation) -> bool:
        """Whether jobs in this one may be on nodes of the other; as Slurm has it."""
        return MAINT in self.flags or (OVERLAP in self.flags and MAINT not in other.flags)


class ListChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of a list of names. sign "": it is these from now on; "+": these too; "-": not these."""

    names: tuple[str, ...]
    sign: str = ""


class ReservationWish(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What `scontrol create` and `update reservation` say; None leaves a thing alone, or at its default.

    Of start, end and duration two say it all; duration_s -1: for a year, as Slurm has it. nodes ("ALL",): all
    nodes, of the partition if one is named. node_counts, core_counts: of nodes (added up) and of cores that
    the scheduler chooses; cores are those of all nodes together, or of each node that is named. cpus: instead
    of cores. purge_after_s: of flag PURGE_COMP. strangers: of the users those whom the scheduler's host does
    not know.
    """

    name: str
    start_at: Instant | None = None
    end_at: Instant | None = None
    duration_s: int | None = None
    nodes: ListChange | None = None
    node_counts: tuple[int, ...] = ()
    core_counts: tuple[int, ...] = ()
    cpus: int | None = None
    partition: str | None = None
    features: str | None = None
    users: ListChange | None = None
    accounts: ListChange | None = None
    groups: ListChange | None = None
    group_users: tuple[str, ...] = ()
    qos: ListChange | None = None
    licenses: str | None = None
    flags: ListChange | None = None
    purge_after_s: int | None = None
    comment: str | None = None
    utc_offset_s: int = 0
    strangers: tuple[str, ...] = ()
