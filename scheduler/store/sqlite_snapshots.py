"""Snapshots in the SQLite store: written in small transactions, made current by one more.

A chunk is stored as parts of at most 256 KiB, each with its checksum. A snapshot is `current` from the moment
all of it is durable; whatever is not current is rubbish, to be removed piece by piece.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from packhorse.scheduler.model.crashpoint import crash_point
from packhorse.scheduler.model.errors import StoreDamaged
from packhorse.scheduler.store import crash_points
from packhorse.scheduler.store.sqlite_file import SqliteFile

KEPT = 2
PART_BYTES = 256 * 1024
"""One part is one transaction: about a millisecond on a disk that writes 500 MB/s."""

_ID_SHIFT = 32
_INSERT_PART = "INSERT INTO snapshot_parts(id, ends, crc, data) VALUES (?, ?, ?, ?)"


class _Snapshot(NamedTuple):
    id: int
    seq: int
    n_parts: int


class Snapshots:
    """The snapshots of one file."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._writing = 0
        """Id of the snapshot being written, 0 for none."""

    def write_steps(self, seq: int, chunks: Iterable[bytes]) -> Iterator[None]:
        """See Store.snapshot_steps."""
        with self._file.transaction() as connection:
            newest = connection.execute("SELECT ifnull(max(id), 0) FROM snapshots").fetchone()[0]
            mine = self._writing = newest + 1
            connection.execute(
                "INSERT INTO snapshots(id, seq, n_parts, current) VALUES (?, ?, 0, 0)", (mine, seq)
            )
        try:
            yield
            n_parts = 0
            for chunk in chunks:
                for start in range(0, max(len(chunk), 1), PART_BYTES):
                    data = chunk[start : start + PART_BYTES]
                    ends = start + PART_BYTES >= len(chunk)
                    with self._file.transaction() as connection:
                        id_ = mine << _ID_SHIFT | n_parts
                        connection.execute(_INSERT_PART, (id_, ends, _crc(id_, data), data))
                    n_parts += 1
                    crash_point(crash_points.IN_SNAPSHOT)
                    yield
                    if self._writing != mine:
                        return
            crash_point(crash_points.BEFORE_SWITCH)
            with self._file.transaction() as connection:
                connection.execute(
                    "UPDATE snapshots SET current = 1, n_parts = ? WHERE id = ?", (n_parts, mine)
                )
                connection.execute(
                    "UPDATE snapshots SET current = 0 WHERE id NOT IN "
                    "(SELECT id FROM snapshots WHERE current ORDER BY id DESC LIMIT ?)",
                    (KEPT,),
                )
            crash_point(crash_points.AFTER_SWITCH)
        finally:
            if self._writing == mine:
                self._writing = 0
        yield
        while self.drop_some():
            yield

    def read(self) -> tuple[int, Iterator[bytes]] | None:
        """See Store.read_snapshot."""
        return read_newest(self._file)

    def covered_seq(self) -> int:
        """Every kept snapshot holds the state after this record or a later one; 0 if there is none."""
        with self._file.points() as connection:
            row = connection.execute("SELECT ifnull(min(seq), 0) FROM snapshots WHERE current").fetchone()
        covered: int = row[0]
        return covered

    def drop_some(self) -> bool:
        """Remove a few parts of what is not current; True if there may be more."""
        with self._file.points() as connection:
            row = connection.execute(
                "SELECT id FROM snapshots WHERE NOT current AND id <> ? ORDER BY id LIMIT 1", (self._writing,)
            ).fetchone()
        if row is None:
            return False
        first, after = row[0] << _ID_SHIFT, (row[0] + 1) << _ID_SHIFT
        with self._file.transaction() as connection:
            dropped = connection.execute(
                "DELETE FROM snapshot_parts WHERE id IN "
                "(SELECT id FROM snapshot_parts WHERE id >= ? AND id < ? ORDER BY id LIMIT 4)",
                (first, after),
            ).rowcount
            if not dropped:
                connection.execute("DELETE FROM snapshots WHERE id = ?", (row[0],))
        return True


class Readable(Protocol):
    """A file that is open for reading."""

    @property
    def path(self) -> Path:
        """Where it is."""

    def queries(self) -> AbstractContextManager[sqlite3.Connection]:
        """Its connection."""


def read_newest(file: Readable) -> tuple[int, Iterator[bytes]] | None:
    """See Store.read_snapshot. Every part is verified before the first chunk is handed out."""
    with file.queries() as connection:
        first = connection.execute("SELECT min(seq) FROM log").fetchone()[0]
    damage: list[str] = []
    for snapshot in _current(file):
        if first is not None and first > snapshot.seq + 1:
            damage.append(f"snapshot {snapshot.seq}: the log begins later, with record {first}")
            continue
        try:
            for _ in _chunks(file, snapshot):
                pass
        except StoreDamaged as error:
            damage.append(str(error))
            continue
        return snapshot.seq, _chunks(file, snapshot)
    if first is None or first == 1:
        return None
    raise StoreDamaged(
        f"store {file.path}: no usable snapshot, and the log begins with record {first}"
        f"{''.join(f'; {text}' for text in damage)}: restore a backup"
    )


def _current(file: Readable) -> list[_Snapshot]:
    """Newest first."""
    with file.queries() as connection:
        rows = connection.execute(
            "SELECT id, seq, n_parts FROM snapshots WHERE current ORDER BY id DESC"
        ).fetchall()
    return [_Snapshot(*row) for row in rows]


def _chunks(file: Readable, snapshot: _Snapshot) -> Iterator[bytes]:
    """Chunks as written; StoreDamaged at the first part that is missing or not what was written."""
    parts: list[bytes] = []
    for number in range(snapshot.n_parts):
        id_ = snapshot.id << _ID_SHIFT | number
        with file.queries() as connection:
            row = connection.execute(
                "SELECT ends, crc, data FROM snapshot_parts WHERE id = ?", (id_,)
            ).fetchone()
        if row is None or _crc(id_, row[2]) != row[1]:
            what = "is missing" if row is None else "is not what was stored"
            raise StoreDamaged(f"snapshot {snapshot.seq} of store {file.path}: part {number} {what}")
        parts.append(row[2])
        if row[0]:
            yield b"".join(parts) if len(parts) > 1 else parts[0]
            parts.clear()


def _crc(id_: int, data: bytes) -> int:
    return zlib.crc32(data, id_ & 0xFFFFFFFF)
