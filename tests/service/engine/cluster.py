"""A scheduler of one process for tests: an engine on a store, and the door for agents on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc.aio

from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.event import Item
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.input import Caller, Submit
from packhorse.scheduler.model.job import JobSpec, JobState, Owner
from packhorse.scheduler.model.reply import Reply, Submitted
from packhorse.scheduler.model.resources import Ask
from packhorse.scheduler.service.agent_sessions import AgentSessions, SessionSettings
from packhorse.scheduler.service.auth import Principal, Role
from packhorse.scheduler.service.clock import Clock
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.payloads import Payload, pack_environment, payload
from packhorse.scheduler.service.recording import Recorder
from packhorse.scheduler.service.recovery import Housekeeping
from packhorse.scheduler.store.memory import MemoryStore
from packhorse.scheduler.store.protocol import Store
from packhorse.v1 import agent_pb2_grpc
from tests.service.engine.fake_agent import NODE_METADATA

ME = Owner(1000, 1000, "ann", "users")
CALLER = Caller(ME)
SCRIPT = payload(b"#!/bin/sh\ntrue\n")
ENVIRONMENT = payload(pack_environment(["PATH=/bin", "SLURM_JOB_ID=99"]))
TEXTS: tuple[Payload, ...] = (SCRIPT, ENVIRONMENT)
DEADLINE_S = 20.0


def a_spec(name: str = "job", **fields: Any) -> JobSpec:
    """A job of one CPU whose texts are TEXTS."""
    fields.setdefault("ask", Ask(mem_mib_per_node=100))
    return JobSpec(
        name=name,
        partition="",
        script_ref=SCRIPT.ref,
        env_ref=ENVIRONMENT.ref,
        work_dir="/tmp",
        time_limit_s=fields.pop("time_limit_s", 3600),
        **fields,
    )


def a_submission(n: int = 1, key: str = "", **fields: Any) -> Submit:
    return Submit(Caller(ME, False, key, key), (a_spec(**fields),), (Item(0),) * n)


async def node_in_metadata(context: grpc.aio.ServicerContext[Any, Any]) -> Principal:
    """Stands for the doors' check of tokens."""
    metadata = dict(context.invocation_metadata() or ())
    return Principal(ME, Role.AGENT, str(metadata.get(NODE_METADATA, "")))


class Cluster:
    """store survives restarts; everything else is made anew."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        clock: Clock | None = None,
        settings: SessionSettings = SessionSettings(),  # noqa: B008 - frozen
        config: ClusterConfig = ClusterConfig(),  # noqa: B008 - frozen
        recording: Path | None = None,
        housekeeping: Housekeeping = Housekeeping(),  # noqa: B008 - frozen
        with_door: bool = True,
    ) -> None:
        self.with_door = with_door
        self.store: Store = store or MemoryStore()
        self.clock = clock
        self.settings = settings
        self.config = config
        self.recording = recording
        self.housekeeping = housekeeping
        self.engine: Engine
        self.sessions: AgentSessions
        self.address = ""
        self._server: grpc.aio.Server | None = None

    async def start(self) -> Cluster:
        self.engine = Engine(
            self.store,
            self.config,
            clock=self.clock,
            recorder=None if self.recording is None else Recorder(self.recording),
            housekeeping=self.housekeeping,
            retry_s=0.02,
        )
        self.sessions = AgentSessions(self.engine, node_in_metadata, self.settings)
        await self.engine.start()
        if not self.with_door:
            return self
        self._server = grpc.aio.server()
        agent_pb2_grpc.add_AgentsServicer_to_server(self.sessions, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        self.address = f"127.0.0.1:{port}"
        return self

    async def stop(self) -> None:
        await self.engine.stop()
        if self._server is not None:
            await self._server.stop(None)

    async def submit(self, n: int = 1, **fields: Any) -> JobId:
        """The first id of n accepted jobs."""
        reply = await self.engine.call(a_submission(n, **fields), TEXTS)
        assert isinstance(reply, Submitted), reply
        return reply.first_id

    async def call(self, input: Any) -> Reply:
        return await self.engine.call(input)

    def state_of(self, job: JobId) -> JobState:
        return self.engine.state.jobs[job].state

    async def until(self, true: Callable[[], bool], what: str = "") -> None:
        """Wait for it, with a deadline."""
        await until(true, what)

    async def ended(self, *jobs: JobId) -> None:
        """Wait until these jobs are over."""
        await until(lambda: all(self.state_of(job).name in ENDED for job in jobs), f"end of {jobs}")


ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}


async def until(true: Callable[[], bool], what: str = "") -> None:
    """Let the loop run until it is true; fails after DEADLINE_S."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE_S
    while not true():
        assert loop.time() < deadline, f"waited {DEADLINE_S} s in vain: {what}"
        await asyncio.sleep(0.002)
