"""Suggestions, right-sized submissions and the waste report, from the doors down to the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.model.resources import Usage
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service.auth import Principal, Role
from packhorse.scheduler.service.failures import CallFailed
from packhorse.scheduler.store.memory import MemoryStore
from packhorse.scheduler.store.protocol import Batch
from tests.service.doors.running import SCRIPT, Running
from tests.store.samples import row

ANN, BOB = Owner(1001, 1001, "ann", "users"), Owner(1002, 1002, "bob", "users")
TRAIN = "/home/ann/train.sh --rate 1"
DEFAULTS = '[[partition]]\nname = "main"\nmax_mem_per_node = "12G"\n'


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    store = MemoryStore()
    async with Running(tmp_path, f"[jobs]\nallow_root_jobs = true\n{DEFAULTS}", store) as running:
        await running.add_node(cpus=8, gpus=2)
        yield running


def keep(scheduler: Running, *rows: AttemptRow) -> None:
    """As if these runs had ended here, an hour ago."""
    scheduler.store.append(Batch(rows=rows))


def past(scheduler: Running, job: int, owner: Owner = ANN, mib: int = 2_000, **fields: Any) -> AttemptRow:
    """A run of an hour with 8 GiB, 4 CPUs and a GPU, of which it used 2000 MiB, one CPU and a quarter."""
    end = scheduler.now() - 3600 * US
    usage = Usage(3000 * US, 600 * US, mib * 1024, gpu_ms=3_600_000, gpu_busy_ms=900_000)
    given: dict[str, Any] = {
        "user": owner.user, "uid": owner.uid, "name": "train", "command": TRAIN,
        "started_at": end - 3600 * US, "ended_at": end, "time_limit_s": 86_400, "mem_mib": 8192, "n_cpus": 4,
        "gpu_milli": 1000, "usage": usage, **fields,
    }  # fmt: skip
    return row(job, **given)


def spec(**fields: Any) -> m.JobSpec:
    ask = m.Ask(mem_mib_per_node=8192, cpu_milli_per_task=4000)
    return m.JobSpec(
        name="train",
        ask=ask,
        command=TRAIN,
        time_limit_s=86_400,
        script=b"#!/bin/sh\n",
        work_dir="/",
        **fields,
    )


def by_resource(answer: m.SuggestAskResponse) -> dict[str, m.Advice]:
    return {advice.resource: advice for advice in answer.advice}


async def suggest(scheduler: Running, by: Principal = Principal(ANN), **request: Any) -> m.SuggestAskResponse:  # noqa: B008
    return await scheduler.methods.suggest_ask(by, m.SuggestAskRequest(**request))


async def test_by_name_what_runs_used(scheduler: Running) -> None:
    keep(scheduler, *[past(scheduler, i) for i in range(1, 13)])
    answer = await suggest(scheduler, name="train")
    found = by_resource(answer)
    assert (answer.name, answer.user, answer.n_runs, answer.note) == ("train", "ann", 12, "")
    memory = found["mem"]
    assert (memory.present, memory.suggested, memory.n_fit, memory.n_runs) == (8192, 2560, 12, 12)
    assert (memory.chance_milli, memory.sure) == (923, True)
    assert memory.text == "fits 12 of 12 past runs, which used 2.0G as a rule and at most 2.0G"
    assert (found["time"].present, found["time"].suggested) == (86_400, 5_400)
    assert (found["cpus"].present, found["cpus"].suggested) == (4, 2)
    assert (found["gpus"].present, found["gpus"].suggested, found["gpus"].most) == (1, 1, 250)
    assert answer.options == "--mem=2560M --oom-retry=2x --time=01:30:00 --cpus-per-task=2"


async def test_of_a_job_that_waits_and_of_one_long_over(scheduler: Running) -> None:
    keep(scheduler, *[past(scheduler, 100 + i) for i in range(9)])
    keep(scheduler, *[past(scheduler, 200 + i, BOB) for i in range(9)])
    job = (await scheduler.methods.submit_job(Principal(ANN), m.SubmitJobRequest(spec=spec()))).job_id
    waiting = await suggest(scheduler, job=m.JobRef(job_id=job))
    assert (waiting.user, waiting.n_runs, waiting.options.split()[0]) == ("ann", 9, "--mem=2560M")
    over = await suggest(scheduler, job=m.JobRef(job_id=203))
    assert (over.user, over.n_runs, over.command) == ("bob", 9, TRAIN)
    with pytest.raises(CallFailed, match="job 999_1 is not known"):
        await suggest(scheduler, job=m.JobRef(job_id=999, text="999_1"))


async def test_other_arguments_count_where_too_few_are_the_same(scheduler: Running) -> None:
    keep(scheduler, *[past(scheduler, i, command=f"/home/ann/train.sh --rate {i}") for i in range(1, 13)])
    keep(scheduler, *[past(scheduler, 20 + i, command="/home/ann/other.sh", mib=7_000) for i in range(12)])
    answer = await suggest(scheduler, name="train", command=TRAIN)
    assert (answer.n_runs, answer.any_arguments) == (12, True)
    assert by_resource(answer)["mem"].most == 2_000
    keep(scheduler, *[past(scheduler, 40 + i, mib=1_000) for i in range(9)])
    answer = await suggest(scheduler, name="train", command=TRAIN)
    assert (answer.n_runs, answer.any_arguments, by_resource(answer)["mem"].median) == (10, False, 1_000)


async def test_nothing_is_known(scheduler: Running) -> None:
    keep(scheduler, past(scheduler, 1, state="FAILED"), past(scheduler, 2, ended_at=5))
    answer = await suggest(scheduler, name="train")
    assert answer.note == (
        'no run of "train" by ann ended well, out of memory or out of time in the last 90 days'
    )
    assert (answer.advice, answer.options) == ([], "")
    with pytest.raises(CallFailed, match="a job or a name: missing"):
        await suggest(scheduler)


async def test_right_size_sets_what_is_sure_and_says_so(scheduler: Running) -> None:
    keep(scheduler, *[past(scheduler, 100 + i) for i in range(20)])
    request = m.SubmitJobRequest(spec=spec(), right_size=True, idempotency_key="k")
    answer = await scheduler.methods.submit_job(Principal(ANN), request)
    assert answer.notes == [
        "--mem 8G -> 2560M: 20 past runs used at most 2.0G",
        "--time 1-00:00:00 -> 01:30:00: 20 past runs took at most 01:00:00",
        "--oom-retry 2x: should it run out of memory after all, it runs again with twice as much",
    ]
    job = {"jobs": [{"jobId": answer.job_id}]}
    [shown] = (await scheduler.call("ListJobs", job)).rows()
    assert (shown["mem_mib_per_node"], shown["time_limit_s"], shown["cpus_per_task"]) == (2560, 5400, 4)
    assert shown["oom_retry"] == "2x,max=16,tried=0"
    assert shown["right_sized"] == "; ".join(answer.notes[:2])
    again = await scheduler.methods.submit_job(Principal(ANN), request)
    assert again.job_id == answer.job_id
    request = m.SubmitJobRequest(spec=spec(), right_size=True, right_size_cpus=True)
    answer = await scheduler.methods.submit_job(Principal(ANN), request)
    assert answer.notes[2].startswith("--cpus-per-task 4 -> 2:")


async def test_right_size_of_an_array_and_of_what_is_only_tested(scheduler: Running) -> None:
    keep(scheduler, *[past(scheduler, 100 + i) for i in range(20)])
    array = m.ArraySpec(ranges=[m.IndexRange(start=0, stop=9)])
    answer = await scheduler.methods.submit_job(
        Principal(ANN), m.SubmitJobRequest(spec=spec(hold=True), array=array, right_size=True)
    )
    [shown] = (await scheduler.call("ListJobs", {"jobs": [{"jobId": answer.job_id}]})).rows()
    assert shown["mem_mib_per_node"] == 2560
    n = len(scheduler.engine.state.jobs)
    tested = await scheduler.methods.submit_job(
        Principal(ANN), m.SubmitJobRequest(spec=spec(), right_size=True, test_only=True)
    )
    assert tested.notes[0].startswith("--mem 8G -> 2560M")
    assert len(scheduler.engine.state.jobs) == n


async def test_right_size_with_little_to_go_by_changes_nothing(scheduler: Running) -> None:
    keep(scheduler, *[past(scheduler, 100 + i) for i in range(3)])
    answer = await scheduler.call(
        "SubmitJob",
        {
            "spec": {"name": "train", "script": SCRIPT, "workDir": "/", "ask": {"memMibPerNode": 4096}},
            "rightSize": True,
        },
    )
    assert answer["notes"][0] == "--mem is left at 4G: no past run of this job was measured"
    [shown] = (await scheduler.call("ListJobs", {"jobs": [{"jobId": answer["jobId"]}]})).rows()
    assert (shown["mem_mib_per_node"], shown["oom_retry"], shown["right_sized"]) == (4096, "", "")


async def waste(scheduler: Running, caller: Principal, **request: Any) -> m.ListWasteResponse:
    return await scheduler.methods.list_waste(caller, m.ListWasteRequest(**request))


async def test_everybody_sees_their_own_waste_and_administrators_all(scheduler: Running) -> None:
    keep(
        scheduler,
        past(scheduler, 1),
        past(scheduler, 2),
        past(scheduler, 3, BOB),
        past(scheduler, 4, BOB, 8_000),
    )
    mine = await waste(scheduler, Principal(ANN))
    assert (mine.user, [found.key for found in mine.rows]) == ("ann", ["ann"])
    assert mine.total is not None
    assert (mine.total.n_runs, mine.total.mem_wasted) == (2, 2 * (8192 - 2000) * 3600)
    every = await waste(scheduler, Principal(ANN, Role.ADMIN), jobs=5)
    assert (every.user, [found.key for found in every.rows]) == ("", ["ann", "bob"])
    assert [(job.user, job.name) for job in every.jobs] == [("ann", "train"), ("bob", "train")]
    one = await waste(scheduler, Principal(ANN, Role.ADMIN), filter=m.JobFilter(users=["1002"]))
    assert [found.key for found in one.rows] == ["bob"]
    with pytest.raises(
        CallFailed, match='ListWaste on runs of bob: user "ann" may not do this; only its owner'
    ):
        await waste(scheduler, Principal(ANN), filter=m.JobFilter(users=["bob"]))
    assert (await waste(scheduler, Principal(ANN), filter=m.JobFilter(users=["ann"]))).rows == mine.rows


async def test_what_to_look_at_comes_with_what_to_ask_for(scheduler: Running) -> None:
    keep(scheduler, *[past(scheduler, 100 + i) for i in range(20)], past(scheduler, 5, name="once"))
    answer = await waste(scheduler, Principal(ANN), jobs=2, by="job-name", sort="gpu")
    first, second = answer.jobs
    assert (first.name, first.options.split()[0]) == ("train", "--mem=2560M")
    assert first.text == "fits 20 of 20 past runs, which used 0.2 as a rule and at most 0.2"
    assert first.sum is not None
    assert (first.sum.last_job, first.sum.gpu_wasted) == (119, 20 * 3600 * 750)
    assert (second.name, second.options) == ("once", "")
    assert [found.key for found in answer.rows] == ["train", "once"]


async def test_words_that_mean_nothing(scheduler: Running) -> None:
    for request in ({"by": "node"}, {"sort": "disk"}):
        with pytest.raises(CallFailed, match="accepted are"):
            await waste(scheduler, Principal(ANN), **request)


async def test_over_the_socket_in_json(scheduler: Running) -> None:
    keep(scheduler, past(scheduler, 1))
    answer = await scheduler.call("ListWaste", {"by": "account"})
    assert answer["total"]["memWasted"] == (8192 - 2000) * 3600
    assert (await scheduler.call("SuggestAsk", {"name": "train", "user": "ann"}))["nRuns"] == 1
