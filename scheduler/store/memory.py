"""The store in memory: for tests and the simulator. It keeps every promise but that of outliving the process.

`capacity` stands for the disk: an append that would need more bytes fails as on a full one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from packhorse.scheduler.model.accounting import AttemptRow, LoanRow, NodeRow, ReservationRow, StepRow
from packhorse.scheduler.model.errors import StoreError, StoreUnavailable
from packhorse.scheduler.model.event import ArrayTaskSplit
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.waste import Waste, WasteQuery
from packhorse.scheduler.store.accounting import holds_index, ran_on
from packhorse.scheduler.store.codec import concerns, decode
from packhorse.scheduler.store.loans import fits
from packhorse.scheduler.store.protocol import (
    AttemptQuery,
    Attempts,
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
from packhorse.scheduler.store.report import lifetimes_of, reaches, sums_of
from packhorse.scheduler.store.waste import added_up

_ROW_BYTES = 320  # of an accounting row in SQLite, as measured there
_LOAN_BYTES = 110
_RECORD_BYTES = 60
_SERIES_BYTES = 60  # beside its data
_KEPT_SNAPSHOTS = 2


class MemoryStore:
    """Store (see protocol.py) in lists and dicts."""

    where = "in memory"

    def __init__(self, *, capacity: int | None = None, reserve: int = 0) -> None:
        self.capacity = capacity
        """Bytes it may hold, None for any number; may be changed at any time."""
        self._reserve = reserve
        self._log: list[LogRecord] = []
        self._last_seq = 0
        self._highest_job = 0
        self._blobs: dict[str, bytes] = {}
        self._named: dict[str, int] = {}
        self._rows: list[AttemptRow] = []
        self._loans: list[LoanRow] = []
        self._times: list[NodeRow | ReservationRow] = []
        self._steps: list[StepRow] = []
        self._series: dict[tuple[int, int], UsageSeries] = {}
        self._snapshots: list[tuple[int, list[bytes]]] = []
        self._writing: object = None
        self._failed: str = ""
        self._closed = False

    def append(self, batch: Batch) -> None:
        check_continues(batch.records, self._last_seq)
        self._check_writable()
        new = {ref: content for ref, content in batch.blobs if ref not in self._blobs}
        self._reserve_bytes(
            sum(len(record.data) + _RECORD_BYTES for record in batch.records)
            + sum(map(len, new.values()))
            + _ROW_BYTES * (len(batch.rows) + len(batch.steps))
            + _LOAN_BYTES * (len(batch.loans) + len(batch.times))
            + sum(len(series.data) + _SERIES_BYTES for series in batch.series)
        )
        self._log += batch.records
        self._last_seq += len(batch.records)
        self._blobs |= new
        self._rows += batch.rows
        self._loans += batch.loans
        self._times += batch.times
        self._steps += batch.steps
        self._series |= {(series.job, series.attempt): series for series in batch.series}
        self._highest_job = max(self._highest_job, *(record.last_job for record in batch.records), 0)
        for ref, _ in batch.blobs:
            self._named[ref] = self._last_seq

    def last_seq(self) -> int:
        return self._last_seq

    def highest_job_id(self) -> JobId:
        return JobId(self._highest_job)

    def read_log(self, after_seq: int = 0) -> Iterator[LogRecord]:
        first = self._first_seq()
        if after_seq < self._last_seq and first > after_seq + 1:
            raise StoreError(
                f"store {self.where}: the log begins with record {first}, {after_seq + 1} was wanted"
            )
        return islice(self._log[:], max(after_seq + 1 - first, 0), None)

    def job_log(self, job: JobId, limit: int = 1000) -> list[LogRecord]:
        story = [record for record in self._log if concerns(record, job)][-limit:]
        split = next((record for record in story if record.kind == ArrayTaskSplit.__name__), None)
        if split is not None and len(story) < limit:
            event = decode(split)
            if isinstance(event, ArrayTaskSplit) and event.array != job:
                before = bisect_right(self._log, split.seq, key=lambda record: record.seq)
                array = [record for record in self._log[:before] if concerns(record, event.array)]
                story = array[-(limit - len(story)) :] + story
        return story

    def blob(self, ref: str) -> bytes | None:
        bytes.fromhex(ref)
        return self._blobs.get(ref)

    def snapshot_steps(self, seq: int, chunks: Iterable[bytes]) -> Iterator[None]:
        if seq > self._last_seq:
            raise ValueError(f"snapshot of record {seq}, but the log ends with {self._last_seq}")
        return self._snapshot_steps(seq, chunks)

    def _snapshot_steps(self, seq: int, chunks: Iterable[bytes]) -> Iterator[None]:
        self._check_writable()
        mine = self._writing = object()
        written: list[bytes] = []
        for chunk in chunks:
            yield
            if self._writing is not mine:
                return
            self._check_writable()
            written.append(bytes(chunk))
        self._writing = None
        self._reserve_bytes(sum(map(len, written)))
        self._snapshots = [*self._snapshots, (seq, written)][-_KEPT_SNAPSHOTS:]
        yield

    def write_snapshot(self, seq: int, chunks: Iterable[bytes]) -> None:
        exhaust(self.snapshot_steps(seq, chunks))

    def read_snapshot(self) -> tuple[int, Iterator[bytes]] | None:
        if not self._snapshots:
            return None
        seq, chunks = self._snapshots[-1]
        return seq, iter(chunks)

    def compact_step(self, retention: Retention, live: Live, now: Instant) -> bool:
        self._check_writable()
        covered = min((seq for seq, _ in self._snapshots), default=0)
        keep_from = 0
        for record in self._log[:-1]:
            old = (
                record.at < now - retention.log_keep_us
                or record.seq <= self._last_seq - retention.log_max_records
            )
            if not old or record.seq > covered:
                break
            keep_from += 1
        del self._log[:keep_from]
        if retention.attempts_keep_us is not None:
            before = now - retention.attempts_keep_us
            self._rows = [row for row in self._rows if row.ended_at >= before]
            self._loans = [loan for loan in self._loans if loan.until >= before]
            self._times = [row for row in self._times if row.until >= before]
            self._steps = [row for row in self._steps if row.ended_at >= before]
        self._drop_series(retention, now)
        for ref in [ref for ref in self._blobs if ref not in live.refs and self._named[ref] <= live.seq]:
            del self._blobs[ref], self._named[ref]
        return False

    def attempts(self, query: AttemptQuery) -> list[AttemptRow]:
        found = [(row, number) for number, row in enumerate(self._rows) if _fits(row, query)]
        if query.attempts is Attempts.NEWEST:
            newest: dict[int, int] = {}
            for row in self._rows:
                newest[row.job] = max(row.attempt, newest.get(row.job, 0))
            found = [
                (row, number) for row, number in found if row.array_indices or row.attempt == newest[row.job]
            ]
        if query.limit is not None:
            found.sort(key=lambda pair: (-pair[0].ended_at, -pair[1]))
            del found[query.limit :]
        found.sort(key=lambda pair: (pair[0].job, pair[0].attempt, pair[1]))
        return [row for row, _ in found]

    def steps(self, jobs: Collection[int]) -> list[StepRow]:
        found = [row for row in self._steps if row.job in jobs]
        return sorted(found, key=lambda row: (row.job, row.attempt, row.step))

    def loans(self, query: LoanQuery) -> list[LoanRow]:
        return sorted((loan for loan in self._loans if fits(loan, query)), key=lambda loan: loan.until)

    def sums(self, query: SumQuery) -> list[RunSum]:
        return sums_of(self._rows, query)

    def lifetimes(self, query: SumQuery) -> list[Lifetime]:
        return lifetimes_of(self._rows, query)

    def node_times(self, since: Instant, until: Instant) -> list[NodeRow]:
        found = [row for row in self._times if isinstance(row, NodeRow) and reaches(row, since, until)]
        return sorted(found, key=lambda row: (row.node, row.since))

    def reservation_times(self, since: Instant, until: Instant) -> list[ReservationRow]:
        found = [row for row in self._times if isinstance(row, ReservationRow) and reaches(row, since, until)]
        return sorted(found, key=lambda row: (row.name, row.since))

    def series(self, job: int, attempt: int) -> UsageSeries | None:
        return self._series.get((job, attempt))

    def waste(self, query: WasteQuery) -> list[Waste]:
        return added_up(self._rows, query)

    def space(self) -> Space:
        free = 1 << 50 if self.capacity is None else max(self.capacity - self._used(), 0)
        return Space(free, self._reserve)

    def reopen(self) -> int:
        if self._closed:
            raise StoreUnavailable(f"store {self.where} is closed")
        self._failed = ""
        self._writing = None
        return self._last_seq

    def close(self) -> None:
        self._closed = True
        self._failed = f"store {self.where} is closed"

    def _first_seq(self) -> int:
        return self._log[0].seq if self._log else 1

    def _check_writable(self) -> None:
        if self._failed:
            raise StoreUnavailable(self._failed)

    def _drop_series(self, retention: Retention, now: Instant) -> None:
        n_bytes = sum(len(series.data) for series in self._series.values())
        for key, series in sorted(self._series.items(), key=lambda item: item[1].until):
            old = retention.series_keep_us is not None and series.until < now - retention.series_keep_us
            if not old and n_bytes <= retention.series_max_bytes:
                break
            n_bytes -= len(series.data)
            del self._series[key]

    def _used(self) -> int:
        return (
            sum(len(record.data) + _RECORD_BYTES for record in self._log)
            + sum(map(len, self._blobs.values()))
            + _ROW_BYTES * (len(self._rows) + len(self._steps))
            + _LOAN_BYTES * (len(self._loans) + len(self._times))
            + sum(len(series.data) + _SERIES_BYTES for series in self._series.values())
            + sum(len(chunk) for _, chunks in self._snapshots for chunk in chunks)
        )

    def _reserve_bytes(self, size: int) -> None:
        if self.capacity is not None and self._used() + size > self.capacity:
            self._failed = f"store {self.where}: disk full (0 MiB free): make room on its file system"
            raise StoreUnavailable(self._failed)


def _fits(row: AttemptRow, query: AttemptQuery) -> bool:
    """The row is one the query asks for, attempts and limit apart."""
    if query.jobs or query.tasks:
        numbered = row.job in query.jobs or (row.array_id > 0 and row.array_id in query.jobs)
        if not numbered and not any(_is_task(row, array, index) for array, index in query.tasks):
            return False
    return (
        all(
            not wanted or value in wanted
            for value, wanted in (
                (row.user, query.users),
                (row.account, query.accounts),
                (row.partition, query.partitions),
                (row.qos, query.qos),
                (row.state, query.states),
                (row.name, query.names),
                (row.command, query.commands),
            )
        )
        and (not query.uids or row.uid in query.uids)
        and (query.since is None or row.ended_at >= query.since)
        and (query.until is None or row.submitted_at <= query.until)
        and (not query.nodes or ran_on(row.nodes, ",".join(query.nodes)))
    )


def _is_task(row: AttemptRow, array: int, index: int) -> bool:
    if row.array_id <= 0 or row.array_id != array:
        return False
    return row.index == index or (row.array_indices != "" and holds_index(row.array_indices, str(index)))
