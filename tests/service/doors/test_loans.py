"""Lending as people see it: through the doors, from the first loan to its row in the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.model.event import MemoryEstimated
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.input import ReportUsage
from packhorse.scheduler.service.metrics import Metrics
from tests.service.doors.running import SETTINGS, Running

N1 = NodeName("n1")
RECLAIM = """[reclaim]
enabled = true
estimator = "borg"
settle = 0
share = 100
margin = 0
floor_percent = 1
"""


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path, SETTINGS + RECLAIM) as running:
        yield running


async def lent(scheduler: Running) -> tuple[int, int]:
    """A lender and a borrower on n1."""
    await scheduler.add_node("n1")
    lender = await scheduler.submit(ask={"memMibPerNode": "16000"}, account="bio")
    await scheduler.settle()
    key = await scheduler.started(lender)
    apply(scheduler.engine.state, MemoryEstimated(scheduler.now(), N1, ((JobId(lender), 4_000),)))
    await scheduler.engine.call(ReportUsage(N1, scheduler.now(), 12_000, 0, ((key, 3_000),)))
    borrower = await scheduler.submit(ask={"memMibPerNode": "6000"}, qos="scavenger", account="idle")
    await scheduler.settle()
    await scheduler.started(borrower)
    return lender, borrower


async def test_what_is_lent_is_shown_everywhere(scheduler: Running) -> None:
    lender, borrower = await lent(scheduler)
    [loan] = (await scheduler.call("ListLoans")).rows()
    assert (loan["lender"], loan["borrower"], loan["mem_mib"], loan["outcome"]) == (
        lender,
        borrower,
        6_000,
        "",
    )
    assert (loan["lender_account"], loan["borrower_account"], loan["node"]) == ("bio", "idle", "n1")
    assert (await scheduler.call("ListLoans", {"users": ["nobody"]})).rows() == []
    fields = {"fields": ["job_id", "lending"]}
    told = {row["job_id"]: row["lending"] for row in (await scheduler.call("ListJobs", fields)).rows()}
    assert told[lender] == f"expected=4000M,lent=6000M,to={borrower}"
    assert told[borrower] == f"borrowed=6000M,from={lender}"
    fields = {"fields": ["mem_alloc_mib", "mem_lent_mib", "mem_lendable_mib"]}
    [node] = (await scheduler.call("ListNodes", fields)).rows()
    assert (node["mem_alloc_mib"], node["mem_lent_mib"], node["mem_lendable_mib"]) == (16_000, 6_000, 6_000)
    amounts = {a["resource"]: a for a in (await scheduler.call("GetStatus"))["amounts"]}
    assert (amounts["mem_mib"]["allocated"], amounts["mem_mib"]["lent"]) == (16_000, 6_000)
    metrics = Metrics()
    metrics.watch(scheduler.engine)
    page = (await metrics.page()).decode()
    assert "packhorse_lent 6000.0" in page and "packhorse_lendable 6000.0" in page
    assert "packhorse_borrowers 1.0" in page


async def test_switched_off_with_recall_the_loan_ends_in_the_ledger(scheduler: Running) -> None:
    lender, borrower = await lent(scheduler)
    assert (await scheduler.call("SwitchReclaim", {"partition": "a", "account": "b"})).status == 400
    answer = await scheduler.call("SwitchReclaim", {"account": "bio", "recall": True})
    assert answer["outcomes"] == [{"ref": "bio"}]
    await scheduler.settle()
    [row] = (await scheduler.call("ListJobs", {"jobs": [{"jobId": borrower}], "fields": ["state"]})).rows()
    assert row["state"] == "COMPLETING"
    await scheduler.ended(borrower, exit_signal=15)
    [loan] = (await scheduler.call("ListLoans", {"accounts": ["idle"]})).rows()
    assert (loan["outcome"], loan["mem_mib"]) == ("taken_back", 6_000) and loan["until_at"] > loan["since_at"]
    assert (await scheduler.call("ListLoans", {"liveOnly": True})).rows() == []
    story = await scheduler.call("ListJobEvents", {"job": {"jobId": borrower}})
    texts = [event["text"] for event in story["events"]]
    assert any(f"lent memory taken back by job {lender}" in text for text in texts)
    fields = {"fields": ["state", "detail"], "duplicates": True, "jobs": [{"jobId": borrower}]}
    rows = (await scheduler.call("ListAccounting", {**fields, "fields": ["state"]})).rows()
    assert rows[0]["state"] == "PREEMPTED"


async def test_a_job_says_that_it_does_not_lend(scheduler: Running) -> None:
    await scheduler.add_node("n1")
    job = await scheduler.submit(noLend=True)
    fields = {"fields": ["lending"]}
    assert (await scheduler.call("ListJobs", fields)).rows() == [{"lending": "lends=no"}]
    changed = {"jobs": [{"jobId": job}], "changes": {"noLend": False}}
    assert (await scheduler.call("UpdateJobs", changed)).status == 200
    assert (await scheduler.call("ListJobs", fields)).rows() == [{"lending": ""}]
