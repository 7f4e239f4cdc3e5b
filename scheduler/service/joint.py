"""Two ends of a byte path joined: what either says the other hears, in order, until both are done.

A copy holds one piece at a time and reads no further before it is taken, so what waits here is bounded
(MAX_BUFFERED each way, with what gRPC holds), and whoever does not read slows down whoever writes.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from typing import Any, Protocol

import grpc
import grpc.aio

from packhorse.scheduler.service.convert_agents import TunnelBytes

PIECE = 256 << 10
"""Bytes in one message: so many that the loop is asked for little, so few that it is never long busy."""

MAX_BUFFERED = 1 << 20

BROKEN = (
    OSError,
    grpc.RpcError,
    grpc.aio.AbortError,
    grpc.aio.BaseError,
)
"""What reading or writing raises when the other side has gone."""


class Deaf(Exception):
    """What is written does not arrive any more."""


class End(Protocol):
    """One side of a joint."""

    async def read(self) -> bytes:
        """The next bytes, b"" when no more come. Raises one of BROKEN."""

    async def write(self, data: bytes) -> None:
        """Returns when more may be written. Raises Deaf, or one of BROKEN."""

    async def finish(self) -> None:
        """Nothing more is written. Raises as `write`."""

    async def lost(self) -> None:
        """Returns when the other side has gone without a word."""


class Stream:
    """A gRPC stream that an agent dialled; `over` ends the call that serves it."""

    def __init__(
        self,
        requests: AsyncIterator[TunnelBytes],
        context: grpc.aio.ServicerContext[TunnelBytes, TunnelBytes],
    ) -> None:
        self.over = asyncio.Event()
        self.gone = asyncio.Event()
        self._requests = requests
        self._context = context

    async def read(self) -> bytes:
        while (message := await anext(self._requests, None)) is not None:
            if message.data:
                return message.data
            if message.end:
                return b""
        raise ConnectionResetError("the agent broke the stream")

    async def write(self, data: bytes) -> None:
        await self._context.write(TunnelBytes(data=data))

    async def finish(self) -> None:
        await self._context.write(TunnelBytes(end=True))

    async def lost(self) -> None:
        await self.gone.wait()

    async def serve(self) -> None:
        """For the call's own task: until the joint is done with it, or the agent has gone."""
        try:
            await self.over.wait()
        finally:
            self.gone.set()


class Local:
    """A socket that somebody connected to a door, taken over from the door's transport."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        given = transport.get_extra_info("socket")
        # The loop knows the transport's own descriptor as one that is read by it.
        self._socket = socket.socket(fileno=os.dup(given.fileno()))
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()

    async def read(self) -> bytes:
        try:
            return await self._loop.sock_recv(self._socket, PIECE)
        except ConnectionResetError:
            return b""  # how the kernel tells of an end where the other side left something unread

    async def write(self, data: bytes) -> None:
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError:
            raise Deaf from None

    async def finish(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            raise Deaf from None

    async def lost(self) -> None:
        await self._loop.create_future()

    def close(self) -> None:
        self._socket.close()


async def join(near: End, far: End) -> tuple[int, int]:
    """Until neither says more, or one of them has gone: bytes that far was told, and near."""
    loop = asyncio.get_running_loop()
    counts = [0, 0]
    copies: set[asyncio.Task[None]] = {
        loop.create_task(_copy(near, far, counts, 0)),
        loop.create_task(_copy(far, near, counts, 1)),
    }
    watches = {loop.create_task(end.lost()) for end in (near, far)}
    everything: list[asyncio.Task[Any]] = [*copies, *watches]
    try:
        while copies:
            done, _ = await asyncio.wait(copies | watches, return_when=asyncio.FIRST_COMPLETED)
            if any(task.exception() is not None for task in done) or not watches.isdisjoint(done):
                break
            copies -= done
    finally:
        for task in everything:
            task.cancel()
        results = await asyncio.gather(*everything, return_exceptions=True)
    for error in results:
        if isinstance(error, Exception) and not isinstance(error, BROKEN):
            raise error
    return counts[0], counts[1]


async def _copy(source: End, target: End, counts: list[int], index: int) -> None:
    """A target that does not listen any more may have said something before that, and its last words count:
    what it is told then goes nowhere, and the other copy goes on."""
    try:
        while data := await source.read():
            counts[index] += len(data)
            await target.write(data)
        await target.finish()
    except Deaf:
        while await source.read():
            pass
