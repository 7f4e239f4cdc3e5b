"""`--test-only`: nothing is queued, and what comes back is what would happen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from packhorse.scheduler.model.ids import US
from tests.service.doors.running import SCRIPT, Answer, Running


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path) as running:
        await running.add_node("n1", cpus=4)
        await running.add_node("n2", cpus=4)
        yield running


async def trial(scheduler: Running, array: dict[str, Any] | None = None, **spec: Any) -> Answer:
    body: dict[str, Any] = {"spec": {"script": SCRIPT, "workDir": "/tmp"} | spec, "testOnly": True}
    if array:
        body["array"] = array
    before = (scheduler.engine.state.next_job_id, scheduler.engine.seq)
    answer = await scheduler.call("SubmitJob", body)
    assert (scheduler.engine.state.next_job_id, scheduler.engine.seq) == before
    assert "jobId" not in answer
    return answer


async def test_it_would_start_now(scheduler: Running) -> None:
    answer = await trial(scheduler, ask={"nTasks": 4, "minNodes": 2, "maxNodes": 2})
    assert answer["estimate"].startswith("Job 1 to start at 2")
    assert answer["estimate"].endswith("using 4 processors on nodes n[1-2] in partition main")
    assert abs(answer["plannedStartUs"] - scheduler.now()) < 10 * US


async def test_it_would_start_when_others_have_ended(scheduler: Running) -> None:
    jobs = []
    for limit in (600, 1200):
        jobs.append(await scheduler.submit(ask={"nTasks": 4, "minNodes": 1}, timeLimitS=limit))
        await scheduler.settle()
    for job in jobs:
        await scheduler.started(job)
    first = scheduler.active(jobs[0])
    answer = await trial(scheduler, ask={"nTasks": 4, "minNodes": 1})
    assert answer["plannedStartUs"] == first.end_by
    assert f"on nodes {first.placements[0].node} in" in answer["estimate"]
    assert "8 of 10 times between" in answer["notes"][0]
    both = await trial(scheduler, ask={"nTasks": 8, "minNodes": 2})
    assert both["plannedStartUs"] == scheduler.active(jobs[1]).end_by


async def test_an_array_starts_with_its_first_task(scheduler: Running) -> None:
    answer = await trial(scheduler, array={"ranges": [{"start": 0, "stop": 99}]})
    assert "using 1 processors on nodes n1" in answer["estimate"]
    assert "notes" not in answer, "it would start now"
    for _ in range(2):
        await scheduler.submit(ask={"nTasks": 4, "minNodes": 1}, timeLimitS=600)
        await scheduler.settle()
    answer = await trial(scheduler, array={"ranges": [{"start": 0, "stop": 99}]})
    first, last = answer["notes"]
    assert "(its last task)" not in first and "(its last task)" in last


async def test_a_begin_time(scheduler: Running) -> None:
    begin = scheduler.now() + 3600 * US
    answer = await trial(scheduler, beginAtUs=begin)
    assert answer["plannedStartUs"] == begin


async def test_nobody_can_say(scheduler: Running) -> None:
    answer = await trial(scheduler, hold=True)
    assert "JobHeldUser" in answer["estimate"]
    assert "plannedStartUs" not in answer
    await scheduler.submit(ask={"nTasks": 8, "minNodes": 2})
    await scheduler.settle()
    endless = await trial(scheduler, ask={"nTasks": 8, "minNodes": 2})
    assert "no start can be promised" in endless["estimate"]
    [expected] = endless["notes"]
    assert expected.startswith("Job 2 is expected to start at 2")


async def test_refusals_are_refusals(scheduler: Running) -> None:
    answer = await trial(scheduler, partition="nosuch")
    assert (answer.status, answer["refusal"]) == (400, "invalid")
    answer = await trial(scheduler, ask={"nTasks": 1, "cpuMilliPerTask": 64_000})
    assert (answer.status, answer["refusal"]) == (400, "impossible")


async def test_a_long_queue_is_cut(scheduler: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packhorse.scheduler.service.estimate.MAX_AHEAD", 5)
    body = {"specs": [{"script": SCRIPT, "timeLimitS": 60}], "items": [{"spec": 0, "copies": 50}]}
    await scheduler.call("SubmitJobs", body)
    await scheduler.settle()
    assert (await trial(scheduler, timeLimitS=60)).status == 200
    held = await scheduler.submit(hold=True)
    answer = await trial(scheduler, dependency={"conditions": [{"kind": "afterany", "jobId": held}]})
    assert "its start cannot be foreseen" in answer["estimate"], "it is not among the first"


async def test_the_front_of_a_long_queue_is_that_of_the_order_in_force(
    scheduler: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("packhorse.scheduler.service.estimate.MAX_AHEAD", 1)
    state = scheduler.engine.state
    state.config = replace(state.config, order="sjf")
    full = {"nTasks": 8, "minNodes": 2}
    runs = await scheduler.submit(ask=full, timeLimitS=600)
    await scheduler.settle()
    await scheduler.started(runs)
    for limit in (7200, 1800):
        await scheduler.submit(ask=full, timeLimitS=limit)
    await scheduler.settle()
    answer = await trial(scheduler, ask=full, timeLimitS=3600)
    assert answer["plannedStartUs"] == scheduler.active(runs).end_by + 1800 * US
