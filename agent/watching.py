"""Watches the node's hardware while the agent runs, and says what the node offers from then on.

The looking happens in a thread (inventory/probes.py), the deciding in values (inventory/watch.py,
inventory/leftovers.py); here they are put together with the agent's loop.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil
import structlog

from packhorse.agent.inventory import machine, numbering, visible
from packhorse.agent.inventory.declare import Inventory
from packhorse.agent.inventory.leftovers import Leftovers, Process
from packhorse.agent.inventory.probes import Probes
from packhorse.agent.inventory.watch import Seen, Verdict, Watch
from packhorse.agent.launch import contact, processes
from packhorse.scheduler.model.ids import US, AttemptKey, Instant
from packhorse.scheduler.model.resources import Devices

log = structlog.get_logger()

IDLE_S = 10.0
"""Between looks at a machine with devices; XID errors are told in between."""
BARE_S = 30.0
"""Between looks at a machine without."""
SOON_S = 2.0
"""Between looks while something is not as it should be …"""
SOON_FOR_S = 120.0
"""… for so long after the last change; then as ever."""
AFTER_JOB_S = 1.0
"""How long the end of a job with devices waits for what it left on them to go."""
POLL_S = 0.1
"""Between looks then."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
MAX_DEPTH = 64
"""Of parents that are asked for the supervisor above them."""


class HardwareWatch:
    """Of one agent. numbers: the file that keeps the devices' numbers."""

    def __init__(self, inventory: Inventory, probes: Probes, numbers: Path) -> None:
        self._probes = probes
        self._numbers = numbers
        self._boot_id = inventory.boot_id
        self._declared = inventory.declared
        self._watch = Watch(
            inventory.spec,
            inventory.boot_id,
            inventory.seen,
            declared=inventory.declared,
            at_s=time.monotonic(),
        )
        self._start_remarks = inventory.seen.remarks if probes.looks is not None else ()
        self._leftovers = Leftovers()
        self._supervisors: Callable[[], Iterable[int]] = tuple
        self._changed: Callable[[Verdict], None] | None = None
        self._waited_for: Counter[tuple[str, int]] = Counter()
        """Devices that have a moment to become free after a job."""
        self._judged_from: dict[tuple[str, int], int] = {}
        """By device: the round of looks that began after the last job's end. An older one may not have seen
        what that job started last."""
        self._looked = asyncio.Event()
        self._changed_at = time.monotonic()

    @property
    def verdict(self) -> Verdict:
        """The newest."""
        return self._watch.verdict

    # -- what runs on the devices

    def granted(self, attempt: AttemptKey, uid: int, devices: tuple[Devices, ...], at_s: float) -> None:
        """An attempt gets devices. at_s: seconds since boot. What is only declared has no processes that
        anybody could see.
        """
        real = {(device.kind, device.index) for device in self._watch.spec.devices if device.uuid}
        own = [held for held in devices if real.issuperset((held.kind, index) for index in held.indices)]
        self._leftovers.granted(attempt, uid, own, at_s)
        self._probes.busy = self._leftovers.busy

    def had(
        self, attempt: AttemptKey, uid: int, devices: tuple[Devices, ...], since_s: float, to_s: float
    ) -> None:
        """An attempt had devices while no agent was there to see its end."""
        self.granted(attempt, uid, devices, since_s)
        self._ended(attempt, to_s)

    def names(self, devices: tuple[Devices, ...]) -> str:
        """By which UUIDs a job has to look for its NVIDIA GPUs; "" if their numbers will do."""
        return visible.uuids(devices, self._watch.spec.devices, self._probes.looks or ())

    async def ended(self, attempt: AttemptKey) -> None:
        """An attempt is over. Returns when its devices are free of it, or known to be dead because they are
        not; in AFTER_JOB_S at most: whoever is told of its end after that will not be given them too soon.
        """
        keys = self._ended(attempt, seconds_since_boot())
        if not keys:
            return
        self._waited_for.update(keys)
        try:
            if await self._goes(keys):
                return
        finally:
            self._waited_for.subtract(keys)
        self._see()
        self._looked.set()  # the next look is due soon

    def _ended(self, attempt: AttemptKey, at_s: float) -> list[tuple[str, int]]:
        keys = self._leftovers.ended(attempt, at_s)
        if keys:
            self._judged_from |= dict.fromkeys(keys, self._probes.again())
        return keys

    async def _goes(self, keys: list[tuple[str, int]]) -> bool:
        """Whether what ended jobs left on these devices goes in time."""
        until = time.monotonic() + AFTER_JOB_S
        while (left := until - time.monotonic()) > 0:
            await self._fresh_look(left)
            if not self._left().keys() & keys:
                return True
            await asyncio.sleep(min(left, POLL_S))
        return False

    async def _fresh_look(self, limit_s: float) -> None:
        """One that began after now, or none within the limit."""
        wanted = self._probes.again()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while self._probes.rounds < wanted:
                    self._looked.clear()
                    await self._looked.wait()

    def _left(self) -> dict[tuple[str, int], str]:
        looks = self._probes.looks or ()
        numbers = {
            device.uuid: (device.kind, device.index) for device in self._watch.spec.devices if device.uuid
        }
        rounds = self._probes.rounds
        pids = {
            key: found.pids
            for look in looks
            for found in look.devices
            if (key := numbers.get(found.device.uuid)) and self._judged_from.get(key, 0) <= rounds
        }
        supervisors = frozenset(self._supervisors())
        return self._leftovers.judge(pids, describe, lambda pid: _descends(pid, supervisors))

    # -- the watch

    async def run(self, changed: Callable[[Verdict], None], supervisors: Callable[[], Iterable[int]]) -> None:
        """Until cancelled. changed: called with every verdict that differs from the one before. supervisors:
        pids of those of all attempts that run.
        """
        self._changed, self._supervisors = changed, supervisors
        loop = asyncio.get_running_loop()

        def looked() -> None:
            loop.call_soon_threadsafe(self._looked.set)

        self._probes.tell(looked)
        try:
            while True:
                self._see()
                has_devices = any(device.uuid for device in self._watch.spec.devices)
                pause = IDLE_S if has_devices else BARE_S
                if self.verdict.unsettled and time.monotonic() - self._changed_at < SOON_FOR_S:
                    pause = SOON_S
                if pause < self._probes.interval_s:
                    self._probes.again()
                self._probes.interval_s = pause
                self._looked.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause + SOON_S):
                        await self._looked.wait()
        finally:
            self._probes.stop()

    def _see(self) -> None:
        before = self.verdict
        remarks = [*self._start_remarks]
        remarks += [remark for remark in (self._probes.silence(), self._probes.defect) if remark is not None]
        seen = Seen(
            machine.n_cpus(self._probes.places.sys),
            machine.memory_mib(),
            self._probes.looks or (),
            {key: why for key, why in self._left().items() if not self._waited_for[key]},
            tuple(remarks),
        )
        after = self._watch.see(seen, time.monotonic())
        if after.unsettled and not before.unsettled:
            self._changed_at = time.monotonic()
        self._probes.busy = self._leftovers.busy
        for sentence in after.happened:
            log.warning("hardware.changed", what=sentence)
        if after._replace(unsettled=False, happened=()) != before._replace(unsettled=False, happened=()):
            self._changed_at = time.monotonic()
            if after.spec.devices != before.spec.devices and not self._declared:
                with suppress(OSError):  # a restart of the agent would number a new device anew
                    known = numbering.Known(self._boot_id, after.spec.devices, self._start_remarks)
                    numbering.keep(self._numbers, known)
            if self._changed is not None:
                self._changed(after)


def seconds_since_boot(at: Instant | None = None) -> float:
    """The clock of everything here: as the kernel dates processes, whatever is done to the time of day.

    at: for a moment that is known by the time of day only, as that goes now; by default now.
    """
    now = contact.boot_clock_us()
    return (now if at is None else now - (time.time_ns() // 1000 - at)) / US


def describe(pid: int) -> Process | None:
    """A process, None if it is gone or not to be seen from here."""
    ticks = processes.start_time(pid)
    if not ticks:
        return None
    try:
        process = psutil.Process(pid)
        return Process(pid, process.name(), process.uids().real, ticks / TICKS_PER_S)
    except (psutil.Error, OSError, ValueError):
        return None


def _descends(pid: int, ancestors: frozenset[int]) -> bool:
    for _ in range(MAX_DEPTH):
        if pid in ancestors:
            return True
        if pid <= 1:
            return False
        pid = processes.parent(pid)
    return False
