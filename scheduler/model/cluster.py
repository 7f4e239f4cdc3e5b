"""What an administrator sets: partitions and limits the core decides by."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from packhorse.scheduler.model.accounts import PreemptMode
from packhorse.scheduler.model.ids import UNKNOWN, Instant, NodeName

Topology = tuple[tuple[str, tuple[NodeName, ...]], ...]
"""Paths in the tree of racks and switches, as in "rack1/leaf2", and the nodes that stand there."""


class Partition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A named set of nodes with limits and defaults.

    nodes: names, or ("ALL",). Times in seconds, 0: unlimited; max_nodes 0: unlimited.
    priority_tier orders whole partitions before any job priority. lease_s: default of its jobs.
    allow_…, deny_…: who may use it; empty: everybody, nobody is denied. qos: its limits hold for all jobs of
    the partition, "" for none. billing: weight of a unit of each countable resource in what use of the
    partition costs (CPUs, GiB of memory, devices); empty: a CPU counts 1. preempt_mode: what becomes of its
    jobs when jobs of a higher tier need their room, "" as for the cluster; grace_s: how long they have.
    """

    name: str
    nodes: tuple[NodeName, ...] = (NodeName("ALL"),)
    is_default: bool = False
    up: bool = True
    max_time_s: int = 0
    default_time_s: int = 0
    max_nodes: int = 0
    min_nodes: int = 0
    def_mem_mib_per_cpu: int = 0
    max_mem_mib_per_node: int = 0
    priority_tier: int = 1
    priority: int = 0
    allow_users: tuple[str, ...] = ()
    lease_s: int = 0
    allow_groups: tuple[str, ...] = ()
    allow_accounts: tuple[str, ...] = ()
    deny_accounts: tuple[str, ...] = ()
    allow_qos: tuple[str, ...] = ()
    deny_qos: tuple[str, ...] = ()
    qos: str = ""
    billing: tuple[tuple[str, float], ...] = ()
    preempt_mode: str = ""
    grace_s: int = 0


class Improver(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When and how hard the solver looks for a better plan than the greedy one (packing/cpsat.py).

    limit_ms: wall time of one try; deterministic_limit: instead, in the solver's own deterministic seconds
    (0: the wall limit holds), so that the same input gives the same plan. max_nodes, max_jobs: the largest
    contended part it is given. hold_ms: how long starts may wait for its answer where it could matter; 0: the
    quick plan's starts never wait, which leaves the solver nothing to do (docs/decisions/0006).
    """

    enabled: bool = True
    limit_ms: int = 1000
    deterministic_limit: float = 0.0
    workers: int = 1
    seed: int = 0
    max_nodes: int = 1000
    max_jobs: int = 2000
    hold_ms: int = 0


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the order "packhorse" goes by (core/batch/turns.py); without meaning under any other.

    ageing_s: a wait from which a job moves ahead, and fast: a job that has waited x times as long counts as
    if it were 1 + x**power times smaller; guard: times ageing_s, after which the longest wait goes first,
    whatever the job. reserve: share of what a job leaves of its partition that is kept free of it, for small
    jobs, 0: none; this much for jobs that are `spread` times as long as a small one, less for shorter ones,
    and nothing while more than `idle` of the partition is free. wide: share of its partition from which a
    job that is late, its wait beyond ageing_s, starts in quiet hours, above 1: none; quiet: how quiet, 0: the
    quietest of the next 24 hours, 1: any; yielding: what is added to that for each further ageing_s.
    """

    ageing_s: int = 280_000
    power: float = 28.0
    guard: float = 4.0
    reserve: float = 0.2
    spread: float = 1000.0
    idle: float = 0.3
    wide: float = 0.8
    quiet: float = 0.2
    yielding: float = 0.3


class Reclaim(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Lending of memory that jobs ask for and do not use (docs/reclaim.md). enabled: usage is watched, and
    memory is lent.

    estimator: by its name (core/reclaim/estimators.py); estimate_margin (percent), half_life_s and
    window_s: its constants, 0: those it comes with; overrun_days: of `packhorse`, see there. settle_s: how
    long a job runs before any of its memory is lent, and how long one that was stopped may not borrow.
    share: percent of what is unused that may be lent; margin_mib: less of it on each node; max_lent_mib:
    most of each node, 0: no bound. Loans are taken back where less than floor_percent of a node's memory,
    or than floor_mib, is free, and where processes waited for memory in more than pressure_milli
    thousandths of the last 10 s. grace_s: between the signal and KILL. exempt_…: whose memory is never
    lent. no_borrow: partitions in which nobody borrows. stoppable_qos: QOS, beside "normal", that jobs may
    name; jobs of these may be stopped for memory, and only they borrow.
    """

    enabled: bool = False
    estimator: str = "packhorse"
    settle_s: int = 300
    share: int = 80
    margin_mib: int = 256
    max_lent_mib: int = 0
    floor_percent: int = 5
    floor_mib: int = 0
    pressure_milli: int = 100
    grace_s: int = 30
    exempt_partitions: tuple[str, ...] = ()
    exempt_accounts: tuple[str, ...] = ()
    exempt_users: tuple[str, ...] = ()
    no_borrow: tuple[str, ...] = ()
    stoppable_qos: tuple[str, ...] = ("scavenger",)
    estimate_margin: int = 0
    half_life_s: int = 0
    window_s: int = 0
    overrun_days: int = 60


class GpuIdleAction(StrEnum):
    """What becomes of a job whose GPUs stay idle after the warning."""

    WARN = "warn"  # nothing more
    REQUEUE = "requeue"  # it is stopped, and waits again, held
    CANCEL = "cancel"


class GpuIdle(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is done about jobs whose GPUs do nothing (core/gpu_idle.py).

    busy_below_milli: a GPU on which something ran for less than so many thousandths of the time is idle.
    warn_after_s: a job is warned when all its GPUs have been idle that long; grace_s: after another so many
    seconds action follows. exempt_*: names of partitions, accounts and users whose jobs are left alone.
    """

    enabled: bool = False
    busy_below_milli: int = 50
    warn_after_s: int = 7200
    grace_s: int = 1800
    action: GpuIdleAction = GpuIdleAction.WARN
    exempt_partitions: tuple[str, ...] = ()
    exempt_accounts: tuple[str, ...] = ()
    exempt_users: tuple[str, ...] = ()


class PreemptBy(StrEnum):
    """What lets a waiting job have running ones make room for it."""

    NONE = "none"
    QOS = "qos"
    PARTITION = "partition"
    BOTH = "both"


class VictimOrder(StrEnum):
    """Which of those that could make room do: where the least work is lost, or the last that began."""

    WORK = "work"
    NEWEST = "newest"


class Preemption(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who makes room for whom (core/preempt). mode, grace_s, exempt_s: of jobs whose QOS or partition says
    nothing else: what becomes of them, how long they have between the warning and the end, and how long they
    run before. checkpoint_s: the longest that a job with a checkpoint signal may have. max_victims: at most
    so many are told in one pass. take_back: accounts get back what their siblings borrowed of their quotas.
    """

    type: PreemptBy = PreemptBy.NONE
    mode: PreemptMode = PreemptMode.REQUEUE
    grace_s: int = 0
    exempt_s: int = 0
    checkpoint_s: int = 300
    max_victims: int = 100
    victims: VictimOrder = VictimOrder.WORK
    take_back: bool = True


class Priorities(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the order "multifactor" goes by (core/multifactor.py), and how use fades.

    weight_…: what each factor, a number from 0 to 1, is worth; weight_tres: of the share of each of these
    resources that a job asks for. max_age_s: from here on age is worth no more. favor_small: small jobs come
    first instead of large ones. half_life_s: after so long use counts half, 0: it does not fade; usage_reset:
    when all use is forgotten (core/accounts/decay.py). calc_period_s: how often fair shares are worked out
    while nothing but time passes. max_tres: a job costs what its dearest resource does, not all together.
    look_ahead_s: fair shares are held against what was used and what running jobs use in so long.
    """

    weight_age: int = 0
    weight_fairshare: int = 0
    weight_job_size: int = 0
    weight_partition: int = 0
    weight_qos: int = 0
    weight_assoc: int = 0
    weight_tres: tuple[tuple[str, int], ...] = ()
    max_age_s: int = 7 * 86_400
    favor_small: bool = False
    half_life_s: int = 7 * 86_400
    usage_reset: str = "none"
    calc_period_s: int = 300
    max_tres: bool = False
    look_ahead_s: int = 1800


class Enforce(StrEnum):
    """What accounts, associations and QOS limit."""

    NONE = "none"  # nothing: they are names in records
    ACCOUNTS = "accounts"  # those who have an association, or name an account that exists; others go free
    LIMITS = "limits"  # everybody, once there are accounts: a job without an association is refused then
    ASSOCIATIONS = "associations"  # everybody, always: nobody submits before there are accounts


class AccountsPolicy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far the book of accounts is enforced (core/accounts/)."""

    enforce: Enforce = Enforce.LIMITS


class ClusterConfig(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Settings that decisions depend on; part of the recorded state, so that replay sees them too.

    policy: name of the placement policy. licenses: (name, how many the cluster has). order: of jobs of equal
    tier and priority (core/orders.py); origin: what submission times are counted from there, UNKNOWN: the
    first start. backfill: who may go before blocked jobs (core/backfill_kinds.py), of which backfill_depth
    have planned starts. keep_next: a blocked job that has a planned start stays ahead of those that come.
    predictor: how long jobs are expected to run (core/predictors.py). preempt: "order": running jobs are
    stopped, and wait again, where jobs that come before them in the order need their room
    (core/preemption.py); "none": never. batch: of the order "packhorse". reclaim: lending of unused memory.
    gpu_idle: what is done about GPUs that jobs hold and do not use. preemption: who makes room by QOS, by
    partition and where quotas are lent. priorities: of the order multifactor, and how use fades. accounts:
    how far accounts are enforced. resv_over_run_s: how long jobs may run on when the window of their
    reservation is over.
    topology: where nodes stand, instead of what their agents say.
    """

    name: str = "packhorse"
    partitions: tuple[Partition, ...] = (Partition("main", is_default=True),)
    max_array_size: int = 1_000_001
    max_pending_jobs: int = 1_000_000
    min_job_age_s: int = 300
    max_finished_kept: int = 100_000
    kill_wait_s: int = 30
    requeue_delay_s: int = 2
    max_requeues: int = 16
    allow_root_jobs: bool = False
    owner_uid: int = -1
    backfill_depth: int = 1
    max_starts_per_cycle: int = 4_096
    silent_brake_fraction: float = 0.5
    key_retention_s: int = 3_600
    max_keys_kept: int = 200_000
    policy: str = "packhorse"
    licenses: tuple[tuple[str, int], ...] = ()
    improver: Improver = Improver()
    order: str = "priority"
    origin: Instant = UNKNOWN
    backfill: str = "easy"
    keep_next: bool = False
    predictor: str = "limit"
    preempt: str = "none"
    batch: Batch = Batch()
    reclaim: Reclaim = Reclaim()
    gpu_idle: GpuIdle = GpuIdle()
    preemption: Preemption = Preemption()
    priorities: Priorities = Priorities()
    accounts: AccountsPolicy = AccountsPolicy()
    resv_over_run_s: int = 0
    topology: Topology = ()
    inactive_limit_s: int = 0
