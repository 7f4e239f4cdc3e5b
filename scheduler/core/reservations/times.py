"""Windows of reservations that are over, for reports: a row for each, with what it was in the end.

Like accounting rows (core/accounting.py) they are made with the state as it was before the event.
"""

from __future__ import annotations

from packhorse.scheduler.core.state import State
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.accounting import ReservationRow
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.gresspec import parse_licenses
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.reservation import Reservation
from packhorse.scheduler.model.tres import CPU, NODE, format_tres, make_tres, node_amounts


def reservation_rows(state: State, event: Event) -> tuple[ReservationRow, ...]:
    """What ends with this event: a deletion, or a window that makes way for the next one."""
    if isinstance(event, ev.ReservationDeleted):
        name = event.name
    elif isinstance(event, ev.ReservationSet) and _moves_on(state, event):
        name = event.reservation.name
    else:
        return ()
    found = state.reservations.get(name)
    return window_row(state, found, event.at) if found is not None else ()


def _moves_on(state: State, event: ev.ReservationSet) -> bool:
    """Whether the window makes way for the next one. What a person changes is what the window was, and so are
    nodes that took the place of others."""
    old = state.reservations.get(event.reservation.name)
    return event.by < 0 and old is not None and old.start_at != event.reservation.start_at


def window_row(state: State, r: Reservation, until: Instant) -> tuple[ReservationRow, ...]:
    """The window up to then, nothing if it has not begun."""
    until = min(until, r.end_at)
    if until <= r.start_at:
        return ()
    return (
        ReservationRow(
            r.name,
            compress_sorted(r.nodes),
            _tres(state, r),
            ",".join(r.flags),
            ",".join(r.users),
            ",".join(r.accounts),
            r.start_at,
            until,
        ),
    )


def _tres(state: State, r: Reservation) -> str:
    """What it sets aside: whole nodes with their memory and devices, or CPUs of them."""
    amounts = [(f"license/{name}", n) for name, n in parse_licenses(r.licenses)]
    amounts += [(CPU, cpu) for cpu in r.cpu_milli]
    amounts.append((NODE, len(r.nodes)))
    for name in () if r.cpu_milli else r.nodes:
        node = state.nodes.get(name)
        if node is not None:
            amounts += node_amounts(node.spec)
    return format_tres(make_tres(amounts))
