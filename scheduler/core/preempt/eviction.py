"""Having a running job make room, carried out: a warning and time to save its work, then the end."""

from __future__ import annotations

from typing import Final, NamedTuple

from packhorse.scheduler.core.decision import Draft
from packhorse.scheduler.core.lifecycle import terminate
from packhorse.scheduler.core.names import name_in
from packhorse.scheduler.core.preempt.rights import Right
from packhorse.scheduler.core.steps.tell import signal_all
from packhorse.scheduler.core.suspend import suspend
from packhorse.scheduler.model.accounts import PreemptMode
from packhorse.scheduler.model.cluster import Preemption
from packhorse.scheduler.model.event import JobEnding
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId
from packhorse.scheduler.model.input import SignalScope
from packhorse.scheduler.model.job import Active, EndCause, Job

SIGTERM: Final = 15


class Eviction(NamedTuple):
    """The job makes room for that job, or for a task of that array. why: what its record says of it, with
    `{}` for the number of the job that it is for."""

    id: JobId
    for_job: JobId
    right: Right
    why: str


def notice_s(config: Preemption, job: Job, right: Right) -> int:
    """How long it has between the warning and the end: the grace time, or longer for its checkpoint. A job
    that is suspended needs none."""
    if right.mode is PreemptMode.SUSPEND:
        return 0
    if job.spec.checkpoint is None:
        return right.grace_s
    return max(right.grace_s, min(job.spec.checkpoint.seconds_before, config.checkpoint_s))


def evict(draft: Draft, eviction: Eviction, for_job: JobId) -> None:
    """Tells the job to make room for that one. What may not be requeued is cancelled instead, as in Slurm."""
    job = draft.state.jobs[eviction.id]
    active = job.phase
    if not isinstance(active, Active) or active.ending is not None:
        return
    mode = eviction.right.mode
    if mode is PreemptMode.SUSPEND:
        suspend(draft, job, active, for_job=for_job)
        return
    if mode is PreemptMode.REQUEUE and not job.spec.requeue:
        mode = PreemptMode.CANCEL
    # One that is stopped would not hear the warning.
    wait_s = 0 if active.suspended_at else notice_s(draft.state.config.preemption, job, eviction.right)
    draft.events.append(
        JobEnding(
            draft.now,
            job.id,
            active.attempt,
            EndCause.PREEMPTED,
            terminate_at=Instant(draft.now + wait_s * US) if wait_s else UNKNOWN,
            for_job=for_job,
            why=eviction.why.format(name_in(draft.state, for_job)),
            mode=mode,
        )
    )
    if wait_s:
        _warn(draft, job, active)
    else:
        terminate(draft, active, EndCause.PREEMPTED)


def _warn(draft: Draft, job: Job, active: Active) -> None:
    """Its checkpoint signal, to the batch shell or to all it has; without one that of --signal, else TERM, to
    its steps as Slurm has it."""
    checkpoint, warn = job.spec.checkpoint, job.spec.warn
    signal, scope = SIGTERM, SignalScope.STEPS
    if checkpoint is not None:
        signal, scope = checkpoint.signal, SignalScope.BATCH if checkpoint.batch_only else SignalScope.ALL
    elif warn is not None:
        signal, scope = warn.signal, SignalScope.BATCH if warn.batch_only else SignalScope.STEPS
    signal_all(draft, job, active, signal, scope)
