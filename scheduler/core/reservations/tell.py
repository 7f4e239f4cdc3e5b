"""What a reservation has against a waiting job, in a sentence with its way out."""

from __future__ import annotations

from typing import Final

from packhorse.scheduler.core.ask_classes import AskClass
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.masks import allowed_mask
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.reservations.entitled import may_use
from packhorse.scheduler.core.reservations.window import window
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import ArrayJob, Job
from packhorse.scheduler.model.reservation import MAINT
from packhorse.scheduler.model.units import format_elapsed

_SHORTEST_LIMIT_US: Final = 60 * US
"""Time limits are whole minutes for those who type them."""


def reserved_text(state: State, job: Job | ArrayJob, ask_class: AskClass, now: Instant) -> tuple[Reason, str]:
    """The reason and the sentence; NONE where no reservation is in its way."""
    name = job.spec.reservation
    if name:
        found = _own(state, job, name, now)
        if found:
            return found
    last = state.pending_columns.reason(job.id)
    if last not in (Reason.RESERVED_MAINT, Reason.RESERVED_OTHER):
        return Reason.NONE, ""
    return last, _others(state, job, ask_class, now)


def _own(state: State, job: Job | ArrayJob, name: str, now: Instant) -> tuple[Reason, str] | None:
    r = state.reservations.get(name)
    other = "`scontrol update job ReservationName=` gives it another, or none"
    if r is None:
        return Reason.RESERVATION_DELETED, f'its reservation "{name}" is gone; {other}'
    found = window(r, now)
    if r.bound and now < found.start:
        begins = format_elapsed((found.start - now) // US)
        return Reason.RESERVATION, f'its reservation "{name}" begins in {begins}'
    if r.bound and found.end <= now:
        return Reason.RESERVATION, f'the window of its reservation "{name}" is over; {other}'
    if not may_use(r, holder_of(job.spec, job.owner), state.accounts):
        return Reason.RESERVATION, f'its reservation "{name}" is not for its user, account and QOS; {other}'
    return None


def _others(state: State, job: Job | ArrayJob, ask_class: AskClass, now: Instant) -> str:
    """`n[1-4] in maintenance (maint) in 1:00:00, over in 2:00:00; a time limit of up to 1:00:00 ends before
    that`."""
    board = Field(state.node_columns, empty=True).board
    partition = next((p for p in state.config.partitions if p.name == job.spec.partition), None)
    mask = allowed_mask(board, partition, "", job.spec.ask.nodes_excluded, ask_class.avoid)
    parts, first = [], None
    end = now + job.spec.time_limit_s * US if job.spec.time_limit_s else None
    for r in state.reservations.values():
        found = window(r, now)
        names = [n for n in r.nodes if n in board.position and mask[board.position[n]]]
        if not names or found.end <= now or (end is not None and found.start >= end):
            continue
        what = "in maintenance" if MAINT in r.flags else "reserved"
        when = f"in {format_elapsed((found.start - now) // US)}" if found.start > now else "now"
        until = format_elapsed((found.end - now) // US)
        parts.append(f"{compress_sorted(names)} {what} ({r.name}) {when}, over in {until}")
        if found.start > now:
            first = found.start if first is None else max(first, found.start)
    if first is not None and first - now >= _SHORTEST_LIMIT_US:
        parts.append(f"a time limit of up to {format_elapsed((first - now) // US)} ends before that")
    return "; ".join(parts) or "reserved nodes kept it from starting in the last pass"
