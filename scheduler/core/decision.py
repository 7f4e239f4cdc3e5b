"""What a step decides: events to record, commands to send once they are durable, and the answer."""

from __future__ import annotations

from typing import NamedTuple

from packhorse.scheduler.core.contended import Contended
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.command import Command
from packhorse.scheduler.model.event import CallAnswered, Event
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.reply import Nothing, Refused, Reply

NOTHING = Nothing()


class Trouble(NamedTuple):
    """A pass failed and was made again (core/quarantine.py). kind: "once": it worked then; "jobs": without
    these, who are set aside; "policy": with the plainest policy. trace: where it failed, for the log."""

    kind: str
    error: str
    trace: str
    jobs: tuple[JobId, ...] = ()


class Decision(NamedTuple):
    """Apply the events in order; after they are durable send the commands and give the reply.

    more: a cycle stopped at max_starts_per_cycle, and another one should follow at once. contended: a cycle
    held its starts back, for this is what a better plan could be found for; one without `hold` must follow.
    trouble: what went wrong in a cycle, and what was done about it.
    """

    events: tuple[Event, ...]
    commands: tuple[Command, ...] = ()
    reply: Reply = NOTHING
    more: bool = False
    contended: Contended | None = None
    trouble: Trouble | None = None


UNCHANGED = Decision(())


class Draft:
    """A decision in the making. The state is as it was: what is decided already is known only here."""

    __slots__ = ("commands", "events", "next_id", "now", "state")

    def __init__(self, state: State, now: Instant) -> None:
        self.state = state
        self.now = now
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.next_id = state.next_job_id

    def new_id(self) -> JobId:
        """An id that nobody had; an event of this draft must claim it."""
        id = self.next_id
        self.next_id = JobId(id + 1)
        return id

    def decision(self, reply: Reply = NOTHING) -> Decision:
        """What was decided, with no call to remember."""
        return Decision(tuple(self.events), tuple(self.commands), reply)

    def answer(self, caller: Caller, reply: Reply) -> Decision:
        """What was decided for a call. If anything came of it, its key gets this reply from now on.

        A call that changed nothing is not remembered: done again it may well succeed.
        """
        if caller.key and (self.events or self.commands) and not isinstance(reply, Refused):
            uid = caller.owner.uid
            self.events.append(CallAnswered(self.now, uid, caller.key, caller.fingerprint, reply))
        return self.decision(reply)
