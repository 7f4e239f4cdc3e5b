"""Invariants of who holds what, and of limits: stated once more, from the jobs alone.

What is counted is what is there. Limits are no invariant of a state by itself, since one may be lowered under
running work: `exceeded` says which are passed now, and whoever knows two states in a row (the stateful
machine, the simulator) requires that a pass made none of that.
"""

from __future__ import annotations

from packhorse.scheduler.core.accounts.held import Scope, Sum
from packhorse.scheduler.core.accounts.holding import counted
from packhorse.scheduler.core.accounts.quota import book_of
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.errors import InvariantBroken


def check_limits(state: State) -> None:
    """Raises InvariantBroken where the sums are not those of the jobs."""
    again = counted(state)
    if again != state.held:
        raise InvariantBroken(f"held: {state.held.by_holder} counted, {again.by_holder} there")
    terms = book_of(state).terms
    sums: dict[Scope, Sum] = {}
    for holder, one in again.by_holder.items():
        for scope in terms.scopes(holder):
            sums.setdefault(scope, Sum()).add(one)
    kept = {scope: one for scope, one in state.held.sums(terms.scopes).items() if one != Sum()}
    if kept != sums:
        raise InvariantBroken(f"sums by scope: {kept} kept, {sums} there")
