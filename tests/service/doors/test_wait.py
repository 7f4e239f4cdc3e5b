"""WaitJobs and WatchEvents: woken by what becomes durable, never late, never twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.core import targets
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.targets import Aim
from packhorse.scheduler.model.errors import StoreUnavailable
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.input import Target
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service import wait as wait_module
from packhorse.scheduler.service.auth import Directory
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.store.memory import MemoryStore
from packhorse.scheduler.store.protocol import Batch
from tests.service.doors.running import SCRIPT, SETTINGS, Answer, Running


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path) as running:
        await running.add_node(cpus=8)
        yield running


async def wait(scheduler: Running, *jobs: int, timeout: float = 30) -> Answer:
    refs = [{"jobId": job, "text": str(job)} for job in jobs]
    return await scheduler.call("WaitJobs", {"jobs": refs, "timeoutS": timeout})


async def waiting(scheduler: Running, n: int = 1) -> None:
    """Returns when so many calls are waiting."""
    async with asyncio.timeout(10):
        while scheduler.methods.n_waiting != n:  # noqa: ASYNC110 - what the calls wait for must not come first
            await asyncio.sleep(0.002)


async def run(scheduler: Running, job: int, **how: Any) -> None:
    await scheduler.settle()
    await scheduler.started(job)
    await scheduler.ended(job, **how)


async def test_it_answers_when_the_job_has_ended(scheduler: Running) -> None:
    job = await scheduler.submit()
    call = asyncio.create_task(wait(scheduler, job))
    await waiting(scheduler)
    await scheduler.settle()
    await scheduler.started(job)
    assert not call.done()
    await scheduler.ended(job, exit_code=7)
    answer = await call
    assert answer["allEnded"]
    assert answer["results"] == [
        {
            "jobId": job,
            "ref": str(job),
            "state": "FAILED",
            "exitCode": 7,
            "reason": "NonZeroExitCode",
            "nEnded": 1,
            "nTotal": 1,
            "ended": True,
        }
    ]


async def test_it_answers_at_once_for_what_is_over(scheduler: Running) -> None:
    job = await scheduler.submit()
    await run(scheduler, job)
    answer = await wait(scheduler, job)
    assert [result["state"] for result in answer["results"]] == ["COMPLETED"]


async def test_time_runs_out(scheduler: Running) -> None:
    job = await scheduler.submit(hold=True)
    answer = await wait(scheduler, job, timeout=0.01)
    assert "allEnded" not in answer
    [result] = answer["results"]
    assert (result["state"], result.get("ended", False), result["nTotal"]) == ("PENDING", False, 1)


async def test_several_jobs(scheduler: Running) -> None:
    jobs = [await scheduler.submit() for _ in range(3)]
    call = asyncio.create_task(wait(scheduler, *jobs))
    await waiting(scheduler)
    await scheduler.settle()
    for job in jobs:
        assert not call.done()
        await scheduler.started(job)
        await scheduler.ended(job)
    answer = await call
    assert [result["jobId"] for result in answer["results"]] == jobs


async def test_an_array_is_over_with_its_last_task(scheduler: Running) -> None:
    array = await scheduler.submit(array="0-3")
    call = asyncio.create_task(wait(scheduler, array))
    await waiting(scheduler)
    await scheduler.settle()
    tasks = scheduler.engine.state.tasks[JobId(array)].by_index
    for index in (3, 1, 0):
        await scheduler.started(tasks[index])
        await scheduler.ended(tasks[index], exit_code=index)
    await scheduler.engine.barrier()
    assert not call.done()
    await scheduler.started(tasks[2])
    await scheduler.ended(tasks[2])
    [result] = (await call)["results"]
    assert (result["state"], result["exitCode"]) == ("FAILED", 3)
    assert (result["nEnded"], result["nTotal"]) == (4, 4)


async def test_an_array_cancelled_while_it_waits(scheduler: Running) -> None:
    array = await scheduler.submit(array="0-9", hold=True)
    call = asyncio.create_task(wait(scheduler, array))
    await waiting(scheduler)
    await scheduler.call("CancelJobs", {"jobs": [{"jobId": array}]})
    [result] = (await call)["results"]
    assert (result["state"], result["nEnded"], result["ended"]) == ("CANCELLED", 10, True)


async def test_an_array_given_up_at_its_deadline(scheduler: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of its tasks were cancelled before."""
    clock = scheduler.engine.clock
    deadline = clock.now() + 60 * US
    array = await scheduler.submit(array="0-9", hold=True, deadlineAtUs=deadline)
    await scheduler.call("CancelJobs", {"jobs": [{"jobId": array, "indices": [{"start": 0, "stop": 3}]}]})
    halves = [{"jobId": array, "indices": [{"start": a, "stop": b}]} for a, b in ((0, 3), (4, 9))]
    call = asyncio.create_task(scheduler.call("WaitJobs", {"jobs": halves}))
    await waiting(scheduler)
    monkeypatch.setattr(clock, "now", lambda: Instant(deadline + 1))
    await scheduler.settle()
    found = [(r["state"], r["reason"], r["nEnded"], r["ended"]) for r in (await call)["results"]]
    assert found == [("CANCELLED", "None", 4, True), ("DEADLINE", "DeadLine", 6, True)]


async def test_some_tasks_of_an_array(scheduler: Running) -> None:
    array = await scheduler.submit(array="0-9%2")
    ref = {"jobId": array, "indices": [{"start": 0, "stop": 1}]}
    call = asyncio.create_task(scheduler.call("WaitJobs", {"jobs": [ref]}))
    await waiting(scheduler)
    await scheduler.settle()
    tasks = dict(scheduler.engine.state.tasks[JobId(array)].by_index)
    for index in (0, 1):
        await scheduler.started(tasks[index])
        await scheduler.ended(tasks[index])
    [result] = (await call)["results"]
    assert (result["state"], result["nEnded"], result["nTotal"]) == ("COMPLETED", 2, 2)


async def test_jobs_that_left_memory(tmp_path: Path) -> None:
    async with Running(tmp_path, SETTINGS + "min_job_age = 0\nmax_finished_kept = 0\n") as scheduler:
        await scheduler.add_node()
        job = await scheduler.submit()
        await run(scheduler, job, exit_code=2)
        await scheduler.settle()
        assert JobId(job) not in scheduler.engine.state.jobs
        [result] = (await wait(scheduler, job))["results"]
        assert (result["state"], result["exitCode"], result["ended"]) == ("FAILED", 2, True)
        array = await scheduler.submit(array="0-1")
        call = asyncio.create_task(wait(scheduler, array))
        await waiting(scheduler)
        await scheduler.settle()
        tasks = dict(scheduler.engine.state.tasks[JobId(array)].by_index)
        await scheduler.started(tasks[0])
        await scheduler.ended(tasks[0], exit_code=4)
        await scheduler.settle()
        await scheduler.started(tasks[1])
        await scheduler.ended(tasks[1])
        [result] = (await call)["results"]
        assert (result["state"], result["exitCode"], result["nEnded"]) == ("FAILED", 4, 2)


async def test_a_job_nobody_knows(scheduler: Running) -> None:
    answer = await wait(scheduler, 999)
    assert (answer.status, answer["code"], answer["slurm"]) == (404, "not_found", "Invalid job id specified")


async def test_many_waiters_on_one_job(scheduler: Running) -> None:
    job = await scheduler.submit()
    calls = [asyncio.create_task(wait(scheduler, job)) for _ in range(20)]
    await waiting(scheduler, 20)
    await run(scheduler, job)
    assert all(answer["allEnded"] for answer in await asyncio.gather(*calls))
    assert scheduler.methods.n_waiting == 0


async def test_watching_some_jobs(scheduler: Running) -> None:
    """Tasks of a watched array join when they get ids of their own; other jobs stay out."""
    other = await scheduler.submit(hold=True)
    array = await scheduler.submit(array="0-1")
    watch = await scheduler.methods.watch_events(
        Directory().local(0, 0), m.WatchEventsRequest(after_seq=1, jobs=[m.JobRef(job_id=array)])
    )
    kinds = []
    await scheduler.settle()
    task = scheduler.engine.state.tasks[JobId(array)].by_index[0]
    await scheduler.started(task)
    await scheduler.ended(task)
    async with asyncio.timeout(10):
        async for event in watch:
            assert event.job_id != other
            kinds.append(event.kind)
            if event.kind == "JobEnded":
                break
    await watch.aclose()
    assert kinds[0] == "ArraySubmitted"
    assert kinds.count("ArrayTaskSplit") == kinds.count("JobGranted") == 2
    assert kinds[-2:] == ["AttemptStarted", "JobEnded"]


async def test_from_now_on(scheduler: Running) -> None:
    await scheduler.submit(hold=True)
    watch = await scheduler.methods.watch_events(Directory().local(0, 0), m.WatchEventsRequest())
    job = await scheduler.submit(hold=True)
    async with asyncio.timeout(10):
        event = await anext(watch)
    assert (event.kind, event.job_id) == ("JobsSubmitted", job)
    await watch.aclose()
    assert scheduler.methods.n_waiting == 0


async def test_nothing_is_missed_between_replay_and_live(scheduler: Running) -> None:
    for _ in range(300):
        await scheduler.submit(hold=True)
    watch = await scheduler.methods.watch_events(Directory().local(0, 0), m.WatchEventsRequest(after_seq=1))
    await scheduler.submit(hold=True)
    seqs: list[int] = []
    async with asyncio.timeout(10):
        while not seqs or seqs[-1] < scheduler.engine.durable_seq:
            seqs.append((await anext(watch)).seq)
            if len(seqs) == 100:
                await scheduler.submit(hold=True)
    assert seqs == list(range(2, scheduler.engine.durable_seq + 1))
    await watch.aclose()


async def test_a_slow_watcher_is_dropped_and_may_resume(tmp_path: Path) -> None:
    async with Running(tmp_path, SETTINGS + "[listen]\nwatch_queue = 16\n") as scheduler:
        watch = await scheduler.methods.watch_events(Directory().local(0, 0), m.WatchEventsRequest())
        for _ in range(20):
            await scheduler.submit(hold=True)
        seen = []
        with pytest.raises(CallFailed) as caught:
            async for event in watch:
                seen.append(event.seq)  # noqa: PERF401 - it is kept up to the error
        assert len(seen) == 16
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
        assert f"after_seq {seen[-1]}" in caught.value.message
        again = await scheduler.methods.watch_events(
            Directory().local(0, 0), m.WatchEventsRequest(after_seq=seen[-1])
        )
        async with asyncio.timeout(10):
            rest = [(await anext(again)).seq for _ in range(4)]
        assert rest == list(range(seen[-1] + 1, scheduler.engine.durable_seq + 1))
        await again.aclose()


async def test_a_watcher_given_up_before_its_first_event_is_forgotten(scheduler: Running) -> None:
    watch = await scheduler.methods.watch_events(Directory().local(0, 0), m.WatchEventsRequest())
    assert scheduler.methods.n_waiting == 1
    await watch.aclose()
    del watch
    assert scheduler.methods.n_waiting == 0


class Forgetful(MemoryStore):
    """Once `forget` is set, the next commit is durable and said not to be."""

    forget = False

    def append(self, batch: Batch) -> None:
        super().append(batch)
        if self.forget:
            self.forget = False
            raise StoreUnavailable("its answer was lost")


async def test_a_watcher_is_told_that_it_missed_something(tmp_path: Path) -> None:
    store = Forgetful()
    async with Running(tmp_path, store=store) as scheduler:
        watch = await scheduler.methods.watch_events(Directory().local(0, 0), m.WatchEventsRequest())
        job = await scheduler.submit(hold=True)
        store.forget = True
        answer = await scheduler.call("SubmitJob", {"spec": {"script": SCRIPT, "hold": True}})
        assert answer["code"] == "unavailable"
        async with asyncio.timeout(10):
            assert (await anext(watch)).job_id == job
            with pytest.raises(CallFailed, match="events came that were not told; go on with after_seq 3"):
                await anext(watch)
            request = m.WatchEventsRequest(after_seq=3)
            watch = await scheduler.methods.watch_events(Directory().local(0, 0), request)
            assert (await anext(watch)).job_id == job + 1, "it counts, whatever was answered"
        await watch.aclose()


async def test_indices_of_an_array_that_left_memory(tmp_path: Path) -> None:
    """However many are named, all are looked at, and of those cancelled together the named ones count."""
    async with Running(tmp_path, SETTINGS + "min_job_age = 0\nmax_finished_kept = 0\n") as scheduler:
        await scheduler.add_node()
        array = await scheduler.submit(array="0-1999%1")
        held = JobId(array)
        await scheduler.settle()
        first = scheduler.engine.state.tasks[held].by_index[0]
        await scheduler.started(first)
        ref = {"jobId": array, "indices": [{"start": 1, "stop": 1998}]}
        await scheduler.call("CancelJobs", {"jobs": [ref]})
        await scheduler.ended(first)
        await scheduler.settle()
        last = scheduler.engine.state.tasks[held].by_index[1999]
        await scheduler.started(last)
        await scheduler.ended(last, exit_code=7)
        await scheduler.settle()
        assert held not in scheduler.engine.state.arrays
        for start, stop, n, code in ((0, 1999, 2000, 7), (500, 1999, 1500, 7), (0, 9, 10, 0)):
            ref = {"jobId": array, "indices": [{"start": start, "stop": stop}]}
            [result] = (await scheduler.call("WaitJobs", {"jobs": [ref]}))["results"]
            assert (result["nEnded"], result["nTotal"]) == (n, n)
            assert result.get("exitCode", 0) == code


async def test_waiting_for_an_array_does_not_gather_its_tasks_each_time(
    scheduler: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = await scheduler.submit(array="0-3")
    call = asyncio.create_task(wait(scheduler, array))
    await waiting(scheduler)
    await scheduler.settle()
    tasks = dict(scheduler.engine.state.tasks[JobId(array)].by_index)
    asked: list[object] = []

    def counted(state: State, target: Target) -> Aim | None:
        asked.append(target)
        return targets.resolve(state, target)

    monkeypatch.setattr(wait_module, "resolve", counted)
    for task in tasks.values():
        await scheduler.started(task)
        await scheduler.ended(task)
    assert (await call)["allEnded"]
    assert len(asked) <= 2, "for the results alone"
