"""A policy learns in another process, and the engine goes by it; whatever goes wrong there harms nothing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.input import RegisterNode
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.resources import Ask, Device, Gres
from packhorse.scheduler.service import teaching
from packhorse.scheduler.service.teaching import LessonFailed, Teacher, learn_elsewhere
from packhorse.scheduler.store.memory import MemoryStore
from tests.service.engine.cluster import TEXTS, Cluster, a_submission, until

NAMESPACE = Path(__file__).parents[3] / "build" / "ns"


@pytest.fixture(autouse=True)
def sources_for_the_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(NAMESPACE))


async def a_cluster(policy: str) -> Cluster:
    cluster = await Cluster(MemoryStore(), with_door=False, config=ClusterConfig(policy=policy)).start()
    devices = tuple(Device("gpu", "h200", i) for i in range(2))
    spec = NodeSpec(NodeName("n1"), "n1", 8000, 16_000, devices=devices)
    await cluster.engine.call(RegisterNode(spec, "boot-1", Offer(1, 8000, 16_000)))
    ask = Ask(mem_mib_per_node=100, gres_per_node=(Gres("gpu", "", 1, 250),))
    await cluster.engine.call(a_submission(ask=ask), TEXTS)
    return cluster


async def test_it_learns_once_and_the_engine_goes_by_it() -> None:
    cluster = await a_cluster("packhorse")
    teacher = Teacher(cluster.engine, every_s=1000, look_s=0.01)
    teacher.start()
    try:
        await until(lambda: cluster.engine.state.taught is not None)
        state = cluster.engine.state
        assert state.taught is not None
        assert state.taught.policy == "packhorse"
        assert [item[:5] for item in state.taught.mix] == [(1000, 100, 1, 250, "gpu")]
        assert len(state.demand.lessons) == 1
    finally:
        await teacher.stop()
        await cluster.stop()


async def test_no_policy_that_learns_no_lesson() -> None:
    cluster = await a_cluster("tightest")
    teacher = Teacher(cluster.engine, every_s=1000, look_s=0.0)
    teacher.start()
    await asyncio.sleep(0)
    assert teacher._task is None
    await teacher.stop()
    await cluster.stop()


async def test_a_process_that_fails_is_told_in_one_line() -> None:
    with pytest.raises(LessonFailed, match=r'policy "nonsense".*status 1: .*is not known'):
        await learn_elsewhere("nonsense", None, None)


async def test_a_lesson_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "LONGEST_S", 0.0)
    with pytest.raises(LessonFailed, match="had learned nothing after"):
        await learn_elsewhere("packhorse", None, None)


async def test_stopping_ends_a_lesson_under_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    cluster = await a_cluster("packhorse")
    teacher = Teacher(cluster.engine, every_s=1000, look_s=0.0)
    teacher.start()
    await asyncio.sleep(0.3)
    await asyncio.wait_for(teacher.stop(), 5)
    assert cluster.engine.state.taught is None
    await cluster.stop()
