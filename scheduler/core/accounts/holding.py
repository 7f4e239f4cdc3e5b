"""Feeds `state.held`: what the events that change jobs mean for the sums of who holds what. Used by
`apply`."""

from __future__ import annotations

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.accounts.held import GOES_ON, Holdings, Running
from packhorse.scheduler.core.accounts.needs import with_billing
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.job import Active, ArrayJob, Ended, Job, JobSpec, Owner
from packhorse.scheduler.model.tres import placed_tres


def submitted(state: State, spec: JobSpec, owner: Owner, n: int) -> None:
    """So many more jobs of the owner are unfinished; fewer, if negative."""
    if n:
        state.held.submit(holder_of(spec, owner), n)


def begun(state: State, job: Job) -> None:
    """The job, which is active, has got its allocation."""
    state.held.begin(job.id, _running(state.config, job))


def changed(state: State, job: Job) -> None:
    """The job, which is active, has another end, is suspended, or goes on."""
    state.held.change(job.id, _running(state.config, job))


def updated(state: State, old: Job | ArrayJob, new: Job | ArrayJob) -> None:
    """It has another spec, and if it runs perhaps another end."""
    if isinstance(new, Job) and isinstance(new.phase, Active):
        changed(state, new)
    before, after = holder_of(old.spec, old.owner), holder_of(new.spec, new.owner)
    if before != after:
        n = indices.size(new.remaining) if isinstance(new, ArrayJob) else 1
        state.held.submit(before, -n)
        state.held.submit(after, n)


def configured(state: State, before: ClusterConfig) -> None:
    """Partitions may bill otherwise than before."""
    now = state.config
    if [p.billing for p in now.partitions] != [p.billing for p in before.partitions] or (
        [p.name for p in now.partitions] != [p.name for p in before.partitions]
        or now.priorities.max_tres != before.priorities.max_tres
    ):
        count_again(state)


def count_again(state: State) -> None:
    """Everything, from the jobs."""
    state.held = counted(state)


def counted(state: State) -> Holdings:
    """What the jobs hold, job by job."""
    held = Holdings()
    for job in state.jobs.values():
        if isinstance(job.phase, Ended):
            continue
        holder = holder_of(job.spec, job.owner)
        held.submit(holder, 1)
        if isinstance(job.phase, Active):
            held.begin(job.id, _running(state.config, job))
    for array in state.arrays.values():
        if array.remaining:
            held.submit(holder_of(array.spec, array.owner), indices.size(array.remaining))
    return held


def _running(config: ClusterConfig, job: Job) -> Running:
    """What the job holds. A suspended one goes on holding all of it: its CPUs are lent to others, who count
    for themselves."""
    active = job.phase
    assert isinstance(active, Active)
    tres = with_billing(placed_tres(active.placements, job.spec.licenses), config, job.spec.partition)
    left_us = max(active.end_by - active.suspended_at, 0) if active.suspended_at else GOES_ON
    return Running(holder_of(job.spec, job.owner), tres, active.end_by, left_us)
