"""The frames between a step and whoever attached to it: `type u8, rank u32, length u32`, then the payload.

Numbers are little endian. docs/decisions/0011-steps.md lists the types.
"""

from __future__ import annotations

from _struct import Struct

OUTPUT = 1
ERROR_OUTPUT = 2
END_OF_OUTPUT = 3
END_OF_ERRORS = 4
TASK_ENDED = 5
STEP_OVER = 6
NOTICE = 7
PMI = 8
TASK_STARTED = 9
TASK_NOT_STARTED = 10
INPUT_TAKEN = 11

INPUT = 16
END_OF_INPUT = 17
SIGNAL = 18
WINDOW_SIZE = 19
RECEIVED = 20
PMI_ANSWER = 21
DETACH = 22
END_STEP = 23

ALL = 0xFFFFFFFF
"""Instead of a rank: all tasks (of input: all that get any)."""

HEADER = Struct("<BII")
HEADER_SIZE = HEADER.size
LONGEST = 1 << 26
"""Of a payload. A longer one is no frame but something gone wrong."""

STATUS = Struct("<i")
_U8 = Struct("<B")
U32 = Struct("<I")
U64 = Struct("<Q")
_SIZE = Struct("<HH")


def frame(kind: int, rank: int, payload: bytes = b"") -> bytes:
    """One frame, whole."""
    return HEADER.pack(kind, rank, len(payload)) + payload


def signal_frame(number: int, rank: int = ALL) -> bytes:
    """Sends tasks a signal."""
    return frame(SIGNAL, rank, _U8.pack(number))


def end_frame(grace_s: float) -> bytes:
    """Ends the step: TERM, and KILL after the grace."""
    return frame(END_STEP, ALL, U32.pack(min(int(grace_s * 1000), 0xFFFFFFFF)))


def received_frame(n_bytes: int) -> bytes:
    """Confirms what came so far."""
    return frame(RECEIVED, ALL, U64.pack(n_bytes))


def window_frame(rows: int, columns: int) -> bytes:
    """The size of the terminal."""
    return frame(WINDOW_SIZE, 0, _SIZE.pack(min(rows, 0xFFFF), min(columns, 0xFFFF)))
