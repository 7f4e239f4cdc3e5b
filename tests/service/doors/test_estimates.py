"""Estimates of starts through the doors: told, shown, scored, measured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from packhorse.scheduler.model.ids import US
from packhorse.scheduler.service.estimating import Estimator
from tests.service.doors.running import Running

FIELDS = ["job_id", "array_task_id", "estimated_low_at", "estimated_start_at", "estimated_high_at"]


@pytest.fixture
async def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr("packhorse.scheduler.service.estimating.LOOK_S", 3600.0)
    async with Running(tmp_path) as running:
        await running.add_node("n1", cpus=4)
        yield running


async def busy(scheduler: Running) -> int:
    job = await scheduler.submit(ask={"nTasks": 4, "minNodes": 1}, timeLimitS=600)
    await scheduler.settle()
    await scheduler.started(job)
    return job


async def test_from_the_estimate_to_its_score(scheduler: Running) -> None:
    running = await busy(scheduler)
    job = await scheduler.submit(ask={"nTasks": 4, "minNodes": 1}, timeLimitS=60)
    held = await scheduler.submit(hold=True)
    await scheduler.settle()
    assert (await scheduler.call("ListEstimates"))["nowUs"] > 0
    await Estimator(scheduler.engine, 3600).look()
    table = (await scheduler.call("ListJobs", {"fields": FIELDS})).rows()
    row = {row["job_id"]: row for row in table}[job]
    now = scheduler.now()
    assert now < row["estimated_low_at"] < row["estimated_start_at"] < row["estimated_high_at"]
    assert row["estimated_start_at"] - now == pytest.approx(600 * US, rel=0.1)
    assert all(r["estimated_start_at"] == 0 for r in table if r["job_id"] in (running, held))
    assert (await scheduler.call("ListEstimates"))["nTold"] == 1
    await scheduler.ended(running)
    await scheduler.settle()
    answer = await scheduler.call("ListEstimates", {"latest": 10})
    assert (answer["nScored"], answer.get("nInside", 0), answer.get("nTold", 0)) == (1, 0, 0)
    [all_of_them, *groups] = answer["sums"]
    assert (all_of_them["by"], all_of_them["n"]) == ("all", 1)
    assert all_of_them["medianErrorS"] == pytest.approx(600, rel=0.1)
    assert [(g["by"], g["key"]) for g in groups] == [("partition", "main"), ("size", "50"), ("wait", "60")]
    [scored] = answer["latest"]
    assert (scored["jobId"], scored["medianAtUs"]) == (job, row["estimated_start_at"])
    assert [day["n"] for day in answer["days"]] == [1]
    async with scheduler.remote.get(f"http://{scheduler.addresses.http}/metrics") as response:
        page = await response.text()
    assert 'packhorse_start_estimates_total{inside="no",nth="first"} 1.0' in page
    assert "packhorse_start_estimate_error_seconds " in page


async def test_tasks_of_an_array_lie_between_its_first_and_its_last(scheduler: Running) -> None:
    await busy(scheduler)
    array = await scheduler.submit("0-9%1", ask={"nTasks": 4, "minNodes": 1}, timeLimitS=600)
    await scheduler.settle()
    await Estimator(scheduler.engine, 3600).look()
    [whole] = (await scheduler.call("ListJobs", {"fields": FIELDS, "jobs": [{"jobId": array}]})).rows()
    request = {"fields": FIELDS, "jobs": [{"jobId": array}], "expandArrays": True}
    starts = [row["estimated_start_at"] for row in (await scheduler.call("ListJobs", request)).rows()]
    assert len(starts) == 10
    assert starts == sorted(starts) and starts[0] == whole["estimated_start_at"]
    assert starts[-1] - starts[0] > 9 * 500 * US


async def test_what_was_told_is_shown_until_there_is_something_newer(scheduler: Running) -> None:
    await busy(scheduler)
    job = await scheduler.submit(ask={"nTasks": 4, "minNodes": 1}, timeLimitS=60)
    await scheduler.settle()
    estimator = Estimator(scheduler.engine, 3600)
    await estimator.look()
    told = scheduler.engine.state.estimates.newest(job)  # type: ignore[arg-type]
    scheduler.engine.estimates.clear()
    request = {"fields": FIELDS, "jobs": [{"jobId": job}]}
    [row] = (await scheduler.call("ListJobs", request)).rows()
    assert told is not None and row["estimated_start_at"] == told.estimate.median
    seq = scheduler.engine.seq
    await estimator.look()
    assert scheduler.engine.seq == seq, "nobody is due, so nothing is written"
