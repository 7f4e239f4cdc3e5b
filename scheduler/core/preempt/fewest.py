"""Which of those that could leave do: those that cost least, and nobody in vain.

First greedily: the cheapest, one after the other, until there is room, and then away again with everybody,
the dearest first, without whom there still is. What is left is minimal: without any one of them there is no
room. Then all cheaper choices are tried in order of their cost, as long as the budget lasts, so that small
cases come out with the best answer there is (the sums of subsets in order: a heap in which a choice is
followed by the two that add the next candidate to it, or take it in place of its last).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Protocol

from packhorse.scheduler.core.preempt.effort import Effort


class Trial(Protocol):
    """Candidates by number. Who has left is out; the trial says whether that makes room. With more of them
    out there is not less room."""

    def leave(self, i: int) -> None:
        """The candidate is out."""

    def stay(self, i: int) -> None:
        """It is not, after all."""

    def may(self, members: Sequence[int]) -> bool:
        """Whether these could be enough; True where that is not seen at a glance. For nobody else is out."""

    def room(self) -> bool:
        """Whether there is room with those out who are."""


def fewest(
    trial: Trial, costs: Sequence[int], budget: int, below: int | None = None, effort: Effort | None = None
) -> list[int] | None:
    """Candidates that have to leave, ascending; None if there is no room even without all of them.

    costs: of the candidates, ascending, at least 0. budget: how many other choices may be tried. below:
    only such that cost no more than that are of interest beside the greedy one. effort: without any left no
    other choice is tried. Whoever was
    out when this was called stays out; in the end nobody else is.
    """
    n = len(costs)
    for i in range(n):
        trial.leave(i)
    if not trial.room():
        _all_stay(trial, range(n))
        return None
    chosen = _greedy(trial, n)
    _all_stay(trial, chosen)
    return _cheaper(trial, costs, chosen, budget, below, effort) or chosen


def _greedy(trial: Trial, n: int) -> list[int]:
    """All n are out. Those that are left out: a minimal choice."""
    low, high = 0, n  # the first `high` make room, fewer than `low` do not
    out = n
    while low < high:
        middle = (low + high) // 2
        for i in range(out, middle):
            trial.leave(i)
        for i in range(middle, out):
            trial.stay(i)
        out = middle
        if trial.room():
            high = middle
        else:
            low = middle + 1
    for i in range(out, high):
        trial.leave(i)
    chosen: list[int] = []
    width = 1
    while high:  # so many at a time stay as still leave room: the same as one by one, with fewer trials
        some = range(max(high - width, 0), high)
        _all_stay(trial, some)
        if trial.room():
            high, width = some.start, 2 * width
            continue
        for i in some:
            trial.leave(i)
        if len(some) == 1:
            chosen.append(some.start)
            high = some.start
        width = max(len(some) // 2, 1)
    return chosen[::-1]


def _cheaper(
    trial: Trial,
    costs: Sequence[int],
    chosen: list[int],
    budget: int,
    below: int | None,
    effort: Effort | None,
) -> list[int] | None:
    """The cheapest choice that makes room, by cost, number and place; None if it is the one chosen, or nobody
    knows."""
    best = (sum(costs[i] for i in chosen), len(chosen), tuple(chosen))
    heap: list[tuple[int, int, tuple[int, ...]]] = [(costs[0], 1, (0,))] if chosen else []
    while heap and heap[0] < best and budget and (below is None or heap[0][0] <= below):
        if effort is not None and effort.is_spent:
            return None
        cost, size, members = heapq.heappop(heap)
        budget -= 1
        if trial.may(members):
            for i in members:
                trial.leave(i)
            enough = trial.room()
            _all_stay(trial, members)
            if enough:
                return list(members)
        last = members[-1]
        if last + 1 < len(costs):
            heapq.heappush(heap, (cost + costs[last + 1], size + 1, (*members, last + 1)))
            heapq.heappush(heap, (cost - costs[last] + costs[last + 1], size, (*members[:-1], last + 1)))
    return None


def _all_stay(trial: Trial, members: Sequence[int]) -> None:
    for i in members:
        trial.stay(i)
