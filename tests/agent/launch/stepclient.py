"""A client of steps as its owner or watcher would be, speaking frames over a connection. For tests."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections import defaultdict
from typing import Any

from packhorse.agent.launch.control import Attach
from packhorse.agent.launch.launcher import Launcher, Supervised

HEADER = struct.Struct("<BII")
ALL = 0xFFFFFFFF


class StepClient:
    """What came, by rank. got: bytes of frames. order: (kind, rank) of each frame."""

    def __init__(self, confirm_every: int = 1 << 17) -> None:
        self.connection: socket.socket | None = None
        self.first: dict[str, Any] = {}
        self.got = 0
        self.out: dict[int, bytearray] = defaultdict(bytearray)
        self.err: dict[int, bytearray] = defaultdict(bytearray)
        self.ended: set[tuple[int, int]] = set()
        self.status: dict[int, int] = {}
        self.pids: dict[int, int] = {}
        self.failed: dict[int, tuple[int, str]] = {}
        self.notices: list[str] = []
        self.pmi: list[tuple[int, bytes]] = []
        self.taken = 0
        self.over = False
        self.order: list[tuple[int, int]] = []
        self._buffer = bytearray()
        self._confirm_every = confirm_every
        self._confirmed = 0

    async def attach(
        self,
        launcher: Launcher,
        supervised: Supervised,
        *,
        owner: bool = True,
        got: int = -1,
        early: bytes = b"",
    ) -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        try:
            with far:
                await launcher.send(supervised, Attach(owner, got, early), far)
        except BaseException:
            near.close()
            raise
        await self.begin(near)

    async def begin(self, connection: socket.socket) -> None:
        """Reads the first line."""
        self.connection = connection
        loop = asyncio.get_running_loop()
        line = bytearray()
        while not line.endswith(b"\n"):
            byte = await asyncio.wait_for(loop.sock_recv(connection, 1), 20)
            assert byte, f"hung up on after {line!r}"
            line += byte
        self.first = json.loads(line)

    async def send(self, kind: int, rank: int = ALL, payload: bytes = b"") -> None:
        assert self.connection is not None
        data = HEADER.pack(kind, rank, len(payload)) + payload
        await asyncio.get_running_loop().sock_sendall(self.connection, data)

    async def read(self, size: int = 1 << 18) -> bool:
        """Some more; False at the end of the connection."""
        assert self.connection is not None
        loop = asyncio.get_running_loop()
        try:
            data = await asyncio.wait_for(loop.sock_recv(self.connection, size), 30)
        except ConnectionError:
            data = b""
        self.got += len(data)
        self._feed(data)
        if self._confirm_every and self.got - self._confirmed >= self._confirm_every:
            self._confirmed = self.got
            try:
                await self.send(20, ALL, struct.pack("<Q", self.got))
            except ConnectionError:
                return bool(data)
        return bool(data)

    async def to_the_end(self) -> None:
        """Until the step says that it is over; hangs up."""
        while not self.over:
            assert await self.read(), "hung up on before the end"
        self.close()

    async def until(self, rank: int, text: bytes) -> None:
        while text not in self.out[rank]:
            assert await self.read(), f"hung up on; so far {bytes(self.out[rank])!r}"

    def close(self) -> None:
        assert self.connection is not None
        self.connection.close()
        self.connection = None

    def code(self, rank: int) -> int:
        """As srun counts."""
        status = self.status[rank]
        return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _feed(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= HEADER.size:
            kind, rank, length = HEADER.unpack_from(buffer, at)
            if len(buffer) - at - HEADER.size < length:
                break
            at += HEADER.size
            self._heard(kind, rank, bytes(buffer[at : at + length]))
            at += length
        del buffer[:at]

    def _heard(self, kind: int, rank: int, payload: bytes) -> None:
        assert not self.over, "a frame after the last one"
        self.order.append((kind, rank))
        match kind:
            case 1 | 2:
                assert (rank, kind) not in self.ended, "output after its end"
                (self.out if kind == 1 else self.err)[rank] += payload
            case 3 | 4:
                self.ended.add((rank, kind - 2))
            case 5:
                (self.status[rank],) = struct.unpack("<i", payload)
            case 6:
                self.over = True
            case 7:
                self.notices.append(payload.decode())
            case 8:
                self.pmi.append((rank, payload))
            case 9:
                (self.pids[rank],) = struct.unpack("<I", payload)
            case 10:
                self.failed[rank] = struct.unpack("<i", payload[:4])[0], payload[4:].decode()
            case 11:
                (self.taken,) = struct.unpack("<Q", payload)
            case _:
                raise AssertionError(f"frame of unknown kind {kind}")
