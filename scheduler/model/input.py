"""Inputs: everything that can happen to the scheduler from outside. Recorded, they can be replayed."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from packhorse.scheduler.model.accounts_change import AccountChange
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.crontab import CronLine, Offsets
from packhorse.scheduler.model.event import Item, StartEstimate
from packhorse.scheduler.model.ids import UNKNOWN, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.job import ArraySpec, Dependency, JobSpec, Owner
from packhorse.scheduler.model.loan import Switch
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.reservation import ReservationWish
from packhorse.scheduler.model.resources import Usage
from packhorse.scheduler.model.step import StepSpec
from packhorse.scheduler.model.trigger import TriggerKind


class _Input(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    pass


class Caller(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who calls, as verified by the service. admin: may act on everybody's jobs and on nodes."""

    owner: Owner
    admin: bool = False
    key: str = ""
    fingerprint: str = ""


class Start(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """The scheduler process took over. The new epoch is one above the last."""

    config: ClusterConfig


class Submit(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Specs may leave partition, account, time limit and memory at their defaults ("" and, for
    time_limit_s, -1); the core fills them in or refuses. All jobs or none."""

    caller: Caller
    specs: tuple[JobSpec, ...]
    items: tuple[Item, ...]


class SubmitArray(_Input, frozen=True, array_like=True, gc=False, tag=True):
    caller: Caller
    spec: JobSpec
    array: ArraySpec


class Target(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A job, a whole array (its id), or some indices of an array. ref: as the caller wrote it."""

    ref: str
    job: JobId
    indices: ArraySpec | None = None


class SignalScope(StrEnum):
    STEPS = "steps"  # Slurm's default for scancel -s: not the batch shell
    BATCH = "batch"  # the batch shell alone
    ALL = "all"  # batch shell and everything below


class Cancel(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """End jobs (signal 0), or only send them a signal. A cancelled pending job never runs."""

    caller: Caller
    targets: tuple[Target, ...]
    signal: int = 0
    scope: SignalScope = SignalScope.STEPS


class Hold(_Input, frozen=True, array_like=True, gc=False, tag=True):
    caller: Caller
    targets: tuple[Target, ...]
    as_user: bool = False


class Release(_Input, frozen=True, array_like=True, gc=False, tag=True):
    caller: Caller
    targets: tuple[Target, ...]


class Requeue(_Input, frozen=True, array_like=True, gc=False, tag=True):
    caller: Caller
    targets: tuple[Target, ...]
    hold: bool = False


class Changes(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What `scontrol update job` may change; None leaves a thing alone."""

    name: str | None = None
    comment: str | None = None
    time_limit_s: int | None = None  # 0: unlimited
    time_limit_by_s: int | None = None  # added to the present limit, may be negative
    priority: int | None = None
    nice: int | None = None
    partition: str | None = None
    begin_at: Instant | None = None
    dependency: Dependency | None = None
    drop_dependency: bool = False
    features: str | None = None
    nodes_required: tuple[NodeName, ...] | None = None
    nodes_excluded: tuple[NodeName, ...] | None = None
    mem_mib_per_node: int | None = None
    mem_mib_per_cpu: int | None = None
    n_cpus: int | None = None
    min_nodes: int | None = None
    requeue: bool | None = None
    array_limit: int | None = None
    account: str | None = None
    qos: str | None = None
    no_lend: bool | None = None
    reservation: str | None = None
    deadline_at: Instant | None = None
    site_factor: int | None = None
    wckey: str | None = None
    licenses: str | None = None


class UpdateJob(_Input, frozen=True, array_like=True, gc=False, tag=True):
    caller: Caller
    targets: tuple[Target, ...]
    changes: Changes


class NodeAction(StrEnum):
    DRAIN = "drain"
    RESUME = "resume"
    DOWN = "down"


class UpdateNode(_Input, frozen=True, array_like=True, gc=False, tag=True):
    caller: Caller
    nodes: tuple[NodeName, ...]
    action: NodeAction
    reason: str = ""


class RunningAttempt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An attempt that an agent knows to run on its node. suspended: all of it is stopped."""

    attempt: AttemptKey
    started_at: Instant
    suspended: bool = False


class RegisterNode(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """An agent connected. running: every attempt it knows to run. Exits it still keeps follow as ReportExit.

    launching: attempts in its journal whose process it has not seen start yet. kept: attempts of which it
    keeps something for steps to come, until it hears JobOver.
    """

    spec: NodeSpec
    boot_id: str
    offer: Offer
    running: tuple[RunningAttempt, ...] = ()
    launching: tuple[AttemptKey, ...] = ()
    exited: tuple[AttemptKey, ...] = ()
    kept: tuple[AttemptKey, ...] = ()


class ReportOffer(_Input, frozen=True, array_like=True, gc=False, tag=True):
    node: NodeName
    offer: Offer


class ReportSilence(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """The stream of this node's agent is gone."""

    node: NodeName


class ReportStart(_Input, frozen=True, array_like=True, gc=False, tag=True):
    node: NodeName
    attempt: AttemptKey
    started_at: Instant


class ReportExit(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """An attempt is over and nothing of it is left on the node.

    launch_error: "" or the one line that says why it never ran. lost: the supervisor vanished
    without a record. cause: what the supervisor says ended it ("exited", "terminated",
    "time_limit", "lease", "oom"), detail: a line about that. refused: the agent would not launch it at all.
    """

    node: NodeName
    attempt: AttemptKey
    started_at: Instant
    ended_at: Instant
    exit_code: int = 0
    exit_signal: int = 0
    cause: str = "exited"
    launch_error: str = ""
    lost: bool = False
    refused: bool = False
    usage: Usage = Usage()
    detail: str = ""


class ReportUsage(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """How much memory a node has free, and the attempts on it use; only while memory is lent at all.

    at: when, by the node's clock. pressure_milli: thousandths of the last 10 s in which some process waited
    for memory, None: not told. attempts: those that run there, with MiB used.
    """

    node: NodeName
    at: Instant
    free_mib: int
    pressure_milli: int | None
    attempts: tuple[tuple[AttemptKey, int], ...]


class SwitchReclaim(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Lending on or off: everywhere, or for the jobs of a partition or an account. Administrators only."""

    caller: Caller
    on: bool
    switch: Switch


class ChangeAccounts(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Change the book of accounts, one change after the other: all or none. dry_run: none, only say what.

    The reply tells what changed, one line each.
    """

    caller: Caller
    changes: tuple[AccountChange, ...]
    dry_run: bool = False


class ReportGpus(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Since idle_since every GPU of the attempt was measured and idle; 0: that is so no longer.

    Told when it has been so for long enough to matter, and when it ends after that.
    """

    attempt: AttemptKey
    idle_since: Instant = UNKNOWN


class Tick(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Time passed: begin times, time limits, leases, retention."""


class Guided(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a job, or one task of an array, would best go. device: index of the one that a share comes from,
    -1 for any."""

    job: JobId
    nodes: tuple[NodeName, ...]
    device: int = -1


class RunCycle(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Decide what starts now.

    guide: where jobs would best go, a wish: used only if the plan is at least as good with it. hold: start
    nothing if a better plan could be found for this moment's queue, and say so (Decision.contended).
    """

    guide: tuple[Guided, ...] = ()
    hold: bool = False


class Teach(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """What the placement policy can learn from this mix of jobs on these nodes is at hand (event
    PolicyTaught)."""

    policy: str
    mix: tuple[tuple[int, int, int, int, str, int], ...]
    ground: str


class NoteEstimates(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """When waiting jobs are expected to start, worked out from the state a little while ago."""

    estimates: tuple[StartEstimate, ...]


class SuspendJobs(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Stop running jobs where they are (`scontrol suspend`). Administrators only."""

    caller: Caller
    targets: tuple[Target, ...]


class ResumeJobs(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Let suspended jobs go on (`scontrol resume`). Administrators only."""

    caller: Caller
    targets: tuple[Target, ...]


class ReportSuspension(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """An agent has carried out an order to suspend or continue an attempt. suspended: how it is now.

    error: why the order could not be carried out, "" if it was.
    """

    node: NodeName
    attempt: AttemptKey
    suspended: bool
    error: str = ""


class Reconfigure(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """The configuration file was read again (`scontrol reconfigure`). changed: what is different in it."""

    caller: Caller
    config: ClusterConfig
    changed: tuple[str, ...] = ()


class CreateReservation(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Set nodes aside. Administrators and operators only; a name "" is made up."""

    caller: Caller
    wish: ReservationWish


class UpdateReservation(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Change what is named."""

    caller: Caller
    wish: ReservationWish


class DeleteReservation(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """No reservation of this name any more."""

    caller: Caller
    name: str


class CreateStep(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Start a step in a running job of the caller's. Answered StepMade; Refused with EXHAUSTED while other
    steps hold what it needs."""

    caller: Caller
    job: JobId
    spec: StepSpec


class CancelStep(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """End a step (signal 0), or only send it a signal."""

    caller: Caller
    ref: str
    job: JobId
    step: int
    signal: int = 0


class EndAllocation(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """The command that held this job without a batch script is done: end what steps it has left, then the
    job, with this code."""

    caller: Caller
    job: JobId
    exit_code: int = 0
    exit_signal: int = 0


class SwitchPartition(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Open or close partitions: UP, DOWN, DRAIN, INACTIVE."""

    caller: Caller
    names: tuple[str, ...]
    state: str


class SetTrigger(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Run a program as the caller once something has happened; fields as in model/trigger.py."""

    caller: Caller
    kind: TriggerKind
    program: str
    job: JobId = JobId(0)
    nodes: tuple[NodeName, ...] = ()
    offset_s: int = 0
    permanent: bool = False


class ClearTriggers(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """Of these that the caller may clear: by number, of a job, of a user; 0 and -1: any."""

    caller: Caller
    id: int = 0
    job: JobId = JobId(0)
    uid: int = -1


class SetCrontab(_Input, frozen=True, array_like=True, gc=False, tag=True):
    """The crontab of `owner` in place of the one before. offsets: the time zone that it is read in."""

    caller: Caller
    owner: Owner
    text: str
    lines: tuple[CronLine, ...] = ()
    offsets: Offsets = ((0, 0),)


Input = (
    Start
    | Submit
    | SubmitArray
    | Cancel
    | Hold
    | Release
    | Requeue
    | UpdateJob
    | UpdateNode
    | RegisterNode
    | ReportOffer
    | ReportSilence
    | ReportStart
    | ReportExit
    | Tick
    | RunCycle
    | Teach
    | NoteEstimates
    | ReportUsage
    | SwitchReclaim
    | ReportGpus
    | ChangeAccounts
    | SuspendJobs
    | ResumeJobs
    | ReportSuspension
    | Reconfigure
    | CreateReservation
    | UpdateReservation
    | DeleteReservation
    | CreateStep
    | CancelStep
    | EndAllocation
    | SwitchPartition
    | SetTrigger
    | ClearTriggers
    | SetCrontab
)
