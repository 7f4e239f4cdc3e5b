"""One scheduling cycle made into facts: the plan is checked against the state, grant by grant.

Jobs that have to make room are told to stop; whom that was for starts in a later cycle, once they are gone.

What the plan says about those who go on waiting (reasons, planned starts) is written to the columns;
it is derived, and the first cycle after a restart finds it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from packhorse.scheduler.core import cycle, indices, preemption, waiting
from packhorse.scheduler.core.accounts.quota import quota
from packhorse.scheduler.core.decision import UNCHANGED, Decision, Draft
from packhorse.scheduler.core.gangs import split
from packhorse.scheduler.core.licenses import jobs_within, take
from packhorse.scheduler.core.lifecycle import stop
from packhorse.scheduler.core.orders import BY_ORDER
from packhorse.scheduler.core.preempt.eviction import Eviction, evict
from packhorse.scheduler.core.preempt.go_on import go_on
from packhorse.scheduler.core.reclaim.lend import Lenders
from packhorse.scheduler.core.reservations.replace_down import replace_down
from packhorse.scheduler.core.standings import Standings
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import PreemptMode
from packhorse.scheduler.model.command import Launch
from packhorse.scheduler.model.event import ArrayTaskSplit, AttemptStarted, JobGranted
from packhorse.scheduler.model.gresspec import parse_licenses
from packhorse.scheduler.model.ids import UNKNOWN, US, AttemptKey, Instant, JobId
from packhorse.scheduler.model.input import RunCycle
from packhorse.scheduler.model.job import Active, ArrayJob, EndCause, Job, Pending
from packhorse.scheduler.model.loan import Loan
from packhorse.scheduler.model.resources import Placement


def n_to_serve(state: State) -> int:
    """How many jobs a cycle could do something for: they wait for nothing but room, or were suspended for
    others."""
    return state.pending_columns.n_ready + len(state.preempting.suspended)


def run_cycle(state: State, input: RunCycle, now: Instant) -> Decision:
    """Start what can start now; after nodes of reservations were replaced, and those who were suspended for
    others and can go on."""
    if state.pending_columns.sweep_holders():
        state.held.book, state.standings = None, Standings()
        state.preempting.forget_rights()
    if state.reservations or state.preempting.suspended:
        first = Draft(state, now)
        replace_down(first)
        if state.preempting.suspended and not first.events:
            go_on(first)
        if first.events:
            return first.decision()._replace(more=True)
    if state.config.preempt == BY_ORDER:
        plan = preemption.plan(state, now)
    else:
        plan = cycle.plan(state, now, input.guide, input.hold)
    if plan.contended is not None:
        return UNCHANGED._replace(contended=plan.contended)
    if not plan.grants and not plan.stops and not plan.evictions:
        return Decision((), more=plan.more)
    draft, room = _begin(state, plan.grants, now)
    for id, for_job in plan.stops:
        job = state.jobs[id]
        if isinstance(job.phase, Active) and job.phase.ending is None:
            stop(draft, job, job.phase, EndCause.PREEMPTED, for_job=for_job)
    more = plan.more
    if plan.evictions:
        _evict(draft, room, plan.evictions)
        at_once = any(eviction.right.mode is PreemptMode.SUSPEND for eviction in plan.evictions)
        more = (more or at_once) and bool(draft.events)
    return Decision(tuple(draft.events), tuple(draft.commands), more=more)


def _begin(state: State, grants: Sequence[cycle.Grant], now: Instant) -> tuple[Draft, _Room]:
    """Those of the grants that the state bears, of gangs all members or none; and what arrays have left."""
    apart: Collection[JobId] = ()
    if state.gangs.ready:
        apart = split(state, {grant.id for grant in grants})
    while True:
        if apart:
            grants = [grant for grant in grants if grant.id not in apart]
        draft, room = Draft(state, now), _Room(state)
        _start(draft, room, grants)
        if not state.gangs.ready:
            return draft, room
        started = {event.job for event in draft.events if isinstance(event, JobGranted)}
        apart = split(state, started)
        if not apart:
            return draft, room


def _start(draft: Draft, room: _Room, grants: Sequence[cycle.Grant]) -> None:
    """The grants one after the other, each if there is still what it needs."""
    state, now = draft.state, draft.now
    space, free = _Space(state), state.licenses.free(state.config)
    lenders, shares = Lenders(state, now), quota(state, now)
    for id, placements, drawn_into in grants:
        waiter: Job | ArrayJob | None = state.jobs.get(id) or state.arrays.get(id)
        if waiter is None or not isinstance(waiter.phase, Pending) or not waiter.phase.eligible_at:
            continue
        if not space.holds(placements, waiter.spec.ask.exclusive):
            continue
        state.looking_at = ((id,), 0, 1)
        wanted = parse_licenses(waiter.spec.licenses) if waiter.spec.licenses else ()
        if wanted and not jobs_within(wanted, free):
            continue
        if shares is not None and not shares.admits(waiter, placements):
            continue
        if isinstance(waiter, Job):
            loans = lenders.loans(placements) if room.take(waiter.array_id) else None
            if loans is not None:
                space.take(placements)
                take(wanted, 1, free)
                if shares is not None:
                    shares.take_last()
                reservation = drawn_into or waiter.spec.reservation
                _grant(draft, id, waiter.attempts + 1, waiter, placements, loans, reservation)
        elif room.take(id):
            loans = lenders.loans(placements)
            index = room.next_index(waiter) if loans is not None else None
            if index is not None and loans is not None:
                task = draft.new_id()
                draft.events.append(ArrayTaskSplit(now, id, index, task))
                space.take(placements)
                take(wanted, 1, free)
                if shares is not None:
                    shares.take_last()
                reservation = drawn_into or waiter.spec.reservation
                _grant(draft, task, 1, waiter, placements, loans, reservation)


def _evict(draft: Draft, room: _Room, evictions: Sequence[Eviction]) -> None:
    """Jobs make room. A task of an array that they do that for becomes a job of its own."""
    for id, some in groupby(evictions, key=lambda eviction: eviction.for_job):
        array, for_job = draft.state.arrays.get(id), id
        if array is not None:
            index = room.next_index(array) if room.take(id) else None
            if index is None:
                continue
            for_job = draft.new_id()
            draft.events.append(ArrayTaskSplit(draft.now, id, index, for_job))
        for eviction in some:
            evict(draft, eviction, for_job)


def _grant(
    draft: Draft,
    id: JobId,
    number: int,
    waiter: Job | ArrayJob,
    placements: tuple[Placement, ...],
    loans: tuple[Loan, ...],
    reservation: str,
) -> None:
    spec, decided = waiter.spec, draft.state.pending_columns.decided_of(waiter.id, draft.state.config)
    attempt = AttemptKey(id, number, draft.state.epoch)
    end_by = Instant(draft.now + spec.time_limit_s * US) if spec.time_limit_s else UNKNOWN
    granted = JobGranted(draft.now, id, attempt, placements, end_by, loans, decided, reservation)
    draft.events.append(granted)
    if spec.allocation:  # nothing is launched: it runs, and its command may ask for steps
        draft.events.append(AttemptStarted(draft.now, id, attempt, end_by, draft.now))
    else:
        draft.commands.append(Launch(placements[0].node, id, attempt))


class _Space:
    """What the nodes can still take in this cycle: the plan is not believed, but measured again."""

    def __init__(self, state: State) -> None:
        self.columns = state.node_columns
        self.left: dict[int, list[int]] = {}
        self.needs: list[tuple[list[int], list[int]]] = []

    def holds(self, placements: tuple[Placement, ...], exclusive: bool) -> bool:
        """Whether each node takes work and has that much left; remembers it for `take`."""
        columns, needs = self.columns, []
        for placement in placements:
            row = columns.row_of.get(placement.node, -1)
            if row < 0 or not columns.schedulable[row]:
                return False
            left = self.left.get(row)
            if left is None:
                left = self.left[row] = columns.free[:, row].tolist()
            need = columns.amounts(placement, exclusive)
            for n, free in zip(need, left, strict=True):
                if n > free and n:
                    return False
            needs.append((left, need))
        self.needs = needs
        return bool(placements)

    def take(self, placements: tuple[Placement, ...]) -> None:
        """The placements that were just found to fit are taken."""
        assert len(self.needs) == len(placements)
        for left, need in self.needs:
            left[:] = [free - n for free, n in zip(left, need, strict=True)]


class _Room:
    """What this cycle has already used of each array: indices, and room under its limit."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.left: dict[JobId, int] = {}
        self.waiting: dict[JobId, Iterator[int]] = {}

    def take(self, array: JobId) -> bool:
        """Whether one more task of this array may start (0: not an array), counting it if so."""
        if not array:
            return True
        left = self.left.get(array)
        if left is None:
            left = waiting.room_of(self.state, self.state.arrays[array])
        if left == 0:
            return False
        self.left[array] = left - 1 if left > 0 else left
        return True

    def next_index(self, array: ArrayJob) -> int | None:
        """The lowest index that may start and that this cycle has not started yet."""
        mine = self.waiting.get(array.id)
        if mine is None:
            mine = indices.each(indices.subtract(array.remaining, array.blocked))
            self.waiting[array.id] = mine
        return next(mine, None)
