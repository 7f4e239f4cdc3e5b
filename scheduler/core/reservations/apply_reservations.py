"""Applying events to reservations."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.state import State
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.errors import InvalidTransition
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.reservation import PURGE_COMP


def reservation_set(state: State, event: ev.ReservationSet) -> None:
    """In its place if there was one of the name, else behind all others."""
    state.reservations[event.reservation.name] = event.reservation
    state.windows.changed(state.reservations, event.at)


def reservation_deleted(state: State, event: ev.ReservationDeleted) -> None:
    if event.name not in state.reservations:
        raise InvalidTransition(event, "no such reservation")
    del state.reservations[event.name]
    state.windows.changed(state.reservations, event.at)


def leave_reservation(state: State, name: str, job: JobId, at: Instant) -> None:
    """The job does not run in it any more. One that goes when nobody uses it counts from now."""
    r = state.reservations.get(name)
    if r is not None and PURGE_COMP in r.flags:
        state.reservations[name] = replace(r, used_at=at)
    state.windows.leave(name, job)
