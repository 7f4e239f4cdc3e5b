"""The smallest change that would start a waiting job: one constraint relaxed at a time, two amounts where
that does not do, and packed again.

First guesses: with amounts found by halving and conditions left out, one after the other, is there room
where the pass comes to the job (core/why/prefix.py)? The smallest of these are then tried as they would be
done: the change is made on a copy of the state by the very steps that a user's command would take, and the
real pass is run (core/why/trial.py). Only what that pass starts is said to start now. How many passes are
run is bounded, so that an answer takes as long as some passes, however many ways there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.why import amounts, conditions
from packhorse.scheduler.core.why.change import Change, Waiter, command
from packhorse.scheduler.core.why.pairs import pairs
from packhorse.scheduler.core.why.prefix import Ahead
from packhorse.scheduler.core.why.snapshot import again
from packhorse.scheduler.core.why.standing import top_priority
from packhorse.scheduler.core.why.trial import DEPTH, ByPass, Trial, try_out
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, NodeName
from packhorse.scheduler.model.job import JobSpec

MOST: Final = 5
"""Suggestions that are made."""

MOST_TRIED: Final = 6
"""Changes that are tried by a pass because they may start the job now."""

MOST_PAIRS: Final = 2
"""Of two amounts together, where no single change starts the job; within those above."""

MOST_PASSES: Final = 8
"""Passes that the search for an amount under a limit may take."""

MOST_LATER: Final = 1
"""Changes that are tried because the job may start sooner, though not now."""

BY_ROOM: Final = frozenset(
    {Reason.NONE, Reason.PRIORITY, Reason.RESOURCES, Reason.RESERVED_MAINT, Reason.RESERVED_OTHER}
)
"""Waiting for these, a job starts when there is room. When a limit, a budget or a person lets it go, room
does not say."""

SOONER_PART: Final = 10
"""A start counts as sooner if that saves this part of the wait, and at least a minute."""


class Suggestion(NamedTuple):
    """command: what to type for the change. at: when the job would start then: now, or a planned start.
    nodes: where, if that is now. admin: an administrator has to do it."""

    change: Change
    command: str
    at: Instant
    nodes: tuple[NodeName, ...] = ()
    admin: bool = False


class Found(NamedTuple):
    """suggestions: those that start it now first, the smallest change first. starts: where the next pass
    starts the job as it is. at: its planned start, as far as that can be said. ahead: the pass up to it."""

    suggestions: tuple[Suggestion, ...]
    starts: tuple[NodeName, ...]
    at: Instant
    ahead: Ahead | None


def smallest(snapshot: State, waiter: Waiter, now: Instant) -> Found:
    """What would start it. snapshot: of core/why/snapshot.py; it serves for any number of questions."""
    as_it_is = Trial(snapshot, waiter, None, now)
    starts = as_it_is.now_on()
    if starts:
        return Found((), starts, now, None)
    row = snapshot.pending_columns.row(waiter.id)
    if not (row.eligible and row.count and row.room):
        changes = conditions.waits(snapshot, waiter, now)
        found = [s for c in changes if (s := _suggested(snapshot, waiter, c, now, later=True))]
        return Found(_ordered(found, now), (), UNKNOWN, None)
    ahead = Ahead(again(snapshot), now, waiter.id)
    spec = waiter.spec
    candidates = sorted(_candidates(snapshot, waiter, ahead), key=lambda c: c.size)[:MOST_TRIED]
    found = _tried(snapshot, waiter, candidates, now)
    by_owner = any(not one.admin for one in found)
    left = min(MOST_TRIED - len(candidates), MOST_PAIRS)
    if left > 0 and not by_owner and not ahead.fits(spec):
        found += _tried(snapshot, waiter, sorted(pairs(ahead, spec), key=lambda c: c.size)[:left], now)
    kinds = {one.change.kind for one in found}
    at = snapshot.pending_columns.planned(waiter.id)
    if len(found) < MOST:
        deep = Ahead(again(snapshot), now, waiter.id, DEPTH)
        if snapshot.pending_columns.reason(waiter.id) in BY_ROOM:
            at = at or deep.earliest(spec)
        later = [c for c in _later(deep, spec, at) if c.kind not in kinds][:MOST_LATER]
        for change in later:
            room = ahead.fits(change.spec)
            one = _suggested(snapshot, waiter, change, now, later=True, room=room)
            if one is not None and _sooner(one.at, at, now):
                found.append(one)
    return Found(_ordered(found, now), (), at, ahead)


def _tried(snapshot: State, waiter: Waiter, candidates: list[Change], now: Instant) -> list[Suggestion]:
    """Those of the candidates that start it now, the first of each kind."""
    found: dict[str, Suggestion] = {}
    for change in candidates:
        if change.kind not in found and len(found) < MOST:
            one = _suggested(snapshot, waiter, change, now)
            if one is not None:
                found[change.kind] = one
    return list(found.values())


def _ordered(found: list[Suggestion], now: Instant) -> tuple[Suggestion, ...]:
    return tuple(sorted(found, key=lambda s: (s.at != now, s.admin, s.change.size, s.at))[:MOST])


def _suggested(
    snapshot: State, waiter: Waiter, change: Change, now: Instant, *, later: bool = False, room: bool = True
) -> Suggestion | None:
    """What came of trying it; None if it does not start now or, with `later`, at a time that can be said."""
    outcome = try_out(snapshot, waiter, change, now, later=later, room=room)
    if outcome.refused or not outcome.at:
        return None
    return Suggestion(change, command(waiter, change), outcome.at, outcome.nodes, outcome.admin)


def _candidates(snapshot: State, waiter: Waiter, ahead: Ahead) -> Iterator[Change]:
    """Changes with which there seems to be room at once."""
    spec = waiter.spec
    yield from conditions.waits(snapshot, waiter, ahead.now)
    is_room = ahead.is_room(spec)
    if ahead.fits(spec):  # no room is missing, and nobody ahead is to blame
        reason = snapshot.pending_columns.reason(waiter.id)
        yield from amounts.within(ByPass(snapshot, waiter, ahead, MOST_PASSES), spec, reason)
    else:
        yield from (c for c in amounts.smaller(ahead, spec) if ahead.fits(c.spec))
        yield from (c for c in conditions.dropped(spec) if ahead.fits(c.spec))
        yield from (c for c in conditions.unlicensed(snapshot, spec) if ahead.fits(c.spec))
        if is_room:
            yield from conditions.sooner(waiter, top_priority(ahead.state, ahead.before, ahead.now))
    if is_room:
        yield from conditions.on_whose_name(snapshot, waiter)
    yield from (c for c in conditions.elsewhere(snapshot, spec) if ahead.is_room(c.spec))


def _later(deep: Ahead, spec: JobSpec, at: Instant) -> list[Change]:
    """Changes with which it would start sooner than at that time (UNKNOWN: never), the smallest first."""
    found = [c for c in conditions.dropped(spec) if _sooner(deep.earliest(c.spec), at, deep.now)]
    shorter = _shorter(deep, spec, at)
    if shorter is not None:
        found.append(shorter)
    return sorted(found, key=lambda c: c.size)


def _shorter(deep: Ahead, spec: JobSpec, at: Instant) -> Change | None:
    """The longest time limit with which it starts sooner, to a sixteenth of its own."""
    asked = spec.time_limit_s
    if not asked:
        return None

    def good(part: int) -> bool:
        limit = amounts.limit_s(asked * US * part // 16)
        return limit > 0 and _sooner(deep.earliest(replace(spec, time_limit_s=limit)), at, deep.now)

    low, beyond = 1, 16
    if not good(low):
        return None
    while beyond - low > 1:
        middle = (low + beyond) // 2
        low, beyond = (middle, beyond) if good(middle) else (low, middle)
    return amounts.time_change(spec, amounts.limit_s(asked * US * low // 16))


def _sooner(new: Instant, old: Instant, now: Instant) -> bool:
    """Whether that is worth a change."""
    if not new:
        return False
    return not old or old - new >= max(60 * US, (old - now) // SOONER_PART)
