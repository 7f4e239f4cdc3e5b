"""What the agent's process does when its disk fails it."""

from __future__ import annotations

import asyncio
import errno
import os
import random
from pathlib import Path

import msgspec
import pytest

from packhorse.agent import runtime
from packhorse.agent.files import Spool
from packhorse.agent.inventory.declare import Inventory
from packhorse.agent.job_scripts import JobScripts
from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.launcher import Interrupted, Launcher, Supervised
from packhorse.agent.launch.spec import LaunchSpec
from packhorse.agent.machine import Attempt, Standing
from packhorse.agent.orders import LaunchOrder, TerminateOrder
from packhorse.agent.session import Where
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.job import EndCause
from packhorse.scheduler.model.node import NodeSpec
from tests.agent.launch.yard import until
from tests.agent.sampling.orders import an_order


class OnAFullDisk(Launcher):
    """Its first looks at an attempt fail; then there is room."""

    failures = 2

    async def wait(self, supervised: Supervised) -> ExitRecord:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), supervised.attempt_dir)
        return ExitRecord(key=supervised.key, cause="lost", started_at=1, ended_at=2)


class Unkillable(Launcher):
    """Its attempts leave something behind."""

    async def wait(self, supervised: Supervised) -> ExitRecord:
        return ExitRecord(key=supervised.key, cause="terminated", started_at=1, ended_at=2, unkillable=2)


class Dying(Launcher):
    """Its fork server dies over everything."""

    asked = 0

    async def launch(self, spec: LaunchSpec) -> Supervised:
        self.asked += 1
        raise Interrupted("the fork server failed")


def nowhere() -> Where:
    raise OSError("no scheduler in this test")


async def test_an_end_that_cannot_be_written_down_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "DISK_CHECK_S", 0.001)
    found = Inventory(NodeSpec(NodeName("n1"), "host", 4000, 8192), "boot-1", ())
    launcher = OnAFullDisk(tmp_path)
    agent = runtime.Runtime(found, Spool(tmp_path), launcher, nowhere, cluster={}, jitter=random.Random(1))
    key = AttemptKey(JobId(1), 1, 1)
    agent.machine.adopt_running(key, Instant(1))
    await agent._await_exit(key, Supervised(str(key), str(tmp_path), 0, 0, "", 1, "", ()))
    end = agent.machine.attempts[key].exit
    assert end is not None and end.lost
    assert launcher.failures == 0


async def test_a_sampler_that_raises_is_a_warning_of_the_node_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Inventory(NodeSpec(NodeName("n1"), "host", 4000, 8192), "boot-1", ())
    agent = runtime.Runtime(
        found, Spool(tmp_path), OnAFullDisk(tmp_path), nowhere, cluster={}, jitter=random.Random(1)
    )
    other = ("a fan is loud",)
    agent.machine.offered(msgspec.structs.replace(agent.machine.offer, warnings=other))

    def broken(at: Instant) -> None:
        raise ZeroDivisionError("no share of nothing")

    monkeypatch.setattr(agent._sampler, "step", broken)
    sampling = asyncio.create_task(agent._samples())
    await until(lambda: len(agent.machine.offer.warnings) > 1, "the warning")
    warning = "sampling failed: ZeroDivisionError: no share of nothing"
    assert list(agent.machine.offer.warnings) == [*other, warning]
    assert agent.machine.offer.accepting
    assert not sampling.done()
    agent._sampler._warnings.clear()
    agent._warned_at = -runtime.WARN_EVERY_S
    agent._warn()
    assert list(agent.machine.offer.warnings) == list(other)
    sampling.cancel()
    await asyncio.gather(sampling, return_exceptions=True)


async def test_a_node_with_processes_that_cannot_be_killed_takes_no_more(tmp_path: Path) -> None:
    found = Inventory(NodeSpec(NodeName("n1"), "host", 4000, 8192), "boot-1", ())
    launcher, spool = Unkillable(tmp_path), Spool(tmp_path)
    agent = runtime.Runtime(found, spool, launcher, nowhere, cluster={}, jitter=random.Random(1))
    key = AttemptKey(JobId(7), 1, 1)
    agent.machine.adopt_running(key, Instant(1))
    assert agent.machine.offer.accepting
    await agent._await_exit(key, Supervised(str(key), str(tmp_path), 0, 0, "", 1, "", ()))
    assert agent.machine.attempts[key].exit is not None
    offer = agent.machine.offer
    assert (offer.accepting, offer.reason) == (False, "2 processes of job 7 cannot be killed")
    assert spool.drained() == offer.reason


def noting(path: Path, log: Path) -> Path:
    """A prolog or epilog that writes its name down."""
    path.write_text(f"#!/bin/sh\necho {path.name} >> {log}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("end", ["tries", "full", "stopped"])
async def test_whatever_ends_an_attempt_whose_fork_server_died_its_epilog_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(runtime, "LAUNCH_PAUSE_S", 0.001)
    found = Inventory(NodeSpec(NodeName("n1"), "host", 4000, 8192), "boot-1", ())
    launcher, spool, log = Dying(tmp_path), Spool(tmp_path / "spool"), tmp_path / "log"
    scripts = JobScripts(
        "n1", str(tmp_path), noting(tmp_path / "prolog", log), noting(tmp_path / "epilog", log)
    )
    agent = runtime.Runtime(
        found, spool, launcher, nowhere, cluster={}, jitter=random.Random(1), scripts=scripts
    )
    order = an_order()
    key = order.attempt
    agent.machine._know(Attempt(key, Standing.LAUNCHING, order=order))
    assert spool.journal([order]) == [None]
    again = spool.journal_again

    def journal_again(what: LaunchOrder) -> None:
        if end == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "spool")
        if end == "stopped":
            agent.machine.attempts[key].stop = TerminateOrder(key, 0, EndCause.CANCELLED)
        again(what)

    monkeypatch.setattr(spool, "journal_again", journal_again)
    await agent._fork(order)
    exit = agent.machine.attempts[key].exit
    assert exit is not None and (exit.refused, exit.exit_signal) == (
        (True, 0) if end != "stopped" else (False, 15)
    )
    assert launcher.asked == (runtime.LAUNCH_TRIES if end == "tries" else 1)
    assert log.read_text().split() == ["prolog", "epilog"]
    assert not spool.opened(key) and not agent._interrupted
    assert agent.machine.offer.accepting is (end != "full")
    for task in agent._tasks:
        task.cancel()


async def test_an_agent_ends_though_a_cancellation_is_swallowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As wait_for of Python 3.11 does where what it waits for happens in that very moment."""
    monkeypatch.setattr(runtime, "CANCEL_AGAIN_S", 0.05)
    found = Inventory(NodeSpec(NodeName("n1"), "host", 4000, 8192), "boot-1", ())
    agent = runtime.Runtime(
        found, Spool(tmp_path), OnAFullDisk(tmp_path), nowhere, cluster={}, jitter=random.Random(1)
    )
    cancelled = 0

    async def deaf() -> None:
        nonlocal cancelled
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                cancelled += 1
                if cancelled > 1:
                    raise

    agent._spawn(deaf())
    await asyncio.sleep(0)
    await asyncio.wait_for(agent._cancel_all(), 10)
    assert cancelled == 2
    assert not agent._tasks
