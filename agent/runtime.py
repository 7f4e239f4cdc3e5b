"""One asyncio process per machine: carries out what the machine decides, and tells it what happened."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from packhorse.agent import launching, stepplan
from packhorse.agent.bounds import Bounding
from packhorse.agent.files import Spool
from packhorse.agent.health import NOT_YET, HealthCheck
from packhorse.agent.inventory import visible
from packhorse.agent.inventory.declare import Inventory
from packhorse.agent.inventory.watch import Verdict
from packhorse.agent.job_scripts import JobScripts
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
from packhorse.agent.launch.spec import LaunchSpec
from packhorse.agent.machine import (
    CloseJob,
    Dial,
    Forget,
    Fork,
    Instruction,
    Journal,
    KeepEpoch,
    Leave,
    Machine,
    Renew,
    Resume,
    Send,
    Tell,
)
from packhorse.agent.opening import Openings
from packhorse.agent.orders import (
    ExitReport,
    LaunchOrder,
    Order,
    SignalOrder,
    SuspendOrder,
    TerminateOrder,
    TimeLimitOrder,
    Welcome,
)
from packhorse.agent.readiness import DISK_CHECK_S, Against, Readiness
from packhorse.agent.sampling.attempt import Kept, final_usage, read_kept
from packhorse.agent.sampling.nvml import Gpus
from packhorse.agent.session import Line, Session, Where
from packhorse.agent.stepdoor import StepDoor
from packhorse.agent.suspending import Suspensions
from packhorse.agent.tunnels import Tunnels
from packhorse.agent.usage import Sampler
from packhorse.agent.watching import HardwareWatch, seconds_since_boot
from packhorse.scheduler.model.crashpoint import crash_point, register
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import US, AttemptKey, Instant
from packhorse.scheduler.model.node import Offer

T = TypeVar("T")

log = structlog.get_logger()

EXIT_SEEN = register("agent.exit_seen", "an exit record on disk that nobody was told of")

IDLE_USAGE_S = 30.0
"""Between samples of a node on which nothing runs."""

CANCEL_AGAIN_S = 0.5
"""Between two tries to end what an agent that stops still does."""

LAUNCH_TRIES = 5
"""Of an attempt whose fork server dies each time, or cannot fork; then another node may try."""

LAUNCH_PAUSE_S = 0.2
"""Before the second try, and so much longer before each further one: what the machine lacks may come back."""

WARN_EVERY_S = 30.0
"""At least between two changes of the warnings that come from sampling."""


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
        gpus: Gpus | None = None,
        hardware: HardwareWatch | None = None,
        scripts: JobScripts = JobScripts(),  # noqa: B008 - frozen
        health: HealthCheck | None = None,
        bounding: Bounding | None = None,
        step_door: Path | None = None,
    ) -> None:
        """gpus: those of this node that can be asked what they do. step_door: where steps are attached to."""
        self._hardware = hardware
        self._verdict: Verdict | None = None
        self._scripts = scripts
        self._health = health
        self._bounding = bounding or Bounding(inventory.spec)
        self._spool = spool
        self._launcher = launcher
        self._cluster = cluster
        self._node = str(inventory.spec.name)
        self._files = ThreadPoolExecutor(max_workers=2, thread_name_prefix="files")
        self._readiness = Readiness(spool, self._files, self._offer)
        offer = self._readiness.offer(inventory.offer())
        if hardware is not None:
            self._verdict = hardware.verdict
            offer = _allowed(offer, self._verdict, ())
        self.machine = Machine(inventory.spec, inventory.boot_id, offer, epoch=spool.epoch())
        self.door = StepDoor(launcher)
        self._door_path = step_door
        self._tunnels = Tunnels(self.door)
        self._session = Session(
            find, opened=self._opened, closed=self._closed, received=self._received, jitter=jitter
        )
        self._supervised: dict[AttemptKey, Supervised] = {}
        self._sampler = Sampler(gpus)
        self._suspensions = Suspensions(
            launcher, self._bounding, self._sampler, lambda said: self._follow(self.machine.suspended(said))
        )
        self._warned_at = -WARN_EVERY_S
        self._sampler_warnings: tuple[str, ...] = ()
        self._to_journal: asyncio.Queue[LaunchOrder] = asyncio.Queue()
        self._to_forget: asyncio.Queue[AttemptKey] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._usage_s = IDLE_USAGE_S
        self._more_work = asyncio.Event()
        self._beat = asyncio.Event()
        self._interrupted: Counter[AttemptKey] = Counter()
        self._openings = Openings(scripts, spool, self._files)
        self._outlived: set[AttemptKey] = set()
        """Attempts whose batch script is over and which still have steps here."""

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
        if self._health is not None:
            self._readiness.say(Against.HEALTH, NOT_YET)
        await self._launcher.start()
        await self._adopt()
        if self._door_path is not None:
            self.door.open(self._door_path)
            self.machine.step_door = self.door.path
        if self._hardware is not None:  # first: what is dead is known before anybody is told of an end
            self._spawn(
                self._hardware.run(
                    self._hardware_changed,
                    lambda: [supervised.pid for supervised in self._supervised.values()],
                )
            )
        for job in (
            self._session.run(),
            self._heartbeats(),
            self._samples(),
            self._journals(),
            self._forgets(),
            self.door.serve(),
        ):
            self._spawn(job)
        if self._health is not None:
            self._spawn(self._health.watch(partial(self._readiness.say, Against.HEALTH)))
        try:
            return await self._end
        finally:
            await self._cancel_all()
            self._sampler.keep_all()
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
                    self._sampler.watch(key, found, self._spool.order(key))
                    self._bounding.adopt(key, found.cpus, found.cpu_milli)
                    if key.step >= 0 and (order := self._spool.order(key)) is not None:
                        self.door.arrived(key, order.uid, found)
                    if found.suspended:
                        self._suspensions.adopt(key)
                    self.machine.adopt_running(key, Instant(found.started_at), found.suspended)
                    if self._hardware is not None and (order := self._spool.order(key)) is not None:
                        since_s = seconds_since_boot(Instant(found.started_at))
                        self._hardware.granted(key, order.uid, order.devices, since_s)
                    self._spawn(self._await_exit(key, found))
                    log.info("attempt.adopted", attempt=str(key), pid=found.pid)
                case ExitRecord() if self._owes_epilog(key):
                    self._had_devices(key, found)
                    self.machine.adopt_running(key, Instant(found.started_at))
                    kept = read_kept(str(self._spool.attempts / name))
                    self._spawn(self._over(_report_of(key, found, kept)))
                case ExitRecord():
                    self._had_devices(key, found)
                    kept = read_kept(str(self._spool.attempts / name))
                    self.machine.adopt_exit(_report_of(key, found, kept))
                case NeverStarted():
                    # Fenced: it cannot run any more. The scheduler sends the order again if it still stands.
                    self._spool.discard(name)
        live = {str(key) for key in self._supervised}
        for gone in await asyncio.to_thread(self._launcher.cgroups.remove_leftovers, live):
            log.warning("cgroup.left_over", attempt=gone)

    def _owes_epilog(self, key: AttemptKey) -> bool:
        """An attempt whose batch script ended while no agent was here."""
        return key.step < 0 and self._scripts.epilog_file is not None and not self._spool.had_epilog(key)

    def _had_devices(self, key: AttemptKey, end: ExitRecord) -> None:
        """The attempt ended while no agent was here: it may have left something on its devices."""
        if self._hardware is not None and (order := self._spool.order(key)) is not None:
            to_s = seconds_since_boot(Instant(end.ended_at))
            self._hardware.had(key, order.uid, order.devices, to_s - end.run_us / US, to_s)

    # -- the session

    def _opened(self) -> None:
        self.machine.kept = self._openings.kept()
        self._follow(self.machine.session_opened())

    def _closed(self, why: str) -> None:
        self._follow(self.machine.session_closed())

    async def _received(self, order: Order) -> None:
        self._follow(self.machine.received(order))
        if isinstance(order, Welcome) and self.machine.connected:
            self._session.heartbeat_s = float(order.heartbeat_s)
            self._beat.set()  # the pause that is under way may be longer than this scheduler's patience
            self._session.takes_batches = order.takes_batches
            self._usage_s = float(order.usage_s)
            self._sampler.report_now()
            self._more_work.set()
            log.info("session.opened", cluster=order.cluster, epoch=order.epoch)

    async def _heartbeats(self) -> None:
        while True:
            self._beat.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._session.heartbeat_s):
                    await self._beat.wait()
            self._follow(self.machine.heartbeat(now()))

    async def _samples(self) -> None:
        sampler = self._sampler
        while True:
            self._more_work.clear()
            try:
                report = sampler.step(now())
            except Exception as error:  # nothing that is measured may stop what runs
                sampler.failed(error)
                report = None
            if report is not None:
                self._follow(self.machine.sampled(report))
            self._warn()
            sampler.report_s = self._usage_s if self._supervised else max(self._usage_s, IDLE_USAGE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(sampler.pause_s()):
                    await self._more_work.wait()

    def _warn(self) -> None:
        """Show what the sampler warns of with the node, not more often than WARN_EVERY_S."""
        offer = self.machine.offer
        others = tuple(text for text in offer.warnings if text not in self._sampler_warnings)
        warnings = self._sampler.warnings
        if (*others, *warnings) == offer.warnings or time.monotonic() - self._warned_at < WARN_EVERY_S:
            return
        self._warned_at = time.monotonic()
        self._sampler_warnings = warnings
        self._follow(self.machine.offered(msgspec.structs.replace(offer, warnings=(*others, *warnings))))

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
                case Tell(attempt=key, order=SuspendOrder() as suspend):
                    self._spawn(self._suspend(key, suspend))
                case Tell(attempt=key, order=order) if not isinstance(order, SuspendOrder):
                    self._spawn(self._tell(key, order))
                case Forget(attempt=key):
                    self._to_forget.put_nowait(key)
                case KeepEpoch(epoch=epoch):
                    if not self._keep_epoch(epoch):
                        return
                case Renew():
                    self._renew()
                case CloseJob(attempt=key):
                    self._spawn(self._close_job(key))
                case Resume():
                    self._spawn(self._resume())
                case Dial(order=order):
                    self._spawn(self._tunnels.dig(order, self._session.line))
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
                    self._exited(_failed(order.attempt, why))
                else:
                    orders.append(order)
            if not orders:
                continue
            errors = await loop.run_in_executor(self._files, self._spool.journal, orders)
            for order, error in zip(orders, errors, strict=True):
                if error is None:
                    self._follow(self.machine.journalled(order.attempt, now()))
                else:
                    self._exited(self._not_written(order.attempt, error))

    def _not_written(self, key: AttemptKey, error: OSError) -> ExitReport:
        """How an attempt ends whose order the disk does not take. The node takes no more until it does."""
        log.error("journal.failed", attempt=str(key), error=str(error))
        why = f"the node cannot write down its orders: {error.strerror} ({error.filename})"
        self._spawn(self._disk_trouble(why))
        return msgspec.structs.replace(_failed(key, why), refused=True)

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
        if self._hardware is not None:
            self._hardware.granted(key, order.uid, order.devices, seconds_since_boot())
        if not await self._prepare(order):
            return
        try:
            supervised = await self._launcher.launch(self._spec(order))
        except BadValue as why:  # what a step asks for cannot be
            self._bounding.release(key)
            await self._over(_failed(key, str(why)))
            return
        except Interrupted as why:
            self._bounding.release(key)
            await self._launch_again(order, str(why))
            return
        except LaunchError as why:
            self._bounding.release(key)
            self._interrupted.pop(key, None)
            await self._over(_failed(key, str(why)))
            return
        self._interrupted.pop(key, None)
        self._supervised[key] = supervised
        self._sampler.watch(key, supervised, order)
        self._more_work.set()
        if order.step is not None:
            self.door.arrived(key, order.uid, supervised)
        self._follow(self.machine.started(key, Instant(supervised.started_at)))
        await self._await_exit(key, supervised)

    def _spec(self, order: LaunchOrder) -> LaunchSpec:
        """What to launch. Raises BadValue for a step that asks for what cannot be."""
        key = order.attempt
        names = self._hardware.names(order.devices) if self._hardware is not None else ""
        bounds = self._bounding.take(order)
        directory, contact = str(self._spool.directory(key)), str(self._spool.contact)
        if order.step is not None:
            node = stepplan.Node(self._node, self._bounding.machine, self._bounding.numa_of("gpu"), names)
            return stepplan.spec_of(
                order,
                order.step,
                node=node,
                directory=directory,
                contact=contact,
                cluster=self._cluster,
                bounds=bounds,
            )
        spec = launching.spec_of(
            order,
            node=self._node,
            directory=directory,
            script=str(self._spool.script(key)),
            contact=contact,
            cluster=self._cluster,
            bounds=bounds,
        )
        if names:
            spec = msgspec.structs.replace(spec, environment=visible.named(spec.environment, names))
        return spec

    async def _launch_again(self, order: LaunchOrder, why: str) -> None:
        """Nothing of it ran: start it from a new directory, as after a restart of the agent. Its prolog has
        run."""
        key = order.attempt
        self._interrupted[key] += 1
        log.warning("launch.interrupted", attempt=str(key), times=self._interrupted[key], why=why)
        if self._interrupted[key] == LAUNCH_TRIES:
            del self._interrupted[key]
            await self._over(msgspec.structs.replace(_failed(key, why), refused=True))
            return
        await asyncio.sleep(LAUNCH_PAUSE_S * self._interrupted[key])
        end: ExitReport | None
        try:
            await asyncio.get_running_loop().run_in_executor(self._files, self._spool.journal_again, order)
        except OSError as error:
            end = self._not_written(key, error)
        else:
            end = self.machine.stopped_before(key, now())
        if end is None:
            await self._fork(order)
            return
        del self._interrupted[key]
        await self._over(end)

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
        kept = self._sampler.end(key)
        self._bounding.release(key)
        if record.unkillable:
            log.error("attempt.unkillable", attempt=str(key), processes=record.unkillable)
            n = record.unkillable
            await self._readiness.drain(f"{n} process{'es' * (n != 1)} of job {key.job} cannot be killed")
        await self._over(_report_of(key, record, kept))

    # -- prolog, epilog, and what speaks against new work

    async def _prepare(self, order: LaunchOrder) -> bool:
        """Runs the prolog, where it has not run. False if the attempt will not start: it is settled then."""
        if not self._openings.needed:
            return True
        key = order.attempt
        why = await self._openings.open(order)
        end = self.machine.stopped_before(key, now())
        if why:
            await self._readiness.drain(why)
            end = end or msgspec.structs.replace(_failed(key, why), refused=True)
        if end is None:
            return True
        await self._over(end)
        return False

    async def _over(self, end: ExitReport) -> None:
        """Nothing of the attempt, or of the step, is left: runs the epilog when that was the last of the
        attempt, and then its allocation may be given away."""
        key = end.attempt
        if self._scripts.epilog_file is not None:
            await self._end_visit(end)
        if self._hardware is not None:
            await self._hardware.ended(key)
        self._exited(end)

    async def _end_visit(self, end: ExitReport) -> None:
        key, whole = end.attempt, end.attempt.whole
        beside = self.machine.runs_beside(key)
        if key.step < 0 and not beside:
            await self._batch_epilog(end)
        elif key.step < 0:
            self._outlived.add(whole)
        elif not beside and whole in self._outlived:
            await self._close_job(whole)

    async def _batch_epilog(self, end: ExitReport) -> None:
        key = end.attempt
        loop = asyncio.get_running_loop()
        order = await loop.run_in_executor(self._files, self._spool.order, key)
        if order is None:
            await self._readiness.drain(f"epilog failed: what job {key.job} was cannot be read back")
        elif why := await self._scripts.epilog(order, end):
            await self._readiness.drain(why)
        with contextlib.suppress(OSError):  # should this agent end now, the next one runs it again
            await loop.run_in_executor(self._files, self._spool.note_epilog, key)
        await self._openings.closed(key)

    async def _close_job(self, whole: AttemptKey) -> None:
        """Nothing of the attempt is left here, and nothing more will come."""
        self._outlived.discard(whole)
        if self._openings.needed and (why := await self._openings.close(whole)):
            await self._readiness.drain(why)

    def _exited(self, end: ExitReport) -> None:
        """Tells of an end, here and to the scheduler."""
        if end.attempt.step >= 0:
            step = f"{end.attempt.job}.{end.attempt.step}"
            self.door.gone(end.attempt, end.launch_error or f"step {step} is over here")
        self._follow(self.machine.exited(end))

    async def _suspend(self, key: AttemptKey, order: SuspendOrder) -> None:
        if (supervised := self._supervised.get(key)) is not None:  # else its exit is on the way
            await self._suspensions.obey(order, supervised)

    async def _tell(self, key: AttemptKey, order: SignalOrder | TerminateOrder | TimeLimitOrder) -> None:
        supervised = self._supervised.get(key)
        if supervised is None:
            return
        wish: control.Order
        match order:
            case SignalOrder(signal=number, scope=scope):
                if key.step >= 0:
                    scope = "all"
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

    def _hardware_changed(self, verdict: Verdict) -> None:
        """Offer what there is now; where it is more than was registered, introduce the node anew."""
        mine = () if self._verdict is None else self._verdict.warnings
        others = tuple(text for text in self.machine.offer.warnings if text not in mine)
        offer = _allowed(self.machine.offer, verdict, others)
        self._verdict = verdict
        if verdict.spec == self.machine.spec:
            self._follow(self.machine.offered(offer))
            return
        self.machine.spec = verdict.spec
        self.machine.offered(offer)  # it goes out with the introduction
        self._session.hang_up()

    def _offer(self) -> None:
        """What speaks against new work has changed."""
        self._follow(self.machine.offered(self._readiness.offer(self.machine.offer)))

    async def _resume(self) -> None:
        if self._health is not None:
            self._health.check_now()
        await self._readiness.resume()

    async def _disk_trouble(self, why: str) -> None:
        """Offer nothing until the spool takes a write again."""
        await self._readiness.disk_trouble(why, lambda: self.machine.epoch)

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    async def _cancel_all(self) -> None:
        """End what was spawned, and say so until it is gone: what a task runs may swallow a cancellation,
        as asyncio.wait_for of Python 3.11 does where it comes in the moment in which its event happens.
        """
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=CANCEL_AGAIN_S)

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


def _report_of(key: AttemptKey, record: ExitRecord, kept: Kept) -> ExitReport:
    """The report of an exit, with what was measured before it."""
    report = launching.report_of(key, record)
    return msgspec.structs.replace(report, usage=final_usage(record, report.usage, kept))


def _allowed(offer: Offer, verdict: Verdict, warnings: tuple[str, ...]) -> Offer:
    """The offer with what the hardware allows. warnings: what else is to be said."""
    return msgspec.structs.replace(
        offer,
        cpu_milli=verdict.cpu_milli,
        mem_mib=verdict.mem_mib,
        dead_devices=tuple(device for device, _ in verdict.dead),
        dead_reasons=tuple(why for _, why in verdict.dead),
        warnings=(*verdict.warnings, *warnings),
    )


def _failed(key: AttemptKey, why: str) -> ExitReport:
    at = now()
    return ExitReport(key, Instant(0), at, exit_code=1, cause="launch_error", launch_error=why)
