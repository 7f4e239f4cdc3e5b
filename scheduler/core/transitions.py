"""The life of a job as one table: which event takes it from which state to which.

`apply` refuses whatever this table lacks; docs/states.md shows it, and a test compares the two.
"""

from __future__ import annotations

from typing import NamedTuple

from packhorse.scheduler.model.errors import InvalidTransition
from packhorse.scheduler.model.event import (
    ArrayTaskSplit,
    AttemptStarted,
    BatchEnded,
    JobEnded,
    JobEnding,
    JobGpusBusy,
    JobGpusIdle,
    JobGranted,
    JobHeld,
    JobQuarantined,
    JobReleased,
    JobReopened,
    JobRequeued,
    JobResumed,
    JobsEligible,
    JobsForgotten,
    JobsRanked,
    JobsSubmitted,
    JobSuspended,
    JobTerminating,
    JobUpdated,
    JobWarned,
    LoansChanged,
    MemoryEstimated,
)
from packhorse.scheduler.model.job import Job, JobState

PENDING = JobState.PENDING
CONFIGURING = JobState.CONFIGURING
RUNNING = JobState.RUNNING
SUSPENDED = JobState.SUSPENDED
COMPLETING = JobState.COMPLETING

FINAL = (
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.TIMEOUT,
    JobState.NODE_FAIL,
    JobState.OUT_OF_MEMORY,
    JobState.DEADLINE,
    JobState.PREEMPTED,
)
"""The states that events of this scheduler end a job in."""


class Transition(NamedTuple):
    """`before` None: the job did not exist; `after` empty: it does not exist any more."""

    event: type
    before: tuple[JobState, ...] | None
    after: tuple[JobState, ...]
    meaning: str


TABLE: tuple[Transition, ...] = (
    Transition(JobsSubmitted, None, (PENDING,), "accepted, and durable"),
    Transition(ArrayTaskSplit, None, (PENDING,), "an index of an array became a job of its own"),
    Transition(JobsEligible, (PENDING,), (PENDING,), "its begin time, requeue delay or backoff is over"),
    Transition(JobHeld, (PENDING,), (PENDING,), "held by its owner or an administrator"),
    Transition(JobQuarantined, (PENDING,), (PENDING,), "held, since decisions about it failed"),
    Transition(JobReleased, (PENDING,), (PENDING,), "the hold was taken back"),
    Transition(JobUpdated, (PENDING,), (PENDING,), "its submitter or an administrator changed it"),
    Transition(JobUpdated, (CONFIGURING,), (CONFIGURING,), "the same, as far as it may while active"),
    Transition(JobUpdated, (RUNNING,), (RUNNING,), "the same"),
    Transition(JobUpdated, (SUSPENDED,), (SUSPENDED,), "the same"),
    Transition(JobUpdated, (COMPLETING,), (COMPLETING,), "the same"),
    Transition(JobGranted, (PENDING,), (CONFIGURING,), "a cycle gave it nodes, and they are being told"),
    Transition(AttemptStarted, (CONFIGURING,), (RUNNING,), "the agent says that the batch script runs"),
    Transition(AttemptStarted, (COMPLETING,), (COMPLETING,), "it started while it was already told to stop"),
    Transition(
        JobSuspended, (RUNNING,), (SUSPENDED,), "it is stopped, keeps its memory and gives its CPUs back"
    ),
    Transition(JobResumed, (SUSPENDED,), (RUNNING,), "it has its CPUs again and goes on"),
    Transition(JobWarned, (RUNNING,), (RUNNING,), "the signal before the time limit was ordered"),
    Transition(JobGpusIdle, (RUNNING,), (RUNNING,), "its GPUs have been idle for so long that it was warned"),
    Transition(JobGpusBusy, (RUNNING,), (RUNNING,), "they are busy again, or not measured any more"),
    Transition(JobsRanked, (CONFIGURING,), (CONFIGURING,), "it stands elsewhere in the order by now"),
    Transition(JobsRanked, (RUNNING,), (RUNNING,), "the same"),
    Transition(MemoryEstimated, (RUNNING,), (RUNNING,), "it uses more memory, or less, than was expected"),
    Transition(MemoryEstimated, (SUSPENDED,), (SUSPENDED,), "the same"),
    Transition(MemoryEstimated, (COMPLETING,), (COMPLETING,), "the same"),
    Transition(
        LoansChanged, (CONFIGURING,), (CONFIGURING,), "memory lent to it is lent by another, or its own"
    ),
    Transition(LoansChanged, (RUNNING,), (RUNNING,), "the same"),
    Transition(LoansChanged, (SUSPENDED,), (SUSPENDED,), "the same"),
    Transition(
        JobEnding,
        (CONFIGURING, RUNNING, SUSPENDED, COMPLETING),
        (COMPLETING,),
        "it has to stop (cancel, limit, requeue, lost node, a better job, idle GPUs); "
        "its nodes are held until nothing of it is left",
    ),
    Transition(
        BatchEnded,
        (CONFIGURING,),
        (CONFIGURING,),
        "the batch script is over, and steps of it still have to end",
    ),
    Transition(BatchEnded, (RUNNING,), (RUNNING,), "the same"),
    Transition(BatchEnded, (SUSPENDED,), (SUSPENDED,), "the same"),
    Transition(BatchEnded, (COMPLETING,), (COMPLETING,), "the same"),
    Transition(JobTerminating, (COMPLETING,), (COMPLETING,), "the delayed order to stop was sent"),
    Transition(
        JobEnded,
        (PENDING,),
        (JobState.CANCELLED, JobState.DEADLINE),
        "cancelled before it ran, its dependency failed, or it could no longer be over by its deadline",
    ),
    Transition(
        JobEnded,
        (CONFIGURING, RUNNING, SUSPENDED),
        (
            JobState.COMPLETED,
            JobState.FAILED,
            JobState.TIMEOUT,
            JobState.NODE_FAIL,
            JobState.OUT_OF_MEMORY,
        ),
        "it exited, could not be launched, or its node died",
    ),
    Transition(
        JobEnded,
        (COMPLETING,),
        (
            JobState.CANCELLED,
            JobState.TIMEOUT,
            JobState.NODE_FAIL,
            JobState.COMPLETED,
            JobState.FAILED,
            JobState.DEADLINE,
            JobState.PREEMPTED,
        ),
        "nothing of it is left on its nodes; its own end counts if that came before its time limit",
    ),
    Transition(
        JobRequeued,
        (CONFIGURING, RUNNING, SUSPENDED, COMPLETING),
        (PENDING,),
        "this run is over and another will follow "
        "(asked for, node lost, a better job, idle GPUs, retry after a failure)",
    ),
    Transition(JobReopened, FINAL, (PENDING,), "a finished job was asked to run once more"),
    Transition(JobsForgotten, FINAL, (), "finished long enough ago; its accounting stays"),
)

_BEFORE: dict[type, frozenset[JobState]] = {}
_AFTER: dict[tuple[type, JobState], frozenset[JobState]] = {}
for _row in TABLE:
    for _state in _row.before or ():
        _BEFORE[_row.event] = _BEFORE.get(_row.event, frozenset()) | {_state}
        _AFTER[_row.event, _state] = _AFTER.get((_row.event, _state), frozenset()) | set(_row.after)


def require(event: object, job: Job) -> None:
    """Raises InvalidTransition unless the table lets this event happen to a job in this state."""
    if job.state not in _BEFORE[type(event)]:
        raise InvalidTransition(event, f"job {job.id} is {job.state.value}")


def allowed(event: type, before: JobState) -> frozenset[JobState]:
    """The states that a job may be in after this event; empty if the event may not happen to it."""
    return _AFTER.get((event, before), frozenset())
