"""Who is ahead of a waiting job, and with what."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.priority import BASE_PRIORITY, base_priority
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.why.change import Waiter, name_of
from packhorse.scheduler.core.why.prefix import Ahead
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


def queue(state: State, waiter: Waiter, ahead: Ahead) -> Queue:
    """ahead: the pass up to the job, on any copy of the state."""
    pending = ahead.pending
    own = priority_of(state, waiter)
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
    first = [_before(state, waiter, own, state.jobs.get(id) or state.arrays[id]) for id in ids]
    return Queue(n, int(np.unique(pending.uid[slots]).size), tuple(first), own)


def priority_of(state: State, waiter: Waiter) -> int:
    """The number that `squeue` shows."""
    partition = next((p for p in state.config.partitions if p.name == waiter.spec.partition), None)
    return base_priority(waiter.spec, partition)


def standing(state: State, waiter: Waiter) -> tuple[str, ...]:
    """What its priority is made of."""
    spec = waiter.spec
    if spec.priority is not None:
        return (f"priority {spec.priority}, given to it by an administrator",)
    partition = next((p for p in state.config.partitions if p.name == spec.partition), None)
    terms = [f"{BASE_PRIORITY} of every job"]
    if partition is not None and partition.priority:
        terms.append(f"{partition.priority:+} of partition {partition.name}")
    if spec.nice:
        terms.append(f"{-spec.nice:+} by its nice value")
    text = f"priority {priority_of(state, waiter)}: {', '.join(terms)}"
    if partition is not None and any(
        p.priority_tier != partition.priority_tier for p in state.config.partitions
    ):
        text += f"; jobs of partitions with a tier above {partition.priority_tier} come first"
    return (text,)


def _before(state: State, waiter: Waiter, own: int, other: Waiter) -> Before:
    spec = other.spec
    priority = priority_of(state, other)
    planned = state.pending_columns.planned(other.id) if other.id in state.pending_columns else Instant(0)
    because = _because(waiter, own, other, priority)
    return Before(name_of(other), other.owner.user, spec.account, spec.qos, priority, because, planned)


def _because(waiter: Waiter, own: int, other: Waiter, priority: int) -> str:
    parts = []
    if priority > own:
        parts.append(f"priority {priority} against {own}")
    if other.spec.qos != waiter.spec.qos:
        parts.append(f"QOS {other.spec.qos}")
    if not parts and other.id < waiter.id:
        parts.append("came earlier")
    return ", ".join(parts) or "by the order of the queue"
