"""What the table of jobs says of making room: since when a job may have to, and when and why it last did."""

from __future__ import annotations

from packhorse.scheduler.core.preempt.rights import group_of
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import PreemptBy
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.job import Active, EndCause, Job, WarnSignal
from packhorse.scheduler.model.signalspec import signal_name


def eligible_at(state: State, job: Job) -> int:
    """From when on the job may have to make room in its present run; 0 for never."""
    kind = state.config.preemption.type
    if kind is PreemptBy.NONE or not isinstance(job.phase, Active) or not job.phase.started_at:
        return 0
    book = state.accounts
    rights = state.preempting.rights(state.config, book.qos, book.version)
    kinds = (PreemptBy.QOS, PreemptBy.PARTITION) if kind is PreemptBy.BOTH else (kind,)
    exempt = [right.exempt_s for by in kinds if (right := rights.terms(group_of(job), by)) is not None]
    return job.phase.started_at + min(exempt) * US if exempt else 0


def preempted_at(job: Job) -> int:
    """When it was told to make room: in its present run, else the last time; 0 for never."""
    active = job.phase
    if not isinstance(active, Active):
        return job.preempted_at
    if active.ending is EndCause.PREEMPTED:
        return active.ending_at
    return active.suspended_at if active.suspended_for else 0


def preempted_why(job: Job) -> str:
    """`made room for job 17 of QOS high (ann)`, "" if it never did."""
    active = job.phase
    if isinstance(active, Active) and active.ending is EndCause.PREEMPTED:
        return active.ending_why
    if isinstance(active, Active) and active.suspended_for:
        return f"suspended to make room for job {active.suspended_for}"
    return job.preempted_why


def checkpoint_text(checkpoint: WarnSignal | None) -> str:
    """As `sbatch --checkpoint-signal` takes it, "" for none."""
    if checkpoint is None:
        return ""
    shell = "B:" if checkpoint.batch_only else ""
    return f"{shell}{signal_name(checkpoint.signal)}@{checkpoint.seconds_before}"
