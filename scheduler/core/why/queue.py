"""Who is ahead of a waiting job, and with what."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.names import name_of
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.why.change import Waiter
from packhorse.scheduler.core.why.prefix import Ahead
from packhorse.scheduler.core.why.standing import because, priority_of
from packhorse.scheduler.model.ids import Instant, JobId

SHOWN = 3
"""Of those ahead, the first ones."""


class Before(NamedTuple):
    """One job ahead. priority: the number that `squeue` shows. because: what puts it ahead. planned: its
    promised start, 0 for none."""

    name: str
    user: str
    account: str
    qos: str
    priority: int
    because: str
    planned: Instant


class Queue(NamedTuple):
    """n: how many jobs of the same partition that could run are ahead, tasks of arrays one by one.
    n_users: of how many users. first: the first of them. priority: the job's own."""

    n: int
    n_users: int
    first: tuple[Before, ...]
    priority: int


def queue(state: State, waiter: Waiter, ahead: Ahead, now: Instant) -> Queue:
    """state: the copy that the pass up to the job, `ahead`, was made on."""
    pending = ahead.pending
    own = priority_of(state, waiter, now)
    slots = ahead.before
    able = pending.demands.verdict[pending.ask_class[slots]] == Reason.NONE.code
    if waiter.spec.partition in pending.partitions:
        able &= pending.partition[slots] == pending.partitions.index(waiter.spec.partition)
    slots = slots[able]
    if not slots.size:
        return Queue(0, 0, (), own)
    count, room = pending.count[slots], pending.room[slots]
    n = int(np.where(room < 0, count, np.minimum(count, room)).sum())
    ids = [JobId(id) for id in pending.id[slots[:SHOWN]].tolist()]
    first = [_before(state, waiter, state.jobs.get(id) or state.arrays[id], now) for id in ids]
    return Queue(n, int(np.unique(pending.uid[slots]).size), tuple(first), own)


def _before(state: State, waiter: Waiter, other: Waiter, now: Instant) -> Before:
    spec = other.spec
    priority = priority_of(state, other, now)
    planned = state.pending_columns.planned(other.id) if other.id in state.pending_columns else Instant(0)
    why = because(state, waiter, other, now)
    return Before(name_of(other), other.owner.user, spec.account, spec.qos, priority, why, planned)
