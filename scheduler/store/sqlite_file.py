"""The SQLite file itself: opening it safely, its connections, and what their errors mean.

WAL with synchronous=FULL: a commit is one write and one fsync of the log file, and readers never wait for it.
One connection writes; a second answers point lookups (scripts at launch, a job's story), a third the
accounting queries that may take long, so that neither holds up the others. The file is not mapped into
memory: that would halve the time of scans, and turn a read error of the disk into the death of the process.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from packhorse.scheduler.model.errors import StoreDamaged, StoreError, StoreNewer, StoreUnavailable
from packhorse.scheduler.model.event import SCHEMA
from packhorse.scheduler.store import schema
from packhorse.scheduler.store.lock import StoreLock

PAGE_SIZE = 4096
_SYNCHRONOUS_FULL = 2
_AUTO_VACUUM_INCREMENTAL = 2
_WAL_BYTES = 64 << 20
"""What a very large transaction leaves of the WAL's file."""

_RESTORE = "restore it from a backup, or move it away to begin with an empty store"


class Tuning(msgspec.Struct, frozen=True):
    """Settings of the file. max_pages: bound on its size in pages of 4 KiB, None: the disk's.

    checkpoint_pages: the commit that brings the WAL to so many pages also copies them to the file. check_s:
    how long to look for damage at most after an unclean end, before going on with what the checksums say.
    """

    max_pages: int | None = None
    checkpoint_pages: int = 250
    cache_kib: int = 32 * 1024
    check_s: float = 1.0


class SqliteFile:
    """A store's file, open and locked."""

    def __init__(self, path: Path, tuning: Tuning) -> None:
        """Opens, makes or migrates it. Raises StoreLocked, StoreNewer, StoreDamaged or StoreUnavailable."""
        self.path = path
        self.tuning = tuning
        self.was_clean = True
        """How its last user left it."""
        self._failed: StoreUnavailable | None = None
        self._points_lock = threading.Lock()
        self._queries_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._points: sqlite3.Connection | None = None
        self._queries: sqlite3.Connection | None = None
        _make_directory(path.parent)
        self._lock = StoreLock(path)
        try:
            self._connect()
        except BaseException:
            self._disconnect()
            self._lock.release()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything done in the block becomes durable at its end, or nothing of it.

        An SQLite error closes the door until `reopen`: after a failed write or fsync only a fresh look at the
        file tells what is in it.
        """
        connection = self._open_writer()
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            _roll_back(connection)
            raise self._fail(error) from error
        except BaseException:
            _roll_back(connection)
            raise

    @contextmanager
    def statement(self) -> Iterator[sqlite3.Connection]:
        """As `transaction`, for a block that executes one statement: that is a transaction by itself."""
        connection = self._open_writer()
        try:
            yield connection
        except sqlite3.Error as error:
            raise self._fail(error) from error

    @contextmanager
    def points(self) -> Iterator[sqlite3.Connection]:
        """The connection for short lookups."""
        with self._points_lock, self._reading(self._points) as connection:
            yield connection

    @contextmanager
    def queries(self) -> Iterator[sqlite3.Connection]:
        """The connection for reads that may take long."""
        with self._queries_lock, self._reading(self._queries) as connection:
            yield connection

    def vacuum(self, n_pages: int) -> None:
        """Take so many free pages off the end of the file, moving others down where need be.

        Not by `execute`, which takes one step only, and a step is one page.
        """
        try:
            self._open_writer().executescript(f"PRAGMA incremental_vacuum({n_pages})")
        except sqlite3.Error as error:
            raise self._fail(error) from error

    def reopen(self) -> None:
        """Close every connection and look at the file afresh."""
        if not self._lock.held:
            raise StoreUnavailable(f"store {self.path} is closed")
        self._disconnect()
        self._connect()
        self._failed = None

    def close(self) -> None:
        """Note a clean end, close, unlock."""
        if self._writer is not None and self._failed is None:
            try:
                with self.transaction() as connection:
                    connection.execute("UPDATE meta SET value = 1 WHERE key = 'clean'")
            except StoreError:
                pass  # the next one to open it looks closer
        self._disconnect()
        self._lock.release()

    def explain(self, error: sqlite3.Error) -> StoreError:
        """What an SQLite error means for this store."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return StoreDamaged(f"store {self.path} is damaged ({error}): {_RESTORE}")
        if code == sqlite3.SQLITE_FULL:
            status = os.statvfs(self.path.parent)
            free = status.f_bavail * status.f_frsize >> 20
            return StoreUnavailable(
                f"store {self.path}: disk full ({free} MiB free): make room on its file system"
            )
        return StoreUnavailable(f"store {self.path} cannot be used: {error} ({name})")

    def _fail(self, error: sqlite3.Error) -> StoreError:
        failure = self.explain(error)
        self._failed = StoreUnavailable(str(failure))
        return failure

    def _open_writer(self) -> sqlite3.Connection:
        if self._failed is not None:
            raise StoreUnavailable(str(self._failed))
        if self._writer is None:
            raise StoreUnavailable(f"store {self.path} is closed")
        return self._writer

    @contextmanager
    def _reading(self, connection: sqlite3.Connection | None) -> Iterator[sqlite3.Connection]:
        if connection is None:
            raise StoreUnavailable(f"store {self.path} is closed")
        try:
            yield connection
        except sqlite3.Error as error:
            raise self.explain(error) from error

    def _connect(self) -> None:
        try:
            self._writer = self._connect_writer()
            self._points = self._connect_reader(cache_kib=8 * 1024)
            self._queries = self._connect_reader(cache_kib=self.tuning.cache_kib)
        except sqlite3.Error as error:
            raise self.explain(error) from error

    def _disconnect(self) -> None:
        with self._points_lock, self._queries_lock:
            # The writer last: whoever closes last folds the WAL into the file.
            for connection in (self._points, self._queries, self._writer):
                if connection is not None:
                    try:
                        connection.close()
                    except sqlite3.Error:
                        pass  # nothing that was committed hangs on it
            self._points = self._queries = self._writer = None

    def _connect_writer(self) -> sqlite3.Connection:
        if not self.path.exists():
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            _sync_directory(self.path.parent)
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, cached_statements=400, timeout=5.0
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if _pragma(connection, "page_count") == 0:
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            connection.execute(f"PRAGMA auto_vacuum = {_AUTO_VACUUM_INCREMENTAL}")
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        if _pragma(connection, "application_id") != schema.APPLICATION_ID:
            raise StoreDamaged(f"store {self.path} is a database of something else: {_RESTORE}")
        self._refuse_newer(_pragma(connection, "user_version"), schema.FORMAT, "format")
        for statement, name, wanted in (
            ("journal_mode = WAL", "journal_mode", "wal"),
            ("synchronous = FULL", "synchronous", _SYNCHRONOUS_FULL),
            (f"wal_autocheckpoint = {self.tuning.checkpoint_pages}", "wal_autocheckpoint", None),
            (f"journal_size_limit = {_WAL_BYTES}", "journal_size_limit", None),
            # Some builds overwrite what is deleted, which writes every page that compaction frees.
            ("secure_delete = OFF", "secure_delete", None),
            (f"cache_size = -{self.tuning.cache_kib}", "cache_size", None),
        ):
            connection.execute(f"PRAGMA {statement}").fetchall()
            found = _pragma(connection, name)
            if wanted is not None and found != wanted:
                raise StoreUnavailable(
                    f"store {self.path}: its file system does not allow {name} {wanted} (it stays {found}): "
                    "put it on a local disk"
                )
        if self.tuning.max_pages is not None:
            connection.execute(f"PRAGMA max_page_count = {self.tuning.max_pages}").fetchall()
        if _pragma(connection, "user_version") < schema.FORMAT:
            schema.migrate(connection)
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        self._refuse_newer(meta["event_schema"], SCHEMA, "event schema")
        self.was_clean = bool(meta["clean"])
        if not self.was_clean:
            self._look_for_damage(connection)
        self._settle(connection)
        if self.was_clean:
            connection.execute("UPDATE meta SET value = 0 WHERE key = 'clean'")
        if meta["event_schema"] < SCHEMA:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'event_schema'", (SCHEMA,))

    def _settle(self, connection: sqlite3.Connection) -> None:
        """Write and sync once more whatever a failed fsync may have left in the kernel's cache only."""
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.OperationalError as error:
            # A full disk does not keep anyone from reading; the next write will say so.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                raise

    def _refuse_newer(self, found: int, known: int, what: str) -> None:
        if found > known:
            raise StoreNewer(
                f"store {self.path} has {what} {found}; this packhorse reads up to {known}: "
                "run the newer packhorse, or restore a backup made before the upgrade"
            )

    def _look_for_damage(self, connection: sqlite3.Connection) -> None:
        """quick_check, as long as allowed: it reads the whole file, and a big one may not delay a restart."""
        alarm = threading.Timer(self.tuning.check_s, connection.interrupt)
        alarm.start()
        try:
            found = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            return
        finally:
            alarm.cancel()
            alarm.join()
        if found != ["ok"]:
            raise StoreDamaged(f"store {self.path} is damaged ({'; '.join(found)}): {_RESTORE}")

    def _connect_reader(self, cache_kib: int) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=5.0,
        )
        connection.execute("PRAGMA query_only = 1")
        connection.execute(f"PRAGMA cache_size = -{cache_kib}").fetchall()
        return connection


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # what caused it is being reported already


def _make_directory(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir(parents=True, mode=0o700)
        _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    """Make the names in it durable, not only the contents."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
