"""Recorded inputs: everything that happened to a scheduler, in order, with the time it was told.

A recording replayed (replaying.py) gives the event log of the live run byte for byte: the proof that nothing
but the inputs and the clock decides. The file begins with a line that names its format; each entry is its
length, its CRC-32 and one msgpack array. Format 0 had neither line nor checksums.

Entries are handed to the kernel before the events they led to are handed to the store: a scheduler that dies
has recorded all that is in its store. Where the machine dies, the end of the recording may be missing, and
replaying says which events it cannot tell anything about.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import structlog

from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import Input
from packhorse.scheduler.store.protocol import Store

log = structlog.get_logger()

RECORDING: Final = "log/inputs.rec"
"""Where a home has it."""

FORMAT: Final = 1
MIB: Final = 1 << 20

_BUFFER: Final = 64 << 10
_NAME: Final = b"packhorse inputs "
_FIRST_LINE: Final = _NAME + b"%d\n" % FORMAT
_HEAD: Final = struct.Struct("<II")


class RecordingBroken(PackhorseError):
    """A file is not a recording, or not one that can be read: which, where and why."""


class Happened(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """An input, and the time that was handed to the core with it."""

    now: Instant
    input: Input


class Recovered(msgspec.Struct, frozen=True, tag=2, array_like=True):
    """The scheduler went on from its store, whose log ends with seq: the chunks of the newest snapshot, none
    where there is none, and the data of the records behind it. Not the state that it came to: what is derived
    from the past, such as predictions, must come about as it did.
    """

    seq: int
    snapshot: list[bytes]
    tail: list[bytes]


class Full(msgspec.Struct, frozen=True, tag=3, array_like=True):
    """The recording has reached its limit: what happened afterwards is not in it."""

    limit_mib: int


Entry = Happened | Recovered | Full

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


class Recorder:
    """Writes a recording, or goes on with one. What goes wrong with it ends it, never the scheduler."""

    def __init__(self, path: Path, limit_mib: int = 1024) -> None:
        """limit_mib: the file gets no longer than about this. One of another format is moved out of the way,
        to the same name with `.old`. Raises OSError.
        """
        self._path = path
        self._limit_mib = limit_mib
        end = _end_of(path)
        if end is None:
            path.replace(path.with_name(f"{path.name}.old"))
            end = 0
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if path.is_file():
            os.ftruncate(self._fd, end)  # an entry that a crash cut short would make all behind it unreadable
        os.lseek(self._fd, end, os.SEEK_SET)
        self._buffer = bytearray() if end else bytearray(_FIRST_LINE)
        self._size = end + len(self._buffer)

    def input(self, now: Instant, input: Input) -> None:
        """This input was decided at this time."""
        self._write(Happened(now, input))

    def recovered(self, store: Store) -> None:
        """The scheduler begins, or begins anew, with what is in its store. Raises StoreError."""
        seq, chunks = store.read_snapshot() or (0, ())
        self._write(Recovered(store.last_seq(), list(chunks), [r.data for r in store.read_log(seq)]))

    def flush(self) -> None:
        """Hand over to the kernel what came so far."""
        if self._fd < 0:
            return
        try:
            written = 0
            while written < len(self._buffer):
                written += os.write(self._fd, memoryview(self._buffer)[written:])
        except OSError as error:
            log.error("recording.failed", path=str(self._path), why=str(error))
            self._end()
        self._buffer = bytearray()

    def close(self) -> None:
        """Write out what is buffered."""
        self.flush()
        self._end()

    def _write(self, entry: Entry) -> None:
        if self._fd < 0:
            return
        full = self._size >= self._limit_mib * MIB
        if full:
            entry = Full(self._limit_mib)
        data = _encoder.encode(entry)
        self._buffer += _HEAD.pack(len(data), zlib.crc32(data))
        self._buffer += data
        self._size += _HEAD.size + len(data)
        if full:
            log.warning("recording.full", path=str(self._path), limit_mib=self._limit_mib)
            self.close()
        elif len(self._buffer) >= _BUFFER:
            self.flush()

    def _end(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read(path: Path) -> Iterator[Entry]:
    """The entries of a recording.

    Raises RecordingBroken: at once for a file of another kind or format, after the last whole entry where
    the file ends in the middle of one or holds what was not written.
    """
    with _opened(path) as file:
        _check_format(path, file.readline(len(_FIRST_LINE)))
        n = 0
        while head := file.read(_HEAD.size):
            at = file.tell() - len(head)
            data = b""
            if len(head) == _HEAD.size:
                length, crc = _HEAD.unpack(head)
                data = file.read(length)
            if len(head) < _HEAD.size or len(data) < length:
                raise RecordingBroken(
                    f"{path}: ends in the middle of entry {n + 1} (byte {at}), as a crash leaves it; "
                    f"the {n} before it are good"
                )
            if zlib.crc32(data) != crc:
                raise RecordingBroken(
                    f"{path}: entry {n + 1} (byte {at}) is not what was written (checksum); "
                    f"the {n} before it are good"
                )
            try:
                entry = _decoder.decode(data)
            except msgspec.DecodeError as error:
                raise RecordingBroken(f"{path}: entry {n + 1} (byte {at}) cannot be read: {error}") from error
            n += 1
            yield entry


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise RecordingBroken(f"{path}: {error.strerror}") from error


def _check_format(path: Path, line: bytes) -> None:
    if line == _FIRST_LINE:
        return
    if line.startswith(_NAME):
        version = line.removeprefix(_NAME).strip().decode(errors="replace")
        raise RecordingBroken(
            f"{path}: a recording of format {version}; this packhorse reads format {FORMAT}: "
            "replay it with the one that wrote it"
        )
    raise RecordingBroken(
        f'{path}: not a recording of inputs; "record_inputs = true" in [store] makes one, log/inputs.rec'
    )


def _end_of(path: Path) -> int | None:
    """Where the last whole entry ends, 0 for no file or an empty one; None for one of another format."""
    if not path.exists() or not (size := path.stat().st_size):
        return 0
    with path.open("rb") as file:
        if file.readline(len(_FIRST_LINE)) != _FIRST_LINE:
            return None
        end = file.tell()
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            after = file.seek(_HEAD.unpack(head)[0], os.SEEK_CUR)
            if after > size:
                break
            end = after
    return end
