"""Everything the scheduler knows: frozen values in dictionaries, and what is derived from them.

The values are the state: equal values mean equal states, and a snapshot holds nothing else. The
indexes, timers and columns are functions of the values, kept up to date by `apply` (the only writer)
and rebuilt by `rebuild` after a snapshot was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.accounts.fair_shares import FairShares
from packhorse.scheduler.core.accounts.held import Holdings
from packhorse.scheduler.core.accounts.spent import Spent
from packhorse.scheduler.core.batch.arrivals import Arrivals
from packhorse.scheduler.core.batch.memory import Memory
from packhorse.scheduler.core.demand import Demand
from packhorse.scheduler.core.gangs import Gangs
from packhorse.scheduler.core.interning import Interned
from packhorse.scheduler.core.licenses import Licenses
from packhorse.scheduler.core.node_columns import NodeColumns
from packhorse.scheduler.core.pending_columns import PendingColumns
from packhorse.scheduler.core.predictors import History
from packhorse.scheduler.core.preempt.known import Known
from packhorse.scheduler.core.reclaim.book import Book
from packhorse.scheduler.core.reservations.windows import Windows
from packhorse.scheduler.core.running_columns import RunningColumns
from packhorse.scheduler.core.standings import Standings
from packhorse.scheduler.core.steps.book import JobSteps
from packhorse.scheduler.core.timers import Timers
from packhorse.scheduler.core.triggers.book import TriggerBook
from packhorse.scheduler.core.usage import UserUsage
from packhorse.scheduler.core.when.book import EstimateBook
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.crontab import Crontab
from packhorse.scheduler.model.event import CallAnswered, PolicyTaught, UsageLearned
from packhorse.scheduler.model.ids import UNKNOWN, Instant, JobId, NodeName
from packhorse.scheduler.model.job import ArrayJob, Job
from packhorse.scheduler.model.loan import Switch
from packhorse.scheduler.model.node import Node
from packhorse.scheduler.model.reservation import Reservation

CallId = tuple[int, str]
"""Who called (uid) and the key of the call."""


class ArrayTasks:
    """The tasks of one array that are jobs of their own and in memory."""

    __slots__ = ("by_index", "n_active", "n_configuring", "n_pending")

    def __init__(self) -> None:
        self.by_index: dict[int, JobId] = {}
        self.n_pending = 0
        self.n_configuring = 0  # hold an allocation, not known to run
        self.n_active = 0  # hold an allocation, those above included

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArrayTasks) and all(
            getattr(self, s) == getattr(other, s) for s in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ArrayTasks({', '.join(f'{s}={getattr(self, s)}' for s in self.__slots__)})"


LookingAt = tuple[Sequence[int], int, int]
"""Ids, and from where to where in them."""


class Fallback(NamedTuple):
    """The policy failed for most jobs, with this error, for the first time at `since`; until retry_at the
    plainest one decides."""

    error: str
    since: Instant
    retry_at: Instant


class Frozen:
    """The values of a state at one moment; the state may go on while this is written out."""

    __slots__ = (
        "accounts",
        "answered",
        "arrays",
        "arrivals",
        "config",
        "configured_at",
        "crontabs",
        "epoch",
        "estimates",
        "finished",
        "history",
        "jobs",
        "learned",
        "lending_off",
        "next_job_id",
        "nodes",
        "partition_states",
        "reservations",
        "spent",
        "steps",
        "triggers",
        "usage",
    )

    accounts: AccountBook
    config: ClusterConfig
    configured_at: Instant
    epoch: int
    estimates: EstimateBook
    next_job_id: JobId
    jobs: dict[JobId, Job]
    arrays: dict[JobId, ArrayJob]
    nodes: dict[NodeName, Node]
    finished: dict[JobId, Instant]
    answered: dict[CallId, CallAnswered]
    lending_off: tuple[Switch, ...]
    learned: UsageLearned | None
    history: History
    usage: UserUsage
    arrivals: Arrivals
    spent: Spent
    reservations: dict[str, Reservation]
    steps: dict[JobId, JobSteps]
    partition_states: dict[str, str]
    triggers: TriggerBook
    crontabs: dict[int, Crontab]


class State:
    """The scheduler's memory. Read it freely; only `apply` writes.

    Values:
    jobs, arrays, nodes: by id and name, in the order in which they came.
    finished: ended jobs, and arrays that are through, in the order in which that was known; when.
    answered: calls with an idempotency key, oldest first.
    lending_off: for which jobs an administrator has switched off the lending of memory. learned: what the
    estimator of usage knew when it was last written down, None for nothing.
    configured_at: since when config is as it is. accounts: the tree of accounts, its users and QOS. spent:
    what each association and QOS has used. reservations: by name. estimates: what waiting jobs were told of
    their starts.
    partition_states: partitions that an administrator opened or closed, and how (core/partitions.py).
    triggers: core/triggers. crontabs: by user.
    next_job_id: no job, array or task was ever given this number or a higher one.
    history: how long jobs ran. usage: who used how much (who holds how much is derived). arrivals: when jobs
    came. All three outlive the jobs that they know of, and are bounded.
    taught: what the placement policy goes by, None for what it knows by itself; of this epoch only, so in no
    snapshot, and no part of what makes states equal.

    Derived: tasks: the tasks of each array. What jobs hold on which node is in node_columns. dependents: who
    waits on what, keyed (job or array, index); index -1: the whole of it, -2: index by index (aftercorr).
    singletons: unfinished jobs by (uid, name) and the number that orders them, only for the pairs that a
    waiting singleton asks about. n_silent: nodes whose agent is not connected. demand: what jobs are like,
    for the placement policy. batch: what the order "packhorse" knows from pass to pass. licenses: what jobs
    hold of the cluster's licences. held: what they hold on whose name, once a limit asks. reclaim: who lends
    memory to whom. preempting: who could make room, and for whom others do.
    fallback: that the policy fails, None if it works. looking_at: whom the pass that is under way is looking
    at; of meaning only if it fails. fair_shares, standings: what priorities go by, kept from pass to pass.
    windows: what follows from the reservations, and who runs in them. gangs: members that wait to start
    together. cron_jobs: jobs of crontabs, and whose; cron_due: those of them that have ended.
    """

    __slots__ = (
        "accounts",
        "answered",
        "arrays",
        "arrivals",
        "batch",
        "config",
        "configured_at",
        "cron_due",
        "cron_jobs",
        "crontabs",
        "demand",
        "dependents",
        "epoch",
        "estimates",
        "fair_shares",
        "fallback",
        "finished",
        "gangs",
        "held",
        "history",
        "interned",
        "jobs",
        "learned",
        "lending_off",
        "licenses",
        "looking_at",
        "n_silent",
        "next_job_id",
        "node_columns",
        "nodes",
        "partition_states",
        "pending_columns",
        "preempting",
        "reclaim",
        "reservations",
        "running_columns",
        "singletons",
        "spent",
        "standings",
        "steps",
        "tasks",
        "taught",
        "timers",
        "triggers",
        "usage",
        "windows",
    )

    def __init__(self) -> None:
        self.config = ClusterConfig()
        self.configured_at = UNKNOWN
        self.epoch = 0
        self.next_job_id = JobId(1)
        self.jobs: dict[JobId, Job] = {}
        self.arrays: dict[JobId, ArrayJob] = {}
        self.nodes: dict[NodeName, Node] = {}
        self.finished: dict[JobId, Instant] = {}
        self.answered: dict[CallId, CallAnswered] = {}
        self.history = History()
        self.usage = UserUsage()
        self.arrivals = Arrivals()
        self.accounts = AccountBook()
        self.estimates = EstimateBook()
        self.spent = Spent()
        self.reservations: dict[str, Reservation] = {}
        self.steps: dict[JobId, JobSteps] = {}
        self.partition_states: dict[str, str] = {}
        self.triggers = TriggerBook()
        self.crontabs: dict[int, Crontab] = {}
        self.taught: PolicyTaught | None = None
        self.lending_off: tuple[Switch, ...] = ()
        self.learned: UsageLearned | None = None
        self.clear_derived()

    def clear_derived(self) -> None:
        """Forget everything that can be computed from the values."""
        self.tasks: dict[JobId, ArrayTasks] = {}
        self.dependents: dict[tuple[JobId, int], dict[JobId, None]] = {}
        self.singletons: dict[tuple[int, str], dict[JobId, int]] = {}
        self.n_silent = 0
        self.timers = Timers()
        self.interned = Interned()
        self.node_columns = NodeColumns()
        self.pending_columns = PendingColumns()
        self.running_columns = RunningColumns()
        self.demand = Demand()
        self.usage.held.clear()
        self.batch = Memory()
        self.licenses = Licenses()
        self.reclaim = Book()
        self.preempting = Known()
        self.fallback: Fallback | None = None
        self.looking_at: LookingAt = ((), 0, 0)
        self.fair_shares = FairShares()
        self.standings = Standings()
        self.held = Holdings()
        self.windows = Windows()
        self.gangs = Gangs()
        self.cron_jobs: dict[JobId, int] = {}
        self.cron_due: dict[JobId, None] = {}

    @classmethod
    def empty(cls) -> State:
        """Before the first event."""
        return cls()

    def __eq__(self, other: object) -> bool:
        """Whether the values agree, order included where order has a meaning."""
        if not isinstance(other, State):
            return NotImplemented
        return (
            self.config == other.config
            and self.configured_at == other.configured_at
            and self.epoch == other.epoch
            and self.next_job_id == other.next_job_id
            and self.jobs == other.jobs
            and self.arrays == other.arrays
            and self.nodes == other.nodes
            and list(self.finished.items()) == list(other.finished.items())
            and list(self.answered.items()) == list(other.answered.items())
            and self.lending_off == other.lending_off
            and self.learned == other.learned
            and self.history == other.history
            and self.usage == other.usage
            and self.arrivals == other.arrivals
            and self.accounts == other.accounts
            and self.estimates == other.estimates
            and self.spent == other.spent
            and list(self.reservations.items()) == list(other.reservations.items())
            and self.steps == other.steps
            and self.partition_states == other.partition_states
            and self.triggers == other.triggers
            and self.crontabs == other.crontabs
        )

    __hash__ = None  # type: ignore[assignment]

    def freeze(self) -> Frozen:
        """The values as of now, for a snapshot written in the background. Cost: one dictionary copy each."""
        frozen = Frozen()
        frozen.config = self.config
        frozen.configured_at = self.configured_at
        frozen.epoch = self.epoch
        frozen.next_job_id = self.next_job_id
        frozen.jobs = self.jobs.copy()
        frozen.arrays = self.arrays.copy()
        frozen.nodes = self.nodes.copy()
        frozen.finished = self.finished.copy()
        frozen.answered = self.answered.copy()
        frozen.lending_off = self.lending_off
        frozen.learned = self.learned
        frozen.history = self.history.copy()
        frozen.usage = self.usage.copy()
        frozen.arrivals = self.arrivals.copy()
        frozen.accounts = self.accounts.copy()
        frozen.estimates = self.estimates.copy()
        frozen.spent = self.spent.copy()
        frozen.reservations = self.reservations.copy()
        frozen.steps = self.steps.copy()
        frozen.partition_states = self.partition_states.copy()
        frozen.triggers = self.triggers.copy()
        frozen.crontabs = self.crontabs.copy()
        return frozen
