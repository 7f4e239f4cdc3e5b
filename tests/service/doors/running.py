"""A scheduler with all its doors in this process, on the store in memory: tests call over real sockets."""

from __future__ import annotations

import base64
import io
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import aiohttp

from packhorse.scheduler.config import file as config
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import RegisterNode, ReportExit, ReportStart, Tick
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.resources import Device, Usage
from packhorse.scheduler.service import main
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.methods import Methods
from packhorse.scheduler.store.memory import MemoryStore
from packhorse.scheduler.store.protocol import Store

SCRIPT = base64.b64encode(b"#!/bin/sh\ntrue\n").decode()
JSON = {"Content-Type": "application/json"}
SETTINGS = "[jobs]\nallow_root_jobs = true\nkill_wait = 1\nrequeue_delay = 0\n"


class Answer(dict[str, Any]):
    """A JSON answer and its HTTP status."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body)
        self.status = status

    def rows(self) -> list[dict[str, Any]]:
        """The rows of a Table."""
        columns = {column["name"]: column.get("ints") or column.get("texts") for column in self["columns"]}
        n = self.get("nRows", 0)
        return [{name: values[i] for name, values in columns.items() if values} for i in range(n)]


class Running:
    """`async with Running(tmp_path) as scheduler`: `call` goes through the Unix socket as this user."""

    def __init__(
        self, home: Path, settings: str = SETTINGS, store: Store | None = None, *, file: Path | None = None
    ) -> None:
        """file: that the settings are written to, and read again from."""
        self.home = home
        self.file = file
        if file is not None:
            file.write_text(settings)
        self.store: Store = store or MemoryStore()
        self.configuration = config.parse(settings, str(file or "test.toml"), owner_uid=0)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        served = await main.serve(
            self.home,
            self.configuration,
            self.store,
            self._stack,
            file=self.file,
            local_nodes=("n1", "n2"),
        )
        self.reconfiguring = served.reconfiguring
        self.addresses = served.addresses
        self.engine: Engine = served.engine
        self.methods: Methods = served.methods
        self.local = await self._stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(self.addresses.socket))
        )
        self.remote = await self._stack.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.local.close()
        await self.remote.close()
        await self._stack.aclose()

    def secret(self, name: str) -> str:
        return (self.home / "secrets" / name).read_text().strip()

    async def call(self, method: str, body: dict[str, Any] | None = None) -> Answer:
        """Over the Unix socket."""
        url = f"http://local/packhorse.v1.Scheduler/{method}"
        async with self.local.post(url, data=io.BytesIO(dumps(body or {})), headers=JSON) as response:
            return Answer(response.status, await response.json())

    async def call_tcp(
        self, method: str, body: dict[str, Any] | None = None, *, token: str | None = None
    ) -> Answer:
        """Over TCP."""
        url = f"http://{self.addresses.http}/packhorse.v1.Scheduler/{method}"
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        async with self.remote.post(url, json=body or {}, headers=headers) as response:
            return Answer(response.status, await response.json())

    async def rest(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Slurm's REST interface: over TCP with a token, else over the Unix socket."""
        session = self.local if token is None else self.remote
        host = "local" if token is None else self.addresses.http
        sent = dict(headers or {}) | ({"X-SLURM-USER-TOKEN": token} if token else {})
        async with session.request(method, f"http://{host}{path}", json=body, headers=sent) as response:
            return Answer(response.status, await response.json())

    async def submit(self, array: str = "", **spec: Any) -> int:
        """The id of a new job."""
        body: dict[str, Any] = {"spec": {"name": "job", "workDir": "/tmp", "script": SCRIPT} | spec}
        if array:
            body["array"] = parse_array(array)
        answer = await self.call("SubmitJob", body)
        assert answer.status == 200, answer
        return int(answer["jobId"])

    async def add_node(self, name: str = "n1", cpus: int = 8, gpus: int = 0) -> None:
        """A node registers; cycles that follow may use it."""
        devices = tuple([Device("gpu", "h200", index) for index in range(gpus)])
        spec = NodeSpec(
            NodeName(name), f"host-{name}", cpus * 1000, 16_000, devices=devices, features=("fast",)
        )
        await self.engine.call(RegisterNode(spec, "boot", Offer(1, cpus * 1000, 16_000)))
        await self.settle()

    async def settle(self) -> None:
        """Everything that can be decided now is decided and durable."""
        for _ in range(3):
            await self.engine.call(Tick())
            self.engine._cycle.again()  # the next flush runs a cycle without waiting for its gap
            self.engine._cycle._not_before = 0.0
            self.engine._wake()
            await self.engine.call(Tick())
            await self.engine.barrier()

    def active(self, job: int) -> Active:
        phase = self.engine.state.jobs[JobId(job)].phase
        assert isinstance(phase, Active), phase
        return phase

    async def started(self, job: int) -> AttemptKey:
        """The job's node says that it runs."""
        active = self.active(job)
        await self.engine.call(ReportStart(active.placements[0].node, active.attempt, self.now()))
        return active.attempt

    async def ended(self, job: int, exit_code: int = 0, exit_signal: int = 0, **how: Any) -> None:
        """The job's node says that it is over."""
        active = self.active(job)
        await self.engine.call(
            ReportExit(
                active.placements[0].node,
                active.attempt,
                active.started_at or self.now(),
                self.now(),
                exit_code=exit_code,
                exit_signal=exit_signal,
                usage=Usage(1_500_000, 500_000, 2048, 4096, 10, 20),
                **how,
            )
        )

    def now(self) -> Instant:
        return self.engine.clock.now()


def parse_array(text: str) -> dict[str, Any]:
    """`0-9%2` as an ArraySpec."""
    body, _, limit = text.partition("%")
    ranges = []
    for part in body.split(","):
        start, _, stop = part.partition("-")
        ranges.append({"start": int(start), "stop": int(stop or start)})
    return {"ranges": ranges, "limit": int(limit or 0)}


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode()
