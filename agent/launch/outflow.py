"""Frames on their way to one client: in order, not copied, and kept for one that loses its connection.

Positions count bytes of the stream, headers included, from the client's first frame on.
"""

from __future__ import annotations

import socket
from collections import deque
from itertools import islice

from packhorse.agent.launch import frames

KEPT = 1 << 20
"""Bytes that are kept for one client, sent or not; so much it may be behind."""

WAITING = 1 << 19
"""Bytes that wait to be sent, above which no more output is read."""

_AT_ONCE = 32
"""Frames that are sent together."""

_STATE = frozenset(
    (
        frames.OUTPUT_END,
        frames.ERROR_END,
        frames.TASK_ENDED,
        frames.OVER,
        frames.TASK_STARTED,
        frames.TASK_FAILED,
        frames.INPUT_TAKEN,
    )
)
"""What a new client is told of anyway."""

Item = tuple[bytes, bytes]
"""Header and payload of one frame."""


class Outflow:
    """One client's stream.

    sent, end: the positions up to which it was sent and has been filled. waiting: bytes between them.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.end = 0
        self._confirmed = 0
        self._confirms = False
        self._kept: deque[Item] = deque()  # all of each was sent
        self._begin = 0  # position of the first of them
        self._unsent: deque[Item] = deque()
        self._offset = 0  # so much of the first of them was sent

    @property
    def waiting(self) -> int:
        return self.end - self.sent

    @property
    def has_room(self) -> bool:
        """Output may be added: the client keeps up. One that says what it has received is never further ahead
        of that than what is kept for it."""
        if self.end - self.sent >= WAITING:
            return False
        return not self._confirms or self.end - self._confirmed < KEPT

    def add(self, kind: int, rank: int, payload: bytes = b"") -> None:
        """One frame more; there need not be room."""
        self._unsent.append((frames.HEADER.pack(kind, rank, len(payload)), payload))
        self.end += frames.HEADER.size + len(payload)

    def send(self, connection: socket.socket) -> bool:
        """Sends what the connection takes; False if it takes no more now. Raises OSError if it is broken."""
        while self._unsent:
            try:
                n = connection.sendmsg(self._buffers())
            except BlockingIOError:
                return False
            self._was_sent(n)
        return True

    def _buffers(self) -> list[bytes | memoryview]:
        buffers: list[bytes | memoryview] = []
        for header, payload in islice(self._unsent, _AT_ONCE):
            buffers.append(header)
            if payload:
                buffers.append(payload)
        if skip := self._offset:
            first = memoryview(buffers[0])
            if skip < len(first):
                buffers[0] = first[skip:]
            else:
                del buffers[0]
                buffers[0] = memoryview(buffers[0])[skip - len(first) :]
        return buffers

    def _was_sent(self, n: int) -> None:
        self.sent += n
        n += self._offset
        while self._unsent and n >= (size := _size(self._unsent[0])):
            n -= size
            self._kept.append(self._unsent.popleft())
        self._offset = n
        self._trim()

    def confirm(self, position: int) -> None:
        """The client has received so much; what it cannot have is ignored."""
        self._confirms = True
        if self._confirmed < position <= self.sent:
            self._confirmed = position
            self._trim()

    def _trim(self) -> None:
        """Keeps what may be asked for again."""
        kept = self._kept
        while kept:
            size = _size(kept[0])
            confirmed = self._begin + size <= self._confirmed
            if not confirmed and (self._confirms or self.end - self._begin - size < KEPT):
                return
            kept.popleft()
            self._begin += size

    def can_resume(self, got: int) -> bool:
        """Whether what follows the first `got` bytes is still there."""
        return self._begin <= got <= self.sent

    def resume(self, got: int) -> None:
        """The client has a new connection, and received `got` bytes before, of which `can_resume` knows."""
        position = self.sent - self._offset
        while position > got:
            item = self._kept.pop()
            self._unsent.appendleft(item)
            position -= _size(item)
        self._offset = got - position
        self.sent = got
        self._confirmed = max(self._confirmed, got)

    def leave(self) -> list[Item]:
        """What another client has still to be given: frames of which not all was sent, but for those that
        say how things stand."""
        return [item for item in self._unsent if item[0][0] not in _STATE]

    @property
    def has_output(self) -> bool:
        """Something waits that is not known otherwise."""
        return bool(self.leave())

    def take_over(self, items: list[Item]) -> None:
        """Adds what another one left."""
        for item in items:
            self._unsent.append(item)
            self.end += _size(item)


def _size(item: Item) -> int:
    return len(item[0]) + len(item[1])
