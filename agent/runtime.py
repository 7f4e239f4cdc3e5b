"""One asyncio process per machine: carries out what the machine decides, and tells it what happened."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
import structlog

from packhorse.agent import launching
from packhorse.agent.bounds import Bounding
from packhorse.agent.files import Spool
from packhorse.agent.inventory.declare import Inventory
from packhorse.agent.launch import control
from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.launcher import (
    Interrupted,
    Launcher,
    LaunchError,
    NeverStarted,
    NotRunning,
    Supervised,
)
from packhorse.agent.machine import (
    Forget,
    Fork,
    Instruction,
    Journal,
    KeepEpoch,
    Leave,
    Machine,
    Renew,
    Send,
    Tell,
)
from packhorse.agent.orders import (
    ExitReport,
    LaunchOrder,
    Order,
    SignalOrder,
    TerminateOrder,
    TimeLimitOrder,
    Welcome,
)
from packhorse.agent.session import Line, Session, Where
from packhorse.agent.usage import Sampler
from packhorse.scheduler.model.crashpoint import crash_point, register
from packhorse.scheduler.model.ids import AttemptKey, Instant

T = TypeVar("T")

log = structlog.get_logger()

EXIT_SEEN = register("agent.exit_seen", "an exit record on disk that nobody was told of")

IDLE_USAGE_S = 30.0
"""Between samples of a node on which nothing runs."""

LAUNCH_TRIES = 5
"""Of an attempt whose fork server dies each time; then another node may try."""

DISK_CHECK_S = 10.0
"""Between tries whether a spool that refused a write takes one again."""


def now() -> Instant:
    return Instant(time.time_ns() // 1000)


class Runtime:
    """The agent of one node. run() serves until stop() or until the scheduler dismisses it."""

    def __init__(
        self,
        inventory: Inventory,
        spool: Spool,
        launcher: Launcher,
        find: Callable[[], Where],
        *,
        cluster: Mapping[str, str],
        jitter: random.Random,
        bounding: Bounding | None = None,
    ) -> None:
        self._bounding = bounding or Bounding(inventory.spec)
        self._spool = spool
        self._launcher = launcher
        self._cluster = cluster
        self._node = str(inventory.spec.name)
        self.machine = Machine(inventory.spec, inventory.boot_id, inventory.offer(), epoch=spool.epoch())
        self._session = Session(
            find, opened=self._opened, closed=self._closed, received=self._received, jitter=jitter
        )
        self._supervised: dict[AttemptKey, Supervised] = {}
        self._sampler = Sampler()
        self._files = ThreadPoolExecutor(max_workers=2, thread_name_prefix="files")
        self._to_journal: asyncio.Queue[LaunchOrder] = asyncio.Queue()
        self._to_forget: asyncio.Queue[AttemptKey] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._usage_s = IDLE_USAGE_S
        self._more_work = asyncio.Event()
        self._interrupted: Counter[AttemptKey] = Counter()

    @property
    def line(self) -> Line | None:
        """The connection to the scheduler, None while it is away."""
        return self._session.line

    def stop(self, why: str = "") -> None:
        """Make run() return; running jobs run on. why: "" for an orderly end."""
        if not self._end.done():
            self._end.set_result(why)

    async def run(self) -> str:
        """Serve. Returns why it ended, "" for an orderly end."""
        await self._launcher.start()
        await self._adopt()
        for job in (
            self._session.run(),
            self._heartbeats(),
            self._samples(),
            self._journals(),
            self._forgets(),
        ):
            self._spawn(job)
        try:
            return await self._end
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._launcher.close()
            self._files.shutdown()

    # -- what an earlier agent of this node left

    async def _adopt(self) -> None:
        for key, name in self._spool.found():
            found = await self._launcher.adopt(self._spool.attempts / name, str(key))
            if not isinstance(found, NeverStarted):
                self._spool.take_over(key, name)
            match found:
                case Supervised():
                    self._supervised[key] = found
                    self._bounding.adopt(key, found.cpus, found.cpu_milli)
                    self.machine.adopt_running(key, Instant(found.started_at))
                    self._spawn(self._await_exit(key, found))
                    log.info("attempt.adopted", attempt=str(key), pid=found.pid)
                case ExitRecord():
                    self.machine.adopt_exit(launching.report_of(key, found))
                case NeverStarted():
                    # Fenced: it cannot run any more. The scheduler sends the order again if it still stands.
                    self._spool.discard(name)
        live = {str(key) for key in self._supervised}
        for gone in await asyncio.to_thread(self._launcher.cgroups.remove_leftovers, live):
            log.warning("cgroup.left_over", attempt=gone)

    # -- the session

    def _opened(self) -> None:
        self._follow(self.machine.session_opened())

    def _closed(self, why: str) -> None:
        self._follow(self.machine.session_closed())

    async def _received(self, order: Order) -> None:
        self._follow(self.machine.received(order))
        if isinstance(order, Welcome) and self.machine.connected:
            self._session.heartbeat_s = float(order.heartbeat_s)
            self._session.takes_batches = order.takes_batches
            self._usage_s = float(order.usage_s)
            self._more_work.set()
            log.info("session.opened", cluster=order.cluster, epoch=order.epoch)

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(self._session.heartbeat_s)
            self._follow(self.machine.heartbeat(now()))

    async def _samples(self) -> None:
        while True:
            self._more_work.clear()
            if self.machine.connected:
                uses = []
                for key, supervised in list(self._supervised.items()):
                    with contextlib.suppress(OSError):
                        uses.append((key, self._launcher.use(supervised)))
                self._follow(self.machine.sampled(self._sampler.take(now(), uses)))
            pause = self._usage_s if self._supervised else max(self._usage_s, IDLE_USAGE_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._more_work.wait(), pause)
            # A job that just started is sampled soon, but not before it did something.
            await asyncio.sleep(min(1.0, self._usage_s))

    # -- instructions

    def _follow(self, instructions: Iterable[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Send(report=report):
                    self._session.send(report)
                case Journal(order=order):
                    self._to_journal.put_nowait(order)
                case Fork(order=order):
                    self._spawn(self._fork(order))
                case Tell(attempt=key, order=order):
                    self._spawn(self._tell(key, order))
                case Forget(attempt=key):
                    self._to_forget.put_nowait(key)
                case KeepEpoch(epoch=epoch):
                    if not self._keep_epoch(epoch):
                        return
                case Renew():
                    self._renew()
                case Leave(reason=reason, retry=retry):
                    log.error("session.refused", reason=reason, retry=retry)
                    self._session.hang_up()
                    if not retry:
                        self.stop(reason)

    async def _journals(self) -> None:
        """What comes while a batch of orders is being written down is the next batch."""
        loop = asyncio.get_running_loop()
        while True:
            orders = []
            for order in await _all_of(self._to_journal):
                if why := launching.objection(order):
                    self._follow(self.machine.exited(_failed(order.attempt, why)))
                else:
                    orders.append(order)
            if not orders:
                continue
            errors = await loop.run_in_executor(self._files, self._spool.journal, orders)
            for order, error in zip(orders, errors, strict=True):
                if error is None:
                    self._follow(self.machine.journalled(order.attempt, now()))
                else:
                    self._not_journalled(order.attempt, error)

    def _not_journalled(self, key: AttemptKey, error: OSError) -> None:
        log.error("journal.failed", attempt=str(key), error=str(error))
        why = f"the node cannot write down its orders: {error.strerror} ({error.filename})"
        self._follow(self.machine.exited(msgspec.structs.replace(_failed(key, why), refused=True)))
        self._spawn(self._disk_trouble(why))

    async def _forgets(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            keys = await _all_of(self._to_forget)
            await loop.run_in_executor(self._files, self._spool.forget, keys)

    def _keep_epoch(self, epoch: int) -> bool:
        """False, and the session ends, if the spool does not take it: nothing of that epoch may be done."""
        try:
            self._spool.keep_epoch(epoch)
        except OSError as error:
            log.error("epoch.not_kept", epoch=epoch, error=str(error))
            self.machine.epoch_not_kept(self._spool.epoch())
            self._session.hang_up()
            return False
        return True

    def _renew(self) -> None:
        try:
            self._spool.renew_contact()
        except OSError as error:  # jobs with a lease end in time, the others run on
            why = f"the node cannot write to its spool: {error.strerror} ({error.filename})"
            log.error("contact.not_noted", error=str(error))
            self._spawn(self._disk_trouble(why))

    async def _fork(self, order: LaunchOrder) -> None:
        key = order.attempt
        spec = launching.spec_of(
            order,
            node=self._node,
            directory=str(self._spool.directory(key)),
            script=str(self._spool.script(key)),
            contact=str(self._spool.contact),
            cluster=self._cluster,
            bounds=self._bounding.take(order),
        )
        try:
            supervised = await self._launcher.launch(spec)
        except Interrupted as why:
            self._bounding.release(key)
            await self._launch_again(order, str(why))
            return
        except LaunchError as why:
            self._bounding.release(key)
            self._interrupted.pop(key, None)
            self._follow(self.machine.exited(_failed(key, str(why))))
            return
        self._interrupted.pop(key, None)
        if not self._supervised:
            self._more_work.set()
        self._supervised[key] = supervised
        self._follow(self.machine.started(key, Instant(supervised.started_at)))
        await self._await_exit(key, supervised)

    async def _launch_again(self, order: LaunchOrder, why: str) -> None:
        """Nothing of it ran: journal it anew, in a new directory, as after a restart of the agent."""
        key = order.attempt
        self._interrupted[key] += 1
        log.warning("launch.interrupted", attempt=str(key), times=self._interrupted[key], why=why)
        if self._interrupted[key] == LAUNCH_TRIES:
            del self._interrupted[key]
            self._follow(self.machine.exited(msgspec.structs.replace(_failed(key, why), refused=True)))
            return
        await asyncio.get_running_loop().run_in_executor(self._files, self._spool.forget, [key])
        self._to_journal.put_nowait(order)

    async def _await_exit(self, key: AttemptKey, supervised: Supervised) -> None:
        while True:
            try:
                record = await self._launcher.wait(supervised)
                break
            except OSError as error:  # its supervisor is gone, and what became of it cannot be written down
                why = f"the node cannot write to its spool: {error.strerror} ({error.filename})"
                log.error("attempt.not_settled", attempt=str(key), error=str(error))
                self._spawn(self._disk_trouble(why))
                await asyncio.sleep(DISK_CHECK_S)
        crash_point(EXIT_SEEN)
        self._supervised.pop(key, None)
        self._bounding.release(key)
        if record.unkillable:
            log.error("attempt.unkillable", attempt=str(key), processes=record.unkillable)
        self._follow(self.machine.exited(launching.report_of(key, record)))

    async def _tell(self, key: AttemptKey, order: SignalOrder | TerminateOrder | TimeLimitOrder) -> None:
        supervised = self._supervised.get(key)
        if supervised is None:
            return
        wish: control.Order
        match order:
            case SignalOrder(signal=number, scope=scope):
                if scope not in _SCOPES:
                    # To the steps: as under Slurm, what the batch shell started by itself is none of them.
                    return
                wish = control.Signal(number, _SCOPES[scope])
            case TimeLimitOrder(time_limit_s=seconds):
                wish = control.SetLimit(seconds)
            case TerminateOrder(grace_s=grace, cause=cause):
                wish = control.Terminate(
                    grace,
                    cause=launching.ordered_cause(cause),
                    detail=cause,
                    notice=launching.notice(key, self._node, cause),
                )
        try:
            await self._launcher.send(supervised, wish)
        except NotRunning:
            pass  # its exit is on the way
        except (LaunchError, TimeoutError, OSError) as why:
            log.error("attempt.deaf", attempt=str(key), order=type(order).__name__, why=str(why))

    async def _disk_trouble(self, why: str) -> None:
        """Offer nothing until the spool takes a write again."""
        if not self.machine.offer.accepting:
            return
        self._follow(
            self.machine.offered(msgspec.structs.replace(self.machine.offer, accepting=False, reason=why))
        )
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(DISK_CHECK_S)
            try:
                await loop.run_in_executor(self._files, self._spool.keep_epoch, self.machine.epoch)
            except OSError:
                continue
            self._follow(
                self.machine.offered(msgspec.structs.replace(self.machine.offer, accepting=True, reason=""))
            )
            return

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A defect. Going on would leave an attempt nobody watches: end, be restarted, adopt everything.
            log.error("agent.broken", exc_info=error)
            self.stop(f"internal error: {error!r}")


_SCOPES: dict[str, control.Scope] = {"batch": "batch", "all": "all"}


async def _all_of(queue: asyncio.Queue[T]) -> list[T]:
    """Everything in the queue, at least one."""
    items = [await queue.get()]
    while not queue.empty():
        items.append(queue.get_nowait())
    return items


def _failed(key: AttemptKey, why: str) -> ExitReport:
    at = now()
    return ExitReport(key, Instant(0), at, exit_code=1, cause="launch_error", launch_error=why)
