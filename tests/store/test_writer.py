"""Group commit: order, what is told to whom, failing and beginning anew."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from packhorse.scheduler.model.errors import StoreUnavailable
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.store.codec import encode
from packhorse.scheduler.store.memory import MemoryStore
from packhorse.scheduler.store.protocol import AttemptQuery, Batch, Live, Retention, Store, blob_ref
from packhorse.scheduler.store.sqlite import FILE_NAME, SqliteStore
from packhorse.scheduler.store.sqlite_file import Tuning
from packhorse.scheduler.store.writer import Commit, GroupCommitWriter
from tests.store.conftest import sqlite_store
from tests.store.samples import row, submitted


class Feed:
    """A writer, with batches that continue its log."""

    def __init__(self, store: Store, **options: int) -> None:
        self.store = store
        self.commits: list[Commit] = []
        self.writer = GroupCommitWriter(store, on_commit=self.commits.append, **options)
        self.seq = store.last_seq()

    def submit(self) -> asyncio.Future[None]:
        self.seq += 1
        return self.writer.submit(Batch([encode(submitted(self.seq), self.seq)]))


@pytest.fixture(params=["memory", "sqlite"])
async def feed(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Feed]:
    feed = Feed(MemoryStore() if request.param == "memory" else sqlite_store(tmp_path))
    feed.writer.start()
    yield feed
    await feed.writer.close()


class Gate:
    """Background work that stops the writing thread until it is let go."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()

    def steps(self) -> Iterator[None]:
        self.reached.set()
        assert self.go.wait(10)
        yield

    async def hold(self, feed: Feed) -> asyncio.Future[None]:
        done = feed.writer.background(self.steps)
        assert await asyncio.to_thread(self.reached.wait, 10)
        return done


async def test_done_means_durable(feed: Feed) -> None:
    for n in range(1, 20):
        await feed.submit()
        assert feed.store.last_seq() == n
    assert sum(commit.n_batches for commit in feed.commits) == 19
    assert all(commit.seconds > 0 for commit in feed.commits)


async def test_what_queues_up_is_one_transaction(feed: Feed) -> None:
    gate = Gate()
    held = await gate.hold(feed)
    waiting = [feed.submit() for _ in range(100)]
    assert feed.store.last_seq() == 0
    gate.go.set()
    await asyncio.gather(*waiting)
    await held
    assert [(commit.n_batches, commit.n_records) for commit in feed.commits] == [(100, 100)]


async def test_batches_become_durable_in_order(feed: Feed) -> None:
    order: list[int] = []
    waiting = [feed.submit() for _ in range(200)]
    for number, done in enumerate(waiting):
        done.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]
    await asyncio.gather(*waiting)
    assert order == list(range(200))


async def test_a_transaction_has_a_bound() -> None:
    feed = Feed(MemoryStore(), max_records=10)
    feed.writer.start()
    gate = Gate()
    await gate.hold(feed)
    waiting = [feed.submit() for _ in range(25)]
    gate.go.set()
    await asyncio.gather(*waiting)
    assert [commit.n_batches for commit in feed.commits] == [10, 10, 5]
    await feed.writer.close()


async def test_a_caller_who_went_away_disturbs_nobody(feed: Feed) -> None:
    gone, stays = feed.submit(), feed.submit()
    gone.cancel()
    await stays
    assert feed.store.last_seq() == 2


async def test_close_writes_what_is_queued(tmp_path: Path) -> None:
    feed = Feed(sqlite_store(tmp_path))
    feed.writer.start()
    waiting = [feed.submit() for _ in range(50)]
    await feed.writer.close()
    assert all(done.done() and done.exception() is None for done in waiting)
    with pytest.raises(StoreUnavailable, match="closed"):
        await feed.submit()
    with pytest.raises(StoreUnavailable, match="closed"):
        await feed.writer.reopen()
    await feed.writer.close()
    store = sqlite_store(tmp_path)
    assert (store.last_seq(), store.was_clean) == (50, True)
    store.close()


async def test_a_writer_never_started_closes(tmp_path: Path) -> None:
    feed = Feed(MemoryStore())
    with pytest.raises(RuntimeError, match="not started"):
        feed.submit()
    await feed.writer.close()


class TestFailure:
    async def test_nothing_is_accepted_until_reopened(self) -> None:
        store = MemoryStore(capacity=2000)
        feed = Feed(store)
        feed.writer.start()
        await feed.submit()
        durable = store.last_seq()
        gate = Gate()
        held = await gate.hold(feed)
        store.capacity = 0
        doomed = [feed.submit() for _ in range(10)]
        queued = feed.writer.write_snapshot(1, [b"x"])
        gate.go.set()
        for done in doomed:
            with pytest.raises(StoreUnavailable, match="disk full"):
                await done
        for background in (held, queued):
            with pytest.raises(StoreUnavailable):
                await background
        assert "disk full" in str(feed.writer.failed)
        store.capacity = None
        # Nothing is retried behind the owner's back.
        with pytest.raises(StoreUnavailable, match="disk full"):
            await feed.submit()
        assert store.last_seq() == durable
        assert await feed.writer.reopen() == durable
        assert feed.writer.failed is None
        feed.seq = durable
        await feed.submit()
        assert store.last_seq() == durable + 1
        await feed.writer.close()

    async def test_what_was_queued_before_reopening_has_failed(self) -> None:
        store = MemoryStore(capacity=0)
        feed = Feed(store)
        feed.writer.start()
        gate = Gate()
        held = await gate.hold(feed)
        first = feed.submit()
        reopening = asyncio.ensure_future(feed.writer.reopen())
        await asyncio.sleep(0)
        gate.go.set()
        assert await reopening == 0
        with pytest.raises(StoreUnavailable, match="disk full"):
            await first
        with pytest.raises(StoreUnavailable):
            await held
        await feed.writer.close()

    async def test_a_gap_is_a_failure_too(self, feed: Feed) -> None:
        await feed.submit()
        feed.seq += 1
        with pytest.raises(StoreUnavailable, match="was due"):
            await feed.submit()
        assert await feed.writer.reopen() == 1

    async def test_real_file(self, tmp_path: Path) -> None:
        path = tmp_path / "store" / FILE_NAME
        feed = Feed(SqliteStore(path, ballast=0, tuning=Tuning(max_pages=60)))
        feed.writer.start()
        content = bytes(range(256)) * 200
        with pytest.raises(StoreUnavailable, match="disk full"):
            for n in range(1000):
                blob = content + b"%d" % n
                batch = Batch([encode(submitted(n + 1), n + 1)], [(blob_ref(blob), blob)], [row(n + 1)] * 20)
                await feed.writer.submit(batch)
        durable = await feed.writer.reopen()
        assert durable > 1
        assert len(await feed.writer.query(lambda store: store.attempts(AttemptQuery(limit=100_000)))) == (
            20 * durable
        )
        await feed.writer.close()


class TestBackground:
    async def test_snapshot_and_compaction_beside_commits(self, feed: Feed) -> None:
        for _ in range(20):
            await feed.submit()
        snapshot = feed.writer.write_snapshot(15, (b"%d" % n for n in range(50)))
        while not snapshot.done():
            await feed.submit()
        await snapshot
        found = await feed.writer.query(lambda store: store.read_snapshot())
        assert found is not None
        assert (found[0], list(found[1])) == (15, [b"%d" % n for n in range(50)])
        await feed.writer.compact(Retention(log_keep_us=0), Live(feed.seq, frozenset()), Instant(1 << 60))
        first = await feed.writer.query(lambda store: next(store.read_log(15)))
        assert first.seq == 16

    async def test_it_goes_on_however_busy_the_writer_is(self, feed: Feed) -> None:
        await feed.submit()
        finished = False

        async def caller() -> None:
            while not finished:
                await feed.submit()

        callers = [asyncio.ensure_future(caller()) for _ in range(16)]
        async with asyncio.timeout(20):
            await feed.writer.write_snapshot(1, (b"x" for _ in range(10)))
        finished = True
        await asyncio.gather(*callers)

    async def test_a_broken_source_of_chunks_fails_alone(self, feed: Feed) -> None:
        def chunks() -> Iterator[bytes]:
            yield b"x"
            raise RuntimeError("cannot encode")

        with pytest.raises(RuntimeError, match="cannot encode"):
            await feed.writer.write_snapshot(0, chunks())
        await feed.submit()
        assert feed.store.read_snapshot() is None

    async def test_work_that_cannot_begin_fails_alone(self, feed: Feed) -> None:
        with pytest.raises(ValueError, match="snapshot of record 5"):
            await feed.writer.write_snapshot(5, [])
        await feed.submit()

    async def test_query_is_answered_during_writes(self, feed: Feed) -> None:
        gate = Gate()
        held = await gate.hold(feed)
        waiting = feed.submit()
        assert await feed.writer.query(lambda store: store.last_seq()) == 0
        gate.go.set()
        await waiting
        await held
