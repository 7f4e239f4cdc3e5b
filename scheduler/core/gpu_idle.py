"""Jobs whose GPUs do nothing: warned, and stopped if the administrator wants that (`[gpu_idle]`).

The service tells of spans in which every GPU of a job was measured and idle (service/gpu_watch.py), when one
has become long enough to matter; this decides what follows. Nothing follows from time alone: where nobody
measures, nothing is idle, and a span that began after the warning makes the warning void.
"""

from __future__ import annotations

from packhorse.scheduler.core.decision import UNCHANGED, Decision, Draft
from packhorse.scheduler.core.lifecycle import current, stop
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.tell import signal_all
from packhorse.scheduler.model.cluster import GpuIdle, GpuIdleAction
from packhorse.scheduler.model.event import JobGpusBusy, JobGpusIdle
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.input import ReportGpus, SignalScope
from packhorse.scheduler.model.job import Active, EndCause, Job


def report_gpus(state: State, report: ReportGpus, now: Instant) -> Decision:
    """What follows from how long the attempt's GPUs have been idle without a break."""
    found = current(state, report.attempt)
    if found is None:
        return UNCHANGED
    job, active = found
    if active.ending is not None or not active.started_at or active.suspended_at:
        return UNCHANGED
    draft = Draft(state, now)
    policy = state.config.gpu_idle
    since = report.idle_since
    void = not since or since > active.gpus_warned_at or not applies(policy, job)
    if active.gpus_warned_at and void:
        draft.events.append(JobGpusBusy(now, job.id, active.attempt))
    elif active.gpus_warned_at:
        if policy.action is not GpuIdleAction.WARN and now >= stop_at(policy, active):
            stop(draft, job, active, EndCause.GPU_IDLE)
    elif since and applies(policy, job) and now - since >= policy.warn_after_s * US:
        draft.events.append(JobGpusIdle(now, job.id, active.attempt, since))
        warn = job.spec.warn
        if warn is not None:
            scope = SignalScope.BATCH if warn.batch_only else SignalScope.STEPS
            signal_all(draft, job, active, warn.signal, scope)
    return draft.decision()


def applies(policy: GpuIdle, job: Job) -> bool:
    """Whether the policy looks at this job at all."""
    return (
        policy.enabled
        and not job.spec.idle_gpu_ok
        and job.spec.partition not in policy.exempt_partitions
        and job.spec.account not in policy.exempt_accounts
        and job.owner.user not in policy.exempt_users
    )


def stop_at(policy: GpuIdle, active: Active) -> Instant:
    """When a job that was warned is stopped if nothing changes."""
    return Instant(active.gpus_warned_at + policy.grace_s * US)
