"""What time alone does to reservations: one whose window is over goes, or moves on if it repeats.

Its jobs are stopped then, as at their time limit (Slurm's ResvOverRun is how long they may run on), unless it
is flexible. Jobs that wait for one that is gone are left waiting for it, as Slurm holds them, or are let go
where the flag says so.
"""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.decision import Draft
from packhorse.scheduler.core.lifecycle import stop
from packhorse.scheduler.core.reservations.windows import next_of, over_at
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.event import JobUpdated, ReservationDeleted, ReservationSet
from packhorse.scheduler.model.ids import UNKNOWN, JobId
from packhorse.scheduler.model.job import Active, ArrayJob, EndCause, Job
from packhorse.scheduler.model.reservation import NO_HOLD_JOBS, Reservation


def end_reservations(draft: Draft) -> None:
    """Those that are over by now."""
    state, over_run_s = draft.state, draft.state.config.resv_over_run_s
    for r in list(state.reservations.values()):
        if over_at(r, over_run_s, r.name in state.windows.inside) > draft.now:
            continue
        if r.bound:
            _stop_jobs(draft, r)
        following = next_of(r, draft.now)
        if following is not None:
            draft.events.append(ReservationSet(draft.now, replace(following, used_at=UNKNOWN)))
        else:
            remove(draft, r, -1)


def remove(draft: Draft, r: Reservation, by: int) -> None:
    """The reservation goes. by: uid, -1 for its end."""
    draft.events.append(ReservationDeleted(draft.now, r.name, by))
    if NO_HOLD_JOBS in r.flags:
        for waiter in _waiting_for(draft.state, r.name):
            draft.events.append(JobUpdated(draft.now, waiter.id, replace(waiter.spec, reservation=""), by))


def _stop_jobs(draft: Draft, r: Reservation) -> None:
    for id in draft.state.windows.inside.get(r.name, ()):
        job = draft.state.jobs[id]
        assert isinstance(job.phase, Active)
        if job.phase.ending is None:
            stop(draft, job, job.phase, EndCause.TIME_LIMIT)


def _waiting_for(state: State, name: str) -> list[Job | ArrayJob]:
    """Jobs and arrays that wait with this reservation, in order of id."""
    pending = state.pending_columns
    codes = {code for code, wanted in pending.reserved.items() if wanted == name}
    ids = [
        int(id)
        for id, code in zip(pending.id.tolist(), pending.ask_class.tolist(), strict=True)
        if id and code in codes
    ]
    found: list[Job | ArrayJob] = []
    for id in sorted(ids):
        waiter = state.jobs.get(JobId(id)) or state.arrays.get(JobId(id))
        assert waiter is not None
        found.append(waiter)
    return found
