"""The frames between a step's supervisor and whoever attached to it (docs/decisions/0011-steps.md).

`type u8, rank u32, length u32` (little endian), then `length` bytes.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER = struct.Struct("<BII")
ALL = 0xFFFFFFFF
"""Instead of a rank: all tasks, or none in particular."""

MAX_PAYLOAD = 1 << 20
"""Of a frame from a client; a longer one is a broken stream."""

# From the step.
OUTPUT = 1
ERROR_OUTPUT = 2
OUTPUT_END = 3
ERROR_END = 4
TASK_ENDED = 5
OVER = 6
NOTICE = 7
PMI = 8
TASK_STARTED = 9
TASK_FAILED = 10
INPUT_TAKEN = 11

# From the client.
INPUT = 16
INPUT_END = 17
SIGNAL = 18
WINDOW_SIZE = 19
RECEIVED = 20
CLIENT_PMI = 21
DETACH = 22
END_STEP = 23

I32 = struct.Struct("<i")
U32 = struct.Struct("<I")
U64 = struct.Struct("<Q")
SIZE = struct.Struct("<HH")


class Frame(NamedTuple):
    """What a client said."""

    kind: int
    rank: int
    payload: bytes


class Parser:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete now. Raises ValueError for one that is too long."""
        buffer = self._buffer
        buffer += data
        found = []
        at = 0
        while len(buffer) - at >= HEADER.size:
            kind, rank, length = HEADER.unpack_from(buffer, at)
            if length > MAX_PAYLOAD:
                raise ValueError(f"frame of {length} bytes, limit {MAX_PAYLOAD}")
            begin = at + HEADER.size
            if len(buffer) - begin < length:
                break
            found.append(Frame(kind, rank, bytes(buffer[begin : begin + length])))
            at = begin + length
        del buffer[:at]
        return found
