"""Recorded inputs: everything that happened to a scheduler, in order, with the time it was told.

A recording replayed gives the event log of the live run byte for byte: the proof that nothing but the inputs
and the clock decides. Each entry is its length and one msgpack array.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from packhorse.scheduler.core import snapshot
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.step import step
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import Input
from packhorse.scheduler.store.codec import encode

_LENGTH = struct.Struct("<I")


class Happened(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """An input, and the time that was handed to the core with it."""

    now: Instant
    input: Input


class Recovered(msgspec.Struct, frozen=True, tag=2, array_like=True):
    """The scheduler went on from its store: the log up to seq, and the state that it came to."""

    seq: int
    state: list[bytes]


Entry = Happened | Recovered

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


class Recorder:
    """Writes a recording. Never flushed on purpose: it serves tests and investigations, not durability."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("ab")

    def input(self, now: Instant, input: Input) -> None:
        """This input was decided at this time."""
        self._write(Happened(now, input))

    def recovered(self, seq: int, state: State) -> None:
        """The scheduler begins, or begins anew, with this."""
        self._write(Recovered(seq, list(snapshot.dump(state.freeze()))))

    def close(self) -> None:
        """Write out what is buffered."""
        self._file.close()

    def _write(self, entry: Entry) -> None:
        data = _encoder.encode(entry)
        self._file.write(_LENGTH.pack(len(data)) + data)


def read(path: Path) -> Iterator[Entry]:
    """The entries of a recording; one cut short at the end is left out."""
    with path.open("rb") as file:
        while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
            (length,) = _LENGTH.unpack(head)
            data = file.read(length)
            if len(data) < length:
                return
            yield _decoder.decode(data)


def replay(path: Path) -> tuple[list[bytes], State]:
    """The data of the log records a recording leads to, from its first recovery on, and the last state.

    What was decided and then lost with a failed store (a later recovery says so) is not in there, as it is
    not in the store.
    """
    state = State.empty()
    base = 0
    log: list[bytes] = []
    for entry in read(path):
        match entry:
            case Recovered(seq=seq, state=chunks):
                if not log:
                    base = seq
                del log[seq - base :]
                state = snapshot.load(chunks)
            case Happened(now=now, input=input):
                for event in step(state, input, now).events:
                    apply(state, event)
                    log.append(encode(event, base + len(log) + 1).data)
    return log, state
