"""What nodes and the owner of a step say to each other about fences: payloads of frames 8 and 21.

The first byte says what it is. From the node: `F`, a part of what its tasks put before a fence; `A`, a task
aborted. From the owner: `M`, which rank runs where; `F`, a part of what the tasks of all nodes put; `A`, a
task aborted, or waits for one that is over.

Integers are little endian. After `A`: the code to end with, i32. After `F`: fence u32, number of the part
u32, whether it is the last one u8, then pairs: length of the key u16, of the value u16, key, value.

cli/slurm/steps/pmi.py is the owner's side.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

PART = b"F"
ABORT = b"A"
MAPPING = b"M"

MOST = 64 << 20
"""Bytes of pairs that are kept for a step."""

PART_BYTES = 256 << 10
"""Bytes of pairs in one part: far less than a frame may have."""

_PART = struct.Struct("<IIB")
_PAIR = struct.Struct("<HH")
_CODE = struct.Struct("<i")


class Part(NamedTuple):
    """A part of the pairs of one fence. number: from 0 on."""

    fence: int
    number: int
    last: bool
    data: bytes


def pack_pair(key: bytes, value: bytes) -> bytes:
    """One pair."""
    return _PAIR.pack(len(key), len(value)) + key + value


def pairs(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The pairs in `data`. Raises ValueError where that is cut off."""
    at = 0
    while at < len(data):
        if at + _PAIR.size > len(data):
            raise ValueError("a pair is cut off")
        n_key, n_value = _PAIR.unpack_from(data, at)
        begin = at + _PAIR.size
        middle, at = begin + n_key, begin + n_key + n_value
        if at > len(data):
            raise ValueError("a pair is cut off")
        yield data[begin:middle], data[middle:at]


def parts(fence: int, put: list[bytes]) -> list[bytes]:
    """The payloads that carry these pairs, each packed; one at least."""
    chunks: list[list[bytes]] = [[]]
    size = 0
    for pair in put:
        if size + len(pair) > PART_BYTES and chunks[-1]:
            chunks.append([])
            size = 0
        chunks[-1].append(pair)
        size += len(pair)
    last = len(chunks) - 1
    return [PART + _PART.pack(fence, at, at == last) + b"".join(chunk) for at, chunk in enumerate(chunks)]


def part(payload: bytes) -> Part:
    """Reads one. Raises ValueError."""
    begin = 1 + _PART.size
    if len(payload) < begin:
        raise ValueError("a part is cut off")
    fence, number, last = _PART.unpack_from(payload, 1)
    return Part(fence, number, bool(last), payload[begin:])


def aborted(code: int) -> bytes:
    """The step is to end, with this code."""
    return ABORT + _CODE.pack(code)


def code_of(payload: bytes) -> int:
    """Reads one. Raises ValueError."""
    if len(payload) != 1 + _CODE.size:
        raise ValueError("a code is cut off")
    return int(_CODE.unpack_from(payload, 1)[0])
