"""What the core answers to an input that somebody waits on."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from packhorse.scheduler.model.ids import AttemptKey, JobId
from packhorse.scheduler.model.step import StepPart


class RefusalCode(StrEnum):
    """Why something asked for was not done; edges translate it to gRPC status and exit code."""

    INVALID = "invalid"  # malformed or contradictory
    IMPOSSIBLE = "impossible"  # no node, partition or limit can ever satisfy it
    NOT_FOUND = "not_found"
    DENIED = "denied"
    WRONG_STATE = "wrong_state"  # e.g. requeue of a pending job, signal to a finished one
    EXHAUSTED = "exhausted"  # a limit of the cluster is reached
    CONFLICT = "conflict"  # an idempotency key was used for something else
    UNSUPPORTED = "unsupported"


class Refused(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """Nothing was changed. slurm: Slurm's own phrase where there is one, for the compatible commands."""

    code: RefusalCode
    message: str
    slurm: str = ""


class Submitted(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """count jobs from first_id on (an array: its id, count 1)."""

    first_id: JobId
    count: int = 1


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of one target of a call. ref: as the caller wrote it. code None: done."""

    ref: str
    code: RefusalCode | None = None
    message: str = ""
    slurm: str = ""


class Done(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """One outcome per target."""

    outcomes: tuple[Outcome, ...] = ()


class Planned(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """What changed, or would: one line each, "+ …", "~ …" or "- …". None: all was so already."""

    lines: tuple[str, ...] = ()


class StepMade(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """The step's key, and which tasks run where."""

    key: AttemptKey
    parts: tuple[StepPart, ...]


class Nothing(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """Nobody waits for an answer."""


Reply = Refused | Submitted | Done | Nothing | Planned | StepMade
