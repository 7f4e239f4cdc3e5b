"""Priorities and shares as programs ask for them: the same number everywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhorse.cli.slurm.fields_priority import TERMS
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.model.accounts import Account, AccountsDelta, Association, AssociationKey
from packhorse.scheduler.model.event import AccountsChanged
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.service.clock import SystemClock
from tests.service.doors.running import SETTINGS, Running

WEIGHED = (
    SETTINGS
    + """
[accounts]
enforce = "accounts"
[scheduling]
order = "multifactor"
[priority]
weight_age = 1000
max_age = 10
weight_fairshare = 10000
weight_tres = { cpu = 100 }
calc_period = 1
"""
)
EIGHT = {"nTasks": 8, "cpuMilliPerTask": 1000}


class Later(SystemClock):
    """The machine's clock, which tests set forward."""

    by_us = 0

    def now(self) -> Instant:
        return Instant(super().now() + self.by_us)


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path, WEIGHED) as running:
        keys = (AssociationKey("chem"), AssociationKey("law"))
        delta = AccountsDelta((Account("chem"), Account("law")), (), tuple(map(Association, keys)))
        engine = running.engine
        engine.clock = Later()
        apply(engine.state, AccountsChanged(engine.clock.now(), delta, 0))
        await running.add_node("n1")
        yield running


def wait(scheduler: Running) -> None:
    """An hour goes by."""
    clock = scheduler.engine.clock
    assert isinstance(clock, Later)
    clock.by_us += 3600 * US


async def numbers(scheduler: Running, job: int) -> set[int]:
    """The job's priority, wherever it can be seen."""
    ref = {"jobs": [{"jobId": job}]}
    found = [
        (await scheduler.call("ListPriorities", ref)).rows(),
        (await scheduler.call("ListJobs", ref | {"includeEnded": True})).rows(),
        (await scheduler.call("ListAccounting", ref | {"allocationsOnly": True})).rows(),
    ]
    return {row["priority"] for rows in found for row in rows}


async def test_one_number_everywhere(scheduler: Running) -> None:
    first = await scheduler.submit(account="law", ask=EIGHT)
    await scheduler.settle()
    rich = await scheduler.submit(account="law", ask=EIGHT)
    poor = await scheduler.submit(account="chem", ask={"nTasks": 2, "cpuMilliPerTask": 1000}, nice=30)
    array = await scheduler.submit("0-5", account="chem", nice=70)
    held = await scheduler.submit(account="chem", hold=True)
    wait(scheduler)
    started_by = scheduler.active(first).priority
    assert 10_100 <= started_by < 10_500
    assert await numbers(scheduler, first) == {started_by}, "an hour later still"
    rows = {row["job_id"]: row for row in (await scheduler.call("ListPriorities")).rows()}
    assert held not in rows and first not in rows
    for job in (rich, poor, array):
        row = rows[job]
        terms = sum(row[f"{name}_term"] for name in TERMS)
        tres = sum(int(part.partition("=")[2]) for part in row["tres_terms"].split(",") if part)
        assert row["priority"] == terms + tres + row["site"] - row["nice"]
        assert await numbers(scheduler, job) == {row["priority"]}
    assert (rows[rich]["fairshare_term"], rows[poor]["fairshare_term"]) == (5000, 10_000)
    assert rows[poor]["age_term"] == 1000 and rows[poor]["tres_terms"] == "cpu=25"


async def test_shares(scheduler: Running) -> None:
    await scheduler.submit(account="law", ask=EIGHT)
    await scheduler.settle()
    wait(scheduler)
    answer = await scheduler.call("ListShares")
    rows = {row["account"]: row for row in answer.rows()}
    assert list(rows) == ["root", "chem", "law"]
    assert rows["chem"]["level_fs"] == "inf" and float(rows["law"]["level_fs"]) == 0.5
    assert rows["law"]["effective_usage"] == "1.000000000"
    one: dict[str, Any] = {"accounts": ["law", "nosuch"], "users": ["nobody"], "fields": ["account"]}
    some = await scheduler.call("ListShares", one)
    assert some.rows() == [{"account": "law"}]
    assert some["unknown"] == ["nosuch", "nobody"]


async def test_comparing(scheduler: Running) -> None:
    await scheduler.submit(account="law", ask=EIGHT)
    await scheduler.settle()
    rich = await scheduler.submit(account="law", ask=EIGHT)
    poor = await scheduler.submit(account="chem", ask=EIGHT)
    wait(scheduler)
    answer = await scheduler.call("CompareJobs", {"first": {"jobId": rich}, "second": {"jobId": poor}})
    assert (int(answer["ahead"]), int(answer["behind"]), int(answer["by"])) == (poor, rich, 5000)
    assert answer["sentence"] == (
        f"job {poor} is ahead of job {rich} by 5000: fair share +5000 (account chem has 50 % of the shares "
        "and 0 % of the use, account law 50 % and 100 %)"
    )
    assert [(term["name"], int(term["amount"])) for term in answer["terms"]] == [("fair share", 5000)]
    lost = await scheduler.call("CompareJobs", {"first": {"jobId": rich}, "second": {"jobId": 999}})
    assert (lost.status, lost["code"]) == (404, "not_found")
    lost = await scheduler.call("CompareJobs", {"first": {"jobId": rich}})
    assert lost["code"] == "invalid_argument"


async def test_tasks_are_named_as_in_their_array(scheduler: Running) -> None:
    """A task that ran and waits again is a job of its own, with a number that nobody ever typed."""
    array = await scheduler.submit(array="3-4", account="law", ask=EIGHT)
    await scheduler.settle()
    [task] = [job for job in scheduler.engine.state.jobs.values() if job.index == 3]
    other = await scheduler.submit(account="law", ask=EIGHT)
    await scheduler.started(task.id)
    third = {"jobId": array, "indices": [{"start": 3, "stop": 3}], "text": f"{array}_3"}
    await scheduler.call("RequeueJobs", {"jobs": [third]})
    await scheduler.ended(task.id, exit_code=0)
    wait(scheduler)
    answer = await scheduler.call("CompareJobs", {"first": third, "second": {"jobId": other}})
    assert f"job {array}_3 " in answer["sentence"] and f"job {task.id} " not in answer["sentence"]
    both = await scheduler.call("CompareJobs", {"first": third, "second": third})
    assert both["sentence"] == f"both are job {array}_3"
