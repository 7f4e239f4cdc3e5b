"""What would become of a job with one thing changed: the change is made on a copy, and the next pass run
on it."""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.core import waiting
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.cycle import Cycle
from packhorse.scheduler.core.orders import BY_ORDER
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.step import step
from packhorse.scheduler.core.why.change import Change, Waiter, inputs
from packhorse.scheduler.core.why.prefix import Ahead
from packhorse.scheduler.core.why.snapshot import again
from packhorse.scheduler.model.event import ArrayTaskSplit, Event, JobGranted
from packhorse.scheduler.model.ids import UNKNOWN, Instant, JobId, NodeName
from packhorse.scheduler.model.input import RunCycle
from packhorse.scheduler.model.job import JobSpec
from packhorse.scheduler.model.reply import Done, RefusalCode, Refused, Reply, Submitted

DEPTH: Final = 4
"""Blocked jobs of the partition that get a planned start where it is asked when a job would start later."""


class Outcome(NamedTuple):
    """at: when it would start, 0 if nobody can say. nodes: where, if that is now. admin: only an
    administrator may change it so. refused: why nobody may; the other fields mean nothing then."""

    at: Instant = UNKNOWN
    nodes: tuple[NodeName, ...] = ()
    admin: bool = False
    refused: str = ""


class Trial:
    """The state with the change made. id: of the job, a new one if it was submitted anew."""

    def __init__(self, snapshot: State, waiter: Waiter, change: Change | None, now: Instant) -> None:
        self.state = again(snapshot)
        self.now = now
        self.id = waiter.id
        self.admin = False
        self.refused = ""
        if change is not None:
            self._make(waiter, change)

    def now_on(self) -> tuple[NodeName, ...]:
        """On which nodes the next pass starts it; empty if it does not."""
        if self.refused:
            return ()
        decision = step(self.state, RunCycle(), self.now)
        return _nodes(decision.events, self.id)

    def later(self) -> Instant:
        """The start that it is given if more of those ahead get one than a pass gives, UNKNOWN for none.
        Nobody plans anything where the order alone decides (preempt), or nothing is promised."""
        config = self.state.config
        pending = self.state.pending_columns
        if self.refused or config.preempt == BY_ORDER or not (config.backfill_depth and pending.n_ready):
            return UNKNOWN
        cycle = Cycle(self.state, self.now)
        if self.id in pending:
            partition = pending.partitions.index(pending.row(self.id).partition)
            cycle.heads_left[partition] = max(DEPTH, cycle.heads_left[partition])
        return cycle.run().planned.get(self.id, UNKNOWN)

    def _make(self, waiter: Waiter, change: Change) -> None:
        denied = self._try(waiter, change, admin=False) is RefusalCode.DENIED
        if denied and (change.release or change.changes is not None):
            self.refused, self.admin = "", True
            self._try(waiter, change, admin=True)

    def _try(self, waiter: Waiter, change: Change, *, admin: bool) -> RefusalCode | None:
        """Makes the change as that caller; the code of the refusal."""
        for input in inputs(waiter, change, admin):
            decision = step(self.state, input, self.now)
            code, self.refused = _refusal(decision.reply)
            if code is not None:
                return code
            for event in decision.events:
                apply(self.state, event)
            if isinstance(decision.reply, Submitted):
                self.id = decision.reply.first_id
        return None


class ByPass:
    """The questions of a search (core/why/amounts.py), each answered by a pass on a copy: where more than
    room decides. left: how many more it answers; then it says no."""

    def __init__(self, snapshot: State, waiter: Waiter, ahead: Ahead, left: int) -> None:
        self.now, self.field, self.rules = ahead.now, ahead.field, ahead.rules
        self.left = left
        self._snapshot, self._waiter = snapshot, waiter
        self.deadlines = ahead.deadlines

    def fits(self, spec: JobSpec) -> bool:
        """Whether the next pass starts the job if it asks for that and keeps its place."""
        if not self.left:
            return False
        self.left -= 1
        state, waiter = again(self._snapshot), self._waiter
        waiting.change(state, waiter, replace(waiter, spec=spec), self.now)
        return bool(_nodes(step(state, RunCycle(), self.now).events, waiter.id))


def try_out(
    snapshot: State, waiter: Waiter, change: Change, now: Instant, *, later: bool, room: bool = True
) -> Outcome:
    """Whether the next pass would start it; else, with `later`, when it would start. room False: there is
    hardly room for it now, so that this is looked at first, and may be all."""
    trial = Trial(snapshot, waiter, change, now)
    if trial.refused:
        return Outcome(refused=trial.refused)
    planned = trial.later() if later and not room else UNKNOWN
    if planned:
        return Outcome(planned, (), trial.admin)
    nodes = trial.now_on()
    return Outcome(now if nodes else trial.later() if later else UNKNOWN, nodes, trial.admin)


def _refusal(reply: Reply) -> tuple[RefusalCode | None, str]:
    if isinstance(reply, Refused):
        return reply.code, reply.message
    if isinstance(reply, Done):
        for outcome in reply.outcomes:
            if outcome.code is not None:
                return outcome.code, outcome.message
    return None, ""


def _nodes(events: tuple[Event, ...], id: JobId) -> tuple[NodeName, ...]:
    """Where the job, or the first task of the array, starts."""
    mine = {id}
    for event in events:
        if isinstance(event, ArrayTaskSplit) and event.array == id:
            mine.add(event.job)
        elif isinstance(event, JobGranted) and event.job in mine:
            return tuple(p.node for p in event.placements)
    return ()
