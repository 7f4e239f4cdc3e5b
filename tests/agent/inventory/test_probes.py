"""The thread that asks the devices: what it hands over, and that nothing hangs with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhorse.agent.inventory import amd, declare, probes
from packhorse.agent.inventory.declare import Declared
from packhorse.agent.inventory.found import Look
from packhorse.agent.inventory.probes import Places, Probes
from packhorse.scheduler.model.ids import NodeName
from tests.agent.inventory.test_sysfs import write
from tests.agent.nvml.fake import FakeNvml
from tests.cluster import wait_until


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A machine that has something of NVIDIA's on its bus, whatever the library says."""
    sys = write(tmp_path / "sys", {"bus/pci/devices/0000:10:00.0/vendor": "0x10de"})
    return Places(sys, tmp_path / "dev", {})


@pytest.fixture
def started(places: Places, fake_nvml: FakeNvml) -> Iterator[Probes]:
    fake_nvml.load()
    asking = Probes(places)
    asking.start()
    yield asking
    asking.stop()


def seen_again(asking: Probes) -> tuple[Look, ...]:
    wanted = asking.again()
    wait_until(lambda: asking.rounds >= wanted, "another look")
    assert asking.looks is not None
    return asking.looks


def test_a_look_and_another_one_when_it_is_wished_for(started: Probes, fake_nvml: FakeNvml) -> None:
    looks = started.first()
    assert looks is not None
    assert [(look.prefix, len(look.devices)) for look in looks] == [("GPU-", 1), ("amd-", 0), ("tpu-", 0)]
    fake_nvml.set({"gpu0.compute": "4711:1"})
    assert seen_again(started)[0].devices[0].pids == (4711,)
    assert started.silence() is None and started.defect is None and started.note == ""


def test_a_storm_of_errors_is_not_a_storm_of_looks(started: Probes, fake_nvml: FakeNvml) -> None:
    started.interval_s = 600.0
    seen_again(started)
    before, began = started.rounds, time.monotonic()
    fake_nvml.set({f"event.{number}": "0 8 31" for number in range(1, 200)})
    wait_until(lambda: started.rounds > before + 2, "looks at the errors")
    time.sleep(0.3)
    assert started.rounds - before <= (time.monotonic() - began) / probes.STORM_S + 2


def test_an_error_of_the_driver_is_looked_at_at_once(started: Probes, fake_nvml: FakeNvml) -> None:
    started.interval_s = 600.0
    told = threading.Event()
    started.tell(told.set)
    seen_again(started)
    told.clear()
    fake_nvml.set({"gpu0.lost": 1, "event.1": "0 8 79"})
    assert told.wait(10)
    assert started.looks is not None and started.looks[0].devices == ()


def test_a_library_that_hangs_is_told_and_waited_for_by_nobody(
    started: Probes, fake_nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = started.first()
    fake_nvml.set({"gpu0.hang.nvmlDeviceGetMemoryInfo": 1.5})
    wanted = started.again()
    monkeypatch.setattr(probes, "FIRST_S", 0.2)
    wait_until(lambda: started.silence() is not None, "its silence to be noticed")
    remark = started.silence()
    assert remark is not None
    assert remark.text == "the driver of its devices does not answer (nvmlDeviceGetMemoryInfo)"
    assert started.looks is before, "what was known stays"
    fake_nvml.set({"gpu0.hang.nvmlDeviceGetMemoryInfo": None})
    wait_until(lambda: started.rounds >= wanted, "the call to come back")
    assert started.silence() is None


def test_a_node_registers_while_a_driver_hangs(
    started: Probes, fake_nvml: FakeNvml, tmp_path: Path, places: Places
) -> None:
    def taken(asking: Probes, first_s: float) -> declare.Inventory:
        return declare.take(
            NodeName("n1"),
            Declared(),
            tmp_path,
            version="1",
            isolation="rlimits",
            probes=asking,
            first_s=first_s,
        )

    known = taken(started, 30.0)
    assert [device.index for device in known.spec.devices] == [0]
    fake_nvml.set({"hang.nvmlDeviceGetCount_v2": 1.0})
    slow = Probes(places)
    slow.start()
    inventory = taken(slow, 0.05)
    assert inventory.spec.devices == known.spec.devices, "as it was known before the agent was started anew"
    [remark] = inventory.seen.remarks
    assert remark.text.startswith("the drivers of its devices have not answered within 0.05 s")
    slow.stop()


def test_a_defect_in_a_look_stops_nothing(started: Probes, monkeypatch: pytest.MonkeyPatch) -> None:
    before = started.first()

    def broken(sys: Path) -> Look:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(amd, "look", broken)
    assert seen_again(started) is before
    assert started.defect is not None
    assert started.defect.text == "the look at its devices failed (ZeroDivisionError('oh'))"
    monkeypatch.undo()


@pytest.mark.parametrize(("vendor", "asked"), [("0x10de", True), ("0x8086", False)])
def test_a_driver_without_a_gpu_is_no_trouble(
    fake_nvml: FakeNvml, tmp_path: Path, vendor: str, asked: bool
) -> None:
    sys = write(tmp_path / "sys", {"bus/pci/devices/0000:10:00.0/vendor": vendor})
    fake_nvml.set({"error.nvmlInitWithFlags": 9})
    fake_nvml.load()
    asking = Probes(Places(sys, tmp_path / "dev", {}))
    asking.start()
    looks = asking.first()
    asking.stop()
    assert looks is not None
    assert any(look.prefix == "GPU-" and not look.complete for look in looks) is asked
    assert ("Driver Not Loaded" in asking.note) is not asked
