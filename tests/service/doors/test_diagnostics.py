"""What sdiag shows: figures of a daemon that did things."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.model.event import JobGranted
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.service.agent_sessions import Unsent
from packhorse.scheduler.service.auth import Principal, Role, owner_of
from packhorse.scheduler.service.clock import ManualClock
from packhorse.scheduler.service.diagnostics import DAY_US, Diagnostics
from packhorse.scheduler.service.engine import Pass
from packhorse.scheduler.service.messages import GetDiagnosticsRequest
from tests.core.scenario import a_cluster
from tests.service.doors.running import Running


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path) as running:
        yield running


def jobs(answer: dict[str, Any]) -> list[int]:
    names = ("Submitted", "Started", "Completed", "Cancelled", "Failed", "Pending", "Running")
    return [answer.get(f"jobs{name}", 0) for name in names]


async def test_jobs_are_counted_until_they_are_set_to_zero(scheduler: Running) -> None:
    await scheduler.add_node("n1", cpus=2)
    first = await scheduler.submit(ask={"cpuMilliPerTask": 2000}, timeLimitS=60)
    second = await scheduler.submit(ask={"cpuMilliPerTask": 2000}, timeLimitS=60)
    third = await scheduler.submit(ask={"cpuMilliPerTask": 2000}, timeLimitS=60)
    await scheduler.submit(array="0-3", hold=True)
    await scheduler.settle()
    await scheduler.started(first)
    assert jobs(await scheduler.call("GetDiagnostics")) == [4, 1, 0, 0, 0, 6, 1]
    await scheduler.ended(first, exit_code=1)  # a program that failed is no trouble of the cluster's
    await scheduler.call("CancelJobs", {"jobs": [{"jobId": third}]})
    await scheduler.settle()
    for _ in range(1000):  # the pass may be held for a moment, in case a better plan is found
        if isinstance(scheduler.engine.state.jobs[JobId(second)].phase, Active):
            break
        await asyncio.sleep(0.01)
    await scheduler.started(second)
    answer = await scheduler.call("GetDiagnostics")
    assert jobs(answer) == [4, 2, 1, 1, 0, 4, 1]
    assert answer["main"]["count"] >= 2 and answer["main"]["maxUs"] >= answer["main"]["meanUs"] > 0
    assert answer["backfill"]["count"] >= 1, "the second job had a planned start"
    assert (await scheduler.call("ResetDiagnostics")).status == 200
    after = await scheduler.call("GetDiagnostics")
    assert jobs(after) == [0, 0, 0, 0, 0, 4, 1] and "count" not in after["main"]
    assert after["sinceUs"] > answer["sinceUs"]
    assert [one["name"] for one in after["methods"]] == ["ResetDiagnostics"]


async def test_calls_are_counted_by_method_and_user(scheduler: Running) -> None:
    for _ in range(3):
        await scheduler.call("Ping")
    await scheduler.call("CancelJobs", {})  # one that fails
    answer = await scheduler.call("GetDiagnostics")
    counts = {one["name"]: one["count"] for one in answer["methods"]}
    assert counts == {"Ping": 3, "CancelJobs": 1}
    assert all(one["timeUs"] > 0 for one in answer["methods"])
    [user] = answer["users"]
    assert user["count"] == 4
    assert answer["nCallsActive"] == 1, "this one"
    assert answer["clockLatencyUs"] > 0


async def test_orders_that_wait_for_nodes_are_named(scheduler: Running) -> None:
    nodes = [("n1", "Launch"), ("n2", "Terminate")]
    scheduler.methods._unsent = lambda: Unsent(Counter(Launch=2, Terminate=1), nodes)
    admin = Principal(owner_of(0, 0), Role.ADMIN)
    answer = await scheduler.methods.get_diagnostics(admin, GetDiagnosticsRequest())
    assert (answer.n_orders_queued, answer.n_nodes_queued) == (3, 2)
    assert [(one.kind, one.count) for one in answer.orders] == [("Launch", 2), ("Terminate", 1)]
    assert [(one.node, one.kind) for one in answer.waiting_nodes] == [("n1", "Launch"), ("n2", "Terminate")]


def test_a_new_day_begins_with_zeros_but_for_calls() -> None:
    clock = ManualClock(Instant(3 * DAY_US - US))
    counted = Diagnostics(clock)
    cluster = a_cluster(nodes=1, cpus=1)
    counted.passed(0.002, Pass(cluster.state, 5, []))
    assert (counted._main.n, counted._main.last, counted._main.queue) == (1, 2000, 5)
    clock.advance(2)
    counted.saw(1, [])
    assert counted._main.n == 0


def test_who_started_ahead_of_a_planned_start() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    first = cluster.submit(cpus=2, time_limit_s=1000)
    cluster.run_cycle()
    cluster.run(first)
    cluster.submit(cpus=4, time_limit_s=1000)
    short = cluster.submit(cpus=2, time_limit_s=100)
    cluster.run_cycle()
    granted = [event for event in cluster.log if isinstance(event, JobGranted)]
    assert [event.job for event in granted] == [first, short]
    counted = Diagnostics(ManualClock(Instant(DAY_US)))
    counted.passed(0.001, Pass(cluster.state, 2, granted))
    assert counted._backfilled == 1, "the first one was there before the one that has a planned start"
    assert (counted._backfills.n, counted._backfills.table) == (1, 1)
