"""What every store promises (scheduler/store/protocol.py), asked of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest

from packhorse.scheduler.model.errors import StoreError, StoreUnavailable
from packhorse.scheduler.model.event import (
    CallAnswered,
    JobHeld,
    JobReleased,
    JobsEligible,
    JobsForgotten,
    NodeSilenced,
)
from packhorse.scheduler.model.ids import Instant, JobId, NodeName
from packhorse.scheduler.model.job import Held
from packhorse.scheduler.model.reply import Submitted
from packhorse.scheduler.store.codec import decode
from packhorse.scheduler.store.protocol import (
    AttemptQuery,
    Batch,
    Live,
    LoanQuery,
    LogRecord,
    Retention,
    Store,
    UsageSeries,
    blob_ref,
)
from tests.store.samples import append, array_submitted, life, loan, records, row, split, step, submitted

FOR_EVER = 1 << 60
NOTHING_LIVE = Live(FOR_EVER, frozenset())


def seqs(found: Iterable[LogRecord]) -> list[int]:
    return [record.seq for record in found]


def compact(store: Store, retention: Retention, live: Live = NOTHING_LIVE, now: int = FOR_EVER) -> None:
    steps = 0
    while store.compact_step(retention, live, Instant(now)):
        steps += 1
        assert steps < 10_000


class TestLog:
    def test_empty(self, store: Store) -> None:
        assert store.last_seq() == 0
        assert store.highest_job_id() == 0
        assert list(store.read_log()) == []
        assert store.read_snapshot() is None
        assert store.job_log(JobId(1)) == []

    def test_gives_back_what_was_appended(self, store: Store) -> None:
        events = [submitted(1, 3), *life(1), *life(2)]
        append(store, *events[:2])
        append(store, *events[2:])
        assert [decode(record) for record in store.read_log()] == events
        assert seqs(store.read_log()) == list(range(1, 8))
        assert seqs(store.read_log(5)) == [6, 7]
        assert list(store.read_log(7)) == []
        assert store.last_seq() == 7

    @pytest.mark.parametrize("numbers", [(2,), (1, 3), (1, 1), (0, 1)])
    def test_refuses_a_gap(self, store: Store, numbers: tuple[int, ...]) -> None:
        record = records(store, submitted(1))[0]
        with pytest.raises(ValueError, match="was due"):
            store.append(Batch([record._replace(seq=number) for number in numbers]))
        assert store.last_seq() == 0
        append(store, submitted(1))

    def test_highest_job_only_rises(self, store: Store) -> None:
        append(store, submitted(1, 10))
        assert store.highest_job_id() == 10
        append(store, *life(3))
        assert store.highest_job_id() == 10
        append(store, array_submitted(11, 1000))
        assert store.highest_job_id() == 11

    def test_long_log_is_read_in_order(self, store: Store) -> None:
        for first in range(1, 5001, 500):
            append(store, *(submitted(job) for job in range(first, first + 500)))
        assert seqs(store.read_log()) == list(range(1, 5001))
        assert seqs(store.read_log(2500))[0] == 2501


class TestStory:
    def test_own_events_and_the_batch_it_came_in(self, store: Store) -> None:
        append(store, submitted(1, 100), submitted(101), *life(50), *life(51), *life(101))
        assert seqs(store.job_log(JobId(50))) == [1, 3, 4, 5]
        assert seqs(store.job_log(JobId(101))) == [2, 9, 10, 11]
        assert seqs(store.job_log(JobId(100))) == [1]
        assert store.job_log(JobId(102)) == []

    def test_limit_takes_the_newest(self, store: Store) -> None:
        append(store, submitted(1, 2), *life(1), *life(2))
        assert seqs(store.job_log(JobId(1), limit=2)) == [3, 4]

    def test_a_task_begins_with_its_array(self, store: Store) -> None:
        held = JobHeld(Instant(1), JobId(7), Held.USER, 0)
        released = JobReleased(Instant(1), JobId(7), 0)
        append(store, array_submitted(7, 10), held, released, split(7, 3, 8), *life(8), held)
        assert seqs(store.job_log(JobId(8))) == [1, 2, 3, 4, 5, 6, 7]
        assert seqs(store.job_log(JobId(8), limit=5)) == [3, 4, 5, 6, 7]
        assert seqs(store.job_log(JobId(7))) == [1, 2, 3, 8]

    def test_the_task_that_has_the_arrays_number(self, store: Store) -> None:
        append(store, array_submitted(7, 1), split(7, 0, 7), *life(7))
        assert seqs(store.job_log(JobId(7))) == [1, 2, 3, 4, 5]

    def test_events_of_several_jobs(self, store: Store) -> None:
        append(store, submitted(1, 9), JobsEligible(Instant(1), (JobId(2), JobId(9), JobId(4))))
        assert seqs(store.job_log(JobId(4))) == [1, 2]
        assert seqs(store.job_log(JobId(5))) == [1]

    def test_limit_skips_what_concerns_others(self, store: Store) -> None:
        others = [JobsEligible(Instant(1), (JobId(1), JobId(9))) for _ in range(50)]
        append(store, submitted(1, 9), *others)
        assert seqs(store.job_log(JobId(5), limit=3)) == [1]
        assert seqs(store.job_log(JobId(9), limit=3)) == [49, 50, 51]

    def test_what_is_nobodys_story(self, store: Store) -> None:
        append(
            store,
            submitted(1, 3),
            NodeSilenced(Instant(1), NodeName("n1")),
            JobsForgotten(Instant(1), (JobId(1), JobId(2))),
            CallAnswered(Instant(1), 0, "key", "print", Submitted(JobId(1), 3)),
        )
        assert seqs(store.job_log(JobId(1))) == [1]
        assert next(store.read_log(1)).node == "n1"


class TestBlobs:
    def test_gives_back_what_was_stored(self, store: Store) -> None:
        for content in (b"", b"#!/bin/sh\n", bytes(range(256)) * 64, b"A=1\0" * 5000):
            store.append(Batch(records(store, submitted(1)), [(blob_ref(content), content)]))
            assert store.blob(blob_ref(content)) == content
        assert store.blob(blob_ref(b"another")) is None

    def test_twice_is_once(self, store: Store) -> None:
        blob = (blob_ref(b"x"), b"x")
        store.append(Batch(records(store, submitted(1)), [blob, blob]))
        store.append(Batch(records(store, submitted(2)), [blob]))
        assert store.blob(blob[0]) == b"x"

    def test_unneeded_ones_go(self, store: Store) -> None:
        needed, dead = (blob_ref(b"needed"), b"needed"), (blob_ref(b"dead"), b"dead")
        store.append(Batch(records(store, submitted(1)), [needed, dead]))
        compact(store, Retention(), Live(1, {needed[0]}))
        assert store.blob(needed[0]) == b"needed"
        assert store.blob(dead[0]) is None
        store.append(Batch(records(store, submitted(2)), [dead]))
        assert store.blob(dead[0]) == b"dead"

    def test_one_named_since_the_live_ones_were_counted_stays(self, store: Store) -> None:
        blob = (blob_ref(b"x"), b"x")
        store.append(Batch(records(store, submitted(1)), [blob]))
        live = Live(1, frozenset())
        store.append(Batch(records(store, submitted(2)), [blob]))
        compact(store, Retention(), live)
        assert store.blob(blob[0]) == b"x"
        compact(store, Retention(), Live(2, frozenset()))
        assert store.blob(blob[0]) is None


class TestSnapshots:
    CHUNKS = (b"first", b"", b"x" * 700_000, bytes(range(256)), b"y" * 262_144)

    def test_gives_back_the_chunks(self, store: Store) -> None:
        append(store, submitted(1), submitted(2))
        store.write_snapshot(1, self.CHUNKS)
        found = store.read_snapshot()
        assert found is not None
        assert found[0] == 1
        assert tuple(found[1]) == self.CHUNKS

    def test_empty_one(self, store: Store) -> None:
        append(store, submitted(1))
        store.write_snapshot(1, [])
        found = store.read_snapshot()
        assert found is not None
        assert list(found[1]) == []

    def test_the_newest_counts(self, store: Store) -> None:
        append(store, *(submitted(job) for job in range(1, 6)))
        for seq in range(1, 6):
            store.write_snapshot(seq, [b"%d" % seq])
            found = store.read_snapshot()
            assert found is not None
            assert (found[0], list(found[1])) == (seq, [b"%d" % seq])

    def test_a_half_written_one_does_not_count(self, store: Store) -> None:
        append(store, submitted(1), submitted(2))
        store.write_snapshot(1, [b"whole"])
        steps = store.snapshot_steps(2, [b"half", b"half"])
        next(steps)
        next(steps)
        found = store.read_snapshot()
        assert found is not None
        assert (found[0], list(found[1])) == (1, [b"whole"])

    def test_a_new_one_voids_one_that_was_begun(self, store: Store) -> None:
        append(store, submitted(1), submitted(2))
        begun = store.snapshot_steps(1, [b"a", b"b", b"c"])
        next(begun)
        next(begun)
        store.write_snapshot(2, [b"new"])
        for _ in begun:
            pass
        found = store.read_snapshot()
        assert found is not None
        assert (found[0], list(found[1])) == (2, [b"new"])

    def test_none_of_what_is_not_durable(self, store: Store) -> None:
        append(store, submitted(1))
        with pytest.raises(ValueError, match="snapshot of record 2, but the log ends with 1"):
            store.write_snapshot(2, [])

    def test_chunks_are_drawn_as_needed(self, store: Store) -> None:
        append(store, submitted(1))
        drawn: list[int] = []

        def chunks() -> Iterator[bytes]:
            for number in range(3):
                drawn.append(number)
                yield b"%d" % number

        seen = [len(drawn) for _ in store.snapshot_steps(1, chunks())]
        assert all(after - before <= 1 for before, after in pairwise(seen))


class TestCompaction:
    def test_keeps_what_no_snapshot_covers(self, store: Store) -> None:
        append(store, *(submitted(job, at=job) for job in range(1, 101)))
        compact(store, Retention(log_keep_us=0))
        assert seqs(store.read_log()) == list(range(1, 101))

    def test_drops_what_is_old_and_covered(self, store: Store) -> None:
        append(store, *(submitted(job, at=job) for job in range(1, 101)))
        store.write_snapshot(50, [b"a"])
        store.write_snapshot(60, [b"b"])
        compact(store, Retention(log_keep_us=70), now=100)
        assert seqs(store.read_log(29)) == list(range(30, 101))
        with pytest.raises(StoreError, match="begins with record 30"):
            store.read_log(28)
        compact(store, Retention(log_keep_us=0), now=101)
        # As far as the older of the two snapshots, from which recovery may have to start.
        assert seqs(store.read_log(50)) == list(range(51, 101))
        assert store.highest_job_id() == 100
        assert store.last_seq() == 100

    def test_the_newest_record_stays(self, store: Store) -> None:
        append(store, submitted(1), submitted(2), submitted(3))
        store.write_snapshot(3, [b"a"])
        compact(store, Retention(log_keep_us=0))
        assert seqs(store.read_log(2)) == [3]
        append(store, submitted(4))
        assert store.last_seq() == 4

    def test_number_of_records(self, store: Store) -> None:
        append(store, *(submitted(job, at=FOR_EVER) for job in range(1, 101)))
        store.write_snapshot(100, [b"a"])
        compact(store, Retention(log_max_records=10), now=FOR_EVER)
        assert seqs(store.read_log(90)) == list(range(91, 101))

    def test_accounting_stays_for_ever_unless_told(self, store: Store) -> None:
        store.append(Batch(rows=[row(job) for job in range(1, 1001)]))
        compact(store, Retention())
        assert len(store.attempts(AttemptQuery())) == 1000
        compact(store, Retention(attempts_keep_us=0), now=5002)
        assert [found.job for found in store.attempts(AttemptQuery())] == list(range(500, 1001))


class TestSteps:
    def test_rows_come_back_as_they_were_by_job_and_number(self, store: Store) -> None:
        rows = [step(7, 1), step(7, -1), step(9, 0), step(7, 0, attempt=2), step(7, 0)]
        store.append(Batch(steps=rows))
        assert store.steps({7}) == [rows[1], rows[4], rows[0], rows[3]]
        assert store.steps({9, 7}) == [rows[1], rows[4], rows[0], rows[3], rows[2]]
        assert store.steps({8}) == store.steps(()) == []

    def test_they_are_kept_as_long_as_accounting(self, store: Store) -> None:
        store.append(Batch(steps=[step(job, 0, ended_at=job) for job in range(1, 1001)]))
        compact(store, Retention())
        assert len(store.steps(range(1, 2000))) == 1000
        compact(store, Retention(attempts_keep_us=100), now=600)
        assert [row.job for row in store.steps(range(1, 2000))] == list(range(500, 1001))


class TestLoans:
    def test_rows_come_back_as_they_were_in_the_order_of_their_ends(self, store: Store) -> None:
        late, early = loan(1, until=900), loan(2, until=300)
        store.append(Batch(loans=[late, early]))
        assert store.loans(LoanQuery()) == [early, late]

    def test_what_a_query_means(self, store: Store) -> None:
        rows = [
            loan(1, lender=7, node="n1", until=300),
            loan(2, lender_user="bob", until=500, since=400),
            loan(3, borrower_account="bio", until=900),
        ]
        store.append(Batch(loans=rows))
        for query, jobs in (
            (LoanQuery(jobs=(7,)), [1]),
            (LoanQuery(jobs=(1, 3)), [1, 3]),
            (LoanQuery(users=("bob",)), [2]),
            (LoanQuery(accounts=("bio",)), [3]),
            (LoanQuery(nodes=("n1",), accounts=("bio",)), []),
            (LoanQuery(since=Instant(500)), [2, 3]),
            (LoanQuery(until=Instant(399)), [1, 3]),
            (LoanQuery(users=("nobody",)), []),
        ):
            assert [row.borrower for row in store.loans(query)] == jobs, query

    def test_they_are_kept_as_long_as_accounting(self, store: Store) -> None:
        store.append(Batch(loans=[loan(job, until=job) for job in range(1, 1001)]))
        compact(store, Retention())
        assert len(store.loans(LoanQuery())) == 1000
        compact(store, Retention(attempts_keep_us=100), now=600)
        assert [row.borrower for row in store.loans(LoanQuery())] == list(range(500, 1001))


class TestEnds:
    def test_reopen_keeps_everything(self, store: Store) -> None:
        store.append(Batch(records(store, submitted(1, 5)), [(blob_ref(b"x"), b"x")], [row(1)]))
        store.write_snapshot(1, [b"state"])
        assert store.reopen() == 1
        assert store.highest_job_id() == 5
        assert store.blob(blob_ref(b"x")) == b"x"
        append(store, submitted(6))
        assert seqs(store.read_log()) == [1, 2]

    def test_closed_means_closed(self, store: Store) -> None:
        store.close()
        store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            store.append(Batch())
        with pytest.raises(StoreUnavailable, match="closed"):
            store.reopen()


class TestSeries:
    """Series of usage: one for each attempt, the newest; gone when they are old or too many."""

    @staticmethod
    def put(store: Store, *series: UsageSeries) -> None:
        store.append(Batch(series=series))

    def test_gives_back_what_was_appended(self, store: Store) -> None:
        self.put(store, UsageSeries(1, 1, Instant(10), b"one"), UsageSeries(1, 2, Instant(20), b"two"))
        assert store.series(1, 1) == UsageSeries(1, 1, Instant(10), b"one")
        assert store.series(1, 2) == UsageSeries(1, 2, Instant(20), b"two")
        assert store.series(2, 1) is None
        assert store.last_seq() == 0, "series are no events"

    def test_the_last_one_counts(self, store: Store) -> None:
        self.put(store, UsageSeries(1, 1, Instant(10), b"one"))
        self.put(store, UsageSeries(1, 1, Instant(20), b"a"), UsageSeries(1, 1, Instant(30), b"b"))
        assert store.series(1, 1) == UsageSeries(1, 1, Instant(30), b"b")

    def test_with_records_and_rows(self, store: Store) -> None:
        series = UsageSeries(1, 1, Instant(10), b"data")
        batch = Batch(records(store, submitted(1)), rows=(row(1),), series=(series,))
        store.append(batch)
        assert store.series(1, 1) is not None
        assert len(store.attempts(AttemptQuery())) == 1

    def test_old_ones_go_and_the_others_stay(self, store: Store) -> None:
        for job in range(300):
            self.put(store, UsageSeries(job, 1, Instant(job), b"data"))
        compact(store, Retention(series_keep_us=100), now=350)
        assert store.series(249, 1) is None
        assert [job for job in range(300) if store.series(job, 1)] == list(range(250, 300))

    def test_the_oldest_go_where_there_is_no_room(self, store: Store) -> None:
        for job in range(1000):
            self.put(store, UsageSeries(job, 1, Instant(job), b"x" * 100))
        compact(store, Retention(series_keep_us=None, series_max_bytes=70_000), now=2000)
        assert [job for job in range(1000) if store.series(job, 1)] == list(range(300, 1000))

    def test_for_ever(self, store: Store) -> None:
        self.put(store, UsageSeries(1, 1, Instant(0), b"data"))
        compact(store, Retention(series_keep_us=None), now=FOR_EVER)
        assert store.series(1, 1) is not None
