"""Events: facts, in the past tense, each with its own time and all that replay needs.

Stored as msgpack arrays `[kind, fields…]`. The format only grows: a new field goes to the end with
a default, a new kind gets a new class; the meaning of an old one never changes.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from packhorse.scheduler.model.accounts import AccountsDelta, PreemptMode
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.crontab import Crontab
from packhorse.scheduler.model.ids import UNKNOWN, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.job import (
    ArraySpec,
    BatchEnd,
    EndCause,
    Held,
    IndexRange,
    JobSpec,
    JobState,
    Owner,
)
from packhorse.scheduler.model.loan import EndedLoan, Loan, Switch
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.reply import Reply
from packhorse.scheduler.model.reservation import Reservation
from packhorse.scheduler.model.resources import Ask, Placement, Usage
from packhorse.scheduler.model.step import StepPart, StepSpec
from packhorse.scheduler.model.trigger import Fired, Trigger

SCHEMA = 1
"""Version of the stored events. Raised when a reader must upgrade what an older program wrote."""


class _Event(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    at: Instant


class SchedulerStarted(_Event, frozen=True, array_like=True, gc=False, tag=True):
    epoch: int


class Configured(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """From now on this configuration holds. by -1: the process began with it. changed: what is different, one
    `key: old -> new` each, where somebody had it read again."""

    config: ClusterConfig
    by: int = -1
    changed: tuple[str, ...] = ()


class Item(NamedTuple):
    """One job of a batch: which spec, and what it has of its own (None: as in the spec)."""

    spec: int
    name: str | None = None
    args: tuple[str, ...] | None = None


class JobsSubmitted(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """Jobs first_id, first_id+1 … in the order of items."""

    owner: Owner
    first_id: JobId
    specs: tuple[JobSpec, ...]
    items: tuple[Item, ...]


class ArraySubmitted(_Event, frozen=True, array_like=True, gc=False, tag=True):
    owner: Owner
    id: JobId
    spec: JobSpec
    array: ArraySpec


class ArrayTaskSplit(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """Index of the array became a job of its own."""

    array: JobId
    index: int
    job: JobId


class ArrayRemainderCancelled(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """These waiting indices will never run; they get no job ids. end: CANCELLED or DEADLINE."""

    array: JobId
    ranges: tuple[IndexRange, ...]
    by: int
    end: JobState = JobState.CANCELLED
    reason: str = "None"
    detail: str = ""


class JobGranted(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """loans: who lends it what is lent of its memory. priority: that it was started by, 0: what its spec
    says. reservation: the one that it runs in, "" for none."""

    job: JobId
    attempt: AttemptKey
    placements: tuple[Placement, ...]
    end_by: Instant = UNKNOWN
    loans: tuple[Loan, ...] = ()
    priority: int = 0
    reservation: str = ""


class AttemptStarted(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The agent says that the batch script runs, since started_at (0: at). end_by counts from there."""

    job: JobId
    attempt: AttemptKey
    end_by: Instant = UNKNOWN
    started_at: Instant = UNKNOWN


class JobsEligible(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The begin time of these jobs and arrays came, and nothing else was in their way."""

    jobs: tuple[JobId, ...]


class JobWarned(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The signal before the time limit was ordered."""

    job: JobId
    attempt: AttemptKey


class UsageLearned(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """What the estimator of this name has learned of how usage grows, for a process that starts anew."""

    estimator: str
    learned: tuple[float, ...]


class JobGpusIdle(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """All GPUs of the attempt have done nothing since `since`, for so long that its user was warned."""

    job: JobId
    attempt: AttemptKey
    since: Instant


class JobGpusBusy(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """After a warning its GPUs are busy again, or are not measured any more: the warning counts no longer."""

    job: JobId
    attempt: AttemptKey


class JobEnding(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The attempt has to stop; its allocation is held until it is known to be gone.

    terminate_at: its node is told at that instant (JobTerminating), 0: it was told at once. for_job: the job
    that its room is needed for, 0 for none. why: a sentence, where it makes room. mode: what becomes of it
    that makes room for a job with a right to that, else CLUSTER.
    """

    job: JobId
    attempt: AttemptKey
    cause: EndCause
    by: int = -1
    requeue_held: bool = False
    terminate_at: Instant = UNKNOWN
    for_job: JobId = JobId(0)
    why: str = ""
    mode: PreemptMode = PreemptMode.CLUSTER


class JobTerminating(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The node of an ending attempt was told to stop it."""

    job: JobId
    attempt: AttemptKey


class JobEnded(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """Over for good; whatever it held is free again. attempt None: it never ran.

    at: when this was known here; ended_at: when it was over (0: then), as the node's clock says.
    """

    job: JobId
    state: JobState
    attempt: AttemptKey | None = None
    started_at: Instant = UNKNOWN
    exit_code: int = 0
    exit_signal: int = 0
    reason: str = "None"
    detail: str = ""
    cancelled_by: int = -1
    usage: Usage = Usage()
    ended_at: Instant = UNKNOWN


class JobRequeued(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The attempt is over and the job waits again, not before begin_at.

    state, exit and usage describe the attempt that ended. avoid: a node this job will not be sent to again.
    borrow_after: it gets no lent memory before then, 0: any time.
    ask: what the next attempt asks for, with more memory than this one, None: the same.
    """

    job: JobId
    attempt: AttemptKey
    cause: EndCause
    state: JobState
    begin_at: Instant
    held: Held = Held.NO
    started_at: Instant = UNKNOWN
    exit_code: int = 0
    exit_signal: int = 0
    usage: Usage = Usage()
    avoid: NodeName | None = None
    retried: bool = False
    detail: str = ""
    ended_at: Instant = UNKNOWN
    by: int = -1
    reason: str = "None"
    borrow_after: Instant = UNKNOWN
    ask: Ask | None = None


class JobReopened(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """A finished job was asked to run once more."""

    job: JobId
    by: int
    begin_at: Instant
    held: Held = Held.NO


class JobHeld(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """job is a job or an array (its remaining indices)."""

    job: JobId
    held: Held
    by: int


class JobReleased(_Event, frozen=True, array_like=True, gc=False, tag=True):
    job: JobId
    by: int


class JobUpdated(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The spec of a job or array is now this one. end_by: new instant of the time limit if it is active."""

    job: JobId
    spec: JobSpec
    by: int
    end_by: Instant = UNKNOWN
    array_limit: int | None = None


class NodeRegistered(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """An agent introduced itself, for the first time or again (new boot, new amounts, reconnected)."""

    spec: NodeSpec
    boot_id: str
    offer: Offer


class NodeOffered(_Event, frozen=True, array_like=True, gc=False, tag=True):
    node: NodeName
    offer: Offer


class NodeSilenced(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The agent's stream was lost. Nothing is known about what runs there."""

    node: NodeName


class NodeDrained(_Event, frozen=True, array_like=True, gc=False, tag=True):
    node: NodeName
    reason: str
    by: int


class NodeDowned(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """An operator's word that nothing runs there any more, or the scheduler's on proof."""

    node: NodeName
    reason: str
    by: int


class NodeResumed(_Event, frozen=True, array_like=True, gc=False, tag=True):
    node: NodeName
    by: int


class JobsForgotten(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """Finished jobs left memory (their accounting stays), oldest first."""

    jobs: tuple[JobId, ...]


class CallAnswered(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """A mutating call with this key was done; a repeated one gets the same reply."""

    uid: int
    key: str
    fingerprint: str
    reply: Reply


class PolicyTaught(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """From now on the placement policy goes by what it learned for this mix of jobs, on these nodes.

    mix: milli-CPU, MiB, devices, thousandths of each and their kind, and how often. ground: the nodes, as a
    digest. What it learned follows from both. It holds until another lesson, or the scheduler starts again.
    """

    policy: str
    mix: tuple[tuple[int, int, int, int, str, int], ...]
    ground: str


class JobsRanked(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """These active jobs have run for so long by now that they stand elsewhere in the order."""

    jobs: tuple[JobId, ...]


class MemoryEstimated(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """What these jobs are now expected to use of the node's memory, in MiB; loans rest on it."""

    node: NodeName
    jobs: tuple[tuple[JobId, int], ...]


class LoansChanged(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The attempt has these loans from now on, and `ended` are over. It holds as much memory as before."""

    job: JobId
    attempt: AttemptKey
    loans: tuple[Loan, ...]
    ended: tuple[EndedLoan, ...]


class ReclaimSwitched(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """From now on memory is lent but for these."""

    off: tuple[Switch, ...]
    by: int


class AccountsChanged(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """Accounts, users, associations or QOS were changed by an administrator or a coordinator."""

    delta: AccountsDelta
    by: int


class ReservationSet(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The reservation is there from now on, in place of one of its name. by -1: a window that repeats."""

    reservation: Reservation
    by: int = -1


class ReservationDeleted(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """by -1: its time was over."""

    name: str
    by: int = -1


class JobSuspended(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """Its processes are stopped; it keeps memory and devices, its CPUs are free. for_job: whose room that
    makes, 0 for none. by -1: the scheduler itself."""

    job: JobId
    attempt: AttemptKey
    by: int = -1
    for_job: JobId = JobId(0)


class JobResumed(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """It goes on, on the same CPUs' worth of the same nodes. end_by: its time limit counts from there."""

    job: JobId
    attempt: AttemptKey
    end_by: Instant = UNKNOWN
    by: int = -1


class JobQuarantined(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """Decisions about the waiting job failed with this error: it is held, and the others go on."""

    job: JobId
    error: str


class Basis(NamedTuple):
    """What an estimate was made from, before past errors were taken into account: how long the job was
    expected to wait and how far that was spread, its time limit, its share of the partition in millionths,
    and how long the partition would work on what is ahead of it. Seconds."""

    wait_s: int = 0
    spread_s: int = 0
    limit_s: int = 0
    share_ppm: int = 0
    ahead_s: int = 0


class StartEstimate(NamedTuple):
    """When the job was expected to start: median, and an interval that should hold in 8 of 10 cases.

    last: not the first, but the last task of an array.
    """

    job: JobId
    low: Instant
    median: Instant
    high: Instant
    last: bool = False
    basis: Basis = Basis()


class StartsEstimated(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """What waiting jobs were told; scored when they start."""

    estimates: tuple[StartEstimate, ...]


class StepCreated(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """Its nodes are told to start it. key.step: its number, one more than the last of this attempt."""

    key: AttemptKey
    spec: StepSpec
    parts: tuple[StepPart, ...]
    end_by: Instant = UNKNOWN


class StepStarted(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """A node says that the step's tasks run there."""

    key: AttemptKey
    node: NodeName
    started_at: Instant


class StepEnding(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The step has to stop. by: uid, -1: the scheduler itself."""

    key: AttemptKey
    cause: EndCause
    by: int = -1


class StepPartEnded(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """Nothing of the step is left on this node. With its last part the step is over.

    at: when this was known here; ended_at: when it was over, as the node's clock says.
    """

    key: AttemptKey
    node: NodeName
    started_at: Instant
    ended_at: Instant
    exit_code: int = 0
    exit_signal: int = 0
    cause: str = "exited"
    detail: str = ""
    usage: Usage = Usage()


class PartitionSwitched(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """An administrator opened or closed the partition: UP, DOWN, DRAIN or INACTIVE."""

    name: str
    state: str
    by: int = -1


class TriggerSet(_Event, frozen=True, array_like=True, gc=False, tag=True):
    trigger: Trigger


class TriggersCleared(_Event, frozen=True, array_like=True, gc=False, tag=True):
    ids: tuple[int, ...]
    by: int = -1


class TriggersFired(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """Their programs are run once this is durable, and never again."""

    fired: tuple[Fired, ...]


class CrontabSet(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The user's crontab is this one from now on; empty: they have none. by -1: a line was disabled, since
    its job was cancelled."""

    crontab: Crontab
    by: int = -1


class BatchEnded(_Event, frozen=True, array_like=True, gc=False, tag=True):
    """The batch script is over, or the allocation's holder said so, and steps still have to end."""

    attempt: AttemptKey
    end: BatchEnd


Event = (
    SchedulerStarted
    | Configured
    | JobsSubmitted
    | ArraySubmitted
    | ArrayTaskSplit
    | ArrayRemainderCancelled
    | JobGranted
    | AttemptStarted
    | JobsEligible
    | JobWarned
    | JobEnding
    | JobTerminating
    | JobEnded
    | JobRequeued
    | JobReopened
    | JobHeld
    | JobReleased
    | JobUpdated
    | NodeRegistered
    | NodeOffered
    | NodeSilenced
    | NodeDrained
    | NodeDowned
    | NodeResumed
    | JobsForgotten
    | CallAnswered
    | PolicyTaught
    | JobsRanked
    | MemoryEstimated
    | LoansChanged
    | ReclaimSwitched
    | UsageLearned
    | JobGpusIdle
    | JobGpusBusy
    | AccountsChanged
    | ReservationSet
    | ReservationDeleted
    | JobSuspended
    | JobResumed
    | JobQuarantined
    | StartsEstimated
    | StepCreated
    | StepStarted
    | StepEnding
    | StepPartEnded
    | BatchEnded
    | PartitionSwitched
    | TriggerSet
    | TriggersCleared
    | TriggersFired
    | CrontabSet
)
