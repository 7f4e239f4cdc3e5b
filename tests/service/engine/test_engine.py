"""The single writer: what it answers and commands is durable, and losing the store loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

import pytest

from packhorse.scheduler.core.apply import apply as real_apply
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.command import Command, Launch
from packhorse.scheduler.model.errors import StoreUnavailable
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import Cancel, Hold, RegisterNode, ReportExit, ReportStart, Target
from packhorse.scheduler.model.job import Active, JobState
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.reply import Done, RefusalCode, Refused, Submitted
from packhorse.scheduler.service import engine as engine_module
from packhorse.scheduler.service.clock import ManualClock
from packhorse.scheduler.service.engine import Engine
from tests.service.engine.cluster import CALLER, SCRIPT, TEXTS, Cluster, a_submission, until
from tests.service.engine.slow_store import GatedStore

N1 = NodeName("n1")


class Sent:
    """A dispatcher that keeps what it is given."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.closed: list[str] = []

    def dispatch(self, commands: Sequence[Command]) -> None:
        self.commands += commands

    def close_all(self, why: str) -> None:
        self.closed.append(why)

    @property
    def launches(self) -> list[Launch]:
        return [command for command in self.commands if isinstance(command, Launch)]


def a_node(name: str = "n1", cpus: int = 4) -> RegisterNode:
    spec = NodeSpec(NodeName(name), name, cpus * 1000, 16_000)
    return RegisterNode(spec, "boot-1", Offer(1, cpus * 1000, 16_000))


async def an_engine(store: GatedStore, clock: ManualClock | None = None) -> tuple[Cluster, Engine, Sent]:
    cluster = await Cluster(store, clock=clock, with_door=False).start()
    sent = Sent()
    cluster.engine.dispatcher = sent
    return cluster, cluster.engine, sent


def attempt_of(engine: Engine, job: JobId) -> AttemptKey:
    phase = engine.state.jobs[job].phase
    assert isinstance(phase, Active)
    return phase.attempt


async def test_nothing_is_answered_or_sent_before_the_commit() -> None:
    store = GatedStore()
    cluster, engine, sent = await an_engine(store)
    await engine.call(a_node())
    store.shut()
    call = asyncio.create_task(engine.call(a_submission(), TEXTS))
    await asyncio.to_thread(store.waiting.wait, 5)
    assert engine.state.jobs, "it was decided"
    assert not call.done()
    assert not sent.launches
    store.open()
    assert isinstance(await call, Submitted)
    assert len(sent.launches) == 1
    await cluster.stop()


async def test_submission_and_start_share_one_commit() -> None:
    store = GatedStore()
    cluster, engine, sent = await an_engine(store)
    await engine.call(a_node())
    before = len(store.appended)
    await engine.call(a_submission(), TEXTS)
    assert store.kinds[before:] == [["JobsSubmitted", "JobGranted"]]
    assert dict(store.appended[-1].blobs) == dict(TEXTS)
    assert [launch.node for launch in sent.launches] == ["n1"]
    await cluster.stop()


async def test_what_arrives_during_a_commit_shares_the_next() -> None:
    store = GatedStore()
    cluster, engine, _ = await an_engine(store)
    store.shut()
    first = asyncio.create_task(engine.call(a_submission(), TEXTS))
    await asyncio.to_thread(store.waiting.wait, 5)
    before = len(store.appended)
    more = [asyncio.create_task(engine.call(a_submission(), TEXTS)) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    store.open()
    replies = await asyncio.gather(first, *more)
    ids = [reply.first_id for reply in replies if isinstance(reply, Submitted)]
    assert ids == sorted(set(ids))
    assert len(ids) == 21
    assert len(store.appended) == before + 2
    await cluster.stop()


async def test_barrier_waits_for_what_was_decided_and_for_no_more() -> None:
    store = GatedStore()
    cluster, engine, _ = await an_engine(store)
    await engine.barrier()
    store.shut()
    call = asyncio.create_task(engine.call(a_submission(), TEXTS))
    await asyncio.sleep(0)
    barrier = asyncio.create_task(engine.barrier())
    await asyncio.to_thread(store.waiting.wait, 5)
    assert not barrier.done()
    store.open()
    await barrier
    assert engine.durable_seq == engine.seq
    await call
    await cluster.stop()


async def test_a_refusal_waits_for_what_it_rests_on() -> None:
    """A repeated call is answered from memory: that memory must be durable first."""
    store = GatedStore()
    cluster, engine, _ = await an_engine(store)
    store.shut()
    first = asyncio.create_task(engine.call(a_submission(key="k"), TEXTS))
    await asyncio.sleep(0)
    again = asyncio.create_task(engine.call(a_submission(key="k"), TEXTS))
    await asyncio.to_thread(store.waiting.wait, 5)
    assert not again.done()
    store.open()
    assert await first == await again
    assert len(engine.state.jobs) == 1
    await cluster.stop()


async def test_a_call_given_up_hurts_no_other() -> None:
    store = GatedStore()
    cluster, engine, _ = await an_engine(store)
    store.shut()
    impatient = asyncio.create_task(engine.call(a_submission(), TEXTS))
    patient = asyncio.create_task(engine.call(a_submission(), TEXTS))
    await asyncio.to_thread(store.waiting.wait, 5)
    impatient.cancel()
    store.open()
    assert isinstance(await patient, Submitted)
    assert len(engine.state.jobs) == 2
    await cluster.stop()


async def test_observers_see_durable_events_in_order() -> None:
    store = GatedStore()
    cluster, engine, _ = await an_engine(store)
    seen: list[tuple[int, str]] = []

    def observer(first: int, events: Sequence[Event]) -> None:
        assert first + len(events) - 1 <= engine.durable_seq
        seen.extend((first + i, type(event).__name__) for i, event in enumerate(events))

    stop = engine.observe(observer)
    before = engine.seq
    await engine.call(a_node())
    await engine.call(a_submission(), TEXTS)
    stop()
    await engine.call(a_submission(), TEXTS)
    assert seen == [(before + 1, "NodeRegistered"), (before + 2, "JobsSubmitted"), (before + 3, "JobGranted")]
    await cluster.stop()


async def test_a_full_disk_is_said_and_got_over_without_a_restart() -> None:
    store = GatedStore()
    cluster, engine, sent = await an_engine(store)
    await engine.call(a_node())
    first = await cluster.submit()
    attempt = attempt_of(engine, first)
    store.capacity = 1
    with pytest.raises(StoreUnavailable):
        await engine.call(a_submission(), TEXTS)
    assert engine.trouble
    assert sent.closed
    with pytest.raises(StoreUnavailable):
        await engine.call(a_submission(), TEXTS)
    with pytest.raises(StoreUnavailable):
        await engine.barrier()
    engine.post(ReportStart(N1, attempt, Instant(1)))  # lost, as on a broken wire
    store.capacity = None
    await until(lambda: not engine.trouble, "the store coming back")
    assert engine.state.epoch == 2
    assert list(engine.state.jobs) == [first]
    assert await cluster.submit() > first
    await cluster.stop()


async def test_whatever_keeps_the_store_from_opening_is_tried_again() -> None:
    class Stubborn(GatedStore):
        errors: ClassVar[list[Exception]] = [OSError(30, "Read-only file system"), AssertionError("odd")]

        def reopen(self) -> int:
            if self.errors:
                raise self.errors.pop(0)
            return super().reopen()

    store = Stubborn()
    cluster, engine, _ = await an_engine(store)
    store.capacity = 1
    with pytest.raises(StoreUnavailable):
        await engine.call(a_submission(), TEXTS)
    store.capacity = None
    await until(lambda: not engine.trouble, "the store")
    assert not store.errors
    assert isinstance(await engine.call(a_submission(), TEXTS), Submitted)
    await cluster.stop()


async def test_callers_in_flight_are_told_at_once_when_a_commit_fails() -> None:
    store = GatedStore()
    cluster, engine, sent = await an_engine(store)
    await engine.call(a_node())
    store.shut()
    store.capacity = 1
    calls = [asyncio.create_task(engine.call(a_submission(), TEXTS)) for _ in range(3)]
    await asyncio.to_thread(store.waiting.wait, 5)
    calls += [asyncio.create_task(engine.call(a_submission(), TEXTS)) for _ in range(3)]
    await asyncio.sleep(0)
    store.open()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, StoreUnavailable) for result in results), results
    assert not sent.launches
    store.capacity = None
    await until(lambda: not engine.trouble)
    assert not engine.state.jobs
    await cluster.stop()


async def test_too_little_room_stops_submissions_and_nothing_else() -> None:
    store = GatedStore(capacity=40_000, reserve=30_000)
    cluster, engine, _ = await an_engine(store)
    await engine.call(a_node())
    job = await cluster.submit(key="first")
    filler: list[JobId] = []
    while True:
        reply = await engine.call(a_submission(), TEXTS)
        if isinstance(reply, Refused):
            break
        assert isinstance(reply, Submitted)
        filler.append(reply.first_id)
    assert reply.code is RefusalCode.EXHAUSTED
    assert "free" in reply.message
    assert await cluster.submit(key="first") == job, "what is repeated is answered as before"
    attempt = attempt_of(engine, job)
    engine.post(ReportStart(N1, attempt, Instant(1)))
    engine.post(ReportExit(N1, attempt, Instant(1), Instant(2)))
    await engine.barrier()
    assert cluster.state_of(job) is JobState.COMPLETED
    assert isinstance(await engine.call(Hold(CALLER, (Target("x", filler[-1]),))), Done)
    await cluster.stop()


async def test_half_a_decision_is_never_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that does not apply is a defect; the state it left behind must not be shown to anybody."""
    store = GatedStore()
    cluster, engine, _ = await an_engine(store)
    kept = await cluster.submit()

    def broken(state: State, event: Event) -> None:
        raise RuntimeError("does not fit")

    monkeypatch.setattr(engine_module, "apply", broken)
    with pytest.raises(StoreUnavailable, match="does not fit"):
        await engine.call(a_submission(), TEXTS)
    monkeypatch.setattr(engine_module, "apply", real_apply)
    await until(lambda: not engine.trouble)
    assert list(engine.state.jobs) == [kept]
    await cluster.stop()


async def test_a_decision_that_cannot_be_made_leaves_everything_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = GatedStore()
    cluster, engine, _ = await an_engine(store)

    def broken(*_: object) -> None:
        raise RuntimeError("cannot decide")

    with monkeypatch.context() as patch:
        patch.setattr(engine_module, "step", broken)
        with pytest.raises(RuntimeError, match="cannot decide"):
            await engine.call(a_submission(), TEXTS)
        engine.post(a_node())
    assert not engine.trouble
    await cluster.submit()
    await cluster.stop()


async def test_time_limits_come_by_themselves() -> None:
    clock = ManualClock()
    cluster, engine, sent = await an_engine(GatedStore(), clock)
    await engine.call(a_node())
    job = await cluster.submit(time_limit_s=60)
    attempt = attempt_of(engine, job)
    engine.post(ReportStart(N1, attempt, clock.now()))
    await engine.barrier()
    sent.commands.clear()
    clock.advance(59)
    await engine.barrier()
    assert not sent.commands
    clock.advance(1.1)
    await engine.barrier()
    assert [type(command).__name__ for command in sent.commands] == ["Terminate"]
    engine.post(ReportExit(N1, attempt, Instant(1), clock.now(), exit_signal=15))
    await engine.barrier()
    assert cluster.state_of(job) is JobState.TIMEOUT
    await cluster.stop()


async def test_a_begin_time_starts_a_job() -> None:
    clock = ManualClock()
    cluster, engine, sent = await an_engine(GatedStore(), clock)
    await engine.call(a_node())
    await cluster.submit(begin_at=Instant(clock.now() + 30 * US))
    assert not sent.launches
    clock.advance(30)
    await until(lambda: len(sent.launches) == 1)
    await cluster.stop()


async def test_a_cancelled_job_is_over_and_known_to_be() -> None:
    cluster, engine, _ = await an_engine(GatedStore())
    job = await cluster.submit()
    assert isinstance(await engine.call(Cancel(CALLER, (Target(str(job), job),))), Done)
    assert cluster.state_of(job) is JobState.CANCELLED
    await cluster.stop()


async def test_a_stopped_engine_takes_nothing() -> None:
    cluster, engine, sent = await an_engine(GatedStore())
    await cluster.stop()
    with pytest.raises(StoreUnavailable):
        await engine.call(a_submission(), TEXTS)
    assert sent.closed


async def test_texts_are_at_hand_for_the_launch_and_in_the_store() -> None:
    store = GatedStore()
    cluster, engine, _ = await an_engine(store)
    await cluster.submit()
    assert engine.payloads.at_hand(SCRIPT.ref) == SCRIPT.data
    assert store.blob(SCRIPT.ref) == SCRIPT.data
    await cluster.stop()
