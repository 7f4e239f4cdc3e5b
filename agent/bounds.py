"""What keeps one attempt to its part of the node: its limits, its processors, the devices of others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from packhorse.agent.binding import Binder, Processor
from packhorse.agent.devicenodes import DeviceFiles
from packhorse.agent.launch.spec import Limits
from packhorse.agent.orders import LaunchOrder
from packhorse.scheduler.model.ids import AttemptKey
from packhorse.scheduler.model.node import NodeSpec

LEAST_PIDS = 2048
PIDS_PER_CPU = 512
"""By default a job may have as many processes and threads: far more than programs need (the largest thread
pools have some per CPU), far fewer than a fork bomb wants. Never more than half of what the kernel
numbers."""


class Bounds(NamedTuple):
    """For one attempt. cpus: () for all. constrained: files of devices it has not got cannot be opened by
    it.
    """

    limits: Limits
    cpus: tuple[int, ...] = ()
    constrained: bool = False


class Bounding:
    """Makes the bounds of attempts and keeps who has which processors.

    binder: None to bind nothing. files: None where no device cgroup can be used. pids: of each attempt, 0: no
    limit, None: by default. machine: the processors that attempts may have, bound to them or not.
    """

    def __init__(
        self,
        spec: NodeSpec,
        *,
        binder: Binder | None = None,
        files: DeviceFiles | None = None,
        pids: int | None = 0,
        machine: Sequence[Processor] = (),
    ) -> None:
        self.machine = machine
        self._binder = binder
        self._files = files
        self._pids = pids
        self._numa = {(device.kind, device.index): device.numa for device in spec.devices}

    def numa_of(self, kind: str) -> dict[int, int]:
        """The NUMA node of each device of a kind, by number; -1 where it is not known."""
        return {index: numa for (of, index), numa in self._numa.items() if of == kind}

    @property
    def binds(self) -> bool:
        return self._binder is not None and self._binder.binds

    def take(self, order: LaunchOrder) -> Bounds:
        """The bounds of an attempt that is about to start. Its processors are its own until `release`."""
        limits = Limits(
            mem_mib=order.mem_mib,
            cpu_milli=order.cpu_milli,
            pids=default_pids(order.cpu_milli) if self._pids is None else self._pids,
            deny_devices=self._files.denied(order.devices) if self._files is not None else (),
        )
        return Bounds(limits, self._bind(order), self._files is not None and self._files.known)

    def _bind(self, order: LaunchOrder) -> tuple[int, ...]:
        if self._binder is None:
            return ()
        numa = {
            self._numa.get((devices.kind, index), -1)
            for devices in order.devices
            for index in devices.indices
        }
        key = order.attempt
        if key.step >= 0 and (lent := self._binder.lend(str(key), str(key.whole), order.cpu_milli)):
            return lent
        return self._binder.take(str(key), order.cpu_milli, numa - {-1})

    def adopt(self, key: AttemptKey, cpus: tuple[int, ...], cpu_milli: int) -> None:
        """An attempt that an earlier agent started has these processors."""
        if self._binder is None:
            return
        if key.step >= 0 and cpus and self._binder.lend(str(key), str(key.whole), cpu_milli, cpus=cpus):
            return
        self._binder.adopt(str(key), cpus, cpu_milli)

    def suspend(self, key: AttemptKey) -> None:
        """The attempt does nothing for a while."""
        if self._binder is not None:
            self._binder.suspend(str(key))

    def resume(self, key: AttemptKey) -> tuple[int, ...]:
        """It goes on: the processors to bind it to, () for none."""
        return self._binder.resume(str(key)) if self._binder is not None else ()

    def release(self, key: AttemptKey) -> None:
        """The attempt is over; once more does no harm."""
        if self._binder is not None:
            self._binder.release(str(key))


def default_pids(cpu_milli: int) -> int:
    """Processes and threads that a job of so many CPUs may have."""
    return min(max(LEAST_PIDS, PIDS_PER_CPU * cpu_milli // 1000), _highest_pid() // 2)


def _highest_pid() -> int:
    try:
        return int(Path("/proc/sys/kernel/pid_max").read_text())
    except (OSError, ValueError):
        return 32768  # the kernel's own default
