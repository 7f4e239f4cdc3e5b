"""Who is looked at before others because of its rights.

Jobs that others make room for come first, until they have started or the room was kept for too long. Where
both wait, a job takes the place of one that would have to make room for it at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import Instant, JobId


class Swap(NamedTuple):
    """The row takes the place of the first of the others, which all go behind where it was."""

    id: JobId
    behind: tuple[JobId, ...]


def first(state: State, order: np.ndarray, now: Instant) -> tuple[np.ndarray, int]:
    """The order of rows `[n]` with those in front for which room is kept, and how many these are."""
    ids = [id for id in state.preempting.claims if state.jobs[id].room_until > now]
    claimed = np.isin(state.pending_columns.id[order], ids)
    n = int(claimed.sum())
    return (np.concatenate([order[claimed], order[~claimed]]), n) if n else (order, 0)


def swapped(state: State, order: np.ndarray, swaps: Sequence[Swap]) -> np.ndarray:
    """The order of rows `[n]` with these changes made, one after the other."""
    ids = state.pending_columns.id[order].tolist()
    places = list(range(len(ids)))
    for swap in swaps:
        gone = {swap.id, *swap.behind}
        first = next(i for i, place in enumerate(places) if ids[place] in swap.behind)
        last = next(i for i, place in enumerate(places) if ids[place] == swap.id)
        own = places[last]
        behind = [place for place in places[:last] if ids[place] in swap.behind]
        between = [place for place in places[first:last] if ids[place] not in gone]
        places[first : last + 1] = [own, *between, *behind]
    return order[np.array(places, dtype=np.intp)]
