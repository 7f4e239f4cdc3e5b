"""Steps and allocations as srun and salloc ask for them, over the real doors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from packhorse.scheduler.model.ids import AttemptKey, JobId, NodeName
from packhorse.scheduler.model.input import RegisterNode, ReportExit, ReportStart
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.resources import Usage
from tests.service.doors.running import SCRIPT, Answer, Running


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path) as running:
        for name in ("n1", "n2"):
            spec = NodeSpec(NodeName(name), f"host-{name}", 4_000, 16_000, step_door=f"/run/{name}.door")
            await running.engine.call(RegisterNode(spec, f"boot-{name}", Offer(1, 4_000, 16_000)))
        await running.settle()
        yield running


async def allocation(scheduler: Running, kind: str = "srun", **ask: Any) -> int:
    """A job without a batch script."""
    spec = {"name": "sh", "workDir": "/tmp", "allocation": kind, "ask": {"nTasks": 2, "minNodes": 2} | ask}
    answer = await scheduler.call("SubmitJob", {"spec": spec})
    assert answer.status == 200, answer
    return int(answer["jobId"])


async def create(scheduler: Running, job: int, wait_s: int = 0, **spec: Any) -> Answer:
    body = {"name": "true", "argv": ["true"], "workDir": "/tmp", "environment": ["A=b"]} | spec
    return await scheduler.call("CreateStep", {"jobId": job, "spec": body, "waitS": wait_s})


async def over(scheduler: Running, key: str, node: str, code: int = 0, **usage: int) -> None:
    """A node says that its part of the step is over."""
    now = scheduler.now()
    attempt = AttemptKey.parse(key)
    await scheduler.engine.call(ReportStart(NodeName(node), attempt, now))
    await scheduler.engine.call(
        ReportExit(NodeName(node), attempt, now, now, exit_code=code, usage=Usage(**usage))
    )


async def test_from_submission_to_end(scheduler: Running) -> None:
    job = await allocation(scheduler)
    granted = await scheduler.call("AwaitAllocation", {"jobId": job, "timeoutS": 5})
    assert granted["ready"] and granted["state"] == "RUNNING" and granted["nodes"] == ["n1", "n2"]
    assert {f"SLURM_JOB_ID={job}", "SLURM_NNODES=2"} <= set(granted["environment"])
    made = await create(scheduler, job)
    assert made == {
        "jobId": job,
        "key": f"{job}.1.1.0",
        "name": "true",
        "nodes": [
            {
                "node": n,
                "hostName": f"host-{n}",
                "bootId": f"boot-{n}",
                "door": f"/run/{n}.door",
                "ranks": [i],
            }
            for i, n in enumerate(("n1", "n2"))
        ],
    }
    assert (await scheduler.call("GetStep", {"jobId": job, "stepId": 0})) == made
    await over(scheduler, made["key"], "n1")
    [left] = (await scheduler.call("GetStep", {"jobId": job}))["nodes"]
    assert left["node"] == "n2"
    await over(scheduler, made["key"], "n2", 3)
    gone = await scheduler.call("GetStep", {"jobId": job})
    assert (gone.status, gone["slurm"]) == (404, "Invalid job id specified")
    assert (await scheduler.call("EndAllocation", {"jobId": job, "exitCode": 3}))["outcomes"] == [
        {"ref": str(job)}
    ]
    ended = await scheduler.call("AwaitAllocation", {"jobId": job})
    assert (ended["state"], ended["exitCode"], ended.get("ready", False)) == ("FAILED", 3, False)


async def test_an_allocation_starts_in_the_pass_that_its_arrival_triggers(scheduler: Running) -> None:
    scheduler.engine._cycle._not_before = 0.0
    job = await allocation(scheduler)
    assert scheduler.engine.state.jobs[JobId(job)].state.value == "RUNNING"


async def test_a_step_is_one_commit_and_no_pass(scheduler: Running) -> None:
    job = await allocation(scheduler)
    await scheduler.settle()
    batches: list[int] = []
    submit = scheduler.engine._writer.submit
    scheduler.engine._writer.submit = lambda batch: batches.append(len(batch.records)) or submit(batch)  # type: ignore[method-assign,func-returns-value]
    passes: list[float] = []
    scheduler.engine._cycle.ran = passes.append  # type: ignore[method-assign,assignment]
    await create(scheduler, job)
    assert batches == [1] and passes == []


async def test_a_step_waits_for_the_one_before_it(scheduler: Running) -> None:
    job = await allocation(scheduler)
    await scheduler.settle()
    first = await create(scheduler, job)
    busy = await create(scheduler, job)
    assert "beside its other steps" in busy["busy"] and "key" not in busy
    waiting = asyncio.create_task(create(scheduler, job, wait_s=30))
    await over(scheduler, first["key"], "n1")
    await asyncio.sleep(0.05)
    assert not waiting.done(), "the other node is in use"
    await over(scheduler, first["key"], "n2")
    second = await asyncio.wait_for(waiting, 5)
    assert second["stepId"] == 1
    assert scheduler.methods._steps._waiters == {}


async def test_waiting_ends_with_the_job(scheduler: Running) -> None:
    job = await allocation(scheduler)
    await scheduler.settle()
    first = await create(scheduler, job)
    waiting = asyncio.create_task(create(scheduler, job, wait_s=30))
    await asyncio.sleep(0.01)
    await scheduler.call("EndAllocation", {"jobId": job})
    answer = await asyncio.wait_for(waiting, 5)
    assert answer["slurm"] == "Job/step already completing or completed"
    for node in ("n1", "n2"):
        await over(scheduler, first["key"], node)
    assert scheduler.engine.state.jobs[JobId(job)].state.value == "COMPLETED"


async def test_an_allocation_is_awaited(scheduler: Running) -> None:
    first = await allocation(scheduler, cpuMilliPerTask=4_000)
    await scheduler.settle()
    second = await allocation(scheduler, cpuMilliPerTask=4_000)
    await scheduler.settle()
    still = await scheduler.call("AwaitAllocation", {"jobId": second})
    assert (still["state"], still["reason"]) == ("PENDING", "Resources")
    waiting = asyncio.create_task(scheduler.call("AwaitAllocation", {"jobId": second, "timeoutS": 30}))
    await asyncio.sleep(0.01)
    await scheduler.call("EndAllocation", {"jobId": first})
    answer = await asyncio.wait_for(waiting, 5)
    assert answer["ready"]
    waiting = asyncio.create_task(scheduler.call("AwaitAllocation", {"jobId": second, "timeoutS": 30}))
    assert (await asyncio.wait_for(waiting, 5))["ready"]


async def test_the_same_call_again_makes_no_second_step(scheduler: Running) -> None:
    job = await allocation(scheduler)
    await scheduler.settle()
    body = {
        "jobId": job,
        "idempotencyKey": "k",
        "spec": {"argv": ["true"], "overlap": "overlap"},
    }
    assert await scheduler.call("CreateStep", body) == await scheduler.call("CreateStep", body)
    assert scheduler.engine.state.steps[JobId(job)].next == 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"overlap": "some"}, 'overlap: "some" is neither'),
        ({"mpi": "openmpi"}, 'mpi: "openmpi" is none of'),
        ({"workDir": "here"}, "is not absolute"),
        ({"nTasks": 100_000}, "n_tasks: 100000 is not between"),
        ({"argv": []}, "a step needs a command"),
    ],
)
async def test_what_is_refused(scheduler: Running, spec: dict[str, Any], message: str) -> None:
    job = await allocation(scheduler)
    await scheduler.settle()
    answer = await create(scheduler, job, **spec)
    assert answer.status == 400 and message in answer["message"]


async def test_an_allocation_has_no_script(scheduler: Running) -> None:
    body = {"spec": {"allocation": "srun", "script": SCRIPT}}
    assert "an allocation has none" in (await scheduler.call("SubmitJob", body))["message"]
    body = {"spec": {"allocation": "qsub"}}
    assert "neither" in (await scheduler.call("SubmitJob", body))["message"]


async def test_the_table_of_steps(scheduler: Running) -> None:
    job = await scheduler.submit(
        ask={"nTasks": 4, "minNodes": 2, "memMibPerNode": 1000}, given={"nTasks": True}
    )
    await scheduler.settle()
    await scheduler.started(job)
    made = await create(scheduler, job, name="sleep", submitHost="login")
    fields = ["job_id", "step", "name", "state", "nodes", "n_tasks", "n_cpus", "alloc_tres", "layout"]
    rows = (await scheduler.call("ListSteps", {"fields": fields})).rows()
    assert [list(row.values()) for row in rows] == [
        [job, "batch", "batch", "RUNNING", "n1", 1, 2, "cpu=2,mem=1000M,node=1", ""],
        [job, "0", "sleep", "RUNNING", "n[1-2]", 4, 4, "cpu=4,mem=2000M,node=2", "Block"],
    ]
    one = await scheduler.call("ListSteps", {"jobs": [{"jobId": job, "step": 0}], "fields": ["step"]})
    assert [row["step"] for row in one.rows()] == ["0"]
    none = await scheduler.call(
        "ListSteps", {"jobs": [{"jobId": job, "step": 7, "text": "7.7"}], "fields": ["step"]}
    )
    assert none.rows() == [] and none["unknown"] == ["7.7"]
    await over(scheduler, made["key"], "n1")
    await over(scheduler, made["key"], "n2")
    assert len((await scheduler.call("ListSteps", {"fields": fields})).rows()) == 1


async def test_scancel_of_a_step(scheduler: Running) -> None:
    job = await allocation(scheduler)
    await scheduler.settle()
    made = await create(scheduler, job)
    ref = {"jobId": job, "step": 0, "text": f"{job}.0"}
    answer = await scheduler.call("CancelJobs", {"jobs": [ref], "idempotencyKey": "k"})
    assert answer["outcomes"] == [{"ref": f"{job}.0"}]
    [step] = scheduler.engine.state.steps[JobId(job)].running
    assert step.ending_at
    for node in ("n1", "n2"):
        await over(scheduler, made["key"], node)
    [again] = (await scheduler.call("CancelJobs", {"jobs": [ref]}))["outcomes"]
    assert again["slurm"] == "Job/step already completing or completed"
    both = {"jobs": [ref, {"jobId": job}]}
    assert [o.get("code", "") for o in (await scheduler.call("CancelJobs", both))["outcomes"]] == [
        "wrong_state",
        "",
    ]


ACCOUNTED = [
    "job_id",
    "step",
    "name",
    "state",
    "exit_code",
    "exit_signal",
    "n_tasks",
    "alloc_cpus",
    "nodes",
    "layout",
]


async def accounted(scheduler: Running, **request: Any) -> list[list[Any]]:
    answer = await scheduler.call("ListAccounting", {"fields": ACCOUNTED} | request)
    return [list(row.values())[1:] for row in answer.rows()]


async def test_steps_are_accounted_beside_the_batch_script(scheduler: Running) -> None:
    """As sacct showed job 11 of the transcript: the step's row is its own, while it runs and after."""
    job = await scheduler.submit(
        name="wide", ask={"nTasks": 4, "minNodes": 2, "memMibPerNode": 1000}, given={"nTasks": True}
    )
    await scheduler.settle()
    await scheduler.started(job)
    made = await create(scheduler, job, name="sleep", submitLine="srun sleep 600")
    part = ["", "wide", "RUNNING", 0, 0, 4, 4, "n[1-2]", ""]
    batch = ["batch", "batch", "RUNNING", 0, 0, 1, 2, "n1", ""]
    assert await accounted(scheduler) == [
        part,
        batch,
        ["0", "sleep", "RUNNING", 0, 0, 4, 4, "n[1-2]", "Block"],
    ]
    await over(scheduler, made["key"], "n1", user_cpu_us=5, max_rss_kib=10)
    await over(scheduler, made["key"], "n2", 3, user_cpu_us=6, max_rss_kib=30)
    overlapping = await create(scheduler, job, name="sh", nTasks=1, overlap="overlap")
    await over(scheduler, overlapping["key"], "n1")
    steps = [
        ["0", "sleep", "FAILED", 3, 0, 4, 4, "n[1-2]", "Block"],
        ["1", "sh", "COMPLETED", 0, 0, 1, 2, "n1", "Cyclic"],
    ]
    assert await accounted(scheduler) == [part, batch, *steps]
    await scheduler.ended(job)
    for row in (part, batch):
        row[2] = "COMPLETED"
    assert await accounted(scheduler) == [part, batch, *steps]
    assert await accounted(scheduler, jobs=[{"jobId": job, "step": 0}]) == [steps[0]]
    fields = ["step", "user_cpu_us", "max_rss_kib", "max_rss_node", "derived_exit_code", "submit_line"]
    rows = (await scheduler.call("ListAccounting", {"fields": fields})).rows()
    assert [list(row.values()) for row in rows][:3] == [
        ["", 1_500_011, -1, "", 3, ""],
        ["batch", 1_500_000, 2048, "n1", 0, ""],
        ["0", 11, 30, "n2", 0, "srun sleep 600"],
    ]


async def test_an_allocation_has_no_batch_step(scheduler: Running) -> None:
    """As sacct showed jobs 47, 49 and 56 of the transcript."""
    for code, signal, state, step_state in (
        (0, 0, "COMPLETED", "COMPLETED"),
        (5, 0, "FAILED", "FAILED"),
        (0, 9, "FAILED", "CANCELLED"),
    ):
        job = await allocation(scheduler, minNodes=1, nTasks=1)
        await scheduler.settle()
        made = await create(scheduler, job, name="sh")
        now = scheduler.now()
        await scheduler.engine.call(
            ReportExit(
                NodeName("n1"), AttemptKey.parse(made["key"]), now, now, exit_code=code, exit_signal=signal
            )
        )
        await scheduler.call("EndAllocation", {"jobId": job, "exitCode": code, "exitSignal": signal})
        rows = await accounted(scheduler, jobs=[{"jobId": job}])
        assert [row[:5] for row in rows] == [
            ["", "sh", state, code, signal],
            ["0", "sh", step_state, code, signal],
        ]


async def test_a_cancelled_step_and_one_that_ran_out_of_time(scheduler: Running) -> None:
    job = await allocation(scheduler, minNodes=1, nTasks=1)
    await scheduler.settle()
    for cause, state in (("terminated", "CANCELLED"), ("time_limit", "TIMEOUT"), ("oom", "OUT_OF_MEMORY")):
        made = await create(scheduler, job, name="sh")
        if state == "CANCELLED":
            await scheduler.call("CancelJobs", {"jobs": [{"jobId": job, "step": 0}]})
        now = scheduler.now()
        await scheduler.engine.call(
            ReportExit(NodeName("n1"), AttemptKey.parse(made["key"]), now, now, exit_signal=15, cause=cause)
        )
        assert (await accounted(scheduler, jobs=[{"jobId": job}]))[-1][2] == state


def test_paths_leave_tasks_and_nodes_to_the_node() -> None:
    from packhorse.scheduler.model.outputpath import expand_pattern

    given = {"job_id": 7, "user": "ann", "step": "3", "per_task": True}
    assert expand_pattern("%j-%J-%s-%u-%t-%4t-%n-%N-%%", **given) == "7-7.3-3-ann-%t-%4t-%n-%N-%%"  # type: ignore[arg-type]
    assert expand_pattern("%t", job_id=1) == "0"
    assert replace(NodeSpec(NodeName("a"), "a", 1, 1), step_door="/x").step_door == "/x"
