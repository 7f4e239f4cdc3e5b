"""An agent's runtime without a scheduler: the test gives the orders and sees the reports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from packhorse.agent.cgroups import Cgroups
from packhorse.agent.files import Spool
from packhorse.agent.inventory.declare import Inventory
from packhorse.agent.job_scripts import JobScripts
from packhorse.agent.launch.launcher import Launcher
from packhorse.agent.orders import ExitReport, LaunchOrder, Order, Report, StepOrder, Welcome
from packhorse.agent.runtime import Runtime
from packhorse.agent.session import Where
from packhorse.scheduler.model.ids import AttemptKey, JobId, NodeName
from packhorse.scheduler.model.node import NodeSpec
from tests.agent.launch.stepclient import StepClient
from tests.agent.launch.yard import until

BATCH = AttemptKey(JobId(1), 1, 1)


def step_key(number: int = 0, whole: AttemptKey = BATCH) -> AttemptKey:
    return AttemptKey(whole.job, whole.number, whole.epoch, number)


def an_order(home: Path, key: AttemptKey = BATCH, **changes: Any) -> LaunchOrder:
    """A batch script that says where it is; or, for a step's key, one task that does."""
    given: dict[str, Any] = {
        "attempt": key,
        "uid": os.geteuid(),
        "gid": os.getegid(),
        "user": "somebody",
        "script": b"#!/bin/sh\nsleep 60\n",
        "environment": ("PATH=/usr/bin:/bin",),
        "slurm_environment": (f"SLURM_JOB_ID={key.job}",),
        "work_dir": str(home),
        "std_in": "/dev/null",
        "std_out": str(home / "batch.out"),
        "std_err": "",
        "allow_root": True,
        "kill_wait_s": 1,
    }
    if key.step >= 0:
        of_step = {name: changes.pop(name) for name in list(changes) if name in OF_STEP}
        step: dict[str, Any] = {"argv": ("/bin/sh", "-c", "echo here $SLURM_PROCID"), "ranks": (0,)} | of_step
        given |= {"script": b"", "std_in": "", "std_out": "", "step": StepOrder(**step)}
    return LaunchOrder(**(given | changes))


OF_STEP = set(StepOrder.__struct_fields__)


class StepAgent:
    """One agent; reports: what it said, in order."""

    def __init__(self, home: Path, scripts: JobScripts) -> None:
        self.home = home
        self.reports: list[Report] = []
        self.door = home / "door.sock"
        self.spool = Spool(home / "spool")
        self.cgroups = Cgroups.detect("t", home / "spool", "none")
        self.launcher = Launcher(home / "spool", self.cgroups)
        found = Inventory(NodeSpec(NodeName("n1"), "host", 4000, 8192), "boot-1", ())
        self.runtime = Runtime(
            found, self.spool, self.launcher, _nowhere,
            cluster={}, jitter=random.Random(1), scripts=scripts, step_door=self.door,
        )  # fmt: skip
        self.runtime._session.send = self.reports.append  # type: ignore[method-assign, assignment]
        self._running: asyncio.Task[str] | None = None

    async def start(self) -> None:
        self._running = asyncio.create_task(self.runtime.run())
        await until(
            lambda: self.runtime.machine.step_door or (self._running and self._running.done()), "the door"
        )
        self.runtime._opened()
        await self.order(Welcome(1, "c", 5, 10))

    async def stop(self) -> None:
        assert self._running is not None
        self.runtime.stop()
        await self._running

    async def order(self, order: Order) -> None:
        await self.runtime._received(order)

    async def attach(
        self, key: AttemptKey | str, as_: str = "owner", got: int | None = None, **more: object
    ) -> StepClient:
        client = StepClient()
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        connection.connect(str(self.door))
        line: dict[str, object] = {"attach": str(key), "as": as_} | more
        if got is not None:
            line["got"] = got
        await asyncio.get_running_loop().sock_sendall(connection, json.dumps(line).encode() + b"\n")
        await client.begin(connection)
        return client

    def exit_of(self, key: AttemptKey) -> ExitReport | None:
        return next((one for one in self.reports if isinstance(one, ExitReport) and one.attempt == key), None)

    async def ended(self, key: AttemptKey) -> ExitReport:
        await until(lambda: self.exit_of(key), f"the end of {key}")
        found = self.exit_of(key)
        assert found is not None
        return found


def _nowhere() -> Where:
    raise OSError("no scheduler in this test")


@contextlib.asynccontextmanager
async def a_step_agent(home: Path, scripts: JobScripts = JobScripts()) -> AsyncIterator[StepAgent]:  # noqa: B008
    agent = StepAgent(home, scripts)
    await agent.start()
    try:
        yield agent
    finally:
        await agent.stop()
