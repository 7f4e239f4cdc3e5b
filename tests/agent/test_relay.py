"""The agent's relay over real sockets: commands' transport on one side, a scheduler's RPC on the other."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from packhorse.agent import http_request, relay
from packhorse.agent.relay import Relay, place
from packhorse.agent.session import Line
from packhorse.cli import transport
from packhorse.v1 import scheduler_pb2 as pb

Handler = Callable[[pb.RelayRequest, Any], Awaitable[pb.RelayResponse]]


class FakeScheduler:
    """The RPC Relay, answered by `handler`; requests and metadata are kept."""

    def __init__(self) -> None:
        self.requests: list[pb.RelayRequest] = []
        self.metadata: list[dict[str, Any]] = []
        self.handler: Handler = self.well
        self.cancelled = asyncio.Event()
        self.asked = asyncio.Event()

    async def well(self, request: pb.RelayRequest, context: Any) -> pb.RelayResponse:
        return pb.RelayResponse(http_status=200, body=b'{"cluster": "c"}')

    async def never(self, request: pb.RelayRequest, context: Any) -> pb.RelayResponse:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        raise AssertionError

    async def _serve(self, request: pb.RelayRequest, context: Any) -> pb.RelayResponse:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.asked.set()
        return await self.handler(request, context)

    @asynccontextmanager
    async def running(self, limit: int = -1) -> AsyncIterator[str]:
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", limit)])
        rpc = grpc.unary_unary_rpc_method_handler(
            self._serve,
            request_deserializer=pb.RelayRequest.FromString,
            response_serializer=pb.RelayResponse.SerializeToString,
        )
        handler = grpc.method_handlers_generic_handler("packhorse.v1.Scheduler", {"Relay": rpc})
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(None)


class Yard:
    """A home with a relay, and the scheduler behind it."""

    def __init__(self, home: Path, scheduler: FakeScheduler) -> None:
        self.home = home
        self.scheduler = scheduler
        self.line: Line | None = None
        self.path = home / "run" / "scheduler.sock"
        self.relay = Relay(self.path, "n2", lambda: self.line)

    async def call(self, method: str, body: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """As the commands call."""
        return await asyncio.to_thread(transport.call, method, body or {}, **more)

    async def raw(self, data: bytes) -> bytes:
        """Everything that comes back for these bytes."""
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        with suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
        answer = b""
        with suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        return answer


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr(transport, "sleep", pauses.append)
    return pauses


@pytest.fixture
async def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Yard]:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("PACKHORSE_HOME", str(tmp_path))
    scheduler = FakeScheduler()
    async with scheduler.running() as address, grpc.aio.insecure_channel(address) as channel:
        made = Yard(tmp_path, scheduler)
        made.line = Line(channel, (("authorization", "Bearer t"),), channel)
        async with serving(made):
            yield made


@asynccontextmanager
async def serving(yard: Yard) -> AsyncIterator[None]:
    task = asyncio.create_task(yard.relay.serve())
    async with asyncio.timeout(10):
        while not yard.path.exists():  # noqa: ASYNC110 - as commands find it
            await asyncio.sleep(0.001)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def post(method: str, body: bytes = b"{}", headers: str = "") -> bytes:
    return (
        f"POST /packhorse.v1.Scheduler/{method} HTTP/1.1\r\nHost: local\r\n{headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def parsed(answer: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


async def test_a_call(yard: Yard) -> None:
    assert await yard.call("ListJobs", {"fields": ["job_id"]}) == {"cluster": "c"}
    [request] = yard.scheduler.requests
    assert (request.uid, request.gid) == (os.geteuid(), os.getegid())
    assert request.method == "ListJobs"
    assert json.loads(request.body) == {"fields": ["job_id"]}
    assert yard.scheduler.metadata[0]["authorization"] == "Bearer t"


@pytest.mark.needs_root
async def test_the_caller_is_the_kernels(yard: Yard, tmp_path: Path) -> None:
    """Nothing in the request says who somebody is."""
    listening = os.open(yard.path.parent, os.O_PATH)
    script = (
        "import os, socket\n"
        f"os.chdir('/proc/self/fd/{listening}'); os.setgid(65534); os.setuid(65534)\n"
        f"s = socket.socket(socket.AF_UNIX); s.connect('scheduler.sock'); s.sendall({post('Ping')!r})\n"
        "print(s.recv(65536).decode().splitlines()[0])\n"
    )
    command = [sys.executable, "-c", script]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, pass_fds=[listening]
    )
    os.close(listening)
    assert done.stdout == "HTTP/1.1 200 OK\n", done.stderr
    [request] = yard.scheduler.requests
    assert (request.uid, request.gid, request.user) == (65534, 65534, "nobody")


async def test_errors_of_the_scheduler_come_as_they_are(yard: Yard) -> None:
    async def denied(request: pb.RelayRequest, context: Any) -> pb.RelayResponse:
        body = {"code": "permission_denied", "message": "no", "slurm": "Access/permission denied"}
        return pb.RelayResponse(http_status=403, body=json.dumps(body).encode())

    yard.scheduler.handler = denied
    with pytest.raises(transport.CallError) as caught:
        await yard.call("UpdateNodes")
    error = caught.value
    assert (error.code, error.message, error.slurm) == ("permission_denied", "no", "Access/permission denied")


async def test_a_scheduler_that_is_away_is_told_at_once(yard: Yard, no_pauses: list[float]) -> None:
    yard.line = None
    status, body = parsed(await yard.raw(post("Ping")))
    assert (status, body["code"]) == (503, "unavailable")
    assert "agent of n2" in body["message"] and "\n" not in body["message"]
    with pytest.raises(transport.CallError, match="away"):
        await yard.call("SubmitJob", {"idempotencyKey": "k"})
    assert no_pauses == []


async def test_a_reply_that_is_lost_is_asked_for_again(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks with the call on it; the command goes on when the agent has another."""
    line = yard.line
    loop = asyncio.get_running_loop()
    pauses = 0

    async def break_off(request: pb.RelayRequest, context: Any) -> pb.RelayResponse:
        yard.line = None
        await context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
        raise AssertionError

    def pause(seconds: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 3:

            def mend() -> None:
                yard.line = line
                yard.scheduler.handler = yard.scheduler.well

            loop.call_soon_threadsafe(mend)

    monkeypatch.setattr(transport, "sleep", pause)
    yard.scheduler.handler = break_off
    assert await yard.call("SubmitJob", {"idempotencyKey": "k"}) == {"cluster": "c"}
    assert [json.loads(r.body) for r in yard.scheduler.requests] == [{"idempotencyKey": "k"}] * 2


async def test_a_channel_that_is_closed_with_a_call_on_it(yard: Yard, no_pauses: list[float]) -> None:
    yard.scheduler.handler = yard.scheduler.never
    assert yard.line is not None
    call = asyncio.create_task(yard.raw(post("WaitJobs")))
    await yard.scheduler.asked.wait()
    await yard.line.channel.close(None)
    assert await call == b""


@pytest.mark.parametrize(
    ("status", "answered", "words"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, (503, "unavailable"), "not relayed: because"),
        (grpc.StatusCode.PERMISSION_DENIED, (503, "unavailable"), "not relayed: because"),
        (grpc.StatusCode.INVALID_ARGUMENT, (400, "invalid_argument"), "not relayed: because"),
        (grpc.StatusCode.UNIMPLEMENTED, (501, "unimplemented"), "older"),
        (grpc.StatusCode.UNKNOWN, (500, "internal"), "not relayed: because"),
    ],
)
async def test_what_fails_on_the_way(
    yard: Yard, status: grpc.StatusCode, answered: tuple[int, str], words: str
) -> None:
    async def fail(request: pb.RelayRequest, context: Any) -> pb.RelayResponse:
        await context.abort(status, "because")
        raise AssertionError

    yard.scheduler.handler = fail
    http_status, body = parsed(await yard.raw(post("Ping")))
    assert (http_status, body["code"]) == answered
    assert words in body["message"]


async def test_hanging_up_ends_the_call(yard: Yard) -> None:
    yard.scheduler.handler = yard.scheduler.never
    _, writer = await asyncio.open_unix_connection(str(yard.path))
    writer.write(post("WaitJobs"))
    await yard.scheduler.asked.wait()
    writer.close()
    async with asyncio.timeout(10):
        await yard.scheduler.cancelled.wait()


async def test_stopping_ends_what_is_under_way_and_takes_the_socket_away(tmp_path: Path, yard: Yard) -> None:
    yard.scheduler.handler = yard.scheduler.never
    other = Yard(tmp_path / "other", yard.scheduler)
    (tmp_path / "other" / "run").mkdir(parents=True)
    other.line = yard.line
    async with serving(other):
        call = asyncio.create_task(other.raw(post("WaitJobs")))
        await yard.scheduler.asked.wait()
    assert await call == b""
    assert not other.path.exists()
    async with asyncio.timeout(10):
        await yard.scheduler.cancelled.wait()


async def test_large_requests(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"x": "y" * 3_000_000}).encode()
    assert parsed(await yard.raw(post("SubmitJob", body)))[0] == 200
    assert yard.scheduler.requests[0].body == body
    monkeypatch.setattr(relay, "MAX_BODY", 1 << 20)
    status, answer = parsed(await yard.raw(post("SubmitJob", body)))
    assert (status, answer["code"]) == (429, "resource_exhausted")
    assert "1 MiB" in answer["message"]
    with pytest.raises(transport.CallError, match="1 MiB"):  # and commands, which send all before they read
        await yard.call("SubmitJob", {"x": "y" * 3_000_000})
    monkeypatch.setattr(relay, "MAX_BODY", 16 << 20)
    monkeypatch.setattr(relay, "MAX_BYTES_PER_USER", 1 << 20)
    status, answer = parsed(await yard.raw(post("SubmitJob", body)))
    assert (status, answer["code"]) == (429, "resource_exhausted")
    assert parsed(await yard.raw(post("Ping")))[0] == 200


async def test_answers_have_a_limit(yard: Yard) -> None:
    async def long(request: pb.RelayRequest, context: Any) -> pb.RelayResponse:
        return pb.RelayResponse(http_status=200, body=b" " * 3_000_000 + b"{}")

    yard.scheduler.handler = long
    assert await yard.call("ListJobs") == {}
    async with yard.scheduler.running() as address:
        options = [("grpc.max_receive_message_length", 1 << 20)]
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            yard.line = Line(channel, (), channel)
            status, answer = parsed(await yard.raw(post("ListJobs")))
    assert (status, answer["code"]) == (429, "resource_exhausted")
    assert "larger than max" in answer["message"]


async def test_a_user_has_only_so_many_calls(yard: Yard) -> None:
    yard.scheduler.handler = yard.scheduler.never
    yard.relay._max_calls = 4
    writers = []
    for n in range(2):
        _, writer = await asyncio.open_unix_connection(str(yard.path))
        writer.write(post("WaitJobs"))
        writers.append(writer)
        async with asyncio.timeout(10):
            while len(yard.scheduler.requests) <= n:  # noqa: ASYNC110 - the fake keeps what it was asked
                await asyncio.sleep(0.001)
    status, answer = parsed(await yard.raw(post("Ping")))
    assert (status, answer["code"]) == (429, "resource_exhausted")
    for writer in writers:
        writer.close()
    yard.scheduler.handler = yard.scheduler.well
    async with asyncio.timeout(10):
        while yard.relay._calls:  # noqa: ASYNC110 - nothing tells when a connection is over
            await asyncio.sleep(0.001)
    assert await yard.call("Ping") == {"cluster": "c"}


async def test_what_has_no_room_waits_to_be_accepted(yard: Yard) -> None:
    yard.relay._room = asyncio.Semaphore(0)  # the accept under way is the last one
    _, holding = await asyncio.open_unix_connection(str(yard.path))
    waiting = asyncio.create_task(yard.call("Ping"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.shield(waiting)
    holding.close()
    assert await waiting == {"cluster": "c"}


async def test_a_burst(yard: Yard) -> None:
    answers = await asyncio.gather(*(yard.raw(post("Ping")) for _ in range(200)))
    assert {parsed(answer)[0] for answer in answers} == {200}


async def test_a_second_agent_of_a_home_serves_no_relay(yard: Yard) -> None:
    await Relay(yard.path, "n3", lambda: None).serve()
    assert await yard.call("Ping") == {"cluster": "c"}


async def test_the_socket_of_a_scheduler_started_meanwhile_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    yard = Yard(tmp_path, FakeScheduler())
    with socket.socket(socket.AF_UNIX) as own:
        async with serving(yard):
            yard.path.rename(tmp_path / "gone")  # keeps the number of the file from being used again
            own.bind(str(yard.path))
        assert yard.path.exists()


async def test_no_place_to_listen_is_no_reason_to_end(tmp_path: Path) -> None:
    await Relay(tmp_path / "nosuch" / "scheduler.sock", "n2", lambda: None).serve()


async def test_a_home_with_a_long_path(tmp_path: Path, yard: Yard) -> None:
    home = tmp_path / ("long" * 30) / ("path" * 30)
    (home / "run").mkdir(parents=True)
    far = Yard(home, yard.scheduler)
    far.line = yard.line
    async with serving(far):
        reply = await asyncio.to_thread(transport.call_socket, str(far.path), "Ping", {})
    assert reply == {"cluster": "c"}


def test_where_a_relay_is_served(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert place(tmp_path) == tmp_path / "run" / "scheduler.sock"
    (tmp_path / "run" / "scheduler.pid").touch()
    assert place(tmp_path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="the mode depends on the user")
async def test_everybody_may_connect_to_roots(yard: Yard) -> None:
    assert yard.path.stat().st_mode & 0o777 == 0o666


async def test_a_caller_who_says_nothing_is_sent_away(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_request, "READ_WITHIN_S", 0.05)
    monkeypatch.setattr(http_request, "LINGER_S", 0.05)
    assert parsed(await yard.raw(b""))[0] == 408
    head, _, _ = post("Ping", b"{}").partition(b"{}")
    assert parsed(await yard.raw(head))[0] == 408
