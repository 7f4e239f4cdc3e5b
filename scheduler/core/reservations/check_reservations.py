"""Invariants of reservations: nobody stands in a window without a right to, and it is known who runs in
which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from packhorse.scheduler.core.reservations.entitled import intrudes
from packhorse.scheduler.core.reservations.windows import over_at
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active, Job
from packhorse.scheduler.model.reservation import Reservation


def check_reservations(state: State) -> None:
    """Raises InvariantBroken with the first contradiction found."""
    active = [job for job in state.jobs.values() if isinstance(job.phase, Active)]
    inside: dict[str, dict[JobId, None]] = {}
    for job in active:
        assert isinstance(job.phase, Active)
        if job.phase.reservation:
            inside.setdefault(job.phase.reservation, {})[job.id] = None
        name = intruded(job, job.phase, state.reservations)
        if name:
            raise InvariantBroken(f"job {job.id} has no right to the nodes of reservation {name}")
    for name, r in state.reservations.items():
        _check_one(state, name, r, active)
    if {name: set(jobs) for name, jobs in inside.items()} != {
        name: set(jobs) for name, jobs in state.windows.inside.items()
    }:
        raise InvariantBroken(f"inside reservations are {inside}, known are {state.windows.inside}")
    due = state.windows.due(state.reservations, state.config)
    over_run_s = state.config.resv_over_run_s
    first = [over_at(r, over_run_s, name in inside) for name, r in state.reservations.items()]
    if due != min(first, default=None):
        raise InvariantBroken(f"reservations are over at {first}, due is {due}")


def intruded(job: Job, active: Active, reservations: dict[str, Reservation]) -> str:
    """Name of the reservation whose whole nodes the running job stands on in a window, by its time limit,
    without a right to; "" for none.

    A pure function of one job and the reservations that there are, for whoever verifies a run.
    """
    inside = reservations.get(active.reservation)
    for r in reservations.values():
        if intrudes(active, job.spec.time_limit_s, r, inside):
            return r.name
    return ""


def _check_one(state: State, name: str, r: Reservation, active: Iterable[Job]) -> None:
    if r.name != name or r.end_at <= r.start_at or (r.cpu_milli and len(r.cpu_milli) != len(r.nodes)):
        raise InvariantBroken(f"reservation {name} is {r}")
    if r.cpu_milli and r.bound:
        _check_claims(state, r, active)


def _check_claims(state: State, r: Reservation, active: Iterable[Job]) -> None:
    """Of CPUs that are set aside others leave enough, if they came after it; its own jobs take no more."""
    claimed = dict(zip(r.nodes, r.cpu_milli, strict=True))
    own: Counter[NodeName] = Counter()
    others: Counter[NodeName] = Counter()
    newest: dict[NodeName, Instant] = {}
    for job in active:
        phase = job.phase
        assert isinstance(phase, Active)
        if phase.ending is not None or phase.suspended_at:
            continue
        limit_us = job.spec.time_limit_s * US
        meets = phase.granted_at < r.end_at and not (
            limit_us and phase.granted_at + limit_us + phase.suspended_us <= r.start_at
        )
        for p in phase.placements:
            if p.node in claimed and phase.reservation == r.name:
                own[p.node] += p.cpu_milli
            elif p.node in claimed and meets:
                others[p.node] += p.cpu_milli
                newest[p.node] = max(newest.get(p.node, phase.granted_at), phase.granted_at)
    for node, n in claimed.items():
        spec, since = state.nodes[node], max(r.created_at, state.nodes[node].registered_at)
        if own[node] > n:
            raise InvariantBroken(f"reservation {r.name} has {n} CPU of {node}, its jobs {own[node]}")
        if newest.get(node, Instant(0)) > since and others[node] + n > spec.spec.cpu_milli:
            raise InvariantBroken(f"others have {others[node]} CPU of {node}, reservation {r.name} {n}")
