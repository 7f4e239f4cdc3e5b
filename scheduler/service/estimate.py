"""`sbatch --test-only`: what would become of a submission, tried on a copy of the state that is thrown away.

The copy holds what runs and the jobs that would go first, gets the submission, and runs one cycle that plans
far ahead: the start that is promised if all jobs use their time limits, as Slurm tells it. Beside that
stands when the job is expected to start (core/when), which knows how long jobs run. Of a long queue both know
only the front.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Set
from typing import NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.core import order_keys
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.cycle import plan
from packhorse.scheduler.core.rebuild import rebuild
from packhorse.scheduler.core.state import Frozen, State
from packhorse.scheduler.core.step import step
from packhorse.scheduler.core.when import note
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.input import Submit, SubmitArray
from packhorse.scheduler.model.job import Active, ArrayJob, Ended, Job, Pending
from packhorse.scheduler.model.reply import Refused, Submitted
from packhorse.scheduler.model.resources import Placement
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.estimating import SEED
from packhorse.scheduler.service.failures import refused
from packhorse.scheduler.service.messages import SubmitJobResponse
from packhorse.scheduler.service.tables.amounts import asked, placed

MAX_AHEAD = 2_000
"""Waiting jobs that the copy keeps, those that would go first."""

PLAN_DEPTH = 200
"""Blocked jobs that get a planned start in the copy."""


class Start(NamedTuple):
    """When a job would start, and where as far as that is known."""

    at: Instant
    placements: tuple[Placement, ...]


async def estimate(engine: Engine, submission: Submit | SubmitArray) -> SubmitJobResponse:
    """The answer to a test-only submission. Raises CallFailed if it would be refused."""
    now = engine.clock.now()
    front = _front(engine.state, submission, now)
    frozen = engine.state.freeze()
    trial = replace(submission, caller=replace(submission.caller, key="", fingerprint=""))
    return await asyncio.to_thread(_tried, frozen, front, trial, now)


def _tried(
    frozen: Frozen, front: Set[JobId] | None, submission: Submit | SubmitArray, now: Instant
) -> SubmitJobResponse:
    state = _copy(frozen, front)
    decision = step(state, submission, now)
    if isinstance(decision.reply, Refused):
        raise refused(decision.reply)
    assert isinstance(decision.reply, Submitted)
    id = decision.reply.first_id
    for event in decision.events:
        apply(state, event)
    notes = _range(state, id, now)
    waiter: Job | ArrayJob = state.jobs.get(id) or state.arrays[id]
    start = _start(state, id, now)
    partition = waiter.spec.partition
    if start is None:
        reason = state.pending_columns.reason(id).value
        why = "no start can be promised" if notes else "its start cannot be foreseen"
        text = f"Job {id} would wait in partition {partition} ({reason}); {why}"
        return SubmitJobResponse(estimate=text, notes=notes)
    amounts = placed(start.placements) if start.placements else asked(waiter.spec.ask)
    nodes = compress_sorted([placement.node for placement in start.placements])
    where = f"nodes {nodes}" if nodes else f"{amounts.nodes} nodes"
    return SubmitJobResponse(
        # As Slurm says it.
        estimate=(
            f"Job {id} to start at {_when(start.at)} using {amounts.cpus} processors on {where} "
            f"in partition {partition}"
        ),
        planned_start_us=start.at,
        notes=notes if start.at > now else [],
    )


def _range(state: State, id: JobId, now: Instant) -> list[str]:
    """The start as what runs and waits ahead is expected to go, in a sentence for the first job and, of an
    array, its last task; before a pass on the copy tells it anything."""
    return [
        f"Job {id}{' (its last task)' if found.last else ''} is expected to start at {_when(found.median)}, "
        f"8 of 10 times between {_when(found.low)} and {_when(found.high)}"
        for found in note.estimates(state, now, SEED, frozenset({id}))
    ]


def _when(at: Instant) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at // US))


def _start(state: State, id: JobId, now: Instant) -> Start | None:
    """Now, at the start that a cycle would plan, or when its begin time has come; None if nobody can say."""
    waiter: Job | ArrayJob = state.jobs.get(id) or state.arrays[id]
    phase = waiter.phase
    assert isinstance(phase, Pending)
    if phase.held or phase.unmet or phase.never:
        return None
    if phase.begin_at > now:
        return Start(phase.begin_at, ())
    found = plan(state, now)
    for grant in found.grants:
        if grant.id == id:
            return Start(now, grant.placements)
    planned = found.planned.get(id)
    return Start(planned, _places_then(state, waiter, planned)) if planned else None


def _places_then(state: State, waiter: Job | ArrayJob, at: Instant) -> tuple[Placement, ...]:
    """Where it would go then if nothing but what still runs at that time were in its way."""
    later = _values_of(state)
    later.jobs = {
        job.id: job
        for job in state.jobs.values()
        if isinstance(job.phase, Active) and not 0 < job.phase.end_by <= at
    }
    later.arrays = {job.array_id: state.arrays[job.array_id] for job in later.jobs.values() if job.array_id}
    later.arrays = {
        id: replace(array, remaining=(), blocked=(), never=()) for id, array in later.arrays.items()
    }
    if isinstance(waiter, ArrayJob):
        later.arrays[waiter.id] = waiter
    else:
        later.jobs[waiter.id] = waiter
    rebuild(later)
    for grant in plan(later, at).grants:
        if grant.id == waiter.id:
            return grant.placements
    return ()


def _front(state: State, submission: Submit | SubmitArray, now: Instant) -> Set[JobId] | None:
    """Who would go first, and whom the submission names, if too many wait for all to be kept."""
    pending = state.pending_columns
    if len(pending) <= MAX_AHEAD:
        return None
    totals = state.node_columns.board().totals
    key_of = order_keys.key_of(state, now)
    first = pending.ordered(state.config, now, state.usage, totals, key_of)[:MAX_AHEAD]
    specs = submission.specs if isinstance(submission, Submit) else (submission.spec,)
    named = (c.job for spec in specs if spec.dependency is not None for c in spec.dependency.conditions)
    return frozenset([*(JobId(id) for id in pending.id[first].tolist()), *named])


def _copy(frozen: Frozen, front: Set[JobId] | None) -> State:
    """A state with what runs and the front of the queue; None: with all of it."""
    state = State.empty()
    state.config = replace(frozen.config, backfill_depth=PLAN_DEPTH)
    state.epoch = frozen.epoch
    state.next_job_id = frozen.next_job_id
    state.nodes = frozen.nodes
    state.jobs = frozen.jobs
    if front is not None:
        state.jobs = {
            id: job for id, job in frozen.jobs.items() if id in front or type(job.phase) is not Pending
        }
    state.arrays = frozen.arrays
    state.finished = {
        id: at
        for id, at in frozen.finished.items()
        if id in state.arrays or (id in state.jobs and type(state.jobs[id].phase) is Ended)
    }
    state.history, state.usage, state.arrivals = frozen.history, frozen.usage, frozen.arrivals
    state.accounts, state.spent = frozen.accounts, frozen.spent
    state.estimates = frozen.estimates
    state.reservations = frozen.reservations
    rebuild(state)
    return state


def _values_of(state: State) -> State:
    """A state with the same configuration and nodes, and no jobs yet."""
    copy = State.empty()
    copy.config, copy.epoch = state.config, state.epoch
    copy.next_job_id, copy.nodes = state.next_job_id, state.nodes
    copy.history, copy.usage, copy.arrivals = state.history, state.usage.copy(), state.arrivals
    copy.accounts, copy.spent = state.accounts, state.spent.copy()
    copy.reservations = state.reservations
    return copy
