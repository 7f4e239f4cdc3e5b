"""The bounds of an attempt: limits, processors near its devices, others' devices."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from packhorse.agent import bounds
from packhorse.agent.binding import Binder, Processor
from packhorse.agent.bounds import Bounding, Bounds
from packhorse.agent.devicenodes import DeviceFiles
from packhorse.agent.launch.spec import Limits
from packhorse.agent.orders import LaunchOrder
from packhorse.scheduler.model.ids import AttemptKey, JobId, NodeName
from packhorse.scheduler.model.node import NodeSpec
from packhorse.scheduler.model.resources import Device, Devices
from tests.agent.test_launching import ORDER

GPUS = (Device("gpu", "h200", 0, numa=0), Device("gpu", "h200", 1, numa=1))
SPEC = NodeSpec(NodeName("n1"), "host", 4000, 8192, devices=GPUS)


def two_sockets() -> Binder:
    return Binder([Processor(cpu, cpu, cpu // 2, cpu // 2) for cpu in range(4)], SPEC.cpu_milli)


def order(job: int, *devices: Devices, cpu_milli: int = 1000) -> LaunchOrder:
    return msgspec.structs.replace(
        ORDER, attempt=AttemptKey(JobId(job), 1, 1), devices=devices, cpu_milli=cpu_milli, mem_mib=100
    )


def test_processors_are_near_the_attempts_devices_and_come_back() -> None:
    bounding = Bounding(SPEC, binder=two_sockets())
    assert bounding.binds
    assert bounding.take(order(1, Devices("gpu", "h200", (1,)))).cpus == (2,)
    assert bounding.take(order(2, Devices("gpu", "h200", (1,)))).cpus == (3,)
    assert bounding.take(order(3, Devices("gpu", "h200", (1,)))).cpus == (0,)
    bounding.release(order(1).attempt)
    bounding.adopt(AttemptKey(JobId(9), 1, 1), (1,), 1000)
    assert bounding.take(order(4)).cpus == (2,)


def test_without_a_binder_and_files_there_are_limits_only() -> None:
    bounding = Bounding(SPEC, pids=77)
    assert not bounding.binds
    assert bounding.take(order(1)) == Bounds(Limits(mem_mib=100, cpu_milli=1000, pids=77))
    bounding.adopt(order(1).attempt, (1,), 1000)
    bounding.release(order(1).attempt)


def test_device_files_that_are_known_constrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = DeviceFiles(GPUS, tmp_path)
    assert not Bounding(SPEC, files=files).take(order(1)).constrained
    monkeypatch.setattr(files, "_rule", {("gpu", 0): "c 195:0 rwm", ("gpu", 1): "c 195:1 rwm"})
    found = Bounding(SPEC, files=files).take(order(1, Devices("gpu", "h200", (0,))))
    assert (found.limits.deny_devices, found.constrained) == (("c 195:1 rwm",), True)


def test_the_usual_number_of_processes_grows_with_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_highest_pid", lambda: 32768)
    assert [bounds.default_pids(n) for n in (500, 4000, 16000, 128_000)] == [2048, 2048, 8192, 16384]
    assert Bounding(SPEC, pids=None).take(order(1)).limits.pids == 2048
    assert Bounding(SPEC, pids=0).take(order(1)).limits.pids == 0
