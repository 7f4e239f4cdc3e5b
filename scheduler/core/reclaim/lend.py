"""The second pass of a cycle: stoppable jobs for which there is no ordinary room, into memory that is lent.

A field in which each node has what is free and what may be lent there. CPUs, devices and scratch space are
ordinary ones. At planned starts nothing of it is lent: whoever runs past that of another job needs ordinary
room by then, so that none is delayed, also where a lender ends and its loans become ordinary memory of the
borrower. Best fit, whatever the policy. Jobs that take all of a node's CPUs or memory do not borrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec.structs import replace

from packhorse.scheduler.core.backfill import Planned
from packhorse.scheduler.core.packing.board import MEM
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.greedy import place
from packhorse.scheduler.core.packing.request import Batch, Parts, Request
from packhorse.scheduler.core.reclaim.lending import (
    fresh_since,
    left_to_lend,
    refresh,
    switched_off,
)
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import Instant, JobId, NodeName
from packhorse.scheduler.model.loan import Loan
from packhorse.scheduler.model.resources import Placement


def lendable(state: State, now: Instant) -> np.ndarray | None:
    """MiB that may be lent on each node, by position on the board `[n_nodes]`; None if nothing is, or nobody
    waits for it. Nothing where a node has not reported lately, or is short; and nowhere more than was free
    then, less what has been lent since."""
    config = state.config.reclaim
    if not config.enabled or not state.pending_columns.n_ready_of(config.stoppable_qos):
        return None
    refresh(state)
    book, board = state.reclaim, state.node_columns.board()
    book.room_for(state.node_columns.n_rows)
    order = board.order
    mib = book.lendable[order]
    if not mib.any():
        return None
    mem = board.capacity[MEM]
    floor = np.maximum(mem * config.floor_percent // 100, config.floor_mib)
    since = np.maximum(book.lent[order] - book.lent_seen[order], 0)
    mib = np.minimum(mib, np.maximum(book.free_seen[order] - floor - since, 0))
    mib[
        (book.seen_at[order] < fresh_since(now)) | book.short[order] | ~state.node_columns.schedulable[order]
    ] = 0
    return mib if mib.any() else None


class LentRoom:
    """What is free now, `field`, with what may be lent; lendable: as above."""

    def __init__(self, state: State, ordinary: Field, lendable: np.ndarray) -> None:
        self.lendable = lendable
        self.field = field = ordinary.copy(state.node_columns)
        field.free[MEM] += lendable
        for layer in field.layers:
            layer.room = field.free.copy()
        field.see_layers()
        live = np.flatnonzero((lendable > 0) & field.up)
        field.live = live

    def place(self, request: Request, end: int, own: Planned | None = None) -> Batch | None:
        """One job that ends then, with its placements saying what is lent; None if it does not fit.

        own: its planned start, which is void once it starts now and so does not stand in its way.
        """
        if own is None:
            return self._place(request, end)
        self._set_free(own, 1)
        batch = self._place(request, end)
        if batch is None:
            self._set_free(own, -1)
        return batch

    def _set_free(self, planned: Planned, sign: int) -> None:
        """What the planned job would take is free after all; sign -1: no, it is not."""
        field = self.field
        for layer in field.layers:
            if not planned.start <= layer.start < planned.end:
                continue
            for position, pairs in planned.taken:
                free = layer.free[position]
                for resource, amount in pairs:
                    free[resource] += sign * amount
                if field.board.n_slots:
                    field.board.settle_one(free, position, field.slices_of(position))
        field.see_layers()

    def _place(self, request: Request, end: int) -> Batch | None:
        field = self.field
        found = place(field, request, 1, field.layer_of(end))
        if not found:
            return None
        parts = found[0].parts
        placements, taken = [], []
        for placement, (position, pairs) in zip(parts.placements, parts.taken, strict=True):
            n = self._lent(position, placement.mem_mib)
            self.lendable[position] -= n
            placements.append(replace(placement, lent_mib=n) if n else placement)
            taken.append((position, [(r, amount - n if r == MEM else amount) for r, amount in pairs]))
        return Batch(Parts(tuple(placements), tuple(taken)), 1)

    def _lent(self, position: int, mem_mib: int) -> int:
        """How much of the memory that was just taken there is lent: what ordinary room has not."""
        ordinary = int(self.field.free[MEM, position]) + mem_mib - int(self.lendable[position])
        return min(max(mem_mib - max(ordinary, 0), 0), int(self.lendable[position]))


class Lenders:
    """Who lends to the jobs that start in one cycle."""

    def __init__(self, state: State, now: Instant) -> None:
        self.state = state
        self.now = now
        self.left: dict[NodeName, dict[JobId, int]] = {}

    def loans(self, placements: tuple[Placement, ...]) -> tuple[Loan, ...] | None:
        """The loans that make up what is lent of these; None if there is not that much."""
        wanted = [(p.node, p.lent_mib) for p in placements if p.lent_mib]
        for name, n in wanted:
            if sum(self._left(name).values()) < n:
                return None
        return tuple(loan for name, n in wanted for loan in self._take(name, n))

    def _left(self, name: NodeName) -> dict[JobId, int]:
        found = self.left.get(name)
        if found is None:
            found = self.left[name] = left_to_lend(self.state, name)
        return found

    def _take(self, name: NodeName, n: int) -> Iterator[Loan]:
        left = self._left(name)
        for lender in sorted(left, key=lambda id: (-left[id], id)):
            part = min(n, left[lender])
            if part > 0:
                left[lender] -= part
                n -= part
                yield Loan(lender, name, part, self.now)


def may_borrow(state: State, partitions: Sequence[str]) -> np.ndarray:
    """In which of these partitions jobs may borrow now, others aside: all of their rows at once."""
    closed = {*state.config.reclaim.no_borrow, *(s.name for s in state.lending_off if s.kind == "partition")}
    return np.array([name not in closed for name in partitions], dtype=np.bool_)


def barred(state: State, id: JobId, now: Instant) -> bool:
    """Whether the waiting job may not borrow now: switched off, or stopped a short while ago."""
    waiter = state.jobs.get(id) or state.arrays[id]
    if switched_off(state, waiter.spec):
        return True
    job = state.jobs.get(id)
    if job is None or job.borrow_after <= now:
        return False
    book = state.reclaim
    if not book.wake_at or job.borrow_after < book.wake_at:
        book.wake_at = job.borrow_after
    return True
