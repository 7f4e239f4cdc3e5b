"""Waiting for jobs to end, and watching events: both live on events as they become durable."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from itertools import islice
from typing import Any
from weakref import WeakSet

from packhorse.scheduler.core import deadlines, indices
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.targets import Aim, resolve
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.errors import StoreError, StoreUnavailable
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.input import Target
from packhorse.scheduler.model.job import Active, Ended, IndexRange, JobState
from packhorse.scheduler.service import messages
from packhorse.scheduler.service.convert import target
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.event_text import job_event
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.store.codec import decode, jobs_of
from packhorse.scheduler.store.protocol import AttemptQuery

REPLAY_CHUNK = 256
"""Events read from the log in one go for a watcher that resumes."""

SPELLED_OUT = 1_000
"""Indices that a question to the store names one by one; more are picked from all rows of their array."""


class _Waiter:
    """One WaitJobs call. by_id: which of its targets an id belongs to; open: those not known to be over."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = targets
        self.open = set(range(len(targets)))
        self.dirty = set(self.open)
        self.by_id: dict[int, list[int]] = {}
        self.woken = asyncio.Event()

    def touch(self, positions: Sequence[int]) -> None:
        """Something happened to these targets."""
        self.dirty.update(self.open.intersection(positions))
        if self.dirty:
            self.woken.set()


class Waiting:
    """All WaitJobs and WatchEvents calls of one scheduler. queue: events a watcher may be behind."""

    def __init__(self, engine: Engine, *, queue: int, wait_limit_s: int) -> None:
        self._engine = engine
        self._queue = queue
        self._wait_limit_s = wait_limit_s
        self._by_id: dict[int, set[_Waiter]] = {}
        self._waiters: set[_Waiter] = set()
        self._watchers: WeakSet[_Watcher] = WeakSet()
        """Each lives as long as its call: one given up before its first event never gets to say so."""
        self._last_seq = engine.durable_seq
        engine.observe(self._saw)

    @property
    def n(self) -> int:
        """Calls that are waiting or watching."""
        return len(self._waiters) + len(self._watchers)

    # -- WaitJobs

    async def wait_jobs(self, request: messages.WaitJobsRequest) -> messages.WaitJobsResponse:
        """Answers when all are over or time is up. Raises CallFailed for a job that nobody knows."""
        targets = [target(ref) for ref in request.jobs]
        limit = min(request.timeout_s or self._wait_limit_s, self._wait_limit_s)
        deadline = asyncio.get_running_loop().time() + max(0.0, limit)
        waiter = _Waiter(targets)
        past = await self._past(targets)
        waiter.open -= past.keys()
        waiter.dirty -= past.keys()
        self._enter(waiter)
        try:
            while True:
                self._look(waiter)
                if not waiter.open:
                    break
                waiter.woken.clear()
                try:
                    async with asyncio.timeout_at(deadline):
                        await waiter.woken.wait()
                except TimeoutError:
                    break
        finally:
            self._leave(waiter)
        return await self._results(waiter, past)

    async def _past(self, targets: Sequence[Target]) -> dict[int, list[AttemptRow]]:
        """What accounting knows of the targets that are not in memory (any more)."""
        state = self._engine.state
        gone = [i for i, item in enumerate(targets) if resolve(state, item) is None]
        if not gone:
            return {}
        await self._engine.barrier()
        found = {}
        for i in gone:
            item = targets[i]
            rows = await self._attempts(_query(item))
            if not rows:
                raise CallFailed(
                    Code.NOT_FOUND,
                    f"job {item.ref} is not known: it was never submitted here",
                    slurm="Invalid job id specified",
                    refusal="not_found",
                )
            found[i] = rows
        return found

    async def _attempts(self, query: AttemptQuery) -> list[AttemptRow]:
        return await self._engine.ask(lambda store: store.attempts(query))

    def _enter(self, waiter: _Waiter) -> None:
        state = self._engine.state
        for position in waiter.open:
            aim = resolve(state, waiter.targets[position])
            ids: set[int] = {waiter.targets[position].job}
            if aim is not None:
                ids.update([job.id for job in aim.jobs])
            for id in ids:
                waiter.by_id.setdefault(id, []).append(position)
        for id in waiter.by_id:
            self._by_id.setdefault(id, set()).add(waiter)
        self._waiters.add(waiter)

    def _leave(self, waiter: _Waiter) -> None:
        self._waiters.discard(waiter)
        for id in waiter.by_id:
            waiters = self._by_id.get(id)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self._by_id[id]

    def _look(self, waiter: _Waiter) -> None:
        """Strike what is over off the list. While the store is away nothing is known to be."""
        if self._engine.trouble:
            return
        state = self._engine.state
        for position in waiter.dirty:
            if _over(state, waiter.targets[position]):
                waiter.open.discard(position)
        waiter.dirty.clear()

    async def _results(self, waiter: _Waiter, past: dict[int, list[AttemptRow]]) -> messages.WaitJobsResponse:
        """What became of each target; durable when this returns."""
        state = self._engine.state
        results: list[messages.JobResult | None] = []
        for position, item in enumerate(waiter.targets):
            aim = None if position in past else resolve(state, item)
            if aim is not None and not _partly_forgotten(state, aim, item):
                results.append(_of_aim(item, aim))
            else:
                results.append(None)
        await self._engine.barrier()
        done: list[messages.JobResult] = []
        for position, item in enumerate(waiter.targets):
            known = results[position]
            if known is None:
                rows = past.get(position)
                if rows is None:
                    rows = await self._attempts(AttemptQuery(jobs=(item.job,)))
                aim = None if position in past or self._engine.trouble else resolve(self._engine.state, item)
                known = _of_rows(item, rows, aim)
            done.append(known)
        return messages.WaitJobsResponse(results=done, all_ended=all(result.ended for result in done))

    # -- WatchEvents

    async def watch(self, request: messages.WatchEventsRequest) -> AsyncGenerator[messages.JobEvent]:
        """Events about the jobs named (all if none is) as they become durable.

        after_seq: the last one already seen, 0: only what comes from now on.

        Raises CallFailed where the log does not reach back that far, or ahead.
        """
        durable = self._engine.durable_seq
        if request.after_seq > durable:
            raise CallFailed(
                Code.OUT_OF_RANGE, f"after_seq {request.after_seq}: the newest event is {durable}"
            )
        watcher = _Watcher({item.job for item in map(target, request.jobs)}, self._queue)
        self._fill_tasks(watcher)
        self._watchers.add(watcher)
        return self._follow(watcher, request.after_seq, durable)

    async def _follow(
        self, watcher: _Watcher, after_seq: int, upto: int
    ) -> AsyncGenerator[messages.JobEvent]:
        try:
            last = after_seq or upto
            while after_seq and last < upto:
                for seq, event in await asyncio.to_thread(self._read, last, upto):
                    last = seq
                    if watcher.concerns(event):
                        yield job_event(seq, event)
            while True:
                for seq, event in await watcher.take():
                    if seq > last:
                        last = seq
                        yield job_event(seq, event)
                if watcher.dropped is not None:
                    code, why = watcher.dropped
                    raise CallFailed(code, f"{why}; go on with after_seq {last}")
        finally:
            self._watchers.discard(watcher)

    def _fill_tasks(self, watcher: _Watcher) -> None:
        """Tasks that have left a watched array already."""
        if self._engine.trouble:
            return
        tasks = self._engine.state.tasks
        for array in list(watcher.ids):
            if array in tasks:
                watcher.ids.update(tasks[array].by_index.values())

    def _read(self, after: int, upto: int) -> list[tuple[int, Event]]:
        """Some events of the log; for a thread."""
        try:
            records = list(islice(self._engine.store.read_log(after), min(REPLAY_CHUNK, upto - after)))
        except StoreUnavailable:
            raise
        except StoreError as error:
            raise CallFailed(Code.OUT_OF_RANGE, f"after_seq {after}: {error}") from error
        return [(record.seq, decode(record)) for record in records]

    # -- both

    def _saw(self, first: int, events: Sequence[Event]) -> None:
        """The engine's observer: these events are durable now."""
        gap = first != self._last_seq + 1
        self._last_seq = first + len(events) - 1
        if self._waiters:
            if gap:
                # The store came back: what ended meanwhile was told to nobody.
                for waiter in self._waiters:
                    waiter.touch(tuple(waiter.open))
            for event in events:
                self._wake(event)
        for watcher in self._watchers:
            if gap:
                watcher.drop(Code.UNAVAILABLE, "the store was away, and events came that were not told")
            watcher.offer(first, events)

    def _wake(self, event: Event) -> None:
        kind = type(event)
        if kind is ev.JobEnded:
            ids = [event.job]  # type: ignore[union-attr]
            state = None if self._engine.trouble else self._engine.state
            job = state.jobs.get(event.job) if state is not None else None  # type: ignore[union-attr]
            if job is not None and job.array_id:
                ids.append(job.array_id)
        elif kind is ev.ArrayRemainderCancelled:
            ids = [event.array]  # type: ignore[union-attr]
        else:
            return
        for id in ids:
            for waiter in self._by_id.get(id, ()):
                waiter.touch(waiter.by_id[id])


class _Watcher:
    """The queue of one WatchEvents call. ids: jobs and arrays it is about (tasks join), empty for all."""

    def __init__(self, ids: set[Any], limit: int) -> None:
        self.ids = ids
        self.dropped: tuple[Code, str] | None = None
        self._limit = limit
        self._queue: deque[tuple[int, Event]] = deque()
        self._filled = asyncio.Event()

    def concerns(self, event: Event) -> bool:
        """Whether the event is about one of the jobs."""
        if not self.ids:
            return True
        if isinstance(event, ev.ArrayTaskSplit):
            if event.array in self.ids:
                self.ids.add(event.job)
            return event.job in self.ids
        if isinstance(event, ev.JobsEligible):
            return not self.ids.isdisjoint(event.jobs)
        first, last = jobs_of(event)
        if first == last:
            return first in self.ids
        return any(first <= id <= last for id in self.ids)

    def offer(self, first: int, events: Sequence[Event]) -> None:
        """New durable events; beyond the limit the watcher is dropped."""
        if self.dropped is not None:
            return
        for seq, event in enumerate(events, first):
            if self.concerns(event):
                if len(self._queue) >= self._limit:
                    self.drop(
                        Code.RESOURCE_EXHAUSTED, f"this watcher is more than {self._limit} events behind"
                    )
                    return
                self._queue.append((seq, event))
        if self._queue:
            self._filled.set()

    def drop(self, code: Code, why: str) -> None:
        """Nothing more is offered; what is queued is still taken."""
        if self.dropped is None:
            self.dropped = code, why
            self._filled.set()

    async def take(self) -> list[tuple[int, Event]]:
        """What has come, at least one event, or nothing once it was dropped."""
        await self._filled.wait()
        self._filled.clear()
        taken = list(self._queue)
        self._queue.clear()
        if self.dropped is not None:
            self._filled.set()
        return taken


def _over(state: State, item: Target) -> bool:
    """Nothing of it waits or runs. Asked whenever a task of an array ends, so it does not gather them all."""
    array = state.arrays.get(item.job)
    if array is None:
        aim = resolve(state, item)
        return aim is None or all(type(job.phase) is Ended for job in aim.jobs)
    tasks = state.tasks[array.id]
    if item.indices is None:
        return not (array.remaining or tasks.n_pending or tasks.n_active)
    ranges = item.indices.ranges
    if not (tasks.n_pending or tasks.n_active):
        return not indices.intersect(array.remaining, ranges)
    wanted: Iterable[int]
    if indices.size(ranges) <= len(tasks.by_index):
        wanted = [index for index in indices.each(ranges) if index in tasks.by_index]
    else:
        wanted = [index for index in tasks.by_index if indices.contains(ranges, index)]
    if any(type(state.jobs[tasks.by_index[index]].phase) is not Ended for index in wanted):
        return False
    return not indices.intersect(array.remaining, ranges)


def _partly_forgotten(state: State, aim: Aim, item: Target) -> bool:
    """Whether tasks of the array have left memory, so that only accounting can tell how they ended."""
    array = aim.array
    if array is None:
        return False
    wanted = array.array.ranges
    if item.indices is not None:
        wanted = indices.intersect(wanted, item.indices.ranges)
    cancelled = indices.intersect(array.cancelled, wanted)
    return indices.size(wanted) > len(aim.jobs) + indices.size(aim.ranges) + indices.size(cancelled)


def _of_aim(item: Target, aim: Aim) -> messages.JobResult:
    """The result of a target that is wholly in memory."""
    array = aim.array
    if array is None and len(aim.jobs) == 1:
        job = aim.jobs[0]
        phase = job.phase
        ended = phase if isinstance(phase, Ended) else None
        return messages.JobResult(
            job_id=job.id,
            ref=item.ref,
            state=job.state.value,
            exit_code=ended.exit_code if ended else 0,
            exit_signal=ended.exit_signal if ended else 0,
            reason=ended.reason if ended else "",
            n_ended=int(ended is not None),
            n_total=1,
            ended=ended is not None,
        )
    result = messages.JobResult(job_id=item.job, ref=item.ref)
    for job in aim.jobs:
        phase = job.phase
        if isinstance(phase, Ended):
            _count(result, phase.state.value, phase.exit_code, phase.exit_signal, phase.reason)
    result.n_total = result.n_ended + sum([type(job.phase) is not Ended for job in aim.jobs])
    result.n_total += indices.size(aim.ranges)
    if array is not None:
        lost = array.cancelled
        if item.indices is not None:
            lost = indices.intersect(lost, item.indices.ranges)
        late = indices.intersect(lost, array.late)
        for state, reason, n in (
            (JobState.CANCELLED, "None", indices.size(lost) - indices.size(late)),
            (JobState.DEADLINE, deadlines.REASON, indices.size(late)),
        ):
            if n:
                _count(result, state.value, 0, 0, reason, n)
                result.n_total += n
    return _closed(result, any(type(job.phase) is Active for job in aim.jobs))


def _of_rows(item: Target, rows: Sequence[AttemptRow], aim: Aim | None) -> messages.JobResult:
    """The result of a target that has left memory, or whose tasks partly have."""
    result = messages.JobResult(job_id=item.job, ref=item.ref)
    open_ids = {job.id for job in aim.jobs if type(job.phase) is not Ended} if aim is not None else set()
    for row in rows:
        if row.job in open_ids and row.index >= 0:
            continue
        if (
            item.indices is not None
            and row.index >= 0
            and not indices.contains(item.indices.ranges, row.index)
        ):
            continue
        n = _n_meant(row.array_indices, item) if row.array_indices else 1
        if n:
            _count(result, row.state, row.exit_code, row.exit_signal, row.reason, n)
    result.n_total = result.n_ended + len(open_ids) + (indices.size(aim.ranges) if aim is not None else 0)
    running = aim is not None and any(type(job.phase) is Active for job in aim.jobs)
    return _closed(result, running)


def _query(item: Target) -> AttemptQuery:
    """The rows among which those of the target are."""
    if item.indices is None or indices.size(item.indices.ranges) > SPELLED_OUT:
        return AttemptQuery(jobs=(item.job,))
    return AttemptQuery(tasks=tuple([(item.job, index) for index in indices.each(item.indices.ranges)]))


def _n_meant(text: str, item: Target) -> int:
    """How many of these indices, cancelled together, the target names."""
    from packhorse.scheduler.model.arrayspec import parse_array

    ranges = tuple([IndexRange(*found) for found in parse_array(text)[0]])
    return indices.size(ranges if item.indices is None else indices.intersect(ranges, item.indices.ranges))


def _count(
    result: messages.JobResult, state: str, exit_code: int, exit_signal: int, reason: str, n: int = 1
) -> None:
    """One more task (or n) has ended; the worst of them stands for all: a failure before a success."""
    result.n_ended += n
    worse = (state != JobState.COMPLETED.value, exit_signal, exit_code)
    if not result.state or worse > (
        result.state != JobState.COMPLETED.value,
        result.exit_signal,
        result.exit_code,
    ):
        result.state, result.exit_code, result.exit_signal = state, exit_code, exit_signal
        result.reason = reason


def _closed(result: messages.JobResult, running: bool) -> messages.JobResult:
    """With the word for what has not ended, where something has not."""
    result.ended = result.n_ended >= result.n_total
    if not result.ended:
        result.state = JobState.RUNNING.value if running else JobState.PENDING.value
        result.exit_code = result.exit_signal = 0
        result.reason = ""
    return result
