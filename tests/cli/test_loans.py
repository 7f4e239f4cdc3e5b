"""`packhorse loans` and `packhorse reclaim`: what is printed, and what is asked."""

from __future__ import annotations

import json

import pytest

from packhorse.cli import main
from tests.cli import session
from tests.cli.commands import Run
from tests.cli.fake_scheduler import FakeScheduler

HOUR = 3600 * 1_000_000
SINCE = session.NOW_S * 1_000_000 - 10 * HOUR


def loan(**fields: object) -> dict[str, object]:
    given = {
        "node": "n1", "lender": 7, "lender_user": "ann", "lender_account": "bio", "borrower": 9,
        "borrower_attempt": 1, "borrower_user": "eve", "borrower_account": "idle", "mem_mib": 2048,
        "since_at": SINCE, "until_at": SINCE + 2 * HOUR, "mib_seconds": 2048 * 7200, "outcome": "returned",
    }  # fmt: skip
    return {**given, **fields}


LOANS = [
    loan(),
    loan(borrower=10, outcome="taken_back", mib_seconds=1024 * 3600, mem_mib=1024),
    loan(borrower=11, borrower_user="bob", outcome="", until_at=0, mib_seconds=0),
]


def test_a_line_for_each_loan(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler.table("ListLoans", LOANS, session.NOW_S)
    assert main.main(["loans"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:6] for line in lines[1:]] == [
        ["n1", "7", "ann", "9", "eve", "2G"],
        ["n1", "7", "ann", "10", "eve", "1G"],
        ["n1", "7", "ann", "11", "bob", "2G"],
    ]
    assert [line.split("  ")[-1] for line in lines] == ["END", "returned", "taken_back", "lent now"]
    assert lines[1].split()[-2] == "4.00", "GiB-hours"


def test_sums(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler.table("ListLoans", LOANS, session.NOW_S)
    assert main.main(["loans", "--by", "user"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines == [["ann", "5.00", "0.00", "0"], ["bob", "0.00", "0.00", "0"], ["eve", "0.00", "5.00", "1"]]
    assert main.main(["loans", "--by", "node", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    mib_s = 5 * 1024 * 3600
    assert found["sums"] == [{"node": "n1", "lent": mib_s, "borrowed": mib_s, "victims": 1}]
    assert found["loans"][2]["borrower_user"] == "bob"


def test_what_is_asked(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler.table("ListLoans", [], session.NOW_S)
    words = "--live --job 7 --user ann --account bio --node n1 --since now-1hour"
    assert main.main(["loans", *words.split()]) == 0
    assert capsys.readouterr().out == "no loans\n"
    [body] = scheduler.bodies("ListLoans")
    assert body.pop("sinceUs") > 0
    assert body == {
        "jobs": [{"jobId": 7}], "users": ["ann"], "accounts": ["bio"], "nodes": ["n1"], "liveOnly": True,
    }  # fmt: skip


def test_a_time_that_is_none(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["loans", "--since", "yore"]) == 2
    assert capsys.readouterr().err.startswith("packhorse loans: --since yore: ")


def test_the_switch(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler.on("SwitchReclaim", {"outcomes": [{"ref": "bio"}]})
    assert main.main(["reclaim", "off", "--account", "bio", "--recall"]) == 0
    assert capsys.readouterr().out == "lending of unused memory is off for account bio\n"
    assert main.main(["reclaim", "on"]) == 0
    assert capsys.readouterr().out == "lending of unused memory is on for all\n"
    off, on = scheduler.bodies("SwitchReclaim")
    assert (off["on"], off["account"], off["partition"], off["recall"]) == (False, "bio", "", True)
    assert (on["on"], on["recall"]) == (True, False) and off["idempotencyKey"] != on["idempotencyKey"]
    assert main.main(["reclaim", "on", "--recall"]) == 2
    assert "--recall goes with off" in capsys.readouterr().err


def test_a_job_asks_not_to_lend(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.on("SubmitJob", {"jobId": "5"})
    assert run("sbatch", "--no-lend", "--wrap=true")[0] == 0
    assert scheduler.bodies("SubmitJob")[-1]["spec"]["noLend"] is True
    scheduler.on("UpdateJobs", {"outcomes": [{"ref": "5"}]})
    for word, no_lend in (("no", True), ("yes", False)):
        assert run("scontrol", "update", "job", "5", f"Lend={word}")[0] == 0
        assert scheduler.bodies("UpdateJobs")[-1]["changes"] == {"noLend": no_lend}
    code, _, err = run("scontrol", "update", "job", "5", "Lend=perhaps")
    assert (code, "Invalid Lend value: perhaps" in err) == (1, True)
