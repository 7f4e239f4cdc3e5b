"""What an estimate of starts goes by, taken from a state in a moment: the rest can be done elsewhere.

Amounts are sums over places, of CPUs, memory and devices. A place is a partition, or the nodes of a
reservation for its jobs of one partition. Licences and limits are pools (core/when/pools.py), windows of
reservations set amounts aside (core/when/aside.py). How amounts lie on nodes and which features a job wants
is left out: what these add to waits is learned from past errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core import order_keys
from packhorse.scheduler.core.active import suspended_us
from packhorse.scheduler.core.batch.samples import Samples
from packhorse.scheduler.core.packing.board import CPU, MEM, SLOTS, Board
from packhorse.scheduler.core.packing.masks import partition_mask
from packhorse.scheduler.core.pending_columns import FOREVER
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.reservations.window import window
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.usage import device_milli
from packhorse.scheduler.core.when.aside import Aside, kept, of_cpus, of_nodes, outside
from packhorse.scheduler.core.when.pools import NO_POOLS, Pools, pools
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active, ArrayJob, Job, Pending
from packhorse.scheduler.model.reservation import MAINT
from packhorse.scheduler.model.resources import WHOLE

KINDS: Final = 3
"""CPUs in thousandths, MiB, and devices in thousandths: for each partition."""


class Rows(NamedTuple):
    """Waiting jobs and arrays in the order in which they are looked at, a value each.

    needs: of one job `[KINDS, n]`. limit_s: the time limit, 0 for none. fit_s: how long it must fit for to
    start. partition: number in Question.partitions. n_jobs: of an array, those that wait, else 1. at_once:
    how many of them may run at a time, 0: all. planned_s: until its planned start, 0 for none. begin_s: until
    its begin time, or its place opens.
    """

    id: list[JobId]
    uid: list[int]
    needs: np.ndarray
    limit_s: list[float]
    fit_s: list[float]
    partition: list[int]
    n_jobs: list[int]
    at_once: list[int]
    planned_s: list[float]
    begin_s: list[float]


class Question(NamedTuple):
    """partitions: the places. capacity, free: of each `[n_partitions, KINDS]`. overlap: which part of a
    place's amounts lies in another `[n_partitions, n_partitions, KINDS]`. masks: nodes of each, those that
    take work and are not set aside for others now `[n_partitions, n_nodes]`. whole: amounts of each node
    `[KINDS, n_nodes]`. running: who runs; jobs: of that moment, by id. aside: what reservations take."""

    now: Instant
    rows: Rows
    partitions: Sequence[str]
    capacity: np.ndarray
    free: np.ndarray
    overlap: np.ndarray
    masks: np.ndarray
    whole: np.ndarray
    position: Mapping[NodeName, int]
    running: tuple[JobId, ...]
    jobs: Mapping[JobId, Job]
    samples: Samples
    pools: Pools = NO_POOLS
    aside: Sequence[Aside] = ()


def question(state: State, now: Instant) -> Question:
    """A copy of what matters. Costs about as much as a pass that starts nothing."""
    pending, columns = state.pending_columns, state.node_columns
    rules, board = pending.rules(state.config), columns.board()
    key_of = order_keys.key_of(state, now)
    ordered = pending.ordered(state.config, now, state.usage, board.totals, key_of)
    later = np.flatnonzero((pending.id > 0) & (pending.reason_code == Reason.BEGIN_TIME.code))
    slots = np.concatenate([ordered, np.setdiff1d(later, ordered)]).astype(np.intp)
    codes = np.unique(pending.partition[slots]).tolist()
    names = [pending.partitions[code] for code in codes]
    up = columns.schedulable[board.order] if board.n else np.zeros(0, dtype=np.bool_)
    masks = np.array(
        [partition_mask(board, rules.partitions.get(name)) & up for name in names], dtype=np.bool_
    )
    masks = masks.reshape(len(names), board.n)
    whole, free = _amounts(state, board)
    part = np.searchsorted(codes, pending.partition[slots])
    places = _Places(names, masks, part, np.zeros(part.size))
    if state.reservations:
        places = _reserved(state, slots, places, board, whole, now)
    capacity = (whole @ places.masks.T).T
    apart = places.masks.astype(np.float64)
    both = np.einsum("pn,qn,kn->pqk", apart, apart, whole)
    overlap = np.divide(both, capacity[:, None], out=np.zeros_like(both), where=capacity[:, None] > 0)
    if len(places.names) > len(names):
        overlap[: len(names), len(names) :] = overlap[len(names) :, : len(names)] = 0.0
    rows = _rows(state, slots, ordered.size, places, capacity, now)
    empty = (whole @ (places.masks & ~places.open).T).T if places.closed is not None else 0.0
    return Question(
        now,
        rows,
        places.names,
        capacity,
        (free @ places.open.T).T + empty,
        overlap,
        places.open,
        whole,
        board.position,
        state.running_columns.jobs(),
        state.jobs.copy(),
        state.history.samples.copy(),
        pools(state, slots, now),
        places.aside,
    )


class _Places(NamedTuple):
    """Names and masks `[n_partitions, n_nodes]`. part: of each row; begin_s: when its place opens. closed: of
    the masks what is not open now, None for nothing."""

    names: list[str]
    masks: np.ndarray
    part: np.ndarray
    begin_s: np.ndarray
    aside: tuple[Aside, ...] = ()
    closed: np.ndarray | None = None

    @property
    def open(self) -> np.ndarray:
        """The masks without what is set aside for others now."""
        return self.masks if self.closed is None else self.masks & ~self.closed


def _reserved(
    state: State, slots: np.ndarray, before: _Places, board: Board, whole: np.ndarray, now: Instant
) -> _Places:
    """With reservations: their windows, and places of their own for their jobs."""
    pending, found = state.pending_columns, kept(state.reservations, board, now)
    names, masks, part, begin_s = list(before.names), list(before.masks), before.part.copy(), before.begin_s
    aside = of_nodes(found, before.masks, whole) + of_cpus(state, board, before.masks, now, KINDS)
    closed = np.zeros(board.n, dtype=np.bool_)
    for one in found:
        closed |= one.closed
    number: dict[tuple[int, str], int] = {}
    by_name = {one.reservation.name: one for one in found if one.reservation.bound}
    for i, slot in enumerate(slots.tolist()) if pending.reserved else ():
        own = by_name.get(pending.reserved.get(int(pending.ask_class[slot]), ""))
        if own is None:
            continue
        key = (int(part[i]), own.reservation.name)
        if key not in number:
            number[key] = len(names)
            names.append(f"{names[key[0]]} in {key[1]}")
            masks.append(masks[key[0]] & own.nodes)
            aside.append(outside(own, number[key], whole @ masks[-1]))
        part[i], begin_s[i] = number[key], own.begin_s
    rows = [closed] * len(before.names) + [np.zeros_like(closed)] * len(number)
    of_others = np.array(rows, dtype=np.bool_)  # of none too
    all_masks = np.array(masks, dtype=np.bool_).reshape(len(names), board.n)
    return _Places(names, all_masks, part, begin_s, tuple(aside), of_others.reshape(all_masks.shape))


def _amounts(state: State, board: Board) -> tuple[np.ndarray, np.ndarray]:
    """Of each node on the board: all that it has, and what is free `[KINDS, n_nodes]`."""
    free = state.node_columns.free[:, board.order]
    devices = (board.type_of >= 0).sum(axis=0) * 1000.0 if board.n_slots else np.zeros(board.n)
    unused = free[board.slot_columns].sum(axis=0) * (1000 / WHOLE) if board.n_slots else np.zeros(board.n)
    whole = np.stack([board.capacity[CPU], board.capacity[MEM], devices]).astype(np.float64)
    left = np.maximum(np.stack([free[CPU], free[MEM], unused]), 0).astype(np.float64)
    return whole, np.where(free[SLOTS] > 0, left, 0.0)


def _rows(
    state: State,
    slots: np.ndarray,
    n_ready: int,
    places: _Places,
    capacity: np.ndarray,
    now: Instant,
) -> Rows:
    pending = state.pending_columns
    part, masks = places.part, places.masks
    classes = pending.ask_class[slots]
    each = capacity / np.maximum(masks.sum(axis=1), 1)[:, None]
    needs = np.maximum(pending.wants[:, classes], pending.own_nodes[classes] * each[part].T)
    # Counted devices are in no sum: nobody waits for them here.
    needs[2] = np.where(capacity[part, 2] > 0, needs[2], 0.0)
    limit_us, fit_us = pending.duration_us[slots], pending.run_us(slots, state.config.predictor)
    ids = [JobId(id) for id in pending.id[slots].tolist()]
    planned = pending.planned_at[slots]
    planned_s = np.where(planned > now, (planned - now) / US, 0.0)
    # What waits for maintenance to be over does not start before it, however much is free until then.
    kept_out = pending.reason_code[slots[:n_ready]] == Reason.RESERVED_MAINT.code
    over_s = np.where(planned_s[:n_ready] > 0, planned_s[:n_ready], _maintained_s(state, now))
    begin_s = np.where(kept_out, over_s, places.begin_s[:n_ready]).tolist()
    return Rows(
        ids,
        pending.uid[slots].tolist(),
        needs,
        np.where(limit_us == FOREVER, 0, limit_us / US).tolist(),
        (np.minimum(fit_us, FOREVER) / US).tolist(),
        part.tolist(),
        np.maximum(pending.count[slots], 1).tolist(),
        [
            _at_once(state, id) if room >= 0 else 0
            for id, room in zip(ids, pending.room[slots].tolist(), strict=True)
        ],
        planned_s.tolist(),
        begin_s + [_begins_in_s(state, id, now) for id in ids[n_ready:]],
    )


def _maintained_s(state: State, now: Instant) -> float:
    """Until the first maintenance that is under way or to come is over, 0 where there is none."""
    ends = [window(r, now).end for r in state.reservations.values() if MAINT in r.flags]
    return min(((end - now) / US for end in ends if end > now), default=0.0)


def _waiter(state: State, id: JobId) -> Job | ArrayJob:
    return state.jobs.get(id) or state.arrays[id]


def _at_once(state: State, id: JobId) -> int:
    waiter = _waiter(state, id)
    return waiter.array.limit if isinstance(waiter, ArrayJob) else 0


def _begins_in_s(state: State, id: JobId, now: Instant) -> float:
    phase = _waiter(state, id).phase
    return max((phase.begin_at - now) / US, 0.0) if isinstance(phase, Pending) else 0.0


class Runs(NamedTuple):
    """Running jobs: owner, limit (0: none), how long they have run, what they hold of each place
    `[n_partitions, KINDS, n]`, and their numbers."""

    uid: list[int]
    limit_s: list[float]
    passed_s: list[float]
    amounts: np.ndarray
    id: list[JobId]


def runs(question: Question) -> Runs:
    """What runs and will let go of something. Takes about 5 us for each placement."""
    position, masks = question.position, question.masks
    uids: list[int] = []
    limits: list[float] = []
    passed: list[float] = []
    held: list[np.ndarray] = []
    ids: list[JobId] = []
    for id in question.running:
        job = question.jobs[id]
        phase = job.phase
        if not isinstance(phase, Active):
            continue
        amounts = np.zeros((len(question.partitions), KINDS))
        for placement in phase.placements:
            at = position.get(placement.node)
            if at is not None:
                own = (placement.cpu_milli, placement.mem_mib, device_milli(placement))
                amounts += masks[:, at, None] * (question.whole[:, at] if job.spec.ask.exclusive else own)
        if amounts.any() or id in question.pools.running:
            ids.append(id)
            uids.append(job.owner.uid)
            limits.append(float(job.spec.time_limit_s))
            stood_us = suspended_us(phase, question.now)
            passed.append(max((question.now - (phase.started_at or phase.granted_at) - stood_us) / US, 0.0))
            held.append(amounts)
    shape = (len(uids), len(question.partitions), KINDS)
    return Runs(uids, limits, passed, np.moveaxis(np.array(held).reshape(shape), 0, 2), ids)
