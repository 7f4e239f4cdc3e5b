"""The store on SQLite."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from packhorse.scheduler.model.accounting import AttemptRow, LoanRow, NodeRow, ReservationRow, StepRow
from packhorse.scheduler.model.crashpoint import crash_point
from packhorse.scheduler.model.errors import StoreDamaged, StoreError
from packhorse.scheduler.model.event import ArrayTaskSplit
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.waste import Waste, WasteQuery
from packhorse.scheduler.store import accounting, crash_points, loans, report, steps, waste
from packhorse.scheduler.store.codec import concerns, decode
from packhorse.scheduler.store.protocol import (
    AttemptQuery,
    Batch,
    Lifetime,
    Live,
    LoanQuery,
    LogRecord,
    Retention,
    RunSum,
    Space,
    SumQuery,
    UsageSeries,
    check_continues,
    exhaust,
)
from packhorse.scheduler.store.row_insert import RowInsert
from packhorse.scheduler.store.space import DEFAULT_BALLAST, DEFAULT_RESERVE, DiskSpace
from packhorse.scheduler.store.span import span_of, spans_holding
from packhorse.scheduler.store.sqlite_compaction import Compaction
from packhorse.scheduler.store.sqlite_file import SqliteFile, Tuning
from packhorse.scheduler.store.sqlite_snapshots import Snapshots

FILE_NAME = "packhorse.db"

_RECORDS = RowInsert(
    "log", ("seq", "at", "kind", "first_job", "last_job", "node", "highest_job", "span", "crc", "data")
)
_BLOBS = RowInsert("blobs", ("ref", "packed", "content"), "OR IGNORE")
_SERIES = RowInsert("usage_series", ("job", "attempt", "ended_at", "data"))
SELECT_RECORDS = "SELECT seq, at, kind, first_job, last_job, node, data, crc FROM log"
_STORY = (
    f"{SELECT_RECORDS} WHERE span > 0 AND span IN ({{spans}}) AND first_job <= ? AND last_job >= ? "
    "AND seq <= ? ORDER BY seq DESC LIMIT ?"
)
_PAGE = 2000
"""Records read at once: no read transaction stays open longer than that takes."""

_PACK_FROM = 1024
"""Bytes from which on a blob is compressed. Measured with zlib level 1: a 3 kB environment shrinks to 21 % in
46 us, a script of 160 bytes to 90 %, which is not worth it."""


class SqliteStore:
    """Store (see protocol.py) in one SQLite file."""

    def __init__(
        self,
        path: Path,
        *,
        tuning: Tuning = Tuning(),  # noqa: B008 - frozen
        reserve: int = DEFAULT_RESERVE,
        ballast: int = DEFAULT_BALLAST,
    ) -> None:
        """Opens the file, or makes it. Raises StoreLocked, StoreNewer, StoreDamaged or StoreUnavailable."""
        self._disk = DiskSpace(path, reserve, ballast)
        self._disk.make_room()
        self._file = SqliteFile(path, tuning)
        self._snapshots = Snapshots(self._file)
        self._compaction = Compaction(self._file, self._snapshots)
        self._last_seq = 0
        self._highest_job = 0
        self._recent: dict[str, int] = {}
        """Blobs that batches named since the last compaction, with those batches' last records."""
        try:
            self._load()
        except BaseException:
            self._file.close()
            raise
        self._disk.load_ballast()

    @property
    def where(self) -> str:
        return str(self._file.path)

    @property
    def was_clean(self) -> bool:
        """The store was closed in good order the last time."""
        return self._file.was_clean

    def append(self, batch: Batch) -> None:
        check_continues(batch.records, self._last_seq)
        crash_point(crash_points.BEFORE_APPEND)
        highest, records = self._to_values(batch.records)
        blobs = [_pack(ref, content) for ref, content in batch.blobs if ref not in self._recent]
        rows = [accounting.to_values(row) for row in batch.rows]
        given = [loans.to_values(loan) for loan in batch.loans]
        more = batch.series or batch.times or batch.steps or len(records) > _RECORDS.at_once
        if blobs or rows or given or more:
            with self._file.transaction() as connection:
                _RECORDS.run(connection, records)
                crash_point(crash_points.IN_TRANSACTION)
                _BLOBS.run(connection, blobs)
                accounting.ROWS.run(connection, rows)
                loans.LOANS.run(connection, given)
                steps.STEPS.run(connection, [steps.to_values(row) for row in batch.steps])
                for table, kind in ((report.NODE_TIMES, NodeRow), (report.RESERVATION_TIMES, ReservationRow)):
                    table.run(connection, [report.to_values(r) for r in batch.times if isinstance(r, kind)])
                if batch.series:
                    put_series(connection, batch.series)
                crash_point(crash_points.BEFORE_COMMIT)
        else:
            with self._file.statement() as connection:
                _RECORDS.run(connection, records)
        crash_point(crash_points.AFTER_COMMIT)
        self._last_seq += len(records)
        self._highest_job = highest
        for ref, _ in batch.blobs:
            self._recent[ref] = self._last_seq

    def last_seq(self) -> int:
        return self._last_seq

    def highest_job_id(self) -> JobId:
        return JobId(self._highest_job)

    def read_log(self, after_seq: int = 0) -> Iterator[LogRecord]:
        self._check_reaches(after_seq)
        return self._records(after_seq)

    def job_log(self, job: JobId, limit: int = 1000) -> list[LogRecord]:
        story = self._story(job, self._last_seq, limit)
        split = next((record for record in story if record.kind == ArrayTaskSplit.__name__), None)
        if split is not None and len(story) < limit:
            event = decode(split)
            if isinstance(event, ArrayTaskSplit) and event.array != job:
                story = self._story(event.array, split.seq, limit - len(story)) + story
        return story

    def blob(self, ref: str) -> bytes | None:
        with self._file.points() as connection:
            row = connection.execute(
                "SELECT packed, content FROM blobs WHERE ref = ?", (bytes.fromhex(ref),)
            ).fetchone()
        if row is None:
            return None
        try:
            content: bytes = zlib.decompress(row[1]) if row[0] else row[1]
        except zlib.error:
            content = b""
        if hashlib.sha256(content).hexdigest() != ref:
            raise StoreDamaged(f"store {self.where}: blob {ref} is not what was stored")
        return content

    def snapshot_steps(self, seq: int, chunks: Iterable[bytes]) -> Iterator[None]:
        if seq > self._last_seq:
            raise ValueError(f"snapshot of record {seq}, but the log ends with {self._last_seq}")
        return self._snapshots.write_steps(seq, chunks)

    def write_snapshot(self, seq: int, chunks: Iterable[bytes]) -> None:
        exhaust(self.snapshot_steps(seq, chunks))

    def read_snapshot(self) -> tuple[int, Iterator[bytes]] | None:
        return self._snapshots.read()

    def compact_step(self, retention: Retention, live: Live, now: Instant) -> bool:
        more = self._compaction.step(retention, live, self._recent, now)
        if not more:
            self._disk.load_ballast()
        return more

    def attempts(self, query: AttemptQuery) -> list[AttemptRow]:
        statement, values = accounting.select(query)
        with self._file.queries() as connection:
            return [accounting.from_values(row) for row in connection.execute(statement, values)]

    def steps(self, jobs: Collection[int]) -> list[StepRow]:
        if not jobs:
            return []
        statement, values = steps.select(jobs)
        with self._file.queries() as connection:
            return [steps.from_values(row) for row in connection.execute(statement, values)]

    def loans(self, query: LoanQuery) -> list[LoanRow]:
        statement, values = loans.select(query)
        with self._file.queries() as connection:
            return [loans.from_values(row) for row in connection.execute(statement, values)]

    def sums(self, query: SumQuery) -> list[RunSum]:
        statement, values = report.sums(query)
        with self._file.queries() as connection:
            return [RunSum(*row) for row in connection.execute(statement, values)]

    def lifetimes(self, query: SumQuery) -> list[Lifetime]:
        statement, values = report.lifetimes(query)
        with self._file.queries() as connection:
            return [Lifetime(*row) for row in connection.execute(statement, values)]

    def node_times(self, since: Instant, until: Instant) -> list[NodeRow]:
        statement = report.times("node_times", NodeRow.__struct_fields__, "node")
        with self._file.queries() as connection:
            return [report.node_row(row) for row in connection.execute(statement, (since, until))]

    def reservation_times(self, since: Instant, until: Instant) -> list[ReservationRow]:
        statement = report.times("reservation_times", ReservationRow.__struct_fields__, "name")
        with self._file.queries() as connection:
            return [report.reservation_row(row) for row in connection.execute(statement, (since, until))]

    def series(self, job: int, attempt: int) -> UsageSeries | None:
        with self._file.points() as connection:
            row = connection.execute(
                "SELECT ended_at, data FROM usage_series WHERE job = ? AND attempt = ?", (job, attempt)
            ).fetchone()
        return None if row is None else UsageSeries(job, attempt, *row)

    def waste(self, query: WasteQuery) -> list[Waste]:
        statement, values = waste.select(query)
        with self._file.queries() as connection:
            return [waste.from_values(query, row) for row in connection.execute(statement, values)]

    def space(self) -> Space:
        return self._disk.space()

    def reopen(self) -> int:
        self._disk.make_room()
        self._file.reopen()
        self._load()
        return self._last_seq

    def close(self) -> None:
        self._file.close()

    def _load(self) -> None:
        """Take over what is kept in memory of the file."""
        self._recent.clear()
        self._compaction.begin_anew()
        with self._file.queries() as connection:
            accounting.add_functions(connection)
            row = connection.execute("SELECT seq, highest_job FROM log ORDER BY seq DESC LIMIT 1").fetchone()
        self._last_seq, self._highest_job = row or (0, 0)

    def _to_values(self, records: Sequence[LogRecord]) -> tuple[int, list[tuple[int | str | bytes, ...]]]:
        """The highest job number after these records, and the records as rows of the log."""
        highest = self._highest_job
        rows: list[tuple[int | str | bytes, ...]] = []
        for seq, at, kind, first, last, node, data in records:
            highest = max(highest, last)
            crc = zlib.crc32(data, seq & 0xFFFFFFFF)
            rows.append((seq, at, kind, first, last, node, highest, span_of(first, last), crc, data))
        return highest, rows

    def _check_reaches(self, after_seq: int) -> None:
        """Raise StoreError if the record after this one was compacted away."""
        with self._file.queries() as connection:
            first: int | None = connection.execute("SELECT min(seq) FROM log").fetchone()[0]
        if after_seq < self._last_seq and (first is None or first > after_seq + 1):
            raise StoreError(
                f"store {self.where}: the log begins with record {first}, {after_seq + 1} was wanted"
            )

    def _records(self, after_seq: int) -> Iterator[LogRecord]:
        last = self._last_seq
        while after_seq < last:
            with self._file.queries() as connection:
                rows = connection.execute(
                    f"{SELECT_RECORDS} WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT {_PAGE}",
                    (after_seq, last),
                ).fetchall()
            if not rows:
                raise StoreDamaged(f"store {self.where}: log records {after_seq + 1} to {last} are missing")
            for row in rows:
                after_seq += 1
                if row[0] != after_seq:
                    self._check_reaches(after_seq - 1)  # compaction may have been at work meanwhile
                    raise StoreDamaged(f"store {self.where}: log record {after_seq} is missing")
                yield verified(row, self.where)

    def _story(self, job: JobId, up_to: int, limit: int) -> list[LogRecord]:
        """Records about the job itself or the array itself, in order; exactly those, `limit` at most."""
        spans = spans_holding(job)
        statement = _STORY.format(spans=", ".join("?" * len(spans)))
        story: list[LogRecord] = []
        while len(story) < limit:
            with self._file.points() as connection:
                rows = connection.execute(statement, (*spans, job, job, up_to, limit)).fetchall()
            for row in rows:
                record = verified(row, self.where)
                if concerns(record, job):
                    story.append(record)
            if len(rows) < limit:
                break
            up_to = rows[-1][0] - 1
        return story[:limit][::-1]


def put_series(connection: sqlite3.Connection, series: Sequence[UsageSeries]) -> None:
    """Add the series in place of earlier ones of the same attempts; of two in one batch the last counts."""
    newest = {(one.job, one.attempt): one for one in series}
    connection.executemany("DELETE FROM usage_series WHERE job = ? AND attempt = ?", list(newest))
    _SERIES.run(connection, list(newest.values()))


def verified(row: tuple[int, Instant, str, JobId, JobId, str, bytes, int], where: str) -> LogRecord:
    """The record that a row of SELECT_RECORDS holds. Raises StoreDamaged if it is not what was stored."""
    *fields, crc = row
    record = LogRecord(*fields)  # type: ignore[arg-type]
    if _crc(record) != crc:
        raise StoreDamaged(f"store {where}: log record {record.seq} is not what was stored (checksum)")
    return record


def _crc(record: LogRecord) -> int:
    return zlib.crc32(record.data, record.seq & 0xFFFFFFFF)


def _pack(ref: str, content: bytes) -> tuple[bytes, int, bytes]:
    if len(content) >= _PACK_FROM:
        packed = zlib.compress(content, 1)
        if len(packed) * 5 < len(content) * 4:
            return bytes.fromhex(ref), 1, packed
    return bytes.fromhex(ref), 0, content
