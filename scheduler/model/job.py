"""Jobs: what was submitted, and where in its life a job is."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from packhorse.scheduler.model.accounts import PreemptMode
from packhorse.scheduler.model.ids import UNKNOWN, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.loan import Loan
from packhorse.scheduler.model.resources import Ask, Placement, Usage
from packhorse.scheduler.model.step import AllocationKind

OOM_SIGNAL = 125
"""Instead of a signal, in the end of a job that went out of memory: Slurm's ExitCode for those is 0:125."""


class JobState(StrEnum):
    """Slurm's state words, the ones this scheduler uses."""

    PENDING = "PENDING"
    CONFIGURING = "CONFIGURING"  # granted, the agent has not said yet that it runs
    RUNNING = "RUNNING"
    COMPLETING = "COMPLETING"  # told to stop, not every process is known to be gone
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMEOUT = "TIMEOUT"
    NODE_FAIL = "NODE_FAIL"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    DEADLINE = "DEADLINE"
    BOOT_FAIL = "BOOT_FAIL"
    PREEMPTED = "PREEMPTED"
    SUSPENDED = "SUSPENDED"  # holds its allocation and is stopped
    REQUEUED = "REQUEUED"  # of an attempt only: the job itself is PENDING again


ACTIVE_STATES = frozenset({JobState.CONFIGURING, JobState.RUNNING, JobState.SUSPENDED, JobState.COMPLETING})


class Owner(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who a job belongs to, as the kernel or a verified token said."""

    uid: int
    gid: int
    user: str
    group: str


class DependencyKind(StrEnum):
    AFTER = "after"  # the other started (or was cancelled), delay_s ago
    AFTERANY = "afterany"
    AFTEROK = "afterok"
    AFTERNOTOK = "afternotok"
    AFTERCORR = "aftercorr"  # the same index of the other array ended well
    SINGLETON = "singleton"  # no earlier job of the same name and user is left


class Condition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One condition on one other job (job 0 for singleton). index -1: the job or the whole array."""

    kind: DependencyKind
    job: JobId = JobId(0)
    index: int = -1
    delay_s: int = 0


class Dependency(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Conditions joined by `,` (all of them) or, with any_of, by `?` (one is enough)."""

    conditions: tuple[Condition, ...]
    any_of: bool = False


class IndexRange(NamedTuple):
    """Array indices start, start+step … up to and including stop."""

    start: int
    stop: int
    step: int

    @property
    def size(self) -> int:
        """How many indices."""
        return (self.stop - self.start) // self.step + 1


class ArraySpec(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which indices an array has, ascending and disjoint, and how many may run at once (0: all)."""

    ranges: tuple[IndexRange, ...]
    limit: int = 0


class WarnSignal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`--signal=[B:]NUM@SECONDS`: sent seconds_before the limit, to the batch shell only or to its steps."""

    signal: int
    seconds_before: int = 60
    batch_only: bool = False


class Retry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Run again after a failing exit: at most max_retries times, the n-th after backoff_s * 2**(n-1).

    codes: exit codes after which it does, empty: after any but 0. avoid_node: not where it failed.
    """

    max_retries: int
    backoff_s: int = 30
    codes: tuple[int, ...] = ()
    avoid_node: bool = False


class Gang(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Jobs of one user that start in the same pass or not at all. size: how many belong to it.

    wait_s: when so long after the first of them was submitted not all of them could start, those that wait
    are given up; 0: never.
    """

    name: str
    size: int
    wait_s: int = 0


class Given(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which amounts the submitter spelled out: decides which SLURM_* variables the job sees."""

    n_tasks: bool = False
    cpus_per_task: bool = False
    tasks_per_node: bool = False
    gpus: str = ""
    gpus_per_node: str = ""
    gpus_per_task: str = ""
    export: str = ""
    threads_per_core: bool = False


NORMAL_QOS = "normal"
"""The QOS of jobs that name none."""


class JobSpec(msgspec.Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """A job as submitted, with every default filled in. Hashable; equal specs are kept once.

    script_ref and env_ref name blobs in the store (sha256, hex). Output paths are patterns
    (model/outputpath.py); "" means Slurm's default name, std_err "" means the same file as std_out.
    time_limit_s 0: no limit. priority None: computed. lease_s 0: the job outlives any silence of its
    scheduler; otherwise its node stops it after that long without contact. no_lend: memory that it leaves
    unused is never lent to others. oom_factor_milli: after it ran out of memory it runs again with so many
    thousandths of that memory, 0: it does not; oom_max_retries: at most so often, 0: as often as any job may
    be requeued. idle_gpu_ok: that its GPUs do nothing for long is nobody's business. right_sized: what was
    set instead of what its submitter asked for, and why, "" for nothing. reservation: the one whose nodes it
    uses, "" for none. deadline_at: it is given up when it cannot be over by then, 0: never. site_factor: of
    its priority, set by administrators. checkpoint: what it is sent when it has to make room for others, and
    how long before it is stopped. gang: jobs that it starts together with, or not at all. switches_wait_s:
    for how long it waits, once eligible, for as few switches as it asks for; -1: for ever. allocation: what
    it has instead of a batch script (script_ref is "" then). mail: of what its user is told by mail
    (model/mailspec.py), "" for nothing; mail_user: where to, "": to its owner.
    """

    name: str
    ask: Ask
    partition: str
    script_ref: str
    env_ref: str
    work_dir: str
    args: tuple[str, ...] = ()
    account: str = ""
    qos: str = NORMAL_QOS
    time_limit_s: int = 0
    priority: int | None = None
    nice: int = 0
    begin_at: Instant = UNKNOWN
    hold: bool = False
    dependency: Dependency | None = None
    kill_on_invalid_dep: bool = False
    requeue: bool = True
    retry: Retry | None = None
    warn: WarnSignal | None = None
    std_in: str = "/dev/null"
    std_out: str = ""
    std_err: str = ""
    append: bool | None = None  # None: truncate on the first run, append on later ones
    umask: int = 0o022
    rlimits: tuple[tuple[str, int], ...] = ()
    comment: str = ""
    command: str = ""
    submit_host: str = ""
    submit_line: str = ""
    given: Given = Given()
    lease_s: int = 0
    licenses: str = ""
    submit_dir: str = ""  # "": work_dir
    no_lend: bool = False
    oom_factor_milli: int = 0
    oom_max_retries: int = 0
    idle_gpu_ok: bool = False
    right_sized: str = ""
    reservation: str = ""
    deadline_at: Instant = UNKNOWN
    site_factor: int = 0
    wckey: str = ""
    checkpoint: WarnSignal | None = None
    gang: Gang | None = None
    switches_wait_s: int = -1
    allocation: AllocationKind = AllocationKind.BATCH
    mail: str = ""
    mail_user: str = ""


class Held(StrEnum):
    NO = ""
    USER = "user"
    ADMIN = "admin"
    REQUEUED = "requeued"  # scontrol requeuehold
    QUARANTINED = "quarantined"  # decisions about it failed: an administrator may try again


class EndCause(StrEnum):
    """Why an active attempt was told to stop, or stopped."""

    EXITED = "exited"
    CANCELLED = "cancelled"
    TIME_LIMIT = "time_limit"
    REQUEUED = "requeued"
    NODE_FAIL = "node_fail"
    LAUNCH_FAILED = "launch_failed"
    OUT_OF_MEMORY = "out_of_memory"
    LEASE = "lease"
    STALE = "stale"
    PREEMPTED = "preempted"
    GPU_IDLE = "gpu_idle"
    DEADLINE = "deadline"


class Pending(msgspec.Struct, frozen=True, tag="pending", array_like=True, gc=False):
    """Waiting. begin_at: not before this instant (begin time, requeue delay or retry backoff).

    eligible_at: since when nothing but resources and order has been in the way, 0 while something is.
    unmet: conditions still open; failed: conditions that can no longer come true; never: because of
    these the job cannot start any more. Conditions that came true are in neither. error: why decisions about
    it failed, while it is quarantined.
    """

    begin_at: Instant = UNKNOWN
    eligible_at: Instant = UNKNOWN
    held: Held = Held.NO
    unmet: tuple[Condition, ...] = ()
    failed: tuple[Condition, ...] = ()
    never: bool = False
    error: str = ""


class BatchEnd(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How a batch script ended, or what the command that held an allocation said, while steps of it still
    have to end. Fields as in `ReportExit`.
    """

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


class Active(msgspec.Struct, frozen=True, tag="active", array_like=True, gc=False):
    """Holds an allocation. started_at 0 until the agent said that it runs.

    end_by: the instant of the time limit, 0 for none. ending: why it was told to stop, None while it
    was not; ending_by is the uid that asked (-1: the scheduler itself). terminate_at: when the agent
    is to be told, 0 once it was (a job that requeues itself gets its answer before its TERM). ending_for:
    the job that its room was needed for, 0 for none. ranked_at: when it last came to stand elsewhere in the
    order because of how much it has run, 0: not in this attempt. loans: memory of others that it has.
    estimated: MiB that it is expected to use, placement by placement; empty: all it may. ending_why: a
    sentence, where that says more than the cause. gpus_idle_since: since when all its GPUs had been idle when
    it was warned of that, at gpus_warned_at; both 0: it was not, or they are busy again. suspended_at: since
    when it is stopped and keeps its memory, 0: it is not (one that is told to end goes on for that, and does
    not get its CPUs back). suspended_us: for how long it was before that; suspended_for: the job whose room
    that makes, 0 for none. priority: that it was started by, 0: what its spec says. reservation: the one that
    it runs in, "" for none. ending_mode: what becomes of it that makes room for a job with a right to that;
    CLUSTER where it ends for another cause. batch_end: its batch script is over, and its steps were told to
    end and have not all done so.
    """

    attempt: AttemptKey
    placements: tuple[Placement, ...]
    granted_at: Instant
    started_at: Instant = UNKNOWN
    end_by: Instant = UNKNOWN
    warned: bool = False
    ending: EndCause | None = None
    ending_at: Instant = UNKNOWN
    ending_by: int = -1
    requeue_held: bool = False
    terminate_at: Instant = UNKNOWN
    eligible_at: Instant = UNKNOWN
    ending_for: JobId = JobId(0)
    ranked_at: Instant = UNKNOWN
    loans: tuple[Loan, ...] = ()
    estimated: tuple[int, ...] = ()
    ending_why: str = ""
    gpus_idle_since: Instant = UNKNOWN
    gpus_warned_at: Instant = UNKNOWN
    suspended_at: Instant = UNKNOWN
    suspended_us: int = 0
    suspended_for: JobId = JobId(0)
    priority: int = 0
    reservation: str = ""
    ending_mode: PreemptMode = PreemptMode.CLUSTER
    batch_end: BatchEnd | None = None


class Ended(msgspec.Struct, frozen=True, tag="ended", array_like=True, gc=False):
    """Over. started_at 0 if it never ran; exit_signal 0 unless a signal ended it. suspended_us: how long it
    was suspended between start and end; priority as in Active."""

    state: JobState
    ended_at: Instant
    started_at: Instant = UNKNOWN
    attempt: AttemptKey | None = None
    placements: tuple[Placement, ...] = ()
    exit_code: int = 0
    exit_signal: int = 0
    reason: str = "None"
    detail: str = ""
    cancelled_by: int = -1
    usage: Usage = Usage()
    eligible_at: Instant = UNKNOWN
    suspended_us: int = 0
    priority: int = 0


Phase = Pending | Active | Ended


class Job(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One job or one array task that has a number of its own.

    attempts is the number of the last grant; one is skipped when a job that was cancelled before it
    ran is reopened. restarts counts the runs that were requeued, retries the attempts that failed and
    were tried again. array_id 0 and index -1: not part of an array. refusals: how often an agent would
    not launch it; avoid: those agents' nodes. ran_us: how long earlier attempts ran, whatever became of
    their work. preemptions: those of the restarts that made room for another job. borrow_after: it gets no
    lent memory before then. oom_retries: those of the restarts that came with more
    memory, which spec asks for now. preempted_…: when it last had to make room, for which job (0: that is not
    known any more) and why. room_until: while it waits, others are making room for it, which is kept for it
    until then.
    """

    id: JobId
    spec: JobSpec
    owner: Owner
    submitted_at: Instant
    phase: Phase
    array_id: JobId = JobId(0)
    index: int = -1
    attempts: int = 0
    restarts: int = 0
    retries: int = 0
    avoid: tuple[NodeName, ...] = ()
    refusals: int = 0
    ran_us: int = 0
    preemptions: int = 0
    borrow_after: Instant = UNKNOWN
    oom_retries: int = 0
    preempted_by: JobId = JobId(0)
    preempted_at: Instant = UNKNOWN
    preempted_why: str = ""
    room_until: Instant = UNKNOWN

    @property
    def state(self) -> JobState:
        """Where the job stands, in Slurm's word."""
        phase = self.phase
        if isinstance(phase, Pending):
            return JobState.PENDING
        if isinstance(phase, Ended):
            return phase.state
        if phase.ending is not None:
            return JobState.COMPLETING
        if phase.suspended_at:
            return JobState.SUSPENDED
        return JobState.RUNNING if phase.started_at else JobState.CONFIGURING


class ArrayJob(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The part of a job array that has not become single jobs yet: one row however many indices.

    remaining: indices still waiting. An index leaves it when its task is granted, held or changed on
    its own, and is a Job from then on, or when it is cancelled. blocked: the part of remaining that
    waits for its counterpart in another array (aftercorr); never: the part of blocked whose
    counterpart failed. cancelled: indices cancelled, or given up, while they waited; late: the part of
    those that could not be over by the deadline. failed: some task ended, and not well. The array is
    forgotten once nothing remains and all its tasks are.
    """

    id: JobId
    spec: JobSpec
    owner: Owner
    submitted_at: Instant
    array: ArraySpec
    remaining: tuple[IndexRange, ...]
    phase: Pending = Pending()
    blocked: tuple[IndexRange, ...] = ()
    never: tuple[IndexRange, ...] = ()
    cancelled: tuple[IndexRange, ...] = ()
    failed: bool = False
    late: tuple[IndexRange, ...] = ()
