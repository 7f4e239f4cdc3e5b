"""The watch of the hardware in an agent's loop: ends of jobs wait for their devices, changes are told."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from packhorse.agent import watching
from packhorse.agent.inventory import declare
from packhorse.agent.inventory.declare import Declared
from packhorse.agent.inventory.probes import Places, Probes
from packhorse.agent.inventory.watch import Verdict
from packhorse.agent.watching import HardwareWatch, seconds_since_boot
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.resources import Devices
from tests.agent.nvml.fake import FakeNvml
from tests.cluster import wait_until

A = AttemptKey(JobId(1), 1, 1)
GPU0 = (Devices("gpu", "h200", (0,)),)


class Running:
    """A watch that runs, what it said, and supervisors that a test names."""

    def __init__(self, hardware: HardwareWatch) -> None:
        self.hardware = hardware
        self.said: asyncio.Queue[Verdict] = asyncio.Queue()
        self.supervisors: list[int] = []

    async def next(self) -> Verdict:
        """What it says next."""
        return await asyncio.wait_for(self.said.get(), 20)


def started(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command)


def child_of(process: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(lambda: children.read_text().split(), "its child")
    return int(children.read_text())


@pytest.fixture
async def running(
    fake_nvml: FakeNvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    monkeypatch.setattr(watching, "SOON_S", 0.05)
    fake_nvml.set({"gpus": 2})
    fake_nvml.load()
    probes = Probes(Places(Path("/sys"), tmp_path / "dev", {}))
    probes.start()
    inventory = declare.take(
        NodeName("n1"), Declared(), tmp_path, version="1", isolation="rlimits", probes=probes
    )
    watch = Running(HardwareWatch(inventory, probes, tmp_path / declare.NUMBERS))
    task = asyncio.create_task(watch.hardware.run(watch.said.put_nowait, lambda: watch.supervisors))
    yield watch
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def dead(verdict: Verdict) -> dict[int, str]:
    return {index: why for (_, index), why in verdict.dead}


async def test_an_end_waits_a_moment_for_what_is_still_going(
    running: Running, fake_nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.hardware.granted(A, os.getuid(), GPU0, seconds_since_boot())
    with started("sleep", "0.3") as going:
        fake_nvml.set({"gpu0.compute": f"{going.pid}:1"})
        asyncio.get_running_loop().call_later(0.3, fake_nvml.set, {"gpu0.compute": None})
        began = time.monotonic()
        monkeypatch.setattr(watching, "AFTER_JOB_S", 20.0)  # on a busy machine everything takes longer
        await running.hardware.ended(A)
        assert 0.25 < time.monotonic() - began < watching.AFTER_JOB_S
    assert running.said.empty(), "it went: nobody needs to know"
    await running.hardware.ended(A)  # once more is nothing


async def test_what_does_not_go_is_told_before_the_end_of_the_job_is(
    running: Running, fake_nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "AFTER_JOB_S", 3.0)  # a wait for errors that is under way lasts a second
    running.hardware.granted(A, os.getuid(), GPU0, seconds_since_boot())
    with started("sleep", "600") as left:
        try:
            fake_nvml.set({"gpu0.compute": f"{left.pid}:1"})
            await running.hardware.ended(A)
            assert dead(running.said.get_nowait()) == {
                0: f"process {left.pid} (sleep) of an ended job still uses it"
            }
        finally:
            left.kill()
    fake_nvml.set({"gpu0.compute": None})
    assert (await running.next()).dead == ()


@pytest.mark.parametrize("known", [True, False])
async def test_processes_of_a_job_that_runs_are_its_own(
    running: Running, fake_nvml: FakeNvml, known: bool
) -> None:
    before = seconds_since_boot() - 1  # the kernel dates processes by hundredths, rounded down
    running.hardware.granted(A, os.getuid(), GPU0, before)
    running.hardware.granted(AttemptKey(JobId(2), 1, 1), os.getuid(), GPU0, before)
    with started("sh", "-c", "sleep 600 & wait") as supervisor:
        child = child_of(supervisor)
        try:
            fake_nvml.set({"gpu0.compute": f"{child}:1"})
            running.supervisors = [supervisor.pid] if known else []
            await running.hardware.ended(A)
            assert running.said.empty() is known
        finally:
            os.kill(child, 9)


async def test_what_changed_is_told_and_numbers_are_kept(
    running: Running, fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    fake_nvml.set({"gpu1.lost": 1, "event.1": "1 8 79"})
    assert list(dead(await running.next())) == [1]
    assert running.hardware.verdict.unsettled
    assert len((tmp_path / declare.NUMBERS).read_text().split("GPU-")) == 3


async def test_what_a_job_left_that_ended_without_an_agent_is_found(
    running: Running, fake_nvml: FakeNvml
) -> None:
    with started("sleep", "600") as left:
        try:
            running.hardware.had(A, os.getuid(), GPU0, seconds_since_boot() - 1, seconds_since_boot() + 1)
            fake_nvml.set({"gpu0.compute": f"{left.pid}:1", "event.1": "0 8 31"})
            assert list(dead(await running.next())) == [0]
        finally:
            left.kill()


async def test_a_look_from_before_the_end_says_nothing_of_what_is_left(
    running: Running, fake_nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver is slow: no look is over in the time that a job's end waits."""
    running.hardware.granted(A, os.getuid(), GPU0, seconds_since_boot())
    with started("sleep", "600") as left:
        try:
            fake_nvml.set({"gpu0.compute": f"{left.pid}:1"})
            monkeypatch.setattr(watching, "AFTER_JOB_S", 0.0)
            await running.hardware.ended(A)
            assert dead(await running.next()) == {
                0: f"process {left.pid} (sleep) of an ended job still uses it"
            }
        finally:
            left.kill()


async def test_a_clock_that_was_set_back_hides_nothing(
    running: Running, fake_nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(watching, "AFTER_JOB_S", 3.0)
    with started("sleep", "600") as left:
        try:
            running.hardware.granted(A, os.getuid(), GPU0, seconds_since_boot())
            monkeypatch.setattr(time, "time", lambda: real() - 3600)
            monkeypatch.setattr(time, "time_ns", lambda: real_ns() - 3600 * 10**9)
            fake_nvml.set({"gpu0.compute": f"{left.pid}:1"})
            await running.hardware.ended(A)
            assert list(dead(running.said.get_nowait())) == [0]
        finally:
            left.kill()


def test_a_moment_by_the_time_of_day() -> None:
    at = Instant(time.time_ns() // 1000 - 5_000_000)
    assert abs(seconds_since_boot() - seconds_since_boot(at) - 5.0) < 0.5


async def test_devices_that_are_only_declared_are_not_waited_for(running: Running) -> None:
    declared = (Devices("gpu", "h200", (7,)), Devices("fpga", "", (0,)))
    running.hardware.granted(A, os.getuid(), declared, seconds_since_boot())
    began = time.monotonic()
    await running.hardware.ended(A)
    assert time.monotonic() - began < 0.02
