"""What passes between scheduler and agent, as values: orders in, reports out."""

from __future__ import annotations

import msgspec

from packhorse.scheduler.model.ids import AttemptKey, Instant
from packhorse.scheduler.model.input import RunningAttempt
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.resources import Devices, Usage
from packhorse.scheduler.model.sample import DeviceSample


class Welcome(msgspec.Struct, frozen=True):
    """The scheduler accepted this agent. epoch: its leader epoch."""

    epoch: int
    cluster: str
    heartbeat_s: int
    usage_s: int
    takes_batches: bool = False


class StepOrder(msgspec.Struct, frozen=True):
    """The part of a step that runs on this node. Fields as StepLaunch in agent.proto; programs: (ranks, argv)
    each."""

    argv: tuple[str, ...]
    programs: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ranks: tuple[int, ...] = ()
    node_index: int = 0
    n_nodes: int = 1
    n_tasks: int = 1
    tasks_on_nodes: tuple[int, ...] = ()
    nodes: str = ""
    cpu_milli_per_task: int = 1000
    cpu_bind: str = ""
    gpu_bind: str = ""
    gpus_per_task: int = 0
    std_in: str = ""
    std_out: str = ""
    std_err: str = ""
    append: bool = False
    input_rank: int = -1
    pty: bool = False
    rows: int = 0
    columns: int = 0
    mpi: str = "none"
    name: str = ""
    unbuffered: bool = False
    distribution: str = "block"
    plane_size: int = 0
    job_nodes: str = ""
    job_node_index: int = 0
    het_group: int = 0
    het_size: int = 0
    attach_s: int = 60


class LaunchOrder(msgspec.Struct, frozen=True):
    """Everything needed to start one attempt; journalled as it came, so fields are only ever added."""

    attempt: AttemptKey
    uid: int
    gid: int
    user: str
    script: bytes
    environment: tuple[str, ...]
    slurm_environment: tuple[str, ...]
    work_dir: str
    std_in: str
    std_out: str
    std_err: str
    args: tuple[str, ...] = ()
    append: bool = False
    umask: int = 0o022
    rlimits: tuple[tuple[str, int], ...] = ()
    cpu_milli: int = 1000
    mem_mib: int = 0
    devices: tuple[Devices, ...] = ()
    time_limit_s: int = 0
    kill_wait_s: int = 30
    lease_s: int = 0
    job_name: str = ""
    allow_root: bool = False
    lent_mib: int = 0
    step: StepOrder | None = None


class SignalOrder(msgspec.Struct, frozen=True):
    attempt: AttemptKey
    signal: int
    scope: str


class TerminateOrder(msgspec.Struct, frozen=True):
    attempt: AttemptKey
    grace_s: int
    cause: str
    signal: int = 0  # sent first, 0: TERM


class TimeLimitOrder(msgspec.Struct, frozen=True):
    attempt: AttemptKey
    time_limit_s: int


class SuspendOrder(msgspec.Struct, frozen=True):
    """Stop every process of the attempt, or let them go on."""

    attempt: AttemptKey
    suspend: bool


class ExitsAcked(msgspec.Struct, frozen=True):
    attempts: tuple[AttemptKey, ...]


class JobOverOrder(msgspec.Struct, frozen=True):
    """Nothing of this attempt runs anywhere any more: what is kept for its steps may go."""

    attempt: AttemptKey


class TunnelOrder(msgspec.Struct, frozen=True):
    """Somebody who may act as `uid` wants to talk to this step: dial back with the id."""

    id: int
    uid: int
    attempt: AttemptKey


class HeartbeatAnswered(msgspec.Struct, frozen=True):
    at: Instant


class ResumeOrder(msgspec.Struct, frozen=True):
    """An operator wants the node to take work again, although a prolog or epilog failed."""


class Dismissed(msgspec.Struct, frozen=True):
    """The scheduler will not have this agent. retry: it may try again later."""

    reason: str
    retry: bool


Order = (
    Welcome
    | LaunchOrder
    | SignalOrder
    | TerminateOrder
    | TimeLimitOrder
    | SuspendOrder
    | ExitsAcked
    | JobOverOrder
    | TunnelOrder
    | HeartbeatAnswered
    | ResumeOrder
    | Dismissed
)


class Introduction(msgspec.Struct, frozen=True):
    """First words of every session: the hardware and every attempt that is not settled.

    step_door: where clients attach to steps of this node, "" for nowhere. kept: attempts of which something
    is kept for their steps, until JobOver.
    """

    spec: NodeSpec
    boot_id: str
    offer: Offer
    running: tuple[RunningAttempt, ...] = ()
    launching: tuple[AttemptKey, ...] = ()
    exited: tuple[AttemptKey, ...] = ()
    step_door: str = ""
    kept: tuple[AttemptKey, ...] = ()


class ExitReport(msgspec.Struct, frozen=True):
    """How an attempt ended; nothing of it is left on the node."""

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


class SuspensionReport(msgspec.Struct, frozen=True):
    """What came of an order to suspend or continue. suspended: how the attempt is now. error: why it is not
    as ordered, "" if it is."""

    attempt: AttemptKey
    suspended: bool
    error: str = ""


class AttemptSample(msgspec.Struct, frozen=True):
    """What one running attempt uses now. rss_kib: memory that counts against its limit, cache_kib: page cache
    beside that."""

    attempt: AttemptKey
    usage: Usage
    rss_kib: int = 0
    cache_kib: int = 0
    devices: tuple[DeviceSample, ...] = ()


class UsageSample(msgspec.Struct, frozen=True):
    """What the node uses now; load_milli is the one-minute load average times 1000.

    pressure_milli: thousandths of the last 10 s in which some process waited for memory, None: not told here.
    """

    at: Instant
    cpu_milli_used: int
    mem_mib_used: int
    mem_mib_free: int
    load_milli: int
    attempts: tuple[AttemptSample, ...] = ()
    devices: tuple[DeviceSample, ...] = ()
    pressure_milli: int | None = None


class Heartbeat(msgspec.Struct, frozen=True):
    at: Instant


Report = Introduction | Offer | RunningAttempt | ExitReport | SuspensionReport | UsageSample | Heartbeat
