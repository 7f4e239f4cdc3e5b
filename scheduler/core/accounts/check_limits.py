"""Invariants of who holds what, and of limits: stated once more, from the jobs alone.

What is counted is what is there, whether it was followed from event to event or counted just now. Limits are
no invariant of a state by itself, since one may be lowered under running work: whoever knows two states in a
row (the stateful machine, the simulator) requires that nothing started beyond one.
"""

from __future__ import annotations

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.accounts.held import Holdings, Scope, Sum
from packhorse.scheduler.core.accounts.holding import count, running
from packhorse.scheduler.core.accounts.quota import book_of
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.job import Active, Ended


def check_limits(state: State) -> None:
    """Raises InvariantBroken where the sums are not those of the jobs."""
    again, late = there(state), Holdings()
    count(state, late)
    for held in (late, state.held) if state.held.counting else (late,):
        if again != held:
            raise InvariantBroken(f"held: {held.by_holder} counted, {again.by_holder} there")
    if not state.held.counting:
        if state.held != Holdings():
            raise InvariantBroken(f"held: {state.held.by_holder}, though nobody counts")
        return
    terms = book_of(state).terms
    sums: dict[Scope, Sum] = {}
    for holder, one in again.by_holder.items():
        for scope in terms.scopes(holder):
            sums.setdefault(scope, Sum()).add(one)
    kept = {scope: one for scope, one in state.held.sums(terms.scopes).items() if one != Sum()}
    if kept != sums:
        raise InvariantBroken(f"sums by scope: {kept} kept, {sums} there")


def there(state: State) -> Holdings:
    """What the jobs hold, job by job."""
    held = Holdings()
    for job in state.jobs.values():
        if isinstance(job.phase, Ended):
            continue
        holder = holder_of(job.spec, job.owner)
        held.submit(holder, 1)
        if isinstance(job.phase, Active):
            held.begin(job.id, running(state.config, job))
    for array in state.arrays.values():
        if array.remaining:
            held.submit(holder_of(array.spec, array.owner), indices.size(array.remaining))
    return held
