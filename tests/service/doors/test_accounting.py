"""Accounting: ended attempts from the store beside what waits and runs, and nothing twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.store.protocol import AttemptQuery
from packhorse.scheduler.store.sqlite import SqliteStore
from tests.service.doors.running import Running

FIELDS = ["job_id", "step", "state", "exit_code", "exit_signal"]


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path) as running:
        await running.add_node(cpus=4)
        yield running


async def rows(scheduler: Running, **request: Any) -> list[dict[str, Any]]:
    return (await scheduler.call("ListAccounting", {"fields": FIELDS} | request)).rows()


def words(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in FIELDS) for row in found]


async def finished(scheduler: Running, **how: Any) -> int:
    job = await scheduler.submit()
    await scheduler.settle()
    await scheduler.started(job)
    await scheduler.ended(job, **how)
    return job


async def test_ended_running_and_waiting(scheduler: Running) -> None:
    good = await finished(scheduler)
    bad = await finished(scheduler, exit_code=3)
    running = await scheduler.submit()
    await scheduler.settle()
    await scheduler.started(running)
    waiting = await scheduler.submit(hold=True)
    assert words(await rows(scheduler)) == [
        (good, "", "COMPLETED", 0, 0),
        (good, "batch", "COMPLETED", 0, 0),
        (bad, "", "FAILED", 3, 0),
        (bad, "batch", "FAILED", 3, 0),
        (running, "", "RUNNING", 0, 0),
        (running, "batch", "RUNNING", 0, 0),
        (waiting, "", "PENDING", 0, 0),
    ]
    assert words(await rows(scheduler, allocationsOnly=True, jobs=[{"jobId": bad}])) == [
        (bad, "", "FAILED", 3, 0)
    ]
    answer = await scheduler.call("ListAccounting", {"jobs": [{"jobId": bad}]})
    job, step = answer.rows()
    assert (job["nodes"], job["alloc_tres"]) == ("n1", "billing=1,cpu=1,node=1")
    assert (job["user_cpu_us"], job["max_rss_kib"]) == (1_500_000, -1)
    assert (step["name"], step["max_rss_kib"], step["max_rss_node"]) == ("batch", 2048, "n1")
    assert (step["alloc_tres"], step["req_tres"], step["submit_at"]) == ("cpu=1,node=1", "", step["start_at"])


async def test_a_killed_job_is_failed_and_its_step_cancelled(scheduler: Running) -> None:
    job = await finished(scheduler, exit_signal=9)
    assert words(await rows(scheduler)) == [
        (job, "", "FAILED", 0, 9),
        (job, "batch", "CANCELLED", 0, 9),
    ]


async def test_a_cancelled_job_shows_its_signal_at_its_step(scheduler: Running) -> None:
    job = await scheduler.submit()
    await scheduler.settle()
    await scheduler.started(job)
    await scheduler.call("CancelJobs", {"jobs": [{"jobId": job}]})
    await scheduler.ended(job, exit_signal=15, cause="terminated")
    found = (await scheduler.call("ListAccounting", {"fields": [*FIELDS, "cancelled_by"]})).rows()
    assert words(found) == [(job, "", "CANCELLED", 0, 0), (job, "batch", "CANCELLED", 0, 15)]
    assert [row["cancelled_by"] >= 0 for row in found] == [True, False]


async def test_cancelled_before_it_ran(scheduler: Running) -> None:
    job = await scheduler.submit(hold=True)
    await scheduler.call("CancelJobs", {"jobs": [{"jobId": job}]})
    [row] = (await scheduler.call("ListAccounting", {})).rows()
    assert (row["state"], row["nodes"], row["start_at"]) == ("CANCELLED", "None assigned", 0)
    assert row["n_nodes"] == 1


async def test_requeued(scheduler: Running) -> None:
    """The past attempt shows with duplicates only, the present one always."""
    job = await scheduler.submit()
    await scheduler.settle()
    await scheduler.started(job)
    answer = await scheduler.call("RequeueJobs", {"jobs": [{"jobId": job}], "hold": True})
    assert answer["outcomes"] == [{"ref": str(job)}]
    await scheduler.settle()
    await scheduler.ended(job, exit_signal=15, cause="terminated")
    assert words(await rows(scheduler, allocationsOnly=True)) == [(job, "", "PENDING", 0, 0)]
    assert words(await rows(scheduler, allocationsOnly=True, duplicates=True)) == [
        (job, "", "REQUEUED", 0, 0),
        (job, "", "PENDING", 0, 0),
    ]
    await scheduler.call("CancelJobs", {"jobs": [{"jobId": job}]})
    assert words(await rows(scheduler, allocationsOnly=True)) == [(job, "", "CANCELLED", 0, 0)]
    assert [row["state"] for row in await rows(scheduler, allocationsOnly=True, duplicates=True)] == [
        "REQUEUED",
        "CANCELLED",
    ]


async def test_arrays(scheduler: Running) -> None:
    array = await scheduler.submit(array="0-9%2")
    await scheduler.settle()
    tasks = sorted(scheduler.engine.state.tasks[array].by_index.items())  # type: ignore[index]
    first = tasks[0][1]
    await scheduler.started(first)
    await scheduler.ended(first)
    fields = ["job_id", "array_task_id", "array_pending", "state"]
    answer = await scheduler.call(
        "ListAccounting", {"fields": fields, "jobs": [{"jobId": array}], "allocationsOnly": True}
    )
    found = {row["array_task_id"]: row for row in answer.rows()}
    assert found[0]["state"] == "COMPLETED"
    assert found[-1]["array_pending"].endswith("%2")
    some = {"jobId": array, "indices": [{"start": 0, "stop": 0}]}
    answer = await scheduler.call(
        "ListAccounting", {"fields": fields, "jobs": [some], "allocationsOnly": True}
    )
    assert [row["array_task_id"] for row in answer.rows()] == [0]
    wide = {"jobId": array, "indices": [{"start": 1, "stop": 5000}]}
    answer = await scheduler.call(
        "ListAccounting", {"fields": fields, "jobs": [wide], "allocationsOnly": True}
    )
    assert 0 not in [row["array_task_id"] for row in answer.rows()]
    await scheduler.call("CancelJobs", {"jobs": [{"jobId": array, "indices": [{"start": 5, "stop": 9}]}]})
    answer = await scheduler.call("ListAccounting", {"fields": fields, "allocationsOnly": True})
    cancelled = [row for row in answer.rows() if row["state"] == "CANCELLED"]
    assert [row["array_pending"] for row in cancelled] == ["5-9"]


async def test_filters_windows_and_limits(scheduler: Running) -> None:
    first = await finished(scheduler)
    between = scheduler.now()
    second = await finished(scheduler, exit_code=1)
    waiting = await scheduler.submit(hold=True)
    only = {"allocationsOnly": True}
    assert [row["job_id"] for row in await rows(scheduler, sinceUs=between, **only)] == [second, waiting]
    assert [row["job_id"] for row in await rows(scheduler, untilUs=between, **only)] == [first]
    assert [row["job_id"] for row in await rows(scheduler, filter={"states": ["F"]}, **only)] == [second]
    assert [row["job_id"] for row in await rows(scheduler, filter={"states": ["PD"]}, **only)] == [waiting]
    assert [row["job_id"] for row in await rows(scheduler, filter={"users": ["none"]}, **only)] == []
    assert [row["job_id"] for row in await rows(scheduler, limit=1, **only)] == [waiting]
    answer = await scheduler.call("ListAccounting", {"jobs": [{"jobId": 99}, {"jobId": first}]})
    assert answer["unknown"] == ["99"]


async def test_a_limit_beyond_what_a_store_can_count(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "p.db")
    async with Running(tmp_path, store=store) as scheduler:
        job = await scheduler.submit(hold=True)
        assert [row["job_id"] for row in await rows(scheduler, limit=2**64 - 1)] == [job]


async def test_slow_questions_do_not_keep_launches_from_their_texts(
    scheduler: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def slow(query: AttemptQuery) -> list[AttemptRow]:
        assert gate.wait(20)
        return []

    monkeypatch.setattr(scheduler.store, "attempts", slow)
    asked = [asyncio.create_task(rows(scheduler)) for _ in range(50)]
    try:
        async with asyncio.timeout(10):
            for _ in range(20):  # all of them have come as far as the store
                await scheduler.call("Ping")
            assert await scheduler.engine.payloads.get("00" * 32) is None
    finally:
        gate.set()
    await asyncio.gather(*asked)
