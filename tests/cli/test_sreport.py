"""sreport: what is asked, and what is printed, with Slurm's headings and widths."""

from __future__ import annotations

import time
from typing import Any

import pytest

from packhorse.cli.slurm import sreport
from packhorse.cli.slurm.process import run
from tests.cli.fake_scheduler import FakeScheduler, table

S = int(time.mktime((2026, 11, 27, 16, 0, 0, 0, 0, -1)))
TIME = ["start=2026-11-27T16:00:00", "end=2026-11-27T18:00:00"]
LINE = "-" * 80


def answers(scheduler: FakeScheduler, **rows: list[dict[str, Any]]) -> None:
    accounts = [
        {"name": "root", "parent": ""}, {"name": "science", "parent": "root"},
        {"name": "physics", "parent": "science"}, {"name": "chem", "parent": "science"},
    ]  # fmt: skip

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        found = [row for row in rows[body["kind"]] if row.get("tres", "cpu") in body["tres"]]
        return {
            "table": table(found, [], 0), "accounts": table(accounts, [], 0), "cluster": "demo",
            "since_us": S * 1_000_000, "until_us": (S + 7200) * 1_000_000,
        }  # fmt: skip

    scheduler.on("GetReport", answer)


def used(account: str, user: str, cpu_s: int, tres: str = "cpu", wckey: str = "") -> dict[str, Any]:
    amount = cpu_s * (1000 if tres == "cpu" else 1)
    return {"account": account, "user": user, "wckey": wckey, "tres": tres, "amount_s": amount, "n_runs": 1}


CLUSTER = [
    {
        "tres": "cpu", "amount": 16_000, "allocated_s": 36_000_000, "down_s": 3_600_000, "planned_down_s": 0,
        "idle_s": 57_600_000, "planned_s": 18_000_000, "over_s": 9_000_000, "reported_s": 115_200_000,
    }
]  # fmt: skip
USE = [used("physics", "nobody", 12_000), used("chem", "daemon", 6000), used("physics", "daemon", 600)]


def out(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert run("sreport", sreport.command, list(words)) == code
    found = capsys.readouterr()
    assert bool(found.err) == bool(code)
    return found.err if code else found.out


def test_cluster_utilization(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    answers(scheduler, cluster=CLUSTER)
    assert out(capsys, "cluster", "utilization", *TIME) == (
        f"{LINE}\n"
        "Cluster Utilization 2026-11-27T16:00:00 - 2026-11-27T17:59:59\n"
        "Usage reported in CPU Minutes\n"
        f"{LINE}\n"
        "  Cluster Allocate     Down PLND Dow     Idle  Planned Reported \n"
        "--------- -------- -------- -------- -------- -------- -------- \n"
        "     demo      600       60        0      960      300     1920 \n"
    )
    body = scheduler.bodies("GetReport")[-1]
    assert (body["kind"], body["tres"]) == ("cluster", ["cpu"])
    assert (int(body["since_us"]), int(body["until_us"])) == (S * 1_000_000, (S + 7200) * 1_000_000)
    assert out(capsys, "-P", "-t", "minper", "cluster", "util", *TIME).splitlines()[-1] == (
        "demo|600(31.25%)|60(3.12%)|0(0.00%)|960(50.00%)|300(15.62%)|1920(100.00%)"
    )
    wide = out(capsys, "-n", "cluster", "ut", *TIME, "format=over,trescount,cluster%-12,reported%5")
    assert wide == "     150         16 demo          1920 \n"


def test_users_by_use(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    answers(scheduler, usage=USE, cluster=CLUSTER)
    assert out(capsys, "-P", "-n", "user", "top", *TIME, "format=login,account,used").splitlines() == [
        "nobody|physics|200", "daemon|chem|100", "daemon|physics|10",
    ]  # fmt: skip
    grouped = out(
        capsys, "-P", "-n", "user", "top", *TIME, "group", "topcount=2", "format=login,account,used"
    )
    assert grouped.splitlines() == ["nobody|physics|200", "daemon|chem, physics|110"]
    percent = out(capsys, "-P", "-n", "-t", "percent", "user", "top", *TIME, "format=login,used")
    assert percent.splitlines()[0] == "nobody|10.42%"


def test_the_tree_sums_what_is_below(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    answers(scheduler, usage=USE)
    lines = out(
        capsys, "-n", "cluster", "accountutil", *TIME, "tree", "format=account,login,used"
    ).splitlines()
    assert [(line[:20].rstrip(), *line[20:].split()) for line in lines] == [
        ("root", "310"),
        (" science", "310"),
        ("  chem", "100"),
        ("   chem", "daemon", "100"),
        ("  physics", "210"),
        ("   physics", "daemon", "10"),
        ("   physics", "nobody", "200"),
    ]
    assert lines[3] == "   chem                 daemon      100 "
    some = out(
        capsys, "-nP", "cluster", "accountutil", *TIME, "accounts=physics", "format=account,login,used"
    )
    assert some.splitlines() == ["physics||210", "physics|daemon|10", "physics|nobody|200"]


def test_job_sizes(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = [
        {"account": a, "user": "u", "wckey": "", "size": size * 1000, "amount_s": s * 1000, "n_runs": n}
        for a, size, s, n in (("physics", 2, 600, 3), ("physics", 100, 6000, 1), ("chem", 4, 3000, 2))
    ]
    answers(scheduler, sizes=sizes)
    head, _, row = out(capsys, "job", "sizesbyaccount", *TIME).splitlines()[4:]
    assert head == (
        "  Cluster   Account     0-49 CPUs   50-249 CPUs  250-499 CPUs  500-999 CPUs "
        " >= 1000 CPUs % of cluster "
    )
    assert row.split() == ["demo", "root", "60", "100", "0", "0", "0", "100.00%"]
    flat = out(capsys, "-nP", "job", "sizes", *TIME, "flatview", "printjobcount", "grouping=4,50")
    assert flat.splitlines() == ["demo|chem|0|2|0|33.33%", "demo|physics|3|0|1|66.67%"]
    below = out(capsys, "-nP", "job", "sizes", *TIME, "acctasparent", "accounts=science", "grouping=50")
    assert [line.split("|")[1] for line in below.splitlines()] == ["chem", "physics"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nosuch"], "invalid keyword: nosuch"),
        (["user"], "too few arguments for keyword:user"),
        (["user", "nosuch"], "Not valid report nosuch"),
        (["user", "top", "nosuch=1"], " Unknown condition: nosuch=1"),
        (["user", "top", "start=nosuch"], "Invalid time specification (pos=0): nosuch"),
        (["user", "top", "format=nosuch"], " Unknown field 'nosuch'"),
        (["-t", "nosuch", "user", "top"], "unknown time format nosuch"),
        (["-T", "gold", "user", "top"], "sreport: error: 'gold' is no trackable resource"),
        (["user", "top", "topcount=0"], "sreport: error: topcount=0"),
        (["job", "sizes", "grouping=x"], "sreport: error: grouping=x"),
        (["user", "top", "start=2026-11-27", "end=2026-11-26"], "sreport: error: the end is not after"),
        ([], "sreport: error: which report?"),
    ],
)  # fmt: skip
def test_what_is_refused(
    scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    answers(scheduler, usage=USE, sizes=[], cluster=CLUSTER)
    assert out(capsys, *words, code=1).startswith(said)


def test_wckeys(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    answers(scheduler, usage=[*USE, used("chem", "eve", 60, wckey="w1"), used("bio", "ann", 120, wckey="w1")])
    lines = out(capsys, "-nP", "cluster", "UserUtilizationByWckey", *TIME, "format=login,wckey,used")
    assert lines.splitlines() == ["ann|w1|2", "eve|w1|1"]
    lines = out(capsys, "-nP", "cluster", "WCKeyUtilizationByUser", *TIME, "format=wckey,login,used")
    assert lines.splitlines() == ["w1||3", "w1|ann|2", "w1|eve|1"]


def test_it_can_be_helped(capsys: pytest.CaptureFixture[str]) -> None:
    assert "SizesByAccount" in out(capsys, "--help")


def test_a_start_alone_after_the_usual_end_is_one_hour() -> None:
    asked = sreport.Conditions(["start=today"], S)
    assert asked.until_s - asked.since_s == 3600
    assert time.localtime(asked.since_s)[:4] == (*time.localtime(S)[:3], 0)
