"""Messages on a stream: four bytes of length, then msgpack."""

from __future__ import annotations

import struct

import msgspec

HEADER = struct.Struct("<I")
MAX_BYTES = 64 << 20
"""Above any environment the kernel would take; a longer message is a broken stream."""

_encode = msgspec.msgpack.Encoder().encode


def frame(message: msgspec.Struct) -> bytes:
    """`message` with its length in front."""
    body = _encode(message)
    return HEADER.pack(len(body)) + body


class Frames:
    """Cuts what arrives into message bodies."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete now. Raises ValueError for a length beyond MAX_BYTES."""
        buffer = self._buffer
        buffer += data
        bodies = []
        at = 0
        while len(buffer) - at >= HEADER.size:
            (length,) = HEADER.unpack_from(buffer, at)
            if length > MAX_BYTES:
                raise ValueError(f"message of {length} bytes, limit {MAX_BYTES}")
            if len(buffer) - at - HEADER.size < length:
                break
            bodies.append(bytes(buffer[at + HEADER.size : at + HEADER.size + length]))
            at += HEADER.size + length
        del buffer[:at]
        return bodies
