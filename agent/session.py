"""The agent's line to its scheduler: one gRPC stream, dialled from here, again and again."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import grpc
import grpc.aio
import structlog

from packhorse.agent.convert import AgentMessage, AgentsStub, from_message, to_batch, to_message
from packhorse.agent.orders import Order, Report
from packhorse.scheduler.model.pace import Pace

log = structlog.get_logger()

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 10.0
LASTED_S = 1.0
LOOK_S = 0.1
"""While there is no connection: between looks at where the scheduler says it listens."""

QUIET_LIMIT = 3
"""Heartbeats that may stay unanswered before the stream counts as dead."""

MAX_MESSAGE_BYTES = 64 << 20


class Where(NamedTuple):
    """How to reach a scheduler: address is host:port, root_ca a PEM file or None on loopback."""

    address: str
    token: str
    root_ca: Path | None = None


class Line(NamedTuple):
    """A connection to the scheduler, open and trusted by both ends. metadata: goes with every call on it.

    bulk: a second one, for what is much and must not stand before a heartbeat.
    """

    channel: grpc.aio.Channel
    metadata: tuple[tuple[str, str], ...]
    bulk: grpc.aio.Channel


def invitation(home: Path, node: str) -> Path:
    """The file that is there where this home has joined another host's scheduler as this node."""
    return home / "run" / f"joined-{node}.json"


def at_home(home: Path, node: str) -> Where:
    """The scheduler that invited this node, else the one of this PACKHORSE_HOME where it last listened.

    Raises OSError, KeyError or ValueError where there is neither.
    """
    token = (home / "secrets" / f"agent-{node}.token").read_text().strip()
    ca = home / "ca.pem"
    joined = invitation(home, node)
    source = joined if joined.exists() else home / "run" / "scheduler.addr"
    # A door open on every address is reached here by a name that its certificate has.
    address = (
        json.loads(source.read_text())["grpc"]
        .replace("0.0.0.0:", "localhost:")
        .replace("[::]:", "localhost:")
    )
    return Where(address, token, ca if ca.exists() else None)


class Session:
    """Keeps one stream open for as long as `run` runs.

    find says where the scheduler is, anew for every attempt to connect. opened and closed are called
    around every stream, received for every order, in order and one at a time.
    line: for calls beside the stream, None while the scheduler is away.
    """

    def __init__(
        self,
        find: Callable[[], Where],
        *,
        opened: Callable[[], None],
        closed: Callable[[str], None],
        received: Callable[[Order], Awaitable[None]],
        jitter: random.Random,
    ) -> None:
        self._find = find
        self._opened = opened
        self._closed = closed
        self._received = received
        self._jitter = jitter
        self._outgoing: asyncio.Queue[Report | None] = asyncio.Queue()
        self._open = False
        self.line: Line | None = None
        self.heartbeat_s = 5.0
        self.takes_batches = False
        self._heard_at = 0.0
        self._tried: Where | None = None

    def send(self, report: Report) -> None:
        """Queue a report for the open stream; without one it is dropped (the next introduction tells)."""
        if self._open:
            self._outgoing.put_nowait(report)

    def hang_up(self) -> None:
        """Close the stream; `run` then connects again."""
        self._outgoing.put_nowait(None)

    async def run(self) -> None:
        """Connect, talk, wait with growing jittered pauses, connect again; until cancelled."""
        pause = FIRST_PAUSE_S
        told = ""
        while True:
            loop = asyncio.get_running_loop()
            dialled = loop.time()
            talked, why = await self._one_stream()
            if talked:
                if loop.time() - dialled > LASTED_S:  # else one side ends every session at once
                    pause = FIRST_PAUSE_S
                log.warning("session.lost", why=why)
            else:
                if why != told:  # once: it may go on for days
                    log.warning("session.not_opened", why=why)
            told = why
            if await self._pause(self._jitter.uniform(pause / 2, pause)):
                pause = FIRST_PAUSE_S
            else:
                pause = min(pause * 1.7, LONGEST_PAUSE_S)

    async def _pause(self, seconds: float) -> bool:
        """Wait; not to the end, and True, once the scheduler is elsewhere than where it was tried.

        One that was started again on this machine listens at another port and has written that down.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            await asyncio.sleep(min(left, LOOK_S))
            try:
                moved = self._find() != self._tried
            except (OSError, KeyError, ValueError):
                continue
            if moved:
                return True
        return False

    async def _one_stream(self) -> tuple[bool, str]:
        """One stream from dial to end. Returns whether anything was heard, and why it ended."""
        self._tried = None
        try:
            where = self._tried = self._find()
        except (OSError, KeyError, ValueError) as error:
            return False, f"the scheduler's address is not known ({error})"
        self._outgoing = asyncio.Queue()
        heard = False
        why = "the scheduler closed the stream"
        async with _channel(where) as channel, _channel(where) as bulk:  # which connects when it is used
            stub = AgentsStub(channel)
            self._open = True
            self.takes_batches = False
            self._heard_at = asyncio.get_running_loop().time()
            self._opened()
            line = Line(channel, (("authorization", f"Bearer {where.token}"),), bulk)
            call = stub.Session(self._messages(), metadata=line.metadata)
            watch = asyncio.create_task(self._watch(call))
            try:
                async for message in call:
                    heard = True
                    self.line = line
                    self._heard_at = asyncio.get_running_loop().time()
                    for order in from_message(message):
                        await self._received(order)
            except grpc.aio.AioRpcError as error:
                why = f"{error.code().name.lower()}: {error.details()}"
            except asyncio.CancelledError:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise
                why = "no answer to heartbeats"
            finally:
                self._open = False
                self.line = None
                self._closed(why)
                watch.cancel()
                call.cancel()
                # A call that is over by itself leaves its writer waiting for messages: this ends it.
                self._outgoing.put_nowait(None)
                # Not `await watch` with CancelledError suppressed: that would lose a cancellation of our own.
                await asyncio.wait((watch,))
        return heard, why

    async def _messages(self) -> AsyncIterator[AgentMessage]:
        queue = self._outgoing
        loop = asyncio.get_running_loop()
        pace = Pace()
        while True:
            reports = [await queue.get()]
            if self.takes_batches and (wait_s := pace.wait_s(loop.time())):
                await asyncio.sleep(wait_s)
            while self.takes_batches and not queue.empty():
                reports.append(queue.get_nowait())
            said = [report for report in reports if report is not None]
            if said:
                yield to_message(said[0]) if len(said) == 1 else to_batch(said)
            if len(said) < len(reports):
                return

    async def _watch(self, call: grpc.aio.Call) -> None:
        """End a stream on which nothing was heard for several heartbeats: the peer is gone without a word."""
        loop = asyncio.get_running_loop()
        while True:
            left = self._heard_at + QUIET_LIMIT * self.heartbeat_s - loop.time()
            if left <= 0:
                call.cancel()
                return
            await asyncio.sleep(left)


def _channel(where: Where) -> grpc.aio.Channel:
    options = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # Reconnecting is ours to pace; the channel is closed with every stream.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.use_local_subchannel_pool", 1),
        # What a stream may have sent that nobody has read: tunnels are bounded, whatever the line takes.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 256 << 10),
    ]
    if where.root_ca is None:
        return grpc.aio.insecure_channel(where.address, options=options)
    credentials = grpc.ssl_channel_credentials(where.root_ca.read_bytes())
    return grpc.aio.secure_channel(where.address, credentials, options=options)
