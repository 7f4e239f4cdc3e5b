"""Tunnels: somebody on another host talks to a step of this node, or somebody here to a step elsewhere.

Either way the bytes go over the scheduler, on a connection of their own beside the session (Line.bulk). A
piece is passed on before the next one is read, so whoever does not read slows down whoever writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import grpc
import grpc.aio
import structlog

from packhorse.agent.convert_tunnel import SWITCHED, Stream, Wish
from packhorse.agent.http_request import Connection, Refused
from packhorse.agent.orders import TunnelOrder
from packhorse.agent.session import Line
from packhorse.agent.stepdoor import StepDoor

log = structlog.get_logger()

PIECE = 256 << 10
"""Bytes passed on at once."""

CLOSE_S = 10.0
"""For the scheduler to say that it has everything."""

_BROKEN = (OSError, grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError)
"""What is raised when either side has gone."""

__all__ = ["Tunnels", "Wish", "relay"]


class Tunnels:
    """Those that lead to steps of this node. door: where they are attached to."""

    def __init__(self, door: StepDoor) -> None:
        self._door = door

    async def dig(self, order: TunnelOrder, line: Line | None) -> None:
        """Dials back and lets whoever is there attach, until they or the step have had enough."""
        if line is None:
            return  # the scheduler that ordered it has gone
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            theirs.setblocking(False)
            admitted = asyncio.create_task(self._door.admit(theirs, order.uid, order.attempt))
            stream = Stream(line.bulk, line.metadata, order.id)
            try:
                await stream.begin()
                await pipe(ours, stream)
            except _BROKEN as why:
                log.warning("tunnel.broken", step=str(order.attempt), why=_said(why))
            finally:
                stream.break_off()
                admitted.cancel()
                await asyncio.gather(admitted, return_exceptions=True)


async def relay(connection: Connection, line: Line, wish: Wish) -> None:
    """Leads a connection of this host to a step elsewhere. Raises Refused, Gone before that."""
    stream = Stream(line.bulk, line.metadata, wish)
    try:
        try:
            await stream.begin()
            answer = await stream.answer()
        except _BROKEN as why:
            old = isinstance(why, grpc.aio.AioRpcError) and why.code() is grpc.StatusCode.UNIMPLEMENTED
            word = "is older than this host's agent and has no tunnels" if old else f"is away: {_said(why)}"
            raise Refused(503, "unavailable", f"the scheduler {word}") from None
        if answer.http_status != SWITCHED:
            raise _as_refused(answer.http_status, answer.body)
        sock = await connection.upgraded()
        try:
            await pipe(sock, stream)
        except _BROKEN as why:
            log.info("tunnel.broken", step=wish.step, why=_said(why))
    finally:
        stream.break_off()


async def pipe(sock: socket.socket, stream: Stream) -> None:
    """Until neither side says more. sock: it does not block. Raises what is in _BROKEN when one has gone."""
    ways = [asyncio.create_task(_out(sock, stream)), asyncio.create_task(_in(sock, stream))]
    try:
        await asyncio.gather(*ways)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    async with asyncio.timeout(CLOSE_S):
        await stream.close()


async def _out(sock: socket.socket, stream: Stream) -> None:
    loop = asyncio.get_running_loop()
    # Where the other side left something unread the kernel tells of its end in this way.
    with contextlib.suppress(ConnectionResetError):
        while data := await loop.sock_recv(sock, PIECE):
            await stream.write(data)
    await stream.finish()


async def _in(sock: socket.socket, stream: Stream) -> None:
    """Who is behind the socket and listens no more may have said something before that: what they are
    told then goes nowhere, and the other way stays open."""
    loop = asyncio.get_running_loop()
    listens = True
    while data := await stream.read():
        if listens:
            try:
                await loop.sock_sendall(sock, data)
            except OSError:
                listens = False
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)


def _as_refused(status: int, body: bytes) -> Refused:
    said = json.loads(body)
    return Refused(status, str(said["code"]), str(said["message"]))


def _said(why: BaseException) -> str:
    if isinstance(why, grpc.aio.AioRpcError):
        return why.details() or why.code().name.lower()
    return str(why) or type(why).__name__
