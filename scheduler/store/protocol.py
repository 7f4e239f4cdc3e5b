"""What every store promises: the event log, its snapshots, the blobs jobs need, and the accounting rows.

One process at a time owns a store, one thread of it writes. `append` is the only way anything new gets in,
and what it was given is durable when it returns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from packhorse.scheduler.model.accounting import AttemptRow, LoanRow, NodeRow, ReservationRow, StepRow
from packhorse.scheduler.model.ids import Instant, JobId, NodeName
from packhorse.scheduler.model.waste import Waste, WasteQuery

DAY_US = 86_400 * 1_000_000
MIB = 1 << 20


class LogRecord(NamedTuple):
    """One event as it lies in the log; store/codec.py makes and reads it.

    first_job..last_job: jobs whose story it is part of, both 0 for none. node: "" unless about one node.
    data: schema number and event.
    """

    seq: int
    at: Instant
    kind: str
    first_job: JobId
    last_job: JobId
    node: NodeName
    data: bytes


class UsageSeries(NamedTuple):
    """What an attempt used over time, packed (model/usage_series.py). until: the time of the newest point."""

    job: int
    attempt: int
    until: Instant
    data: bytes


class Batch(NamedTuple):
    """What becomes durable together. records continue the log without a gap.

    blobs: pairs (reference, content), see `blob_ref`; one that is there already costs little. series: each
    takes the place of an earlier one of the same attempt.
    """

    records: Sequence[LogRecord] = ()
    blobs: Sequence[tuple[str, bytes]] = ()
    rows: Sequence[AttemptRow] = ()
    loans: Sequence[LoanRow] = ()
    series: Sequence[UsageSeries] = ()
    times: Sequence[NodeRow | ReservationRow] = ()
    steps: Sequence[StepRow] = ()


class Attempts(StrEnum):
    """Which attempts of a job an accounting query returns."""

    NEWEST = "newest"
    ALL = "all"


class AttemptQuery(msgspec.Struct, frozen=True, gc=False):
    """Which accounting rows; an empty tuple or None: any. Different fields must all fit.

    jobs: numbers of jobs, of arrays (all their rows) or of array tasks. tasks: (array, index) pairs; rows of
    indices cancelled while waiting fit too. jobs and tasks widen each other. nodes: ran on one of them.
    since, until: not ended before the one, not submitted after the other. limit: those that ended last.
    """

    jobs: tuple[int, ...] = ()
    tasks: tuple[tuple[int, int], ...] = ()
    users: tuple[str, ...] = ()
    uids: tuple[int, ...] = ()
    accounts: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    since: Instant | None = None
    until: Instant | None = None
    attempts: Attempts = Attempts.NEWEST
    limit: int | None = None


class LoanQuery(msgspec.Struct, frozen=True, gc=False):
    """Which loans that are over; an empty tuple or None: any. Different fields must all fit.

    jobs, users, accounts: of the lender or the borrower. since, until: not over before the one, not begun
    after the other.
    """

    jobs: tuple[int, ...] = ()
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    since: Instant = Instant(0)
    until: Instant | None = None


class SumQuery(msgspec.Struct, frozen=True, gc=False):
    """Which runs to add up, and only as far as they lie within since and until; empty: any.

    but_for: (job, attempt) pairs that are left out, at most one attempt of a job.
    """

    since: Instant
    until: Instant
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    wckeys: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    but_for: tuple[tuple[int, int], ...] = ()


class RunSum(NamedTuple):
    """All runs that agree in these: how long they ran together, without what they were suspended, and how
    many they were."""

    account: str
    user: str
    wckey: str
    reservation: str
    alloc_tres: str
    us: int
    n_runs: int


class Lifetime(NamedTuple):
    """A job that ran: eligible, begun and over at these instants, with these TRES."""

    eligible_at: Instant
    started_at: Instant
    ended_at: Instant
    tres: str


class Retention(msgspec.Struct, frozen=True, gc=False):
    """How long what is kept.

    The log's part that no snapshot covers is always kept. attempts_keep_us, also of loans; None: for ever.
    series_keep_us None: series of usage as long as there is room, which is series_max_bytes for all of them;
    what is over goes, the oldest first.
    """

    log_keep_us: int = 30 * DAY_US
    log_max_records: int = 20_000_000
    attempts_keep_us: int | None = None
    series_keep_us: int | None = 30 * DAY_US
    series_max_bytes: int = 1024 * MIB


class Live(msgspec.Struct, frozen=True, gc=False):
    """Blob references the state needed when it had applied everything up to and including seq."""

    seq: int
    refs: Set[str]


class Space(NamedTuple):
    """Room for the store, in bytes. reserve: below this much free, take on no new work."""

    free: int
    reserve: int

    @property
    def low(self) -> bool:
        return self.free < self.reserve


class Store(Protocol):
    """Event log, snapshots, blobs and accounting of one cluster.

    `append`, the `…_step(s)` methods, `reopen` and `close` belong to one thread at a time; everything else
    may be called from any thread and sees what was committed. Raises StoreUnavailable when writing fails (and
    from then on until `reopen`), StoreDamaged when what is read is not what was written.
    """

    @property
    def where(self) -> str:
        """What messages call this store."""

    def append(self, batch: Batch) -> None:
        """Make the batch durable, all of it or nothing. ValueError if its records do not continue the log."""

    def last_seq(self) -> int:
        """Number of the newest durable record, 0 for none."""

    def highest_job_id(self) -> JobId:
        """No job id up to this one may be given out again, whatever else the log still holds."""

    def read_log(self, after_seq: int = 0) -> Iterator[LogRecord]:
        """Records after_seq+1 … last_seq, each verified. StoreError if the log begins later."""

    def job_log(self, job: JobId, limit: int = 1000) -> list[LogRecord]:
        """A job's or array's story in order: the newest `limit` records about it.

        For a task of an array this begins with what happened to the array before the task left it.
        """

    def blob(self, ref: str) -> bytes | None:
        """The content, verified; None if it is not (or no longer) here."""

    def snapshot_steps(self, seq: int, chunks: Iterable[bytes]) -> Iterator[None]:
        """Write the state as of seq, a durable record, a bounded piece per step; current after the last one.

        Chunks are drawn as needed. Two snapshots are kept. A new one voids another that was
        begun and not ended.
        """

    def write_snapshot(self, seq: int, chunks: Iterable[bytes]) -> None:
        """All snapshot_steps at once."""

    def read_snapshot(self) -> tuple[int, Iterator[bytes]] | None:
        """The newest undamaged snapshot from which the log goes on, chunk by chunk as written.

        None if there is none and the log goes back to the very first record; StoreDamaged if it does not.
        """

    def compact_step(self, retention: Retention, live: Live, now: Instant) -> bool:
        """Remove a bounded amount of what need not be kept; True while there is more.

        Blobs go when `live` does not name them and no batch after live.seq did. Old log records go from the
        oldest on; the newest one always stays.
        """

    def attempts(self, query: AttemptQuery) -> list[AttemptRow]:
        """Accounting rows by job number and attempt."""

    def steps(self, jobs: Collection[int]) -> list[StepRow]:
        """Ended steps of all attempts of these jobs, by job, attempt and number."""

    def loans(self, query: LoanQuery) -> list[LoanRow]:
        """Loans that are over, in the order in which they ended."""

    def series(self, job: int, attempt: int) -> UsageSeries | None:
        """What the attempt used over time; None if that was not measured, or is not kept any more."""

    def waste(self, query: WasteQuery) -> list[Waste]:
        """What ended runs were given and did not use, added up; the most wasteful first, equal ones by
        key."""

    def sums(self, query: SumQuery) -> list[RunSum]:
        """What ended runs had, added up, ordered by their words."""

    def lifetimes(self, query: SumQuery) -> list[Lifetime]:
        """The same runs, and those that were only eligible within the time, one by one."""

    def node_times(self, since: Instant, until: Instant) -> list[NodeRow]:
        """What nodes were in that time, by node and time."""

    def reservation_times(self, since: Instant, until: Instant) -> list[ReservationRow]:
        """Windows that are over and reach into that time, by name and time."""

    def space(self) -> Space:
        """Room left."""

    def reopen(self) -> int:
        """After StoreUnavailable: begin anew with what is durable; returns last_seq."""

    def close(self) -> None:
        """Let go of everything; a second time does nothing."""


def blob_ref(content: bytes) -> str:
    """The reference under which a blob is stored: its SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def check_continues(records: Sequence[LogRecord], last_seq: int) -> None:
    """Raise ValueError unless records are last_seq+1, last_seq+2 …"""
    for expected, record in enumerate(records, last_seq + 1):
        if record.seq != expected:
            raise ValueError(f"record {record.seq} ({record.kind}) appended where {expected} was due")


def exhaust(steps: Iterator[None]) -> None:
    """Take every step."""
    for _ in steps:
        pass


Steps = Callable[[], Iterator[None]]
"""Makes the steps of a piece of low-priority work, each a few milliseconds at most."""
