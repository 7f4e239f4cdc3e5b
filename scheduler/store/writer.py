"""Group commit: one thread writes, everything that has queued up meanwhile becomes one transaction.

The event loop hands batches over and gets futures that are done when the batch is durable. Nothing is ever
tried twice: after an error every batch that was not yet durable has failed, and nothing is accepted until the
owner has begun anew with `reopen`. Snapshots and compaction run on the same thread between commits, a few
milliseconds at a time; accounting queries on another, through a connection of their own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeVar

from packhorse.scheduler.model.crashpoint import crash_point
from packhorse.scheduler.model.errors import StoreError, StoreUnavailable
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.store.crash_points import BEFORE_NOTIFY
from packhorse.scheduler.store.protocol import Batch, Live, Retention, Steps, Store

T = TypeVar("T")

MAX_RECORDS = 20_000
"""In one transaction: about 100 ms of writing. A single batch may be larger."""

STEP_EVERY_S = 0.05
"""A step of background work is taken this often however many batches wait."""


class Commit(NamedTuple):
    """One transaction that became durable: what was in it, and how long writing it took."""

    n_batches: int
    n_records: int
    n_rows: int
    seconds: float


class _Write(NamedTuple):
    batch: Batch
    done: asyncio.Future[None]


class _Background(NamedTuple):
    steps: Steps
    done: asyncio.Future[None]


class _Reopen(NamedTuple):
    done: asyncio.Future[int]


class _Stop(NamedTuple):
    done: asyncio.Future[None]


_Order = _Write | _Background | _Reopen | _Stop


class GroupCommitWriter:
    """Owns the store from `start` to `close`. All methods are for the event loop's thread."""

    def __init__(
        self,
        store: Store,
        *,
        on_commit: Callable[[Commit], None] | None = None,
        max_records: int = MAX_RECORDS,
    ) -> None:
        """on_commit: called in the loop after each transaction, before those who wait for it go on."""
        self._store = store
        self._on_commit = on_commit
        self._max_records = max_records
        self._orders: SimpleQueue[_Order] = SimpleQueue()
        self._held: _Order | None = None
        self._background: deque[tuple[_Background, Iterator[None]]] = deque()
        self._last_step = 0.0
        self._failed: StoreUnavailable | None = None
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._queries = ThreadPoolExecutor(1, "store-query")

    @property
    def failed(self) -> StoreUnavailable | None:
        """Why nothing is accepted at present; None while all is well."""
        return self._failed

    def start(self) -> None:
        """Begin to write, on behalf of the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def submit(self, batch: Batch) -> asyncio.Future[None]:
        """Queue the batch; batches become durable in the order of these calls.

        The future fails with StoreUnavailable if it did not become durable, or nobody can tell.
        """
        done: asyncio.Future[None] = self._running_loop().create_future()
        if self._failed is not None:
            done.set_exception(StoreUnavailable(str(self._failed)))
        else:
            self._order(_Write(batch, done))
        return done

    def background(self, steps: Steps) -> asyncio.Future[None]:
        """Take the steps on the writing thread while it has nothing better to do, first come first served."""
        done: asyncio.Future[None] = self._running_loop().create_future()
        self._order(_Background(steps, done))
        return done

    def write_snapshot(self, seq: int, chunks: Iterable[bytes]) -> asyncio.Future[None]:
        """Store.snapshot_steps in the background; chunks are drawn on the writing thread."""
        return self.background(lambda: self._store.snapshot_steps(seq, chunks))

    def compact(self, retention: Retention, live: Live, now: Instant) -> asyncio.Future[None]:
        """A whole pass of Store.compact_step in the background."""

        def steps() -> Iterator[None]:
            while self._store.compact_step(retention, live, now):
                yield

        return self.background(steps)

    async def query(self, ask: Callable[[Store], T]) -> T:
        """What `ask` reads from the store, off the loop and beside the commits. One at a time."""
        return await self._running_loop().run_in_executor(self._queries, ask, self._store)

    async def reopen(self) -> int:
        """Begin anew after a failure; returns the last durable record's number. Raises StoreError."""
        done: asyncio.Future[int] = self._running_loop().create_future()
        self._order(_Reopen(done))
        return await done

    async def close(self) -> None:
        """Write what is queued, drop background work, close the store, end the threads."""
        if self._thread.is_alive() and not self._closing:
            done: asyncio.Future[None] = self._running_loop().create_future()
            self._order(_Stop(done))
            self._closing = True
            await done
            self._thread.join()
        self._queries.shutdown(wait=True, cancel_futures=True)

    def _order(self, order: _Order) -> None:
        if self._closing:
            order.done.set_exception(StoreUnavailable(f"store {self._store.where} is closed"))
        else:
            self._orders.put(order)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("the writer was not started")
        return self._loop

    # From here on: the writing thread.

    def _run(self) -> None:
        while True:
            order = self._next()
            match order:
                case _Write():
                    self._write(order)
                case _Background():
                    self._begin(order)
                case _Reopen(done=done):
                    self._begin_anew(done)
                case _Stop(done=done):
                    self._drop_background(StoreUnavailable(f"store {self._store.where} is being closed"))
                    try:
                        self._store.close()
                    except Exception as error:
                        self._tell(_fail, done, error)
                    else:
                        self._tell(_succeed, done, None)
                    return

    def _next(self) -> _Order:
        """The next order; meanwhile, steps of background work, at most half of the time."""
        if self._held is not None:
            order, self._held = self._held, None
            return order
        if not self._background:
            return self._orders.get()
        pause = 0.0
        while self._background:
            try:
                order = self._orders.get(timeout=pause) if pause else self._orders.get_nowait()
            except Empty:
                pause = self._step()
                continue
            if time.monotonic() - self._last_step > STEP_EVERY_S:
                self._step()
            return order
        return self._orders.get()

    def _write(self, first: _Write) -> None:
        group = [first]
        n_records = len(first.batch.records)
        while n_records < self._max_records:
            try:
                order = self._orders.get_nowait()
            except Empty:
                break
            if not isinstance(order, _Write):
                self._held = order
                break
            group.append(order)
            n_records += len(order.batch.records)
        if self._failed is not None:
            self._tell(_fail_all, [write.done for write in group], self._failed)
            return
        begun = time.perf_counter()
        try:
            self._store.append(_merged(group))
        except Exception as error:
            self._fail(error)
            self._tell(_fail_all, [write.done for write in group], self._failed)
            return
        seconds = time.perf_counter() - begun
        crash_point(BEFORE_NOTIFY)
        n_rows = sum(len(write.batch.rows) for write in group)
        commit = Commit(len(group), n_records, n_rows, seconds)
        self._tell(self._committed, [write.done for write in group], commit)

    def _begin(self, work: _Background) -> None:
        if self._failed is not None:
            self._tell(_fail, work.done, self._failed)
            return
        try:
            self._background.append((work, work.steps()))
        except Exception as error:
            self._tell(_fail, work.done, error)

    def _step(self) -> float:
        """One step of the oldest background work; returns for how long to leave the machine alone then."""
        work, steps = self._background[0]
        begun = self._last_step = time.monotonic()
        try:
            next(steps)
        except StopIteration:
            self._background.popleft()
            self._tell(_succeed, work.done, None)
        except Exception as error:
            self._background.popleft()
            if isinstance(error, StoreError):
                self._fail(error)
            self._tell(_fail, work.done, error)
        self._last_step = time.monotonic()
        return self._last_step - begun

    def _begin_anew(self, done: asyncio.Future[int]) -> None:
        self._drop_background(StoreUnavailable(f"store {self._store.where} is being opened anew"))
        try:
            last_seq = self._store.reopen()
        except Exception as error:
            self._fail(error)
            self._tell(_fail, done, error)
            return
        self._failed = None
        self._tell(_succeed, done, last_seq)

    def _fail(self, error: Exception) -> None:
        failure = StoreUnavailable(str(error))
        failure.__cause__ = error
        self._failed = failure
        self._drop_background(failure)

    def _drop_background(self, why: StoreUnavailable) -> None:
        while self._background:
            work, _ = self._background.popleft()
            self._tell(_fail, work.done, why)

    def _tell(self, *call: object) -> None:
        callback, *arguments = call
        try:
            self._running_loop().call_soon_threadsafe(callback, *arguments)  # type: ignore[arg-type]
        except RuntimeError:
            pass  # the loop is gone, and with it everyone who waited

    # In the loop again.

    def _committed(self, waiting: list[asyncio.Future[None]], commit: Commit) -> None:
        if self._on_commit is not None:
            self._on_commit(commit)
        for done in waiting:
            if not done.done():
                done.set_result(None)


def _merged(group: list[_Write]) -> Batch:
    if len(group) == 1:
        return group[0].batch
    batches = [write.batch for write in group]
    return Batch(
        [record for batch in batches for record in batch.records],
        [blob for batch in batches for blob in batch.blobs],
        [row for batch in batches for row in batch.rows],
        [loan for batch in batches for loan in batch.loans],
        [series for batch in batches for series in batch.series],
        [row for batch in batches for row in batch.times],
        [row for batch in batches for row in batch.steps],
    )


def _succeed(done: asyncio.Future[T], result: T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[T], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)


def _fail_all(waiting: list[asyncio.Future[None]], error: Exception) -> None:
    for done in waiting:
        _fail(done, StoreUnavailable(str(error)))
