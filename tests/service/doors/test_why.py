"""Why a job waits, asked through the service: for everybody, of everybody's jobs, on a snapshot."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.core.why.answer import Why
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service import why_view
from packhorse.scheduler.service.auth import Principal
from packhorse.scheduler.service.failures import CallFailed
from packhorse.scheduler.store.memory import MemoryStore
from tests.service.doors.running import Running

ANN, BOB = Owner(1001, 1001, "ann", "users"), Owner(1002, 1002, "bob", "users")


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path, "[jobs]\nallow_root_jobs = true\n", MemoryStore()) as running:
        await running.add_node(cpus=8, gpus=2)
        yield running


def spec(cpus: int, **fields: Any) -> m.JobSpec:
    ask = m.Ask(cpu_milli_per_task=1000 * cpus)
    return m.JobSpec(name="train", ask=ask, script=b"#!/bin/sh\n", work_dir="/", **fields)


async def submit(scheduler: Running, cpus: int, **fields: Any) -> int:
    request = m.SubmitJobRequest(spec=spec(cpus, **fields))
    return (await scheduler.methods.submit_job(Principal(ANN), request)).job_id


async def why(scheduler: Running, job: int, by: Owner = ANN) -> m.ExplainJobResponse:
    ref = m.JobRef(job_id=job)
    return await scheduler.methods.explain_job(Principal(by), m.ExplainJobRequest(job=ref))


async def settled(scheduler: Running, job: int, reason: str) -> m.ExplainJobResponse:
    """The answer once a pass has given this reason."""
    for _ in range(200):
        found = await why(scheduler, job)
        if found.reasons and found.reasons[0].reason == reason:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(found)


async def test_a_smaller_ask_starts_it(scheduler: Running) -> None:
    first = await submit(scheduler, 5, time_limit_s=3600)
    job = await submit(scheduler, 8, time_limit_s=3600)
    found = await settled(scheduler, job, "Resources")
    assert (found.job, found.name, found.user, found.state) == (str(job), "train", "ann", "PENDING")
    assert "needs 8 CPUs" in found.reasons[0].text
    assert found.planned_start_us > found.now_us
    change = found.changes[0]
    assert (change.kind, change.now, change.nodes, change.size_milli) == ("cpus", True, "n1", 625)
    assert change.command == f"scontrol update JobId={job} NumCPUs=3"
    update = m.UpdateJobsRequest(jobs=[m.JobRef(job_id=job)], changes=m.JobChanges(n_cpus=3))
    await scheduler.methods.update_jobs(Principal(ANN), update)
    for _ in range(200):
        if (await why(scheduler, job)).state != "PENDING":
            break
        await asyncio.sleep(0.01)
    place = (await why(scheduler, job)).place
    assert place is not None
    assert [(one.node) for one in place.own] == ["n1"]
    assert (await why(scheduler, first, BOB)).place is not None, "everybody sees every job"


async def test_who_is_ahead(scheduler: Running) -> None:
    await submit(scheduler, 8, time_limit_s=3600)
    first = await submit(scheduler, 8, time_limit_s=3600)
    job = await submit(scheduler, 8, time_limit_s=3600)
    found = await settled(scheduler, job, "Priority")
    assert (found.n_ahead, found.n_users_ahead) == (1, 1)
    earlier = "their priorities are equal, and its number is lower"
    assert [(one.job, one.user, one.because) for one in found.ahead] == [(str(first), "ann", earlier)]
    assert found.standing == ["priority 10000: 10000 of every job"]


async def test_what_is_not_there(scheduler: Running) -> None:
    with pytest.raises(CallFailed, match="job 999 is not known"):
        await why(scheduler, 999)
    with pytest.raises(CallFailed, match="job: missing"):
        await scheduler.methods.explain_job(Principal(ANN), m.ExplainJobRequest())


async def test_through_the_doors(scheduler: Running) -> None:
    job = await submit(scheduler, 8, hold=True)
    answer = await scheduler.call("ExplainJob", {"job": {"jobId": job}})
    assert answer["reasons"][0]["reason"] == "JobHeldUser"
    assert answer["changes"][0]["command"] == f"scontrol release {job}"


async def test_the_collector_rests_for_the_length_of_a_question(
    scheduler: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await submit(scheduler, 8, hold=True)
    on: list[bool] = []

    def seen(*_: object) -> Why:
        on.append(gc.isenabled())
        raise RuntimeError("no answer")

    monkeypatch.setattr(why_view, "why", seen)
    with pytest.raises(RuntimeError):
        await why(scheduler, job)
    assert on == [False]
    assert gc.isenabled()
