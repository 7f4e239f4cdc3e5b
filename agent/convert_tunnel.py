"""Tunnels on the wire: bytes to and from steps on other hosts, over the scheduler."""

from __future__ import annotations

from typing import NamedTuple

import grpc.aio

from packhorse.v1 import agent_pb2 as pb
from packhorse.v1.agent_pb2_grpc import AgentsStub

Metadata = tuple[tuple[str, str], ...]

SWITCHED = 101
"""The HTTP status of a wish that was granted."""


class Wish(NamedTuple):
    """Who wants to talk to which step. uid, gid, user, group: as the kernel and this host's name service say;
    node, step: as they wrote them."""

    uid: int
    gid: int
    user: str
    group: str
    node: str
    step: str


class Answer(NamedTuple):
    """What became of a wish: SWITCHED, or the status and body of an error."""

    http_status: int
    body: bytes


class Stream:
    """One tunnel as this agent sees it; it begins with what is given here."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Metadata, begin: int | Wish) -> None:
        """begin: the id of a tunnel that was ordered, or the wish of somebody here."""
        rpcs = AgentsStub(channel)
        rpc = rpcs.RelayTunnel if isinstance(begin, Wish) else rpcs.Tunnel
        self._first = _wish(begin) if isinstance(begin, Wish) else pb.TunnelBytes(id=begin)
        self._call = rpc(None, metadata=metadata)

    async def begin(self) -> None:
        await self._call.write(self._first)

    async def answer(self) -> Answer:
        """Of a wish. Raises ConnectionResetError."""
        message = await self._next()
        return Answer(message.http_status, message.data)

    async def read(self) -> bytes:
        """The next bytes, b"" when no more come. Raises ConnectionResetError, grpc.aio.AioRpcError."""
        while True:
            message = await self._next()
            if message.data:
                return message.data
            if message.end:
                return b""

    async def write(self, data: bytes) -> None:
        await self._call.write(pb.TunnelBytes(data=data))

    async def finish(self) -> None:
        """Nothing more is written."""
        await self._call.write(pb.TunnelBytes(end=True))

    async def close(self) -> None:
        """After both directions are done: until all that was said has been taken."""
        await self._call.done_writing()
        await self._call.code()

    def break_off(self) -> None:
        """At any time."""
        self._call.cancel()

    async def _next(self) -> pb.TunnelBytes:
        message = await self._call.read()
        if not isinstance(message, pb.TunnelBytes):
            raise ConnectionResetError("the scheduler ended the tunnel")
        return message


def _wish(wish: Wish) -> pb.TunnelBytes:
    return pb.TunnelBytes(wish=pb.TunnelWish(**wish._asdict()))
