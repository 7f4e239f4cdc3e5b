"""Commands: what the world should do. Wishes; each may be carried out twice without harm."""

from __future__ import annotations

import msgspec

from packhorse.scheduler.model.ids import AttemptKey, JobId, NodeName
from packhorse.scheduler.model.input import SignalScope
from packhorse.scheduler.model.job import EndCause


class Launch(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Start the job's batch script on its first node, or (attempt.step >= 0) the part of a step that runs on
    this node; everything needed is in the state."""

    node: NodeName
    job: JobId
    attempt: AttemptKey


class Signal(msgspec.Struct, frozen=True, gc=False, tag=True):
    node: NodeName
    attempt: AttemptKey
    signal: int
    scope: SignalScope


class Terminate(msgspec.Struct, frozen=True, gc=False, tag=True):
    """TERM (or that signal), wait grace_s, KILL, until nothing of the attempt is left."""

    node: NodeName
    attempt: AttemptKey
    grace_s: int
    cause: EndCause
    signal: int = 0


class SetTimeLimit(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The attempt's time limit, in seconds from its start, is now this (0: none)."""

    node: NodeName
    attempt: AttemptKey
    time_limit_s: int


class Suspend(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Stop every process of the attempt, whatever it does; it keeps its memory and devices."""

    node: NodeName
    attempt: AttemptKey


class Continue(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Let the processes of a suspended attempt go on."""

    node: NodeName
    attempt: AttemptKey


class AckExit(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The exit is durable here; the agent may drop its record."""

    node: NodeName
    attempt: AttemptKey


class JobOver(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The attempt is over on all nodes: the node may do away with what it kept for its steps."""

    node: NodeName
    attempt: AttemptKey


class Resume(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The operator wants the node to take work again, whatever its agent had against it."""

    node: NodeName


Command = Launch | Signal | Terminate | SetTimeLimit | AckExit | Resume | Suspend | Continue | JobOver
