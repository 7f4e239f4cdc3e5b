"""One connection to a step's node: what goes out waits in whole frames, what comes in is counted.

A broken connection is opened again and goes on: a frame of which only a part came in is completed by the next
bytes, one of which only a part went out is sent again.
"""

from __future__ import annotations

from _socket import MSG_NOSIGNAL

from packhorse.cli.slurm.steps.door import StepNode, answer, granted, greeting, open_door
from packhorse.cli.slurm.steps.frames import END_OF_INPUT, INPUT, frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from typing import Any

SCRATCH = 1 << 20
"""Bytes read at once."""


class Scratch:
    """Where all connections read into, one after the other."""

    def __init__(self) -> None:
        self.data = bytearray(SCRATCH)

    def at_least(self, size: int) -> bytearray:
        """The buffer, grown where `size` bytes and as many more do not fit."""
        if len(self.data) < 2 * size:
            self.data = bytearray(4 * size)
        return self.data


class Connection:
    """got: bytes of frames received so far, over all connections. untaken: bytes of input that its tasks have
    not taken.

    attached: it was once; over: no more is expected from there. lost_at and asked_at (monotonic seconds):
    since when it is tried, and when the scheduler was last asked about the step.
    """

    def __init__(self, index: int, node: StepNode, pause_s: float) -> None:
        self.index = index
        self.node = node
        self.fd = -1
        self.attached = False
        self.over = False
        self.got = 0
        self.confirmed = 0
        self.retry_at = 0.0
        self.pause_s = pause_s
        self.lost_at = 0.0
        self.asked_at = 0.0
        self.greeted = False
        self._sock: socket | None = None
        self._hello = b""
        self._after_wish = b""
        self._line = b""
        self._rest = b""
        self._frames: list[bytes] = []
        self._current = b""
        self._sent = 0
        self._input: list[bytes] = []  # frames that may have to be sent again
        self._input_sizes: list[int] = []
        self._input_sent = 0  # how many of them were
        self._input_at = 0  # bytes of input before the first of them
        self._input_end = b""
        self._input_end_sent = False
        self._closed_there = False
        self.untaken = 0

    @property
    def is_open(self) -> bool:
        return self._sock is not None

    @property
    def pending(self) -> bool:
        """Whether something is to be sent."""
        return not self._closed_there and bool(
            self._hello
            or self._current
            or self._frames
            or (self.greeted and (self._input_sent < len(self._input) or self._input_end_waits))
        )

    @property
    def _input_end_waits(self) -> bool:
        return bool(self._input_end) and not self._input_end_sent

    def open(self, key: str, role: str) -> None:
        """Connects, and has the greeting ready to be sent. Raises DoorError."""
        sock, wish = open_door(self.node, key)
        sock.setblocking(False)
        self._sock = sock
        self.fd = sock.fileno()
        self.greeted = False
        self._line = b""
        self._sent = 0
        self._closed_there = False
        greets = greeting(key, role, self.got if self.attached else -1)
        # The door of a tunnel is greeted when it is dug.
        self._hello, self._after_wish = (wish, greets) if wish else (greets, b"")

    def close(self) -> None:
        """Forgets the socket; frames of which nothing or only a part was sent are sent by the next."""
        if self._sock is not None:
            self._sock.close()
        self._sock = None
        self.fd = -1
        self._sent = 0
        self._hello = b""
        self._after_wish = b""
        if self._current and self._current[0] not in (INPUT, END_OF_INPUT):
            self._frames.insert(0, self._current)
        self._current = b""

    def queue(self, frame: bytes) -> None:
        """A whole frame that is not input; it goes before input that waits."""
        self._frames.append(frame)

    def feed(self, rank: int, data: bytes) -> None:
        """Input, for one task or ALL; it is kept until it was taken."""
        self._input.append(frame(INPUT, rank, data))
        self._input_sizes.append(len(data))
        self.untaken += len(data)

    def end_input(self, rank: int) -> None:
        """No more input."""
        self._input_end = frame(END_OF_INPUT, rank)

    def taken(self, total: int) -> None:
        """So many bytes of input, of all, are with the tasks."""
        while self._input_sizes and self._input_at + self._input_sizes[0] <= total and self._input_sent:
            size = self._input_sizes.pop(0)
            del self._input[0]
            self._input_at += size
            self._input_sent -= 1
            self.untaken -= size

    def _came(self, total: int) -> None:
        """After another greeting: so many bytes of input have arrived, what follows is sent again."""
        at = self._input_at
        self._input_sent = 0
        for size in self._input_sizes:
            at += size
            if at > total:
                break
            self._input_sent += 1
        self._input_end_sent = False

    def _next(self) -> bytes:
        """The next frame to be sent, b"" if there is none."""
        if self._after_wish:
            return b""
        if self._frames:
            return self._frames.pop(0)
        if not self.greeted:
            return b""
        if self._input_sent < len(self._input):
            self._input_sent += 1
            return self._input[self._input_sent - 1]
        if self._input_end_waits:
            self._input_end_sent = True
            return self._input_end
        return b""

    def send(self) -> bool:
        """Sends as much as goes at once; whether something is left that may go later.

        Where the other side has closed nothing does, but what it said before that is still to be read.
        """
        sock = self._sock
        assert sock is not None
        try:
            while True:
                if not self._hello and not self._current:
                    self._current = self._next()
                data = self._hello or self._current
                if not data:
                    return False
                self._sent += sock.send(memoryview(data)[self._sent :], MSG_NOSIGNAL)
                if self._sent == len(data):
                    self._sent = 0
                    if self._hello:
                        self._hello = b""
                    else:
                        self._current = b""
        except BlockingIOError:
            return True
        except OSError:
            self._closed_there = True
            return False

    def receive(self, scratch: Scratch) -> tuple[int, dict[str, Any] | None]:
        """(how many bytes of frames lie at the start of the scratch, what the door answered, if it did now).

        (0, None) where nothing new came. Raises OSError where the connection is broken, DoorError where the
        door refused.
        """
        sock = self._sock
        assert sock is not None
        have = len(self._rest)
        buffer = scratch.at_least(have)
        try:
            n = sock.recv_into(memoryview(buffer)[have:])
        except BlockingIOError:
            return 0, None
        if not n:
            raise OSError("the connection broke")
        reply = None
        if self._after_wish:
            self._line += bytes(buffer[have : have + n])
            if granted(self.node, self._line):
                self._hello, self._after_wish = self._after_wish, b""
                self._line = b""  # the door says nothing before it is greeted
            return 0, None
        if not self.greeted:
            data = self._line + bytes(buffer[have : have + n])
            line, newline, data = data.partition(b"\n")
            if not newline:
                self._line = line
                return 0, None
            reply = answer(line, self.node)
            self.greeted = True
            self._came(int(reply.get("input") or 0))
            n = len(data)
            buffer[have : have + n] = data
        buffer[:have] = self._rest
        self.got += n
        return have + n, reply

    def keep(self, rest: bytes) -> None:
        """What was not a whole frame yet."""
        self._rest = rest
