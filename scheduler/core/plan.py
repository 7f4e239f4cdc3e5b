"""What a scheduling cycle decides, and which of two decisions is the better one."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.contended import Contended
from packhorse.scheduler.core.preempt.eviction import Eviction
from packhorse.scheduler.core.running_columns import NEVER
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.resources import Placement


class Grant(NamedTuple):
    """The job, or one more task of the array, starts now on these nodes. reservation: that draws it in though
    it names none, "": the one it names, if any."""

    id: JobId
    placements: tuple[Placement, ...]
    reservation: str = ""


class Plan(NamedTuple):
    """What a cycle decided. more: it stopped at max_starts_per_cycle; another one should follow at once.

    planned: the starts it promised to jobs that go on waiting, where an end is in sight. contended: what a
    better plan could be found for, if that was asked. stops: running jobs that have to make room, and for
    whom, as the order says; evictions: the same, as rights do.
    """

    grants: list[Grant]
    planned: dict[JobId, Instant]
    more: bool
    contended: Contended | None = None
    stops: tuple[tuple[JobId, JobId], ...] = ()
    evictions: tuple[Eviction, ...] = ()


def as_good(new: Plan, old: Plan, ids: np.ndarray) -> bool:
    """Whether the first row in order that the two plans treat differently starts more or sooner with the new.

    ids: of the rows, in order `[n]`.
    """
    n_new, n_old = Counter(g.id for g in new.grants), Counter(g.id for g in old.grants)

    def outcome(counts: Counter[JobId], plan: Plan, id: JobId) -> tuple[int, int]:
        return counts[id], -plan.planned.get(id, Instant(NEVER))

    concerned = {*n_new, *n_old, *new.planned, *old.planned}
    differ = [id for id in concerned if outcome(n_new, new, id) != outcome(n_old, old, id)]
    if not differ:
        return True
    first = JobId(int(ids[np.argmax(np.isin(ids, differ))]))
    return outcome(n_new, new, first) > outcome(n_old, old, first)
