"""Tunnels to steps on other hosts: who gets one, what goes through it, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from packhorse.scheduler.service import tunnels
from packhorse.v1 import agent_pb2 as pb
from packhorse.v1.agent_pb2_grpc import AgentsStub
from tests.service.doors.running import Running
from tests.service.doors.test_relay import relay
from tests.service.doors.test_steps import allocation, create

Call = grpc.aio.StreamStreamCall[Any, Any]
EVE = 1003


class Agent:
    """Of one node, with its own token: welcomed, and told to open tunnels; it opens none by itself."""

    def __init__(self, scheduler: Running, node: str) -> None:
        self.node = node
        self.orders: asyncio.Queue[pb.OpenTunnel] = asyncio.Queue()
        token = scheduler.secret(f"agent-{node}.token")
        self.metadata = (("authorization", f"Bearer {token}"),)
        self._address = scheduler.addresses.grpc

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Agent]:
        async with grpc.aio.insecure_channel(self._address) as channel:
            self.stub = AgentsStub(channel)
            session = self.stub.Session(None, metadata=self.metadata)
            offer = pb.Offer(epoch=1, cpu_milli=4000, mem_mib=16_000, accepting=True)
            hello = pb.Hello(
                node=self.node,
                host_name=f"host-{self.node}",
                boot_id="b",
                cpu_milli=4000,
                mem_mib=16_000,
                offer=offer,
            )
            await session.write(pb.AgentMessage(hello=hello))
            first = await session.read()
            assert isinstance(first, pb.SchedulerMessage) and first.HasField("welcome")
            listening = asyncio.create_task(self._listen(session))
            try:
                yield self
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
                session.cancel()

    async def _listen(self, session: Call) -> None:
        while isinstance(message := await session.read(), pb.SchedulerMessage):
            for one in message.batch.messages if message.HasField("batch") else (message,):
                if one.HasField("open_tunnel"):
                    self.orders.put_nowait(one.open_tunnel)

    async def dial(self, id: int | None = None) -> tuple[pb.OpenTunnel, Call]:
        """What was ordered, and the tunnel."""
        order = await asyncio.wait_for(self.orders.get(), 10)
        call = self.stub.Tunnel(None, metadata=self.metadata)
        await call.write(pb.TunnelBytes(id=order.id if id is None else id))
        return order, call

    async def wish(self, node: str, step: str, uid: int = EVE) -> Call:
        """As somebody on this agent's host wishes."""
        call = self.stub.RelayTunnel(None, metadata=self.metadata)
        wish = pb.TunnelWish(uid=uid, gid=uid, user="", group="", node=node, step=step)
        await call.write(pb.TunnelBytes(wish=wish))
        return call


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path) as running:
        yield running


@pytest.fixture
async def agents(scheduler: Running) -> AsyncIterator[tuple[Agent, Agent]]:
    first, second = Agent(scheduler, "n1"), Agent(scheduler, "n2")
    async with first.connected(), second.connected():
        await scheduler.settle()
        yield first, second


async def a_step(scheduler: Running) -> str:
    """The key of a step of this user's on both nodes."""
    job = await allocation(scheduler)
    await scheduler.settle()
    return str((await create(scheduler, job))["key"])


async def a_step_of_eves(scheduler: Running) -> str:
    spec = {"name": "sh", "workDir": "/tmp", "allocation": "srun", "ask": {"nTasks": 1}}
    job = (await relay(scheduler, "SubmitJob", {"spec": spec}, EVE))["jobId"]
    await scheduler.settle()
    made = await relay(
        scheduler, "CreateStep", {"jobId": job, "spec": {"argv": ["true"], "workDir": "/tmp"}}, EVE
    )
    return str(made["key"])


Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def knock(scheduler: Running, node: str, step: str, upgrade: str = "packhorse-step") -> Client:
    """A wish at the scheduler's own socket, not answered yet."""
    reader, writer = await asyncio.open_unix_connection(scheduler.addresses.socket)
    writer.write(
        f"POST /packhorse.v1.Scheduler/StepTunnel HTTP/1.1\r\nHost: local\r\nConnection: Upgrade\r\n"
        f"Upgrade: {upgrade}\r\nPackhorse-Node: {node}\r\nPackhorse-Step: {step}\r\n"
        "Content-Length: 0\r\n\r\n".encode()
    )
    return reader, writer


async def granted(client: Client) -> None:
    head = await asyncio.wait_for(client[0].readuntil(b"\r\n\r\n"), 10)
    assert head.startswith(b"HTTP/1.1 101 "), head


async def refused(client: Client) -> tuple[int, str, str]:
    """(HTTP status, code, message)."""
    reader, writer = client
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    body = json.loads(await reader.readexactly(length))
    writer.close()
    return int(head.split(b" ")[1]), body["code"], body["message"]


async def everything(call: Call) -> bytes:
    """What comes out of a tunnel until its end."""
    found = bytearray()
    while isinstance(message := await asyncio.wait_for(call.read(), 10), pb.TunnelBytes):
        found += message.data
        if message.end:
            return bytes(found)
    raise ConnectionResetError


async def test_bytes_go_both_ways_until_either_has_said_all(
    scheduler: Running, agents: tuple[Agent, Agent]
) -> None:
    step = await a_step(scheduler)
    client = reader, writer = await knock(scheduler, "n2", step)
    order, call = await agents[1].dial()
    await granted(client)
    assert order.uid == os.geteuid() and order.id
    assert (order.attempt.job_id, order.attempt.step) == (int(step.split(".")[0]), 0)
    said = os.urandom(3_000_000)
    hearing = asyncio.create_task(everything(call))
    writer.write(said)
    writer.write_eof()
    assert await hearing == said
    answers = os.urandom(2_500_000)
    reading = asyncio.create_task(reader.read())
    for at in range(0, len(answers), 700_000):  # larger than what is passed on at once
        await call.write(pb.TunnelBytes(data=answers[at : at + 700_000]))
    await call.write(pb.TunnelBytes(end=True))
    assert await asyncio.wait_for(reading, 10) == answers
    assert await call.code() is grpc.StatusCode.OK
    writer.close()


async def test_from_a_host_that_joined(scheduler: Running, agents: tuple[Agent, Agent]) -> None:
    step = await a_step_of_eves(scheduler)
    node = scheduler.active(int(step.split(".")[0])).placements[0].node
    wishing = await agents[1].wish(node, step)
    order, call = await agents[0 if node == "n1" else 1].dial()
    assert order.uid == EVE
    answer = await wishing.read()
    assert isinstance(answer, pb.TunnelBytes) and answer.http_status == 101
    await wishing.write(pb.TunnelBytes(data=b"here"))
    await wishing.write(pb.TunnelBytes(end=True))
    assert await everything(call) == b"here"
    await call.write(pb.TunnelBytes(data=b"there", end=False))
    await call.write(pb.TunnelBytes(end=True))
    assert await everything(wishing) == b"there"
    assert [await one.code() for one in (wishing, call)] == [grpc.StatusCode.OK] * 2


async def test_nobody_is_led_to_somebody_elses_step(scheduler: Running, agents: tuple[Agent, Agent]) -> None:
    step = await a_step(scheduler)
    eves = await a_step_of_eves(scheduler)
    # On a host that joined not even root is more than a user.
    for uid, of in ((EVE, step), (0, eves)):
        wishing = await agents[0].wish("n1", of, uid)
        answer = await wishing.read()
        assert isinstance(answer, pb.TunnelBytes) and answer.http_status == 403
        assert "only its owner or an administrator may" in json.loads(answer.data)["message"]
    assert all(agent.orders.empty() for agent in agents), "no agent was asked"
    # An administrator on the scheduler's host is, and comes to the node as root would.
    node = scheduler.active(int(eves.split(".")[0])).placements[0].node
    client = await knock(scheduler, node, eves)
    order, call = await agents[0 if node == "n1" else 1].dial()
    await granted(client)
    assert order.uid == 0
    client[1].close()
    assert await everything(call) == b""


@pytest.mark.parametrize(
    ("node", "step", "answer", "words"),
    [
        ("n1", "nonsense", (400, "invalid_argument"), "no key of a step"),
        ("n1", "{job}.1.1", (404, "not_found"), "does not run"),
        ("n1", "{job}.1.1.7", (404, "not_found"), "does not run"),
        ("n1", "{job}.2.1.0", (404, "not_found"), "does not run"),
        ("n1", "99.1.1.0", (404, "not_found"), "does not run"),
        ("n3", "{job}.1.1.0", (404, "not_found"), 'no tasks on node "n3"'),
    ],
)
async def test_what_is_not_there(
    scheduler: Running,
    agents: tuple[Agent, Agent],
    node: str,
    step: str,
    answer: tuple[int, str],
    words: str,
) -> None:
    job = (await a_step(scheduler)).split(".")[0]
    status, code, message = await refused(await knock(scheduler, node, step.format(job=job)))
    assert (status, code) == answer
    assert words in message


async def test_a_connection_that_is_not_upgraded(scheduler: Running, agents: tuple[Agent, Agent]) -> None:
    step = await a_step(scheduler)
    status, code, message = await refused(await knock(scheduler, "n1", step, "websocket"))
    assert (status, code) == (400, "invalid_argument")
    assert "packhorse-step" in message


async def test_an_agent_that_does_not_come(
    scheduler: Running, agents: tuple[Agent, Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnels, "DIAL_S", 0.05)
    step = await a_step(scheduler)
    status, code, message = await refused(await knock(scheduler, "n1", step))
    assert (status, code) == (503, "unavailable")
    assert "n1 did not dial back" in message
    # It comes too late.
    _, call = await agents[0].dial()
    assert await call.code() is grpc.StatusCode.NOT_FOUND


async def test_an_agent_that_is_away(scheduler: Running) -> None:
    first, second = Agent(scheduler, "n1"), Agent(scheduler, "n2")
    async with first.connected():
        async with second.connected():
            await scheduler.settle()
            step = await a_step(scheduler)
        async with asyncio.timeout(10):
            while scheduler.engine.state.nodes["n2"].reachable:  # type: ignore[index]  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        status, code, message = await refused(await knock(scheduler, "n2", step))
    assert (status, code) == (503, "unavailable")
    assert "n2 is not connected" in message


async def test_an_id_is_good_for_one_node_and_once(scheduler: Running, agents: tuple[Agent, Agent]) -> None:
    first, second = agents
    client = await knock(scheduler, "n1", await a_step(scheduler))
    order = await asyncio.wait_for(first.orders.get(), 10)
    for agent, id in ((second, order.id), (first, order.id ^ 1)):
        call = agent.stub.Tunnel(None, metadata=agent.metadata)
        await call.write(pb.TunnelBytes(id=id))
        assert await call.code() is grpc.StatusCode.NOT_FOUND
    first.orders.put_nowait(order)
    await first.dial()
    await granted(client)
    again = first.stub.Tunnel(None, metadata=first.metadata)
    await again.write(pb.TunnelBytes(id=order.id))
    assert await again.code() is grpc.StatusCode.NOT_FOUND
    client[1].close()


async def test_only_agents_dig(scheduler: Running, agents: tuple[Agent, Agent]) -> None:
    metadata = (("authorization", f"Bearer {scheduler.secret('owner.token')}"),)
    for rpc in (agents[0].stub.Tunnel, agents[0].stub.RelayTunnel):
        call = rpc(None, metadata=metadata)
        assert await call.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_an_agent_that_breaks_off(scheduler: Running, agents: tuple[Agent, Agent]) -> None:
    client = reader, writer = await knock(scheduler, "n1", await a_step(scheduler))
    _, call = await agents[0].dial()
    await granted(client)
    await call.write(pb.TunnelBytes(data=b"so far"))
    assert await reader.readexactly(6) == b"so far"
    call.cancel()
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_what_was_said_before_hanging_up_arrives(
    scheduler: Running, agents: tuple[Agent, Agent]
) -> None:
    """A client says that it detaches and is gone, while output for it is on its way."""
    client = _, writer = await knock(scheduler, "n1", await a_step(scheduler))
    _, call = await agents[0].dial()
    await granted(client)

    async def endless() -> None:
        while True:
            await call.write(pb.TunnelBytes(data=bytes(100_000)))

    talking = asyncio.create_task(endless())
    await asyncio.sleep(0.1)
    writer.write(b"detach")
    writer.close()
    assert await everything(call) == b"detach"
    talking.cancel()
    await asyncio.gather(talking, return_exceptions=True)
    call.cancel()


async def test_whoever_does_not_read_stops_whoever_writes(
    scheduler: Running, agents: tuple[Agent, Agent]
) -> None:
    client = reader, writer = await knock(scheduler, "n1", await a_step(scheduler))
    transport = writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    _, call = await agents[0].dial()
    piece = os.urandom(256 << 10)
    taken = 0
    with pytest.raises(TimeoutError):
        while taken < 64 << 20:
            async with asyncio.timeout(1):
                await call.write(pb.TunnelBytes(data=piece))
            taken += len(piece)
    assert taken <= 3 << 20, "the scheduler's MiB, and what the kernel and gRPC hold on either side"
    transport.resume_reading()
    await granted(client)
    assert (await reader.readexactly(len(piece))) == piece
    writer.close()


async def test_a_scheduler_that_stops_ends_them(tmp_path: Path) -> None:
    scheduler = await Running(tmp_path).__aenter__()
    agent = Agent(scheduler, "n1")
    async with agent.connected(), Agent(scheduler, "n2").connected():
        await scheduler.settle()
        client = reader, writer = await knock(scheduler, "n1", await a_step(scheduler))
        _, call = await agent.dial()
        await granted(client)
        async with asyncio.timeout(10):
            await scheduler.__aexit__(None, None, None)
        assert await reader.read() == b""
        assert await call.code() is not None
        writer.close()
