"""Applying events to suspended jobs: what they give back when they are stopped, and take again."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core import waiting
from packhorse.scheduler.core.accounts import charging, holding
from packhorse.scheduler.core.active import set_timers, suspended_us
from packhorse.scheduler.core.preempt.apply_room import keep_for
from packhorse.scheduler.core.reclaim.apply_loans import expect_again
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.apply_steps import steps_resumed
from packhorse.scheduler.core.transitions import require
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.errors import InvalidTransition
from packhorse.scheduler.model.ids import UNKNOWN, JobId
from packhorse.scheduler.model.job import Active, Job


def job_suspended(state: State, event: ev.JobSuspended) -> None:
    """A warning of idle GPUs is void: they have to be idle."""
    job, active = _current(state, event)
    active = replace(
        active,
        suspended_at=event.at,
        suspended_for=event.for_job,
        gpus_idle_since=UNKNOWN,
        gpus_warned_at=UNKNOWN,
    )
    state.node_columns.suspend(job.id)
    state.usage.take_cpus(job, active.placements, -1)
    new = state.jobs[job.id] = replace(job, phase=active)
    state.running_columns.renew(job.id, UNKNOWN)
    expect_again(state, job.id, active)
    charging.charge(state, new, event.at)
    holding.changed(state, new)
    state.preempting.put(new)
    keep_for(state, event.for_job, event.at)


def job_resumed(state: State, event: ev.JobResumed) -> None:
    job, active = _current(state, event)
    before_us = active.suspended_us
    active = replace(
        active,
        end_by=event.end_by,
        suspended_at=UNKNOWN,
        suspended_us=suspended_us(active, event.at),
        suspended_for=JobId(0),
    )
    state.node_columns.resume(job.id)
    state.usage.take_cpus(job, active.placements, 1)
    new = replace(job, phase=active)
    state.jobs[job.id] = new
    state.running_columns.renew(job.id, event.end_by)
    charging.charge(state, new, event.at)
    holding.changed(state, new)
    waiting.expect(state, new, active)
    expect_again(state, job.id, active)
    set_timers(state, new, active)
    steps_resumed(state, job.id, active.suspended_us - before_us)
    state.preempting.put(new)


def _current(state: State, event: ev.JobSuspended | ev.JobResumed) -> tuple[Job, Active]:
    """The job and its present attempt, which must be the event's."""
    job = state.jobs.get(event.job)
    if job is None:
        raise InvalidTransition(event, "no such job")
    require(event, job)
    active = job.phase
    assert isinstance(active, Active)
    if active.attempt != event.attempt:
        raise InvalidTransition(event, f"the current attempt is {active.attempt}")
    return job, active
