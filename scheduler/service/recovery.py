"""From the store to a state that can be served, and from the state to snapshots that keep this quick.

Recovery reads the newest snapshot and the log behind it through the same `apply` as everything else. The new
leader epoch is durable before anybody is served: no two lives of a scheduler grant under the same one.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

import msgspec
import structlog

from packhorse.scheduler.core import snapshot
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.state import Frozen, State
from packhorse.scheduler.model.errors import PackhorseError, StoreDamaged
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import ArrayJob, Job
from packhorse.scheduler.store.codec import decode
from packhorse.scheduler.store.protocol import Live, Retention, Store
from packhorse.scheduler.store.writer import GroupCommitWriter

log = structlog.get_logger()

SNAPSHOT_EVENTS = 50_000
"""A restart replays at most about so many events: about one second."""
SNAPSHOT_S = 900.0
COMPACTION_S = 60.0
REFS_PER_STEP = 2_000
"""Jobs looked at in one go for the texts they name: about a millisecond."""


class Housekeeping(msgspec.Struct, frozen=True):
    """When snapshots are made, and how long the log and the accounting are kept."""

    snapshot_events: int = SNAPSHOT_EVENTS
    snapshot_s: float = SNAPSHOT_S
    retention: Retention = Retention()


class Recovered(NamedTuple):
    """A state and the log it stands for. snapshot_seq: how far its newest snapshot reaches, 0 without one."""

    state: State
    seq: int
    snapshot_seq: int
    last_at: Instant


def recover(store: Store) -> Recovered:
    """What the store holds. Raises StoreError where it cannot be read or does not fit together."""
    collects = gc.isenabled()
    gc.disable()  # nearly all that is made here stays
    try:
        return _recover(store)
    finally:
        if collects:
            gc.enable()


def _recover(store: Store) -> Recovered:
    state = State.empty()
    seq = 0
    at = Instant(0)
    newest = store.read_snapshot()
    if newest is not None:
        seq, chunks = newest
        state = snapshot.load(chunks)
    snapshot_seq = seq
    if 0 < seq == store.last_seq():
        at = next(iter(store.read_log(seq - 1))).at  # nothing is behind the snapshot, but time has passed
    for record in store.read_log(seq):
        event = decode(record)
        try:
            apply(state, event)
        except (PackhorseError, LookupError, ValueError) as error:
            raise StoreDamaged(
                f"store {store.where}: log record {record.seq} ({record.kind}) does not fit "
                f"what is before it: {error}"
            ) from error
        seq, at = record.seq, record.at
    highest = store.highest_job_id()
    if state.next_job_id <= highest:
        raise StoreDamaged(
            f"store {store.where}: its log knows no job from {state.next_job_id} on, but {highest} was given "
            "out: a part of the log is missing; restore it from a backup"
        )
    return Recovered(state, seq, snapshot_seq, at)


class Snapshots:
    """Makes a snapshot when it is time, in the writer's idle moments; then the store may compact itself."""

    def __init__(
        self,
        store: Store,
        writer: GroupCommitWriter,
        housekeeping: Housekeeping,
        failed: Callable[[str], None],
    ) -> None:
        """failed: called where the store broke while it was written to in the background."""
        self._store = store
        self._writer = writer
        self._keep = housekeeping
        self._failed = failed
        self._since = 0
        self._snapshot_at = Instant(0)
        self._busy = False

    def begin(self, since: int, now: Instant) -> None:
        """A state was recovered; so many events are not in a snapshot."""
        self._since = since
        self._snapshot_at = now
        self._busy = False

    def saw(self, n_events: int) -> None:
        """So many events were handed to the writer."""
        self._since += n_events

    def consider(self, state: State, seq: int, now: Instant) -> None:
        """Begin a snapshot if one is due. All events up to seq must have been handed to the writer."""
        if self._busy or self._since == 0:
            return
        late = now - self._snapshot_at >= self._keep.snapshot_s * US
        if self._since >= self._keep.snapshot_events or late:
            self._start(state, seq, now).add_done_callback(self._ended)

    async def write_now(self, state: State, seq: int, now: Instant) -> None:
        """Have a snapshot of everything, unless nothing happened since the last. Raises StoreError."""
        if self._since:
            await self._start(state, seq, now)

    def _start(self, state: State, seq: int, now: Instant) -> asyncio.Future[None]:
        self._busy = True
        self._since = 0
        self._snapshot_at = now
        frozen = state.freeze()
        return self._writer.background(lambda: self._steps(frozen, seq, now))

    def _ended(self, done: asyncio.Future[None]) -> None:
        self._busy = False
        error = done.exception()
        if error is not None:
            log.warning("store.snapshot_failed", why=str(error))
            if self._writer.failed is not None:
                self._failed(str(error))

    def _steps(self, frozen: Frozen, seq: int, now: Instant) -> Iterator[None]:
        """In the writer's thread: the snapshot, then what is no longer needed goes."""
        yield from self._store.snapshot_steps(seq, snapshot.dump(frozen))
        refs: set[str] = set()
        jobs: Iterator[Job | ArrayJob] = chain(frozen.jobs.values(), frozen.arrays.values())
        for count, job in enumerate(jobs):
            refs.add(job.spec.script_ref)
            refs.add(job.spec.env_ref)
            if count % REFS_PER_STEP == 0:
                yield
        live = Live(seq, refs)
        while self._store.compact_step(self._keep.retention, live, now):
            yield
