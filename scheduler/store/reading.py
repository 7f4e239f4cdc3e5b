"""A store read beside the scheduler that works on it: one view of the file, nothing locked or written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from packhorse.scheduler.model.errors import StoreDamaged, StoreError, StoreNewer
from packhorse.scheduler.model.event import SCHEMA
from packhorse.scheduler.store import schema
from packhorse.scheduler.store.protocol import LogRecord
from packhorse.scheduler.store.sqlite import SELECT_RECORDS, verified
from packhorse.scheduler.store.sqlite_snapshots import read_newest


class StoreReader:
    """Log and snapshots of a store as they are when it is opened; a context manager.

    What is written meanwhile is not seen. The store's file cannot shrink as long as it is open.
    """

    def __init__(self, path: Path) -> None:
        """Raises StoreError, also where there is no such file or it is something else."""
        self.path = path
        if not path.is_file():
            raise StoreError(f"store {path}: there is no such file")
        try:
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5.0
            )
            try:
                self._check()
                self._connection.execute("BEGIN")
                self.last_seq: int = self._connection.execute(
                    "SELECT ifnull(max(seq), 0) FROM log"
                ).fetchone()[0]
                """Number of the newest record, 0 for none."""
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.Error as error:
            raise StoreDamaged(f"store {path}: cannot be read: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @contextmanager
    def queries(self) -> Iterator[sqlite3.Connection]:
        """The connection."""
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise StoreDamaged(f"store {self.path}: cannot be read: {error}") from error

    def first_seq(self) -> int:
        """Number of the oldest record that is still there, 0 for none."""
        with self.queries() as connection:
            found: int = connection.execute("SELECT ifnull(min(seq), 0) FROM log").fetchone()[0]
        return found

    def read_log(self, after_seq: int = 0) -> Iterator[LogRecord]:
        """Records from after_seq + 1 on, or from the oldest that is still there, each verified."""
        with self.queries() as connection:
            for row in connection.execute(f"{SELECT_RECORDS} WHERE seq > ? ORDER BY seq", (after_seq,)):
                yield verified(row, str(self.path))

    def read_snapshot(self) -> tuple[int, Iterator[bytes]] | None:
        """See Store.read_snapshot."""
        return read_newest(self)

    def _check(self) -> None:
        def pragma(name: str) -> int:
            value: int = self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            return value

        if pragma("application_id") != schema.APPLICATION_ID:
            raise StoreDamaged(
                f"store {self.path}: is a database of something else; expected a store, packhorse.db"
            )
        events = self._connection.execute("SELECT value FROM meta WHERE key = 'event_schema'").fetchone()[0]
        if pragma("user_version") > schema.FORMAT or events > SCHEMA:
            raise StoreNewer(f"store {self.path}: was written by a newer packhorse: run that one")
