"""Feeds `state.held`: what the events that change jobs mean for the sums of who holds what. Used by `apply`.

The sums are for limits. They are worked out when the first limit asks, from what waits and what runs, and are
kept from then on; while nobody is limited a job's start and end cost nothing here.
"""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.accounts.held import GOES_ON, Holdings, Running
from packhorse.scheduler.core.accounts.needs import with_billing
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.job import Active, ArrayJob, Job, JobSpec, Owner
from packhorse.scheduler.model.tres import placed_tres


def holdings(state: State) -> Holdings:
    """What jobs hold, counted now if it was not yet. Of a pure state: asking changes no value of it."""
    if not state.held.counting:
        count(state, state.held)
    return state.held


def count(state: State, held: Holdings) -> None:
    """Everything, into sums in which there is nothing: what waits by its rows, in one vector step, and what
    runs job by job."""
    held.counting = True
    pending = state.pending_columns
    rows = np.bincount(pending.holder[pending.id > 0], minlength=len(pending.holders))
    for code in np.flatnonzero(rows).tolist():
        held.submit(pending.holders[code], int(rows[code]))
    for array in state.arrays.values():
        if array.remaining:  # it has one row, whatever it has left
            held.submit(holder_of(array.spec, array.owner), indices.size(array.remaining) - 1)
    for id in state.running_columns.jobs():
        job = state.jobs[id]
        held.submit(holder_of(job.spec, job.owner), 1)
        held.begin(id, running(state.config, job))


def submitted(state: State, spec: JobSpec, owner: Owner, n: int) -> None:
    """So many more jobs of the owner are unfinished; fewer, if negative."""
    if n and state.held.counting:
        state.held.submit(holder_of(spec, owner), n)


def begun(state: State, job: Job) -> None:
    """The job, which is active, has got its allocation."""
    if state.held.counting:
        state.held.begin(job.id, running(state.config, job))


def changed(state: State, job: Job) -> None:
    """The job, which is active, has another end, is suspended, or goes on."""
    if state.held.counting:
        state.held.change(job.id, running(state.config, job))


def released(state: State, job: JobId) -> None:
    """It has let go of its allocation."""
    if state.held.counting:
        state.held.end(job)


def updated(state: State, old: Job | ArrayJob, new: Job | ArrayJob) -> None:
    """It has another spec, and if it runs perhaps another end."""
    if not state.held.counting:
        return
    if isinstance(new, Job) and isinstance(new.phase, Active):
        changed(state, new)
    before, after = holder_of(old.spec, old.owner), holder_of(new.spec, new.owner)
    if before != after:
        n = indices.size(new.remaining) if isinstance(new, ArrayJob) else 1
        state.held.submit(before, -n)
        state.held.submit(after, n)


def configured(state: State, before: ClusterConfig) -> None:
    """Partitions may bill otherwise than before: what was counted is void."""
    now = state.config
    if [(p.name, p.billing) for p in now.partitions] != [(p.name, p.billing) for p in before.partitions] or (
        now.priorities.max_tres != before.priorities.max_tres
    ):
        state.held.forget()


def running(config: ClusterConfig, job: Job) -> Running:
    """What the job holds. A suspended one goes on holding all of it: its CPUs are lent to others, who count
    for themselves."""
    active = job.phase
    assert isinstance(active, Active)
    tres = with_billing(placed_tres(active.placements, job.spec.licenses), config, job.spec.partition)
    left_us = max(active.end_by - active.suspended_at, 0) if active.suspended_at else GOES_ON
    return Running(holder_of(job.spec, job.owner), tres, active.end_by, left_us)
