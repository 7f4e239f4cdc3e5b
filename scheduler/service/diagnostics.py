"""What sdiag shows: what the daemon did since its figures were last set to zero, and what it does now.

Figures of jobs and passes begin anew at midnight UTC, as Slurm's do; those of calls when somebody says so.
The time of a call is that from its arrival to its answer: the wait for the disk, and for calls that wait
on purpose (WaitJobs, AwaitAllocation, CreateStep) that wait too.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np

from packhorse.scheduler.core.priority import BASE_PRIORITY
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import JobState
from packhorse.scheduler.service import messages
from packhorse.scheduler.service.agent_sessions import Unsent
from packhorse.scheduler.service.auth import Principal, user_name
from packhorse.scheduler.service.clock import Clock
from packhorse.scheduler.service.engine import Engine, Pass
from packhorse.scheduler.service.rpc import Method
from packhorse.scheduler.service.status import count_jobs

DAY_US = 86_400 * US

MOST_PENDING = 25
"""Nodes with something under way that are named one by one, as in Slurm."""

CLOCK_CALLS = 1000


class Tally:
    """Calls of one method or one user."""

    __slots__ = ("n", "ns")

    def __init__(self) -> None:
        self.n = 0
        self.ns = 0


class Passes:
    """Passes of one kind. Times in microseconds; depth: jobs that were looked at; tried: jobs that were
    started or got a planned start; queue: jobs that waited for room when a pass began; table: planned
    starts."""

    __slots__ = (
        "at",
        "depth",
        "last",
        "max",
        "n",
        "queue",
        "sum",
        "sum_depth",
        "sum_queue",
        "sum_table",
        "sum_tried",
        "table",
        "tried",
    )

    def __init__(self) -> None:
        self.n = self.last = self.max = self.sum = 0
        self.depth = self.tried = self.queue = self.table = 0
        self.sum_depth = self.sum_tried = self.sum_queue = self.sum_table = 0
        self.at = Instant(0)

    def ran(self, us: int, done: Pass, n_planned: int, at: Instant) -> None:
        """One more."""
        self.n += 1
        self.at, self.last = at, us
        self.max = max(self.max, us)
        self.sum += us
        self.depth = self.queue = done.n_queued
        self.tried = len(done.started) + n_planned
        self.table = n_planned
        self.sum_depth += self.depth
        self.sum_queue += self.queue
        self.sum_tried += self.tried
        self.sum_table += n_planned


class Diagnostics:
    """Counts. `timed` wraps what is to be counted, `passed` and `saw` are called where it happens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._active = 0
        self._by_method: dict[str, Tally] = {}
        self._by_user: dict[int, Tally] = {}
        self._backfilled_ever = 0
        self._latency_us = clock_latency_us()
        self.reset(calls=True)

    def reset(self, *, calls: bool) -> None:
        """Everything is zero from now on; calls: those of methods and users too."""
        now = self._clock.now()
        self._since = now
        self._until = Instant((now // DAY_US + 1) * DAY_US)
        self._submitted = self._started = self._completed = self._cancelled = self._failed = 0
        self._backfilled = 0
        self._main = Passes()
        self._backfills = Passes()
        if calls:
            self._by_method.clear()
            self._by_user.clear()

    def _roll(self) -> Instant:
        """Now; a new day begins with zeros."""
        now = self._clock.now()
        if now >= self._until:
            self.reset(calls=False)
        return now

    # -- what is counted

    def timed(self, methods: Mapping[str, Method]) -> dict[str, Method]:
        """The same methods, counted."""
        return {
            name: method._replace(call=self._counted(name, method.call)) for name, method in methods.items()
        }

    def _counted(
        self, name: str, call: Callable[[Principal, Any], Awaitable[Any]]
    ) -> Callable[[Principal, Any], Awaitable[Any]]:
        async def counted(principal: Principal, request: Any) -> Any:
            begun = time.perf_counter_ns()
            self._active += 1
            try:
                return await call(principal, request)
            finally:
                self._active -= 1
                ns = time.perf_counter_ns() - begun
                for tally in (
                    self._by_method.setdefault(name, Tally()),
                    self._by_user.setdefault(principal.owner.uid, Tally()),
                ):
                    tally.n += 1
                    tally.ns += ns

        return counted

    def passed(self, seconds: float, done: Pass) -> None:
        """A pass is over."""
        now = self._roll()
        us = round(seconds * US)
        rows = _promised(done.state)
        self._main.ran(us, done, len(rows), now)
        if not len(rows):
            return
        self._backfills.ran(us, done, len(rows), now)
        n = _out_of_order(done.state, rows, done.started)
        self._backfilled += n
        self._backfilled_ever += n

    def saw(self, _first: int, events: Sequence[Event]) -> None:
        """These are durable."""
        self._roll()
        for event in events:
            match event:
                case ev.JobGranted():
                    self._started += 1
                case ev.JobEnded(state=state, reason=reason):
                    self._ended(state, reason)
                case ev.JobsSubmitted(items=items):
                    self._submitted += len(items)
                case ev.ArraySubmitted():
                    self._submitted += 1
                case ev.ArrayRemainderCancelled():
                    self._cancelled += 1

    def _ended(self, state: JobState, reason: str) -> None:
        """As Slurm has it: a job whose program failed is completed, one that a node failed is not."""
        if state is JobState.CANCELLED:
            self._cancelled += 1
        elif state is JobState.NODE_FAIL or reason == "JobLaunchFailure":
            self._failed += 1
        else:
            self._completed += 1

    # -- what is shown

    def answer(
        self, engine: Engine, numbers: Mapping[str, int], unsent: Unsent
    ) -> messages.GetDiagnosticsResponse:
        """numbers: those of methods. unsent: what nodes are still to be told. Raises StoreUnavailable."""
        now = self._roll()
        counts = Counter[str]()
        for (state, _), n in count_jobs(engine.state).items():
            counts[state] += n
        return messages.GetDiagnosticsResponse(
            now_us=now,
            since_us=self._since,
            n_calls_active=self._active,
            n_orders_queued=unsent.by_kind.total(),
            n_nodes_queued=len(unsent.nodes),
            n_events_queued=engine.seq - engine.durable_seq,
            jobs_submitted=self._submitted,
            jobs_started=self._started,
            jobs_completed=self._completed,
            jobs_cancelled=self._cancelled,
            jobs_failed=self._failed,
            jobs_pending=counts[JobState.PENDING.value],
            jobs_running=sum(counts[state.value] for state in (JobState.RUNNING, JobState.SUSPENDED)),
            main=_shown(self._main),
            backfill=_shown(self._backfills),
            backfilled=self._backfilled,
            backfilled_ever=self._backfilled_ever,
            clock_latency_us=self._latency_us,
            methods=[
                messages.CallStatistics(
                    name=name, number=numbers[name], count=tally.n, time_us=tally.ns // 1000
                )
                for name, tally in self._by_method.items()
            ],
            users=[
                messages.CallStatistics(
                    name=user_name(uid), number=uid, count=tally.n, time_us=tally.ns // 1000
                )
                for uid, tally in self._by_user.items()
            ],
            orders=[messages.QueuedOrders(kind=kind, count=n) for kind, n in sorted(unsent.by_kind.items())],
            waiting_nodes=[
                messages.WaitingNode(node=node, kind=kind) for node, kind in unsent.nodes[:MOST_PENDING]
            ],
        )


def _shown(passes: Passes) -> messages.PassStatistics:
    n = passes.n or 1
    return messages.PassStatistics(
        count=passes.n,
        last_at_us=passes.at,
        last_us=passes.last,
        max_us=passes.max,
        mean_us=passes.sum // n,
        total_us=passes.sum,
        last_depth=passes.depth,
        mean_depth=passes.sum_depth // n,
        last_tried=passes.tried,
        mean_tried=passes.sum_tried // n,
        last_queue=passes.queue,
        mean_queue=passes.sum_queue // n,
        last_table=passes.table,
        mean_table=passes.sum_table // n,
    )


def clock_latency_us() -> int:
    """Microseconds that CLOCK_CALLS looks at the clock take."""
    begun = time.perf_counter_ns()
    for _ in range(CLOCK_CALLS):
        time.time()
    return (time.perf_counter_ns() - begun) // 1000


def _promised(state: State) -> np.ndarray:
    """Rows of the waiting jobs with a planned start."""
    columns = state.pending_columns
    if not columns.n_ready:
        return np.zeros(0, dtype=np.intp)
    return np.flatnonzero(columns.ready & (columns.planned_at > 0))


def _out_of_order(state: State, rows: np.ndarray, started: Sequence[ev.JobGranted]) -> int:
    """How many of the jobs that started are behind one of these rows: of the same partition, with a lower
    priority, or the same and a higher id."""
    columns = state.pending_columns
    n = 0
    for event in started:
        job = state.jobs[event.job]
        spec = job.spec
        priority = event.priority or (
            spec.priority if spec.priority is not None else BASE_PRIORITY - spec.nice
        )
        code = columns.partitions.index(spec.partition)
        decided = columns.decided if len(columns.decided) else columns.own_priority
        mine = rows[columns.partition[rows] == code]
        ahead = (decided[mine] > priority) | ((decided[mine] == priority) & (columns.id[mine] < event.job))
        n += bool(ahead.any())
    return n


def numbered(methods: Mapping[str, Method]) -> dict[str, int]:
    """A number for each method, from 1 on, in the order of the table."""
    return {name: number for number, name in enumerate(methods, 1)}
