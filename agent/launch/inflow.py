"""What a client writes to the tasks' input: to one, or the same to all, each at its own pace.

What is not yet written is kept once, whoever still has to get it. A task that ends, or closes its input, gets
no more, and what waits for it counts as taken.
"""

from __future__ import annotations

import errno
import os
import select
from collections import deque

from packhorse.agent.launch import frames

MOST = 1 << 20
"""Bytes that are kept; with more the client is not read any further."""

_TOLD_EVERY = 1 << 16


class _Chunk:
    """Input that `n` tasks have yet to get."""

    __slots__ = ("data", "n")

    def __init__(self, data: bytes, n: int) -> None:
        self.data = data
        self.n = n


class _Sink:
    """One task's input: a pipe, or a terminal."""

    def __init__(self, fd: int, terminal: bool) -> None:
        self.fd = fd
        self.terminal = terminal
        self.queue: deque[_Chunk] = deque()
        self.offset = 0
        self.ends = False
        self.watched = False


class Inflow:
    """Of one step. loop: where the descriptors are watched; who polls it tells of what happens to them.

    got: bytes of input that came in all; taken: how many of them are written, or will never be.
    """

    def __init__(self, loop: select.epoll) -> None:
        self.got = 0
        self.taken = 0
        self._told = 0
        self._loop = loop
        self._sinks: dict[int, _Sink] = {}  # by rank
        self._ranks: dict[int, int] = {}  # by descriptor

    def open(self, rank: int, fd: int, *, terminal: bool = False) -> None:
        """The task gets input by this descriptor, which does not block. A terminal's stays the caller's."""
        self._sinks[rank] = _Sink(fd, terminal)
        self._ranks[fd] = rank
        if not terminal:
            self._loop.register(fd, 0)  # of its reader's end the kernel tells unasked

    @property
    def full(self) -> bool:
        """So much waits that no more should come."""
        return self.got - self.taken >= MOST

    def feed(self, rank: int, data: bytes) -> None:
        """Input for one task, or ALL that get some."""
        self.got += len(data)
        chunk = _Chunk(data, 1)  # one for ourselves
        for one in self._meant(rank):
            sink = self._sinks[one]
            if not sink.ends:
                chunk.n += 1
                sink.queue.append(chunk)
                self._write(one, sink)
        self._done(chunk)

    def end(self, rank: int) -> None:
        """The input of one task, or of ALL, ends here."""
        for one in self._meant(rank):
            sink = self._sinks[one]
            if not sink.ends:
                sink.ends = True
                if sink.terminal:
                    sink.queue.append(_Chunk(b"\x04", 2))  # a terminal's end of file; counted by nobody
                self._write(one, sink)

    def happened(self, fd: int, events: int) -> None:
        """Of one of the descriptors the kernel told this."""
        rank = self._ranks.get(fd)
        if rank is None:
            return
        if events & (select.EPOLLERR | select.EPOLLHUP):
            self.drop(rank)
        else:
            self._write(rank, self._sinks[rank])

    def drop(self, rank: int) -> None:
        """The task gets no more."""
        sink = self._sinks.pop(rank, None)
        if sink is None:
            return
        del self._ranks[sink.fd]
        if sink.watched or not sink.terminal:
            self._loop.unregister(sink.fd)
        for chunk in sink.queue:
            self._done(chunk)
        if not sink.terminal:
            os.close(sink.fd)

    def close(self) -> None:
        for rank in list(self._sinks):
            self.drop(rank)

    def news(self) -> int:
        """How much is taken, if the client should be told; else -1."""
        if self.taken == self._told or (self.taken - self._told < _TOLD_EVERY and self.taken < self.got):
            return -1
        self._told = self.taken
        return self.taken

    def _meant(self, rank: int) -> list[int]:
        if rank == frames.ALL:
            return list(self._sinks)
        return [rank] if rank in self._sinks else []

    def _write(self, rank: int, sink: _Sink) -> None:
        while sink.queue:
            chunk = sink.queue[0]
            try:
                sink.offset += os.write(sink.fd, memoryview(chunk.data)[sink.offset :])
            except BlockingIOError:
                self._wait(sink, True)
                return
            except OSError as error:
                if error.errno not in (errno.EPIPE, errno.EIO):
                    raise
                self.drop(rank)
                return
            if sink.offset == len(chunk.data):
                sink.offset = 0
                sink.queue.popleft()
                self._done(chunk)
        self._wait(sink, False)
        if sink.ends and not sink.terminal:
            self.drop(rank)

    def _wait(self, sink: _Sink, on: bool) -> None:
        if on == sink.watched:
            return
        sink.watched = on
        if not sink.terminal:
            self._loop.modify(sink.fd, select.EPOLLOUT if on else 0)
        elif on:
            self._loop.register(sink.fd, select.EPOLLOUT)
        else:
            self._loop.unregister(sink.fd)

    def _done(self, chunk: _Chunk) -> None:
        chunk.n -= 1
        if chunk.n == 0:
            self.taken += len(chunk.data)
