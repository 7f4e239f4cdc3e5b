"""The agent's ends of tunnels: to steps of its node, and for people on its host to steps elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from packhorse.agent.orders import TunnelOrder
from packhorse.agent.relay import Relay
from packhorse.agent.session import Line
from packhorse.scheduler.model.ids import AttemptKey
from packhorse.v1 import agent_pb2 as pb
from packhorse.v1.agent_pb2_grpc import AgentsServicer, add_AgentsServicer_to_server
from tests.agent.stepagent import StepAgent, a_step_agent, an_order, step_key

Requests = AsyncIterator[pb.TunnelBytes]
Context = grpc.aio.ServicerContext[pb.TunnelBytes, pb.TunnelBytes]
Handler = Callable[[Requests, Context], Awaitable[None]]


class FakeScheduler(AgentsServicer):
    """Serves tunnels with `handler`."""

    def __init__(self) -> None:
        self.handler: Handler | None = None
        self.heard: list[pb.TunnelBytes] = []
        self.over = asyncio.Event()

    async def Session(self, request_iterator: Any, context: Any) -> None:  # type: ignore[override]
        raise AssertionError

    async def Tunnel(self, request_iterator: Requests, context: Context) -> None:  # type: ignore[override]
        assert self.handler is not None
        self.heard.append(await anext(request_iterator))
        try:
            await self.handler(request_iterator, context)
        finally:
            self.over.set()

    RelayTunnel = Tunnel  # type: ignore[assignment]

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        server = grpc.aio.server()
        add_AgentsServicer_to_server(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Line(channel, (("authorization", "Bearer t"),), channel)
        await server.stop(None)


async def everything(requests: Requests) -> bytes:
    """Up to the end of what is said this way."""
    found = bytearray()
    async for message in requests:
        found += message.data
        if message.end:
            break
    return bytes(found)


async def dug(
    agent: StepAgent, key: AttemptKey, uid: int, *said: bytes, only: AttemptKey | None = None
) -> bytes:
    """What a client hears that says this in a tunnel to the step."""
    scheduler = FakeScheduler()
    heard = b""

    async def talk(requests: Requests, context: Context) -> None:
        nonlocal heard
        for words in (json.dumps({"attach": str(key), "as": "owner"}).encode() + b"\n", *said):
            await context.write(pb.TunnelBytes(data=words))
        heard = await everything(requests)
        await context.write(pb.TunnelBytes(end=True))

    scheduler.handler = talk
    async with scheduler.line() as line, asyncio.timeout(30):
        agent.runtime._session.line = line
        await agent.order(TunnelOrder(7, uid, key if only is None else only))
        await scheduler.over.wait()
    assert scheduler.heard[0].id == 7
    return heard


async def test_a_step_is_attached_to_through_a_tunnel(tmp_path: Path) -> None:
    async with a_step_agent(tmp_path) as agent:
        await agent.order(
            an_order(tmp_path, step_key(), argv=("/bin/sh", "-c", "read word; echo said $word"))
        )
        input = b"\x10" + (0).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"this\n"
        heard = await dug(agent, step_key(), os.geteuid(), input)
        first, _, frames = heard.partition(b"\n")
        assert json.loads(first)["ok"]
        assert b"said this\n" in frames
        await agent.ended(step_key())


async def test_whose_step_it_is_and_which_is_looked_at_here_too(tmp_path: Path) -> None:
    async with a_step_agent(tmp_path) as agent:
        await agent.order(an_order(tmp_path, step_key(), argv=("/bin/cat",)))
        heard = await dug(agent, step_key(), os.geteuid() + 4321)
        assert json.loads(heard) == {"error": "step 1.0 is not yours"}
        heard = await dug(agent, step_key(), 0, only=step_key(1))
        assert json.loads(heard) == {"error": "this way leads to step 1.1 alone"}


async def test_a_scheduler_that_is_lost_leaves_the_step_to_come_back_to(tmp_path: Path) -> None:
    async with a_step_agent(tmp_path) as agent:
        await agent.order(an_order(tmp_path, step_key(), argv=("/bin/cat",)))
        scheduler = FakeScheduler()

        async def lost(requests: Requests, context: Context) -> None:
            await context.write(pb.TunnelBytes(data=b'{"attach": "1.1.1.0", "as": "owner"}\n'))
            await anext(requests)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

        scheduler.handler = lost
        async with scheduler.line() as line, asyncio.timeout(30):
            agent.runtime._session.line = line
            await agent.order(TunnelOrder(7, 0, step_key()))
            await scheduler.over.wait()
        client = await agent.attach(step_key(), got=0)
        assert client.first["ok"]
        await client.send(17)
        await client.to_the_end()


# -- for people here


@pytest.fixture
async def relayed(tmp_path: Path) -> AsyncIterator[tuple[FakeScheduler, Relay, Path]]:
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "scheduler.sock"
    scheduler = FakeScheduler()
    async with scheduler.line() as line:
        relay = Relay(path, "n2", lambda: line)
        task = asyncio.create_task(relay.serve())
        async with asyncio.timeout(10):
            while not path.exists():  # noqa: ASYNC110 - as commands find it
                await asyncio.sleep(0.001)
        yield scheduler, relay, path
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def wish(path: Path, headers: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(
        (
            "POST /packhorse.v1.Scheduler/StepTunnel HTTP/1.1\r\nHost: local\r\nConnection: Upgrade\r\n"
            f"Upgrade: packhorse-step\r\nPackhorse-Node: n1\r\nPackhorse-Step: 1.1.1.0\r\n{headers}\r\n"
        ).encode()
    )
    return reader, writer


async def test_a_wish_is_passed_on_and_granted(relayed: tuple[FakeScheduler, Relay, Path]) -> None:
    scheduler, _, path = relayed
    word = os.urandom(1_000_000)

    async def echo(requests: Requests, context: Context) -> None:
        await context.write(pb.TunnelBytes(http_status=101))
        async for message in requests:
            await context.write(message)
            if message.end:
                return

    scheduler.handler = echo
    reader, writer = await wish(path)
    async with asyncio.timeout(30):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        reading = asyncio.create_task(reader.read())
        writer.write(word)
        writer.write_eof()
        assert await reading == word
    asked = scheduler.heard[0].wish
    assert (asked.uid, asked.node, asked.step) == (os.geteuid(), "n1", "1.1.1.0")
    writer.close()


@pytest.mark.parametrize(
    ("status", "body", "answer", "words"),
    [
        (403, b'{"code": "permission_denied", "message": "not yours"}', b"403", b"not yours"),
        (0, b"", b"503", b"older than this host"),
    ],
)
async def test_a_wish_that_is_not_granted(
    relayed: tuple[FakeScheduler, Relay, Path], status: int, body: bytes, answer: bytes, words: bytes
) -> None:
    async def refuse(requests: Requests, context: Context) -> None:
        if not status:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "what is that")
        await context.write(pb.TunnelBytes(http_status=status, data=body))

    relayed[0].handler = refuse
    reader, writer = await wish(relayed[2])
    async with asyncio.timeout(30):
        said = await reader.read()
    assert said.startswith(b"HTTP/1.1 " + answer) and words in said
    writer.close()


async def test_a_wish_with_a_body_is_none(relayed: tuple[FakeScheduler, Relay, Path]) -> None:
    reader, writer = await wish(relayed[2], "Content-Length: 3\r\n")
    writer.write(b"abc")
    async with asyncio.timeout(30):
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
