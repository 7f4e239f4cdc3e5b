"""The single writer: inputs pass here one after the other, and nothing is answered before it is durable.

An input is decided (`step`) and applied at once, without an await between reading the state and changing it.
What was decided in one turn of the event loop, or while another commit was under way, is handed to the
store's writer thread as one batch; only when that batch is durable are its commands sent and its callers
answered. Inputs that arrive meanwhile are decided against the newer state and share the next commit.

When a commit fails, what is in memory is worth nothing any more: it is dropped, every waiting caller is told,
agents are sent away, and the engine comes back by reading the store, as after a crash.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import structlog

from packhorse.scheduler.core.accounting import accounting_rows
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.decision import Decision, Trouble
from packhorse.scheduler.core.grant import n_to_serve
from packhorse.scheduler.core.node_times import node_rows
from packhorse.scheduler.core.reclaim.ledger import loan_rows
from packhorse.scheduler.core.reservations.times import reservation_rows
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.step import next_timer, step
from packhorse.scheduler.core.steps.rows import step_rows
from packhorse.scheduler.core.when.book import Key
from packhorse.scheduler.model.accounting import AttemptRow, LoanRow, NodeRow, ReservationRow, StepRow
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.command import Command
from packhorse.scheduler.model.crashpoint import crash_point, register
from packhorse.scheduler.model.errors import StoreDamaged, StoreError, StoreUnavailable
from packhorse.scheduler.model.event import Event, JobGranted, StartEstimate
from packhorse.scheduler.model.ids import US, Instant, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    Guided,
    Input,
    Reconfigure,
    ReportUsage,
    RunCycle,
    Start,
    Submit,
    SubmitArray,
    Tick,
)
from packhorse.scheduler.model.reply import Nothing, RefusalCode, Refused, Reply
from packhorse.scheduler.service.clock import Clock, SystemClock
from packhorse.scheduler.service.convert_agents import NodeUsage
from packhorse.scheduler.service.improving import Improving
from packhorse.scheduler.service.loop import MIN_GAP_S, CycleTrigger, TickTimer
from packhorse.scheduler.service.payloads import Payload, Payloads
from packhorse.scheduler.service.recording import Recorder
from packhorse.scheduler.service.recovery import Housekeeping, Snapshots, recover
from packhorse.scheduler.service.series_book import SeriesBook, Together
from packhorse.scheduler.service.shadowing import EVERY_S, Shadowing
from packhorse.scheduler.store.codec import encode
from packhorse.scheduler.store.protocol import Batch, LogRecord, Store, UsageSeries
from packhorse.scheduler.store.writer import Commit, GroupCommitWriter

log = structlog.get_logger()

T = TypeVar("T")

BEFORE_STEP = register("engine.before_step", "an input arrived and nothing was decided yet")
AFTER_APPLY = register(
    "engine.after_apply", "an input was decided and applied in memory, nothing was written"
)
BEFORE_COMMANDS = register("engine.before_commands", "a commit is done, its commands are not sent")
BEFORE_REPLY = register(
    "engine.before_reply", "a commit is done and its commands are out, nobody was answered"
)

TURN_S = 0.0005
"""How long the loop and the writer's thread may keep the interpreter from each other: with Python's own 5 ms
a busy loop lets a commit wait that long before it can even say that it is done."""

MOST_NAMED = 20
"""Lines about jobs that were set aside together; the event log has them all."""

RETRY_S = 1.0
"""Pause between two attempts to get the store back."""

Observer = Callable[[int, Sequence[Event]], None]
"""Called on the event loop once some events are durable: with the number of the first, and all, in order."""


class Pass(NamedTuple):
    """What a scheduling cycle did. state: as it is after it; n_queued: jobs that waited for nothing but room
    when it began."""

    state: State
    n_queued: int
    started: list[JobGranted]


class Meter(Protocol):
    """Where the engine counts; the metrics page implements it."""

    def cycle_ran(self, seconds: float) -> None:
        """One scheduling cycle, deciding and applying."""

    def passed(self, seconds: float, done: Pass) -> None:
        """The same cycle, if what it decided stands."""

    def committed(self, seconds: float, n_records: int) -> None:
        """One transaction of the store with so many events."""

    def became_unavailable(self) -> None:
        """A commit failed."""

    def improver_ran(self, result: str, seconds: float, value: int, n_jobs: int) -> None:
        """A run of the improver ended (service/improving.py)."""

    def pass_failed(self, kind: str, n_jobs: int) -> None:
        """A cycle raised and was made again (core/quarantine.py); so many jobs were set aside for it."""


class NoMeter:
    """Counts nothing."""

    def cycle_ran(self, seconds: float) -> None:
        pass

    def passed(self, seconds: float, done: Pass) -> None:
        pass

    def committed(self, seconds: float, n_records: int) -> None:
        pass

    def became_unavailable(self) -> None:
        pass

    def improver_ran(self, result: str, seconds: float, value: int, n_jobs: int) -> None:
        pass

    def pass_failed(self, kind: str, n_jobs: int) -> None:
        pass


class Dispatcher(Protocol):
    """Carries commands to agents."""

    def dispatch(self, commands: Sequence[Command]) -> None:
        """Send each to its node; drop those for nodes that are not connected."""

    def close_all(self, why: str) -> None:
        """End every session; the agents shall come back and be told afresh."""


class NoAgents:
    """A dispatcher without agents."""

    def dispatch(self, commands: Sequence[Command]) -> None:
        pass

    def close_all(self, why: str) -> None:
        pass


class _Group:
    """What was decided since the last batch was handed over."""

    __slots__ = (
        "blobs",
        "commands",
        "events",
        "loans",
        "records",
        "rows",
        "series",
        "steps",
        "times",
        "waiters",
    )

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.records: list[LogRecord] = []
        self.blobs: dict[str, bytes] = {}
        self.series: list[UsageSeries] = []
        self.rows: list[AttemptRow] = []
        self.loans: list[LoanRow] = []
        self.times: list[NodeRow | ReservationRow] = []
        self.steps: list[StepRow] = []
        self.commands: list[Command] = []
        self.waiters: list[tuple[asyncio.Future[Reply], Reply]] = []


class Engine:
    """One cluster's scheduler. All methods belong to the event loop it was started on.

    usage: what each node last said it uses; volatile, never an event. estimates: when waiting jobs were last
    expected to start, newer than what they were told (service/estimating.py); volatile too. series: what
    running attempts used over time, never events either, but kept beside the accounting. shadow: another
    configuration that decides beside this one. dispatcher may be set until `start`.
    """

    def __init__(
        self,
        store: Store,
        config: ClusterConfig,
        *,
        clock: Clock | None = None,
        meter: Meter | None = None,
        recorder: Recorder | None = None,
        housekeeping: Housekeeping = Housekeeping(),  # noqa: B008 - frozen
        min_cycle_gap_s: float = MIN_GAP_S,
        retry_s: float = RETRY_S,
        improver_dumps: Path | None = None,
        shadow_every_s: float = EVERY_S,
    ) -> None:
        """improver_dumps: folder for problems that the improver got wrong. shadow_every_s: least time between
        two passes of a shadow."""
        self.store = store
        self.config = config
        self.clock: Clock = clock or SystemClock()
        self.dispatcher: Dispatcher = NoAgents()
        self.usage: dict[NodeName, NodeUsage] = {}
        self.estimates: dict[Key, StartEstimate] = {}
        self.series = SeriesBook()
        self._together = Together()
        self.shadow = Shadowing(shadow_every_s)
        self.payloads = Payloads(store.blob)
        self._meter: Meter = meter or NoMeter()
        self._recorder = recorder
        self._retry_s = retry_s
        self._writer = GroupCommitWriter(store, on_commit=self._committed)
        self._snapshots = Snapshots(store, self._writer, housekeeping, self._fail)
        self._observers: list[Observer] = []
        self._cycle = CycleTrigger(self._wake, min_cycle_gap_s)
        self._improver_dumps = improver_dumps
        self._improving = Improving(config.improver, self._improved, self._meter, improver_dumps)
        self._ticks = TickTimer(self.clock, self._tick)
        self._not_before = Instant(0)
        self._why = "not started"
        self._state: State | None = None
        self._group = _Group()
        self._flying: list[_Group] = []
        self._seq = 0
        self._durable_seq = 0
        self._flush_due = False
        self._left_over = False
        self._stopping = False
        self._recovering: asyncio.Task[None] | None = None

    # -- for the doors

    @property
    def state(self) -> State:
        """What is known now, durable or about to be: shown after `barrier` only. Raises StoreUnavailable."""
        if self._state is None:
            raise StoreUnavailable(self._why)
        return self._state

    @property
    def trouble(self) -> str:
        """Why nothing can be taken on now; "" if all is well."""
        return "" if self._state is not None else self._why

    @property
    def seq(self) -> int:
        """Number of the newest event, durable or not."""
        return self._seq

    @property
    def durable_seq(self) -> int:
        """Number of the newest event that is durable."""
        return self._durable_seq

    async def call(self, input: Input, payloads: Sequence[Payload] = ()) -> Reply:
        """Decide this input and return its reply once everything it rests on is durable.

        payloads: texts that must become durable with it. Raises StoreUnavailable if the store fails: whether
        the input counted is then known only to those who repeat it with their idempotency key.
        """
        if isinstance(input, Submit | SubmitArray) and (refused := self._no_room(input.caller)) is not None:
            return refused
        reply = self._take(input, payloads)
        group = self._newest_group()
        if group is None:
            return reply
        waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        group.waiters.append((waiter, reply))
        return await waiter

    async def reconfigure(self, caller: Caller, config: ClusterConfig, changed: tuple[str, ...]) -> Reply:
        """Have this configuration hold from now on, for this process and those after a failure of the store.

        changed: what is different, for the log. Raises StoreUnavailable; then the old one holds.
        """
        reply = await self.call(Reconfigure(caller, config, changed))
        if isinstance(reply, Refused):
            return reply
        improver = self.config.improver
        self.config = config
        if config.improver != improver:
            await self._improving.stop()
            self._improving = Improving(config.improver, self._improved, self._meter, self._improver_dumps)
            self._improving.start()
            self._cycle.again()
        self._wake()
        return reply

    def post(self, input: Input) -> None:
        """Decide an input nobody waits on. While the store is away it is lost, as on a broken wire."""
        if self._state is None:
            return
        try:
            self._take(input)
        except StoreUnavailable:
            pass  # said and logged by _fail
        except Exception:
            log.exception("input.failed", input=type(input).__name__)  # the state is as it was
            self._wake()

    def measured(self, node: NodeName, said: NodeUsage) -> None:
        """A node's agent said what it and its jobs use now."""
        self.usage[node] = said
        if self._state is not None:
            self.series.heard(self._state, node, said, self.clock.now())
            self._together.heard(self._state, said)

    async def keep(self, series: Sequence[UsageSeries]) -> None:
        """Write series of usage as they stand. Raises StoreUnavailable."""
        if self._state is None:
            raise StoreUnavailable(self._why)
        try:
            await self._writer.submit(Batch(series=series))
        except StoreUnavailable as error:
            self._fail(str(error))
            raise

    async def barrier(self) -> None:
        """Return when everything decided so far is durable: what was read before the call may then be shown.

        Raises StoreUnavailable if it never will be.
        """
        if self._state is None:
            raise StoreUnavailable(self._why)
        group = self._newest_group()
        if group is not None:
            waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            group.waiters.append((waiter, Nothing()))
            await waiter

    async def ask(self, question: Callable[[Store], T]) -> T:
        """What the question finds in the store; it may take long.

        One at a time, on a thread for them alone: however many are asked, launches read their texts.
        """
        return await self._writer.query(question)

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Have `observer` called with every event from now on once it is durable; returns how to end that."""
        self._observers.append(observer)

        def stop() -> None:
            if observer in self._observers:
                self._observers.remove(observer)

        return stop

    # -- life

    async def start(self) -> None:
        """Recover from the store and serve. Raises StoreError if that cannot be."""
        sys.setswitchinterval(TURN_S)
        self._writer.start()
        try:
            await self._serve()
            self._improving.start()
        except BaseException:
            await self._writer.close()
            raise

    async def stop(self) -> None:
        """Take nothing more on, write what is due and a snapshot, and close the store."""
        self._stopping = True
        await self._improving.stop()
        await self.shadow.stop()
        if self._recovering is not None:
            self._recovering.cancel()
        if self._state is not None:
            try:
                self._flush()
                await self.barrier()
                await self._snapshots.write_now(self._state, self._seq, self.clock.now())
            except StoreError as error:
                log.error("store.not_saved", why=str(error))
            except Exception:
                log.exception("store.not_saved")  # what was answered is in the log all the same
        self._forget("the scheduler is stopping")
        await self._writer.close()
        if self._recorder is not None:
            self._recorder.close()

    async def _serve(self) -> None:
        """From the store to serving, by way of the Start input, which is durable before anybody is served."""
        found = await asyncio.to_thread(recover, self.store)
        if found.seq < self._durable_seq:
            raise StoreDamaged(
                f"store {self.store.where}: its log ends with record {found.seq}, but {self._durable_seq} "
                "was durable before: this is not the file it was; restore it from a backup"
            )
        self.clock.not_before(found.last_at)
        if self._recorder is not None:
            self._recorder.recovered(self.store)
        state, now, start = found.state, self.clock.now(), Start(self.config)
        decision = step(state, start, now)
        if self._recorder is not None:
            self._recorder.input(now, start)
        self._seq = found.seq
        self.series.begin(now)
        first = _Group()
        self._apply(state, decision, first)
        if self._recorder is not None:
            self._recorder.flush()
        await self._writer.submit(
            Batch(
                first.records,
                rows=first.rows,
                loans=first.loans,
                series=first.series,
                times=first.times,
                steps=first.steps,
            )
        )
        self._durable_seq = self._seq
        self._state, self._why = state, ""
        self._group = _Group()
        self._snapshots.begin(self._seq - found.snapshot_seq, now)
        self._show(first)
        log.info("engine.serving", epoch=state.epoch, seq=self._seq, jobs=len(state.jobs))
        self._cycle.again()
        self._wake()

    # -- deciding

    def _take(self, input: Input, payloads: Sequence[Payload] = ()) -> Reply:
        """Decide and apply one input; its events join the open group."""
        state = self._state
        if state is None:
            raise StoreUnavailable(self._why)
        crash_point(BEFORE_STEP)
        now = self.clock.now()
        decision = step(state, input, now)
        if self._recorder is not None:
            self._recorder.input(now, input)
        self._left_over = decision.more
        if decision.trouble is not None:
            self._troubled(decision.trouble)
        if decision.more and type(input) in (Tick, ReportUsage):
            self._cycle.again()
        group = self._group
        events = decision.events
        if events:
            try:
                self._apply(state, decision, group)
            except Exception as error:
                # Half of a decision is in memory: only the log knows what is true.
                log.exception("engine.apply_failed", input=type(input).__name__)
                self._fail(f"{type(input).__name__}: {error}")
                raise StoreUnavailable(self._why) from error
            self._cycle.saw(events, bool(state.dependents))
            for ref, data in payloads:
                group.blobs[ref] = data
                self.payloads.keep(ref, data)
        group.commands += decision.commands
        if decision.contended is not None:
            self._improving.begin(decision.contended)
        crash_point(AFTER_APPLY)
        self._wake()
        return decision.reply

    def _troubled(self, trouble: Trouble) -> None:
        """A pass failed and was made again: an operator has to know, and whoever wrote the policy."""
        self._meter.pass_failed(trouble.kind, len(trouble.jobs))
        for job in trouble.jobs[:MOST_NAMED]:
            log.error("job.quarantined", job=job, error=trouble.error)
        if len(trouble.jobs) > MOST_NAMED:
            log.error("job.quarantined", more=len(trouble.jobs) - MOST_NAMED, error=trouble.error)
        config = self.config
        if trouble.kind == "policy":
            log.error("policy.replaced", policy=config.policy, order=config.order, error=trouble.error)
        log.error("cycle.failed", kind=trouble.kind, error=trouble.error, trace=trouble.trace)

    def _apply(self, state: State, decision: Decision, group: _Group) -> None:
        """Make the events of a decision part of the state and of the group."""
        seq = self._seq
        for event in decision.events:
            if rows := accounting_rows(state, event):
                group.rows += self._together.ended(rows)
                group.series += self.series.ended(rows)
            group.loans += loan_rows(state, event)
            group.times += node_rows(state, event)
            group.times += reservation_rows(state, event)
            if state.steps:
                group.steps += step_rows(state, event)
            apply(state, event)
            seq += 1
            group.records.append(encode(event, seq))
        group.events += decision.events
        self._seq = seq

    def _newest_group(self) -> _Group | None:
        """The group whose commit makes everything decided so far durable; None if it is already."""
        if self._group.records or self._group.commands:
            return self._group
        return self._flying[-1] if self._flying else None

    def _no_room(self, caller: Caller) -> Refused | None:
        """Why no new work is taken on. A call that is repeated is no new work."""
        state = self._state
        if state is None or (caller.owner.uid, caller.key) in state.answered:
            return None
        space = self.store.space()
        if not space.low:
            return None
        return Refused(
            RefusalCode.EXHAUSTED,
            f"store {self.store.where}: {space.free >> 20} MiB free on its file system, "
            f"{space.reserve >> 20} MiB are kept for the ends of running work: make room there",
        )

    # -- committing

    def _wake(self) -> None:
        """Hand over what was decided at the end of this turn of the event loop."""
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        state = self._state
        if state is None:
            return
        if not self._stopping and not self._improving.holding and self._cycle.due(n_to_serve(state)):
            if self._cycle.is_long:
                self._hand_over(at_once=True)  # the disk need not wait until the cycle is done
            self._run_cycle()
            if self._state is None:
                return
        self._hand_over()
        if not self._stopping:
            self._set_timer(state)
            self._snapshots.consider(state, self._seq, self.clock.now())

    def _hand_over(self, at_once: bool = False) -> None:
        """Give what was decided to the writer; what needs no writing is done now if nothing is before it.

        While a commit is under way the group stays open, unless it is to go at_once: it would only wait, and
        ten small groups cost ten times as much as one large one.
        """
        if self._flying and not at_once:
            return
        group = self._group
        if group.records or group.commands:
            self._group = _Group()
            self._flying.append(group)
            if self._recorder is not None:
                self._recorder.flush()
            if group.records or len(self._flying) > 1:
                blobs = tuple(group.blobs.items())
                batch = Batch(
                    group.records,
                    blobs,
                    group.rows,
                    loans=group.loans,
                    series=group.series,
                    times=group.times,
                    steps=group.steps,
                )
                self._writer.submit(batch).add_done_callback(lambda written: self._done(group, written))
                self._snapshots.saw(len(group.records))
            else:
                self._finish(group)

    def _done(self, group: _Group, written: asyncio.Future[None]) -> None:
        """In the order of handing over: a group is durable, or nobody can tell."""
        error = written.exception()
        if not self._flying or self._flying[0] is not group:
            return  # from before the state was dropped
        if error is not None:
            self._fail(str(error))
        else:
            self._finish(group)
            self._hand_over()

    def _finish(self, group: _Group) -> None:
        """Everything the oldest group rests on is durable: the world may know."""
        del self._flying[0]
        self._durable_seq += len(group.records)
        crash_point(BEFORE_COMMANDS)
        if group.commands:
            self.dispatcher.dispatch(group.commands)
        crash_point(BEFORE_REPLY)
        for waiter, reply in group.waiters:
            if not waiter.done():
                waiter.set_result(reply)
        self._show(group)

    def _show(self, group: _Group) -> None:
        """Tell the observers of events that have just become durable."""
        if group.events:
            first = self._durable_seq - len(group.events) + 1
            for observer in tuple(self._observers):
                observer(first, group.events)

    def _committed(self, commit: Commit) -> None:
        self._meter.committed(commit.seconds, commit.n_records)

    # -- cycles and timers

    def _run_cycle(self, guide: tuple[Guided, ...] | None = None) -> None:
        """One pass. guide: what a held one waited for; None: it may be held."""
        n_queued = 0
        if self._state is not None:
            self.shadow.before(self._state, self.clock.now())
            n_queued = n_to_serve(self._state)
        started = time.perf_counter()
        n_events = len(self._group.events)
        self.post(RunCycle(hold=self._improving.ready) if guide is None else RunCycle(guide))
        seconds = time.perf_counter() - started
        self._cycle.ran(seconds)
        self._meter.cycle_ran(seconds)
        if self._state is not None:
            granted = [event for event in self._group.events[n_events:] if isinstance(event, JobGranted)]
            self._meter.passed(seconds, Pass(self._state, n_queued, granted))
        if self._state is not None and not self._improving.holding:
            self.shadow.after(self._state, self._group.events[n_events:])
        if self._left_over:
            self._cycle.again()

    def _improved(self, guide: tuple[Guided, ...]) -> None:
        """The wait of a held pass is over."""
        if self._state is not None and not self._stopping:
            self._run_cycle(guide)
            if guide:
                self._cycle.again()  # the quick plan's turn, in case the guide was of no use
                self._wake()

    def _tick(self) -> None:
        seq = self._seq
        self.post(Tick())
        if self._seq == seq:
            # What a tick did not do, another one right after it will not do either.
            self._not_before = Instant(self.clock.now() + US)

    def _set_timer(self, state: State) -> None:
        at = next_timer(state)
        if at is not None and at <= self.clock.now():
            at = max(at, self._not_before)
        self._ticks.set(at)

    # -- losing the store and getting it back

    def _forget(self, why: str) -> None:
        """Drop the state and tell everybody who waits."""
        self._why = why
        self._state = None
        self._cycle.stop()
        self._improving.drop()
        self.shadow.drop()
        self.series.clear()
        self._together.clear()
        self._ticks.stop()
        waiting = [waiter for group in (*self._flying, self._group) for waiter, _ in group.waiters]
        self._flying = []
        self._group = _Group()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_exception(StoreUnavailable(why))
        self.dispatcher.close_all(why)

    def _fail(self, why: str) -> None:
        if self._state is None:
            return
        log.error("store.failed", why=why)
        self._meter.became_unavailable()
        self._forget(why)
        if not self._stopping:
            self._recovering = asyncio.get_running_loop().create_task(self._come_back())

    async def _come_back(self) -> None:
        """Try again until the store takes writes."""
        pause = self._retry_s
        while True:
            await asyncio.sleep(pause)
            begun = time.perf_counter()
            try:
                await self._writer.reopen()
                await self._serve()
                return
            except StoreDamaged as error:
                self._why = str(error)
                log.error("store.damaged", why=self._why)
            except StoreError as error:
                self._why = str(error)
                log.warning("store.still_failing", why=self._why)
            except Exception as error:
                # Whatever it is (a disk that has become read-only, say): giving up would need a restart.
                self._why = f"{type(error).__name__}: {error}"
                log.exception("store.still_failing", why=self._why)
            # Reading a big store again and again must not starve the work that still runs on this machine.
            pause = max(self._retry_s, 2 * (time.perf_counter() - begun))
