"""What jobs use over time: while they run, after they ended, and over a restart of the scheduler."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.model.ids import US, AttemptKey, Instant, NodeName
from packhorse.scheduler.model.resources import Usage
from packhorse.scheduler.model.sample import DeviceSample
from packhorse.scheduler.model.usage_series import decode
from packhorse.scheduler.service import series_book
from packhorse.scheduler.service.convert_agents import AttemptSample, NodeUsage
from packhorse.scheduler.service.series_keeping import SeriesKeeper
from packhorse.scheduler.store.memory import MemoryStore
from tests.service.doors.running import Answer, Running

N1 = NodeName("n1")

LATER_S = 4_000_000_000
"""Added to the instants below: what is old is not kept."""


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path) as running:
        await running.add_node("n1")
        yield running


class OnePage(MemoryStore):
    """Goes on where another scheduler left it: closing keeps what is in it."""

    def close(self) -> None:
        pass


def measure(
    scheduler: Running,
    key: AttemptKey,
    at_s: int,
    mem_kib: int,
    *,
    node: NodeName = N1,
    devices: tuple[DeviceSample, ...] = (),
    **usage: int,
) -> None:
    """The node's agent said so, at that instant."""
    fields = {"user_cpu_us": at_s * 1000, "max_rss_kib": mem_kib} | usage
    sample = AttemptSample(Usage(**fields), mem_kib, 7, devices)
    said = NodeUsage(Instant((LATER_S + at_s) * US), 0, 0, 0, 0, {key: sample})
    scheduler.engine.usage[node] = said
    scheduler.engine.series.heard(scheduler.engine.state, node, said, said.at)


async def usage(scheduler: Running, job: int, **more: Any) -> Answer:
    return await scheduler.call("GetJobUsage", {"job": {"jobId": job}} | more)


def points(answer: Answer) -> list[dict[str, Any]]:
    return Answer(200, answer["points"]).rows() if answer.get("points") else []


async def test_of_a_running_job(scheduler: Running) -> None:
    job = await scheduler.submit()
    await scheduler.settle()
    key = await scheduler.started(job)
    device = DeviceSample("gpu", 0, 800, 100, flops_milli=300)
    measure(scheduler, key, 1000, 50)
    measure(scheduler, key, 1010, 90, devices=(device, DeviceSample("gpu", 1, 400, 50)))
    answer = await usage(scheduler, job)
    assert (answer["jobId"], answer["attempt"], answer["running"]) == (job, 1, True)
    assert points(answer) == [
        {
            "at_us": (LATER_S + 1000) * US,
            "cpu_ms": 1000,
            "mem_kib": 50,
            "cache_kib": 7,
            "busy_milli": -1,
            "gpu_mem_mib": -1,
            "flops_milli": -1,
        },
        {
            "at_us": (LATER_S + 1010) * US,
            "cpu_ms": 1010,
            "mem_kib": 90,
            "cache_kib": 7,
            "busy_milli": 600,
            "gpu_mem_mib": 150,
            "flops_milli": 300,
        },
    ]


async def test_of_an_ended_job_it_is_beside_the_accounting_and_not_in_the_log(scheduler: Running) -> None:
    job = await scheduler.submit()
    await scheduler.settle()
    key = await scheduler.started(job)
    for at_s in range(1000, 1100, 10):
        measure(scheduler, key, at_s, at_s)
    seq = scheduler.engine.seq
    await scheduler.ended(job)
    answer = await usage(scheduler, job)
    assert [point["mem_kib"] for point in points(answer)] == list(range(1000, 1100, 10))
    assert "running" not in answer
    stored = scheduler.store.series(job, 1)
    assert stored is not None and stored.until == (LATER_S + 1090) * US
    assert scheduler.engine.series.series((job, 1)) is None
    kinds = {record.kind for record in scheduler.store.read_log(seq)}
    assert kinds and not any("usage" in kind.lower() or "series" in kind.lower() for kind in kinds)


async def test_each_attempt_has_its_own(scheduler: Running) -> None:
    job = await scheduler.submit()
    await scheduler.settle()
    first = await scheduler.started(job)
    measure(scheduler, first, 1000, 11)
    await scheduler.call("RequeueJobs", {"jobs": [{"jobId": job}]})
    await scheduler.ended(job, exit_signal=15)
    await scheduler.settle()
    for _ in range(3):
        await scheduler.settle()
    second = await scheduler.started(job)
    measure(scheduler, second, 2000, 22)
    measure(scheduler, first, 2001, 99)  # said too late
    assert [point["mem_kib"] for point in points(await usage(scheduler, job))] == [22]
    assert [point["mem_kib"] for point in points(await usage(scheduler, job, attempt=1))] == [11]
    assert (await usage(scheduler, job, attempt=7)).status == 404


async def test_what_no_node_may_say(scheduler: Running) -> None:
    job = await scheduler.submit()
    await scheduler.settle()
    key = await scheduler.started(job)
    measure(scheduler, key, 1000, 50, node=NodeName("n2"))
    measure(scheduler, AttemptKey(key.job, 2, key.epoch), 1000, 50)
    assert points(await usage(scheduler, job)) == []
    measure(scheduler, key, 1000, -5)
    assert [point["mem_kib"] for point in points(await usage(scheduler, job))] == [0]


async def test_a_node_whose_clock_is_ahead_does_not_spoil_what_follows(scheduler: Running) -> None:
    job = await scheduler.submit()
    await scheduler.settle()
    key = await scheduler.started(job)
    day = 86_400 * US
    sample = AttemptSample(Usage(), 50, 0, ())
    scheduler.engine.measured(
        N1, NodeUsage(Instant(scheduler.engine.clock.now() + day), 0, 0, 0, 0, {key: sample})
    )
    (point,) = points(await usage(scheduler, job))
    assert point["at_us"] <= scheduler.engine.clock.now()


async def test_of_jobs_without_any(scheduler: Running) -> None:
    waiting = await scheduler.submit(hold=True)
    assert points(await usage(scheduler, waiting)) == []
    assert (await usage(scheduler, 999)).status == 404
    assert (await usage(scheduler, 0)).status == 400
    answer = await usage(scheduler, waiting, attempt=2)
    assert (answer.status, answer["message"]) == (
        404, f"job {waiting} has no attempt 2: it has not run yet"
    )  # fmt: skip
    ran = await scheduler.submit()
    await scheduler.settle()
    await scheduler.started(ran)
    await scheduler.ended(ran)
    assert points(await usage(scheduler, ran)) == []
    answer = await usage(scheduler, ran, attempt=7)
    assert (answer.status, answer["message"]) == (404, f"job {ran} has no attempt 7: its newest is 1")


async def test_of_an_array_one_element_is_named(scheduler: Running) -> None:
    array = await scheduler.submit(array="0-1")
    await scheduler.settle()
    jobs = sorted(job for job in scheduler.engine.state.jobs if scheduler.engine.state.jobs[job].array_id)
    for number, job in enumerate(jobs):
        measure(scheduler, await scheduler.started(job), 1000, 10 + number)
        await scheduler.ended(job)
    element = {"job": {"jobId": array, "indices": [{"start": 1, "stop": 1}], "text": f"{array}_1"}}
    assert [point["mem_kib"] for point in points(await scheduler.call("GetJobUsage", element))] == [11]
    both = {"job": {"jobId": array, "indices": [{"start": 0, "stop": 1}], "text": f"{array}_[0-1]"}}
    answer = await scheduler.call("GetJobUsage", both)
    assert answer.status == 400 and "name one element of the array" in answer["message"]


async def test_goes_on_after_a_restart_in_good_order(tmp_path: Path) -> None:
    store = OnePage()
    async with Running(tmp_path, store=store) as first:
        await first.add_node("n1")
        job = await first.submit()
        await first.settle()
        key = await first.started(job)
        measure(first, key, 1000, 50)
    async with Running(tmp_path, store=store) as second:
        assert [point["mem_kib"] for point in points(await usage(second, job))] == [50]
        measure(second, key, 1010, 60)
        assert [point["mem_kib"] for point in points(await usage(second, job))] == [50, 60]
        await SeriesKeeper(second.engine).turn()
        measure(second, key, 1020, 70)
        assert [point["mem_kib"] for point in points(await usage(second, job))] == [50, 60, 70]


async def test_an_attempt_that_ends_before_its_part_was_read_keeps_both(tmp_path: Path) -> None:
    store = OnePage()
    async with Running(tmp_path, store=store) as first:
        await first.add_node("n1")
        job = await first.submit()
        await first.settle()
        key = await first.started(job)
        measure(first, key, 1000, 50)
    async with Running(tmp_path, store=store) as second:
        measure(second, key, 1010, 60)
        await second.ended(job)
        await SeriesKeeper(second.engine).turn()
        stored = second.store.series(job, 1)
        assert stored is not None
        assert [point.mem_kib for point in decode(stored.data)] == [50, 60]


async def test_parts_are_written_as_the_attempt_grows_old(scheduler: Running) -> None:
    job = await scheduler.submit()
    await scheduler.settle()
    key = await scheduler.started(job)
    keeper = SeriesKeeper(scheduler.engine)
    written = []
    for at_s in range(0, 40_000, 10):
        measure(scheduler, key, 10_000 + at_s, 50)
        if scheduler.engine.series.parts(1):
            written.append(at_s)
    assert written[:3] == [600, 1200, 1800]
    assert len(written) < 30
    measure(scheduler, key, 60_000, 50)
    await keeper.turn()
    stored = scheduler.store.series(job, 1)
    assert stored is not None and stored.until == (LATER_S + 60_000) * US
    assert series_book.FIRST_PART_S == 600


async def test_accounting_has_what_was_measured(scheduler: Running) -> None:
    job = await scheduler.submit()
    await scheduler.settle()
    key = await scheduler.started(job)
    told: dict[str, Any] = {
        "gpu_ms": 1000,
        "gpu_busy_ms": 0,
        "gpu_energy_mj": 5000,
        "max_cache_kib": 9,
        "oom_kills": 1,
    }
    measure(scheduler, key, 1000, 50, **told)
    fields = [*told, "gpu_gflop", "gpu_peak_gflop", "gpu_max_mem_mib", "attempt", "row_kind"]
    answer = await scheduler.call("ListAccounting", {"jobs": [{"jobId": job}], "fields": fields})
    whole, step = answer.rows()
    assert {name: step[name] for name in told} == told
    assert (step["gpu_gflop"], step["gpu_peak_gflop"], step["gpu_max_mem_mib"]) == (-1, -1, -1)
    assert (whole["gpu_busy_ms"], whole["gpu_energy_mj"], whole["attempt"]) == (-1, 5000, 1)


async def test_metrics_of_nodes_and_devices(scheduler: Running) -> None:
    devices = (DeviceSample("gpu", 0, 800, 100, 350_000, 61, 300), DeviceSample("gpu", 1))
    scheduler.engine.measured(N1, NodeUsage(Instant(1), 0, 0, 512, 0, {}, devices, 25))
    async with scheduler.remote.get(f"http://{scheduler.addresses.http}/metrics") as response:
        page = await response.text()
    told = [line for line in page.splitlines() if line.startswith(("packhorse_device", "packhorse_node_"))]
    assert told == [
        'packhorse_node_memory_pressure{node="n1"} 0.025',
        'packhorse_node_memory_free_mib{node="n1"} 512.0',
        'packhorse_device_busy{index="0",kind="gpu",node="n1"} 0.8',
        'packhorse_device_flops_share{index="0",kind="gpu",node="n1"} 0.3',
        'packhorse_device_memory_used_mib{index="0",kind="gpu",node="n1"} 100.0',
        'packhorse_device_power_watts{index="0",kind="gpu",node="n1"} 350.0',
        'packhorse_device_celsius{index="0",kind="gpu",node="n1"} 61.0',
    ]
