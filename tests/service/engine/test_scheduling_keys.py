"""A scheduler runs with every order, kind of backfilling and predictor that the configuration takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from packhorse.scheduler.config import file as config
from packhorse.scheduler.core.backfill_kinds import BACKFILLS
from packhorse.scheduler.core.orders import ORDERS
from packhorse.scheduler.core.predictors import PREDICTORS
from packhorse.scheduler.model.event import JobGranted
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.resources import Ask
from packhorse.scheduler.service.replaying import replay
from packhorse.scheduler.store.codec import decode
from packhorse.scheduler.store.memory import MemoryStore
from tests.service.engine.cluster import Cluster
from tests.service.engine.fake_agent import FakeAgent

COMBINED = 'order = "saf"\nbackfill = "sjbf"\npredictor = "last2"\nkeep_next = true\nbackfill_depth = 2'


@pytest.mark.parametrize(
    "keys",
    [
        COMBINED,
        *(f'order = "{name}"' for name in ORDERS),
        *(f'backfill = "{name}"' for name in BACKFILLS),
        *(f'predictor = "{name}"' for name in PREDICTORS),
    ],
)
async def test_it_runs_and_replays(tmp_path: Path, keys: str) -> None:
    found = config.parse(f"[scheduling]\n{keys}\n", "test.toml", owner_uid=0).cluster
    store = MemoryStore()
    cluster = await Cluster(store, config=found, recording=tmp_path / "inputs.rec").start()
    agent = FakeAgent(cpus=4)
    await agent.connect(cluster.address)
    jobs: list[JobId] = []
    for cpus in (4, 1, 3, 2):
        ask = Ask(n_tasks=cpus, mem_mib_per_node=100)
        jobs.append(await cluster.submit(ask=ask, time_limit_s=600 * cpus))
    await cluster.ended(*jobs)
    await agent.disconnect()
    await cluster.stop()
    assert list(replay(tmp_path / "inputs.rec").log.values()) == list(store.read_log())


async def test_the_order_is_that_of_the_file(tmp_path: Path) -> None:
    found = config.parse(f"[scheduling]\n{COMBINED}\n", "test.toml", owner_uid=0).cluster
    assert (found.order, found.backfill, found.predictor) == ("saf", "sjbf", "last2")
    store = MemoryStore()
    cluster = await Cluster(store, config=found).start()
    jobs = [
        await cluster.submit(ask=Ask(n_tasks=n, mem_mib_per_node=100), time_limit_s=600) for n in (4, 3, 2)
    ]
    agent = FakeAgent(cpus=4)
    await agent.connect(cluster.address)
    await cluster.ended(*jobs)
    await agent.disconnect()
    await cluster.stop()
    granted = [e.job for e in map(decode, store.read_log()) if isinstance(e, JobGranted)]
    assert granted == jobs[::-1]
