"""Crash and come back: nothing acknowledged is missing, no id comes twice, and recordings replay exactly."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packhorse.scheduler.model.errors import StoreDamaged, StoreUnavailable
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.input import Cancel, Hold, Release, SubmitArray, Target
from packhorse.scheduler.model.job import ArraySpec, IndexRange, JobState
from packhorse.scheduler.model.reply import Refused, Submitted
from packhorse.scheduler.service.clock import BEGINNING, ManualClock
from packhorse.scheduler.service.recovery import Housekeeping, recover
from packhorse.scheduler.service.replaying import replay
from packhorse.scheduler.store.protocol import Batch
from packhorse.scheduler.store.sqlite import SqliteStore
from tests.service.engine.cluster import CALLER, SCRIPT, TEXTS, Cluster, a_spec, a_submission, until
from tests.service.engine.fake_agent import FakeAgent
from tests.service.engine.slow_store import GatedStore


class MortalStore(GatedStore):
    """Outlives the scheduler. die: from now on nothing gets in, as if the process had been killed."""

    def __init__(self) -> None:
        super().__init__()
        self.dead = False

    def die(self) -> None:
        self.dead = True
        self.open()

    def revive(self) -> None:
        self.dead = False
        self.reopen()

    def append(self, batch: Batch) -> None:
        if self.dead:
            raise StoreUnavailable("killed")
        super().append(batch)

    def snapshot_steps(self, seq: int, chunks: Iterable[bytes]) -> Iterator[None]:
        if self.dead:
            raise StoreUnavailable("killed")
        return super().snapshot_steps(seq, chunks)

    def reopen(self) -> int:
        if self.dead:
            raise StoreUnavailable("killed")
        return super().reopen()

    def close(self) -> None:
        """Stays, for the next one to open it."""


async def crash(cluster: Cluster) -> Cluster:
    """The scheduler dies, and a new one takes over its store."""
    store = cluster.store
    assert isinstance(store, MortalStore)
    store.die()
    await cluster.stop()
    store.revive()
    return await Cluster(store, housekeeping=cluster.housekeeping, with_door=cluster.with_door).start()


async def test_a_new_life_begins_a_new_epoch_and_knows_everything() -> None:
    cluster = await Cluster(MortalStore(), with_door=False).start()
    first = await cluster.submit(3)
    before = cluster.engine.state
    cluster = await crash(cluster)
    assert cluster.engine.state.epoch == 2
    assert cluster.engine.state.jobs == before.jobs
    assert await cluster.submit() == first + 3
    await cluster.stop()


async def test_running_work_goes_on_while_the_scheduler_is_away() -> None:
    cluster = await Cluster(MortalStore()).start()
    agent = FakeAgent(cpus=8, hold=True)
    await agent.connect(cluster.address)
    first = await cluster.submit(4)
    jobs = [JobId(first + i) for i in range(4)]
    await until(lambda: len(agent.running) == 4)
    cluster = await crash(cluster)
    for key in sorted(agent.running)[:2]:
        agent.finish(key)
    await agent.connect(cluster.address)
    await cluster.ended(*jobs[:2])
    assert [cluster.state_of(job) for job in jobs] == [JobState.COMPLETED] * 2 + [JobState.RUNNING] * 2
    await until(lambda: not agent.unacked)
    assert len(agent.launches) == 4
    await agent.disconnect()
    await cluster.stop()


async def test_what_is_known_of_past_jobs_is_known_to_the_next_life() -> None:
    store = MortalStore()
    cluster = await Cluster(store).start()
    agent = FakeAgent(cpus=8)
    await agent.connect(cluster.address)
    await cluster.ended(await cluster.submit(), await cluster.submit())
    await agent.disconnect()
    before = cluster.engine.state
    assert before.history.last() and before.arrivals.recent and before.usage.past()[1]
    cluster = await crash(cluster)
    from_log = cluster.engine.state
    await cluster.stop()
    assert store.read_snapshot() is not None
    for state in (from_log, recover(store).state):
        assert state.history == before.history
        assert state.usage == before.usage
        assert state.arrivals == before.arrivals


async def test_snapshots_are_made_as_events_come_and_shorten_the_way_back() -> None:
    store = MortalStore()
    cluster = await Cluster(store, housekeeping=Housekeeping(snapshot_events=50), with_door=False).start()
    for _ in range(120):
        await cluster.submit()
    await until(lambda: store.read_snapshot() is not None)
    await until(lambda: (store.read_snapshot() or (0,))[0] >= 50)
    state = cluster.engine.state
    cluster = await crash(cluster)
    found = recover(store)
    assert found.snapshot_seq >= 50
    assert cluster.engine.state.jobs == state.jobs
    assert store.blob(SCRIPT.ref) == SCRIPT.data, "what jobs need outlives compaction"
    await cluster.stop()


async def test_a_clean_stop_leaves_a_snapshot_of_everything() -> None:
    store = MortalStore()
    cluster = await Cluster(store, with_door=False).start()
    await cluster.submit(5)
    await cluster.stop()
    found = recover(store)
    assert found.snapshot_seq == found.seq == store.last_seq()
    assert len(found.state.jobs) == 5


async def test_a_clock_set_back_while_the_scheduler_was_away() -> None:
    store = MortalStore()
    cluster = await Cluster(store, clock=ManualClock(), with_door=False).start()
    job = await cluster.submit()
    await cluster.stop()
    assert recover(store).snapshot_seq == store.last_seq(), "the time is in no record behind the snapshot"
    store.revive()
    cluster = await Cluster(store, clock=ManualClock(Instant(BEGINNING - 3600 * US)), with_door=False).start()
    assert cluster.engine.clock.now() >= cluster.engine.state.jobs[job].submitted_at
    await cluster.stop()


async def test_a_log_that_lost_its_end_is_refused() -> None:
    store = MortalStore()
    cluster = await Cluster(store, with_door=False).start()
    await cluster.submit(5)
    store.die()
    await cluster.stop()
    store.revive()
    del store._log[-1]
    store._last_seq -= 1
    with pytest.raises(StoreDamaged, match="5 was given out"):
        recover(store)


async def test_a_store_that_forgot_what_was_durable_is_not_served() -> None:
    store = GatedStore()
    cluster = await Cluster(store, with_door=False).start()
    await cluster.call(Hold(CALLER, (Target("1", await cluster.submit()),)))
    store.capacity = 1
    del store._log[-1]  # an event without a new job id: only this process remembers that it was durable
    store._last_seq -= 1
    with pytest.raises(StoreUnavailable):
        await cluster.engine.call(a_submission(), TEXTS)
    await until(lambda: "was durable before" in cluster.engine.trouble)
    store.capacity = None
    await asyncio.sleep(0.1)
    assert "was durable before" in cluster.engine.trouble
    await cluster.stop()


async def test_a_recording_replays_to_the_same_log_byte_for_byte(tmp_path: Path) -> None:
    store = MortalStore()
    path = tmp_path / "inputs"
    log: list[bytes] = []
    for life in range(3):
        cluster = await Cluster(store, recording=path).start()
        agent = FakeAgent(cpus=2)
        await agent.connect(cluster.address)
        first = await cluster.submit(4, key=f"life {life}")
        again = await cluster.engine.call(a_submission(4, key=f"life {life}"), TEXTS)
        assert isinstance(again, Submitted)
        assert again.first_id == first
        array = await cluster.call(
            SubmitArray(CALLER, a_spec("array"), ArraySpec((IndexRange(0, 6, 2),), limit=1))
        )
        assert isinstance(array, Submitted)
        await cluster.call(Hold(CALLER, (Target("x", JobId(first + 3)),)))
        await cluster.ended(*[JobId(first + i) for i in range(2)])
        await cluster.call(Release(CALLER, (Target("x", JobId(first + 3)),)))
        await cluster.call(Cancel(CALLER, (Target("x", array.first_id),)))
        await agent.disconnect()
        if life == 1:
            store.die()  # with whatever is in flight
        await cluster.stop()
        store.revive()
    log = [record.data for record in store.read_log()]
    replayed = replay(path)
    assert [record.data for record in replayed.log.values()] == log
    assert replayed.state == recover(store).state
    assert replayed.n_lives == 3
    assert not replayed.trouble
    assert len(log) > 50


class Journal:
    """What callers were told, over all lives of the scheduler."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, JobId] = {}
        self.attempts = 0

    async def submit(self, cluster: Cluster, key: str) -> None:
        self.attempts += 1
        try:
            reply = await cluster.engine.call(a_submission(key=key), TEXTS)
        except StoreUnavailable:
            return  # nobody can tell; the caller may repeat it with its key
        assert not isinstance(reply, Refused), reply
        assert isinstance(reply, Submitted)
        assert self.acknowledged.setdefault(key, reply.first_id) == reply.first_id, "one key, one job"

    def check(self, cluster: Cluster) -> None:
        ids = list(self.acknowledged.values())
        assert len(ids) == len(set(ids)), "ids repeat"
        missing = [id for id in ids if id not in cluster.engine.state.jobs]
        assert not missing, f"acknowledged and gone: {missing}"
        assert len(cluster.engine.state.jobs) <= self.attempts


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["submit", "repeat", "settle", "crash", "crash in commit", "disk full", "reconnect"]),
        st.integers(1, 6),
    ),
    min_size=3,
    max_size=14,
)


async def live_and_die(steps: list[tuple[str, int]]) -> None:
    store = MortalStore()
    cluster = await Cluster(store, housekeeping=Housekeeping(snapshot_events=7)).start()
    agent = FakeAgent(cpus=3)
    await agent.connect(cluster.address)
    journal = Journal()
    chance = random.Random(len(steps))
    calls: list[asyncio.Task[None]] = []
    keys: list[str] = []
    for what, n in steps:
        match what:
            case "submit":
                for _ in range(n):
                    keys.append(f"key {len(keys)}")
                    calls.append(asyncio.create_task(journal.submit(cluster, keys[-1])))
            case "repeat" if keys:
                calls += [asyncio.create_task(journal.submit(cluster, chance.choice(keys))) for _ in range(n)]
            case "settle":
                await asyncio.gather(*calls)
            case "crash" | "crash in commit":
                if what == "crash in commit":
                    store.shut()
                    keys.append(f"key {len(keys)}")
                    calls.append(asyncio.create_task(journal.submit(cluster, keys[-1])))
                for _ in range(n):
                    await asyncio.sleep(0)
                cluster = await crash(cluster)
                await asyncio.gather(*calls)
                journal.check(cluster)
                await agent.disconnect()
                await agent.connect(cluster.address)
            case "disk full":
                store.capacity = 1
                calls.append(asyncio.create_task(journal.submit(cluster, f"lost {n}")))
                await asyncio.gather(*calls)
                store.capacity = None
                engine = cluster.engine
                await until(lambda engine=engine: not engine.trouble)  # type: ignore[misc]
                await agent.disconnect()
                await agent.connect(cluster.address)
            case "reconnect":
                await agent.disconnect()
                await agent.connect(cluster.address)
    await asyncio.gather(*calls)
    for key in keys:
        await journal.submit(cluster, key)
    journal.check(cluster)
    assert set(journal.acknowledged) >= set(keys)
    state = cluster.engine.state
    await until(lambda: {job.state for job in state.jobs.values()} <= {JobState.COMPLETED}, "all to end")
    started = [launch.attempt.job_id for launch in agent.launches]
    assert sorted(started) == sorted(set(started)), "a job was started twice"
    await agent.disconnect()
    await cluster.stop()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_nothing_acknowledged_is_lost_whatever_the_order_of_crashes(steps: list[tuple[str, int]]) -> None:
    asyncio.run(live_and_die(steps))


async def test_all_of_it_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "packhorse.db"
    cluster = await Cluster(SqliteStore(path, ballast=0, reserve=0)).start()
    agent = FakeAgent(cpus=8)
    await agent.connect(cluster.address)
    first = await cluster.submit(50, key="k")
    jobs = [JobId(first + i) for i in range(50)]
    await cluster.ended(*jobs)
    await cluster.stop()
    await agent.disconnect()
    cluster = await Cluster(SqliteStore(path, ballast=0, reserve=0), with_door=False).start()
    assert {cluster.state_of(job) for job in jobs} == {JobState.COMPLETED}
    assert await cluster.submit(50, key="k") == first, "the key is remembered"
    assert await cluster.submit() == first + 50
    await cluster.stop()
