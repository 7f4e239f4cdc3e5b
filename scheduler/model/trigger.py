"""Triggers: programs that are run once something has happened to a job or a node (strigger)."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from packhorse.scheduler.model.ids import UNKNOWN, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Owner

NO_JOB = JobId(0)


class TriggerKind(StrEnum):
    """What is waited for. FINI, TIME: the end of a job, its time limit; the others of nodes. New ones go to
    the end."""

    FINI = "fini"
    TIME = "time"
    UP = "up"
    DOWN = "down"
    DRAINED = "drained"


class Trigger(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """job: whose end, time limit or nodes are meant, 0 for none; nodes: which without a job, empty: any.

    offset_s: how much later than what is waited for; before it for TIME, if negative. permanent: waits again
    after it was fired. due_at: what is waited for has happened, and it is fired then; hit: on which nodes.
    """

    id: int
    owner: Owner
    kind: TriggerKind
    program: str
    job: JobId = NO_JOB
    nodes: tuple[NodeName, ...] = ()
    offset_s: int = 0
    permanent: bool = False
    due_at: Instant = UNKNOWN
    hit: tuple[NodeName, ...] = ()


class Fired(NamedTuple):
    """A trigger was fired: this program is to be run as this user. argument: the job's number, or nodes."""

    id: int
    owner: Owner
    program: str
    argument: str
