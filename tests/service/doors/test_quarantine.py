"""A policy of somebody else's that raises: what operators and owners see of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from structlog.testing import capture_logs

from packhorse.cli.commands.status import render
from packhorse.scheduler.core.packing.policies import POLICIES
from packhorse.scheduler.core.packing.policy import Policy, Scores, Sight, Want
from tests.service.doors.running import SCRIPT, SETTINGS, Running
from tests.service.engine.cluster import until


class Fragile:
    relative = False

    def __init__(self, raises: Callable[[Want], bool]) -> None:
        self.raises = raises

    def phase(self, fill: float) -> int:
        return 0

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        if self.raises(want):
            raise ZeroDivisionError("no share of nothing")
        return sight.cpu, np.zeros_like(sight.cpu)


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> Fragile:
    scorer = Fragile(lambda want: False)
    monkeypatch.setitem(POLICIES, "fragile", Policy("fragile", "breaks", lambda ground, mix: scorer))
    return scorer


async def submit(scheduler: Running, *cpus: int) -> list[int]:
    """Jobs of so many CPUs that come before one pass, on two nodes: with one there is nothing to choose, and
    no policy is asked."""
    await scheduler.add_node("n1")
    await scheduler.add_node("n2")
    specs = [
        {"script": SCRIPT, "ask": {"nTasks": 1, "minNodes": 1, "cpuMilliPerTask": n * 1000}} for n in cpus
    ]
    items = [{"spec": n} for n in range(len(cpus))]
    first = int((await scheduler.call("SubmitJobs", {"specs": specs, "items": items}))["firstJobId"])
    return list(range(first, first + len(cpus)))


async def rows(scheduler: Running, *fields: str) -> list[list[object]]:
    table = await scheduler.call("ListJobs", {"fields": list(fields)})
    return [[row.get(name) for name in fields] for row in table.rows()]


async def metric(scheduler: Running, line: str) -> bool:
    url = f"http://{scheduler.addresses.http}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return line in (await answer.text()).splitlines()


async def test_a_job_that_is_set_aside_is_told_to_everybody(tmp_path: Path, fragile: Fragile) -> None:
    fragile.raises = lambda want: want.cpu_milli == 3_000
    async with Running(tmp_path, f'{SETTINGS}[scheduling]\npolicy = "fragile"\n') as scheduler:
        with capture_logs() as logs:
            good, bad = await submit(scheduler, 1, 3)
            await until(lambda: any(entry["event"] == "job.quarantined" for entry in logs), "the error")
        error = "ZeroDivisionError: no share of nothing"
        [entry] = [entry for entry in logs if entry["event"] == "job.quarantined"]
        assert (entry["log_level"], entry["job"], entry["error"]) == ("error", bad, error)
        [entry] = [entry for entry in logs if entry["event"] == "cycle.failed"]
        assert "in scores" in entry["trace"]
        shown = {row[0]: row[1:] for row in await rows(scheduler, "job_id", "state", "reason", "quarantine")}
        assert shown[bad] == ["PENDING", "Quarantined", error]
        assert shown[good][0] != "PENDING"
        story = await scheduler.call("ListJobEvents", {"job": {"jobId": bad}})
        assert story["events"][-1]["text"] == f"held, because decisions about it failed: {error}"
        status = await scheduler.call("GetStatus", {})
        [warning] = status["warnings"]
        assert warning.startswith("1 job is quarantined")
        assert f"WARNING: {warning}" in render(status).splitlines()
        assert await metric(scheduler, "packhorse_jobs_quarantined_total 1.0")
        assert await metric(scheduler, 'packhorse_cycle_failures_total{kind="jobs"} 1.0')
        assert await metric(scheduler, "packhorse_policy_replaced 0.0")


async def test_a_policy_that_fails_for_all_is_told_loudly(tmp_path: Path, fragile: Fragile) -> None:
    fragile.raises = lambda want: True
    async with Running(tmp_path, f'{SETTINGS}[scheduling]\npolicy = "fragile"\n') as scheduler:
        with capture_logs() as logs:
            await submit(scheduler, 1, 2)
            await until(lambda: scheduler.engine.state.fallback is not None, "best fit")
        [entry] = [entry for entry in logs if entry["event"] == "policy.replaced"]
        assert (entry["log_level"], entry["policy"]) == ("error", "fragile")
        assert all(row[0] != "PENDING" for row in await rows(scheduler, "state"))
        [warning] = (await scheduler.call("GetStatus", {}))["warnings"]
        assert warning.startswith('placement policy "fragile", order "priority": failed for most jobs since ')
        assert "best fit and first come, first served until it works" in warning
        assert await metric(scheduler, "packhorse_policy_replaced 1.0")
