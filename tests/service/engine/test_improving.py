"""The improver beside the engine: held starts, guided ones, what stops it; nothing waits without it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from packhorse.scheduler.core import propose as propose_module
from packhorse.scheduler.core.contended import Contended
from packhorse.scheduler.core.packing.improver import Rejected
from packhorse.scheduler.core.propose import Proposal
from packhorse.scheduler.model.cluster import ClusterConfig, Improver
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.input import RegisterNode, RunCycle
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.resources import Ask
from packhorse.scheduler.service import improving
from packhorse.scheduler.service.engine import Engine, Meter, NoMeter
from packhorse.scheduler.service.improving import MOST_DUMPS
from packhorse.scheduler.service.metrics import Metrics
from packhorse.scheduler.service.recording import Happened, Recorder, read
from packhorse.scheduler.service.replaying import replay
from packhorse.scheduler.store.memory import MemoryStore
from tests.service.engine.cluster import TEXTS, a_submission, until


class Counts(NoMeter):
    """Counts runs."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, int, int]] = []

    def improver_ran(self, result: str, seconds: float, value: int, n_jobs: int) -> None:
        self.runs.append((result, value, n_jobs))


class Site:
    """Two nodes that are unlike: a small job goes to the one with memory, where the next one would have to
    go."""

    def __init__(self, tmp_path: Path, meter: Meter | None = None, **improver: Any) -> None:
        self.counts = Counts()
        self.store = MemoryStore()
        self.dumps = tmp_path
        self.recording = tmp_path / "inputs"
        self.engine = Engine(
            self.store,
            ClusterConfig(policy="tightest", improver=Improver(**improver)),
            meter=meter or self.counts,
            recorder=Recorder(self.recording),
            improver_dumps=tmp_path,
            retry_s=0.02,
        )

    async def start(self) -> None:
        await self.engine.start()
        if self.engine.config.improver.hold_ms:
            await until(lambda: self.engine._improving.ready)
        await self.register()

    async def register(self) -> None:
        for name, cpus, mem in (("mem", 4, 16_000), ("wide", 8, 8_000)):
            spec = NodeSpec(NodeName(name), name, cpus * 1000, mem)
            await self.engine.call(RegisterNode(spec, "boot", Offer(1, cpus * 1000, mem)))

    async def submit_both(self) -> None:
        """A job that would be in the way of the next, both in one turn of the loop."""
        await asyncio.gather(
            *(
                self.engine.call(a_submission(ask=Ask(cpu_milli_per_task=4_000, mem_mib_per_node=mem)), TEXTS)
                for mem in (6_000, 12_000)
            )
        )

    def where(self) -> dict[int, str]:
        """Nodes of the jobs that hold any."""
        return {
            id: job.phase.placements[0].node
            for id, job in self.engine.state.jobs.items()
            if isinstance(job.phase, Active)
        }


BOTH = {1: "wide", 2: "mem"}
FIRST = {1: "mem"}


async def test_a_contended_queue_gets_the_better_plan(tmp_path: Path) -> None:
    site = Site(tmp_path, hold_ms=10_000)
    await site.start()
    await site.submit_both()
    await until(lambda: len(site.where()) == 2)
    assert site.where() == BOTH
    (run,) = site.counts.runs
    assert run[0] == "better"
    assert run[1] > 0
    assert run[2] == 1
    await site.engine.stop()


async def test_without_hold_starts_come_with_the_submission(tmp_path: Path) -> None:
    site = Site(tmp_path)
    await site.start()
    await site.submit_both()
    assert site.where() == FIRST, "both were answered, and the quick plan's start is in the same commit"
    await asyncio.sleep(0.05)
    assert not site.counts.runs
    await site.engine.stop()


async def test_what_is_not_contended_never_waits(tmp_path: Path) -> None:
    site = Site(tmp_path, hold_ms=10_000)
    await site.start()
    await site.engine.call(a_submission(ask=Ask(cpu_milli_per_task=4_000)), TEXTS)
    assert site.where() == FIRST
    assert not site.counts.runs
    await site.engine.stop()


async def test_disabled_it_holds_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, enabled=False, hold_ms=10_000)
    await site.engine.start()
    assert not site.engine._improving.ready
    await site.engine.stop()


class Slow:
    """An improver that only ends when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began = threading.Event()
        self.go = threading.Event()
        real = propose_module.propose

        def slow(case: Contended, limits: Any, stopper: Any) -> Proposal:
            self.began.set()
            while not self.go.wait(0.01) and not stopper.stopped:
                pass
            return real(case, limits, stopper)

        monkeypatch.setattr(propose_module, "propose", slow)


async def test_starts_wait_no_longer_than_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Slow(monkeypatch)
    site = Site(tmp_path, hold_ms=100)
    await site.start()
    began = time.monotonic()
    await site.submit_both()
    assert site.where() == {}, "they wait"
    await until(lambda: bool(site.where()))
    assert 0.09 < time.monotonic() - began < 2
    assert site.where() == FIRST
    await until(lambda: bool(site.counts.runs))
    assert site.counts.runs == [("stopped", 0, 0)]
    assert not site.engine._improving.ready, "after a run in vain there is a pause"
    await site.engine.stop()


async def test_jobs_that_come_meanwhile_wait_as_well_and_the_guide_still_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    site = Site(tmp_path, hold_ms=10_000)
    await site.start()
    await site.submit_both()
    await asyncio.to_thread(slow.began.wait, 5)
    await site.engine.call(a_submission(ask=Ask(cpu_milli_per_task=1_000)), TEXTS)
    assert site.where() == {}
    slow.go.set()
    await until(lambda: len(site.where()) == 3)
    assert site.where() == {**BOTH, 3: "wide"}
    await site.engine.stop()


async def test_the_engine_stops_while_a_solve_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(monkeypatch)
    site = Site(tmp_path, hold_ms=60_000)
    await site.start()
    await site.submit_both()
    await asyncio.to_thread(slow.began.wait, 5)
    began = time.monotonic()
    await site.engine.stop()
    assert time.monotonic() - began < 5
    assert not slow.go.is_set()


async def test_an_answer_to_a_state_that_was_lost_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    site = Site(tmp_path, hold_ms=60_000)
    await site.start()
    await site.submit_both()
    await asyncio.to_thread(slow.began.wait, 5)
    site.engine._fail("the disk is gone")
    await until(lambda: site.counts.runs == [("stopped", 0, 0)] and not site.engine.trouble)
    slow.go.set()
    await asyncio.sleep(0.05)
    assert site.where() == {}, "nothing starts on nodes that have not come back"
    await site.register()
    await until(lambda: bool(site.where()))
    await site.engine.stop()


async def test_an_improver_that_fails_costs_nothing_and_leaves_a_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(case: Contended, limits: Any, stopper: Any) -> Proposal:
        raise RuntimeError("no solver today")

    monkeypatch.setattr(propose_module, "propose", broken)
    site = Site(tmp_path, hold_ms=10_000)
    await site.start()
    await site.submit_both()
    await until(lambda: bool(site.where()))
    assert site.where() == FIRST
    assert site.counts.runs == [("rejected", 0, 0)]
    dump = json.loads((tmp_path / "improver-1.json").read_text())
    assert dump["wrong"] == ["RuntimeError: no solver today"]
    assert dump["problem"]["asks"]
    assert dump["hint"]
    await site.engine.stop()


async def test_runs_are_counted_on_the_metrics_page(tmp_path: Path) -> None:
    metrics = Metrics()
    site = Site(tmp_path, meter=metrics, hold_ms=10_000)
    await site.start()
    await site.submit_both()
    await until(lambda: len(site.where()) == 2)
    page = (await metrics.page()).decode()
    assert 'packhorse_improver_runs_total{result="better"} 1.0' in page
    assert 'packhorse_improver_runs_total{result="rejected"} 0.0' in page
    assert "packhorse_improver_seconds_count 1.0" in page
    assert "packhorse_improver_jobs_gained_total 1.0" in page
    assert "packhorse_improver_value_gained_total " in page
    await site.engine.stop()


def test_recordings_from_before_guides_can_be_read() -> None:
    old = msgspec.msgpack.encode(["RunCycle"])
    assert msgspec.msgpack.decode(old, type=RunCycle) == RunCycle()


def test_only_the_newest_dumps_are_kept(tmp_path: Path) -> None:
    rejected = Rejected(("wrong",), "{}", "[]", "")
    for _ in range(MOST_DUMPS + 5):
        improving._dump(rejected, Improver(), tmp_path)
    kept = sorted(int(p.stem.rpartition("-")[2]) for p in tmp_path.glob("improver-*.json"))
    assert kept == list(range(6, MOST_DUMPS + 6))


async def test_a_recording_with_a_guided_cycle_replays_byte_for_byte(tmp_path: Path) -> None:
    site = Site(tmp_path, hold_ms=10_000)
    await site.start()
    await site.submit_both()
    await until(lambda: len(site.where()) == 2)
    await site.engine.stop()
    cycles = [
        e.input for e in read(site.recording) if isinstance(e, Happened) and isinstance(e.input, RunCycle)
    ]
    assert any(c.hold for c in cycles)
    (guided,) = [c for c in cycles if c.guide]
    assert sorted(g.job for g in guided.guide) == [JobId(1), JobId(2)]
    assert list(replay(site.recording).log.values()) == list(site.store.read_log())
