"""Whether a job may name a reservation, and whether a running one may run for longer."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.reservations.entitled import intrudes, may_use
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.ids import UNKNOWN, Instant
from packhorse.scheduler.model.job import Active, Job, JobSpec, Owner
from packhorse.scheduler.model.reply import RefusalCode, Refused

INVALID = "Requested reservation is invalid"
DENIED = "Access denied to requested reservation"


def check_reservation(state: State, owner: Owner, spec: JobSpec, now: Instant) -> Refused | None:
    """None if there is such a reservation, it is not over, and jobs on this name may use it."""
    name = spec.reservation
    r = state.reservations.get(name)
    if r is None or (r.end_at <= now and not r.repeat):
        known = ", ".join(other for other in state.reservations if other != name) or "none"
        what = "does not exist" if r is None else "is over"
        message = f'reservation "{name}" {what}; others that exist: {known}'
        return Refused(RefusalCode.INVALID, message, INVALID)
    if not may_use(r, holder_of(spec, owner), state.accounts):
        message = (
            f'reservation "{name}" is not for user {owner.user} with account "{spec.account}" and QOS '
            f'"{spec.qos}"; `scontrol show reservation {name}` says for whom it is'
        )
        return Refused(RefusalCode.DENIED, message, DENIED)
    return None


def check_longer(state: State, job: Job, limit_s: int) -> Refused | None:
    """None unless the running job would stand in others' reservation with this time limit, and does not with
    its own."""
    active = job.phase
    assert isinstance(active, Active)
    inside = state.reservations.get(active.reservation)
    for found in state.reservations.values():
        r = replace(found, created_at=UNKNOWN)
        with_own = intrudes(active, job.spec.time_limit_s, r, inside)
        if not with_own and intrudes(active, limit_s, r, inside):
            message = f'runs on nodes of reservation "{r.name}", and would still do so when that begins; '
            message += "give it less time, or the reservation other nodes"
            return Refused(
                RefusalCode.IMPOSSIBLE, message, "Job can not start due to maintenance reservation."
            )
    return None
