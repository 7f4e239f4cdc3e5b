"""`packhorse quota`: what is asked, and what is printed."""

from __future__ import annotations

import json

import pytest

from packhorse.cli import main
from tests.cli import session
from tests.cli.fake_scheduler import FakeScheduler


def limit(**fields: object) -> dict[str, object]:
    given = {
        "kind": "account", "name": "chem", "user": "", "partition": "", "title": "GrpTRES", "tres": "cpu",
        "limit": 16_000, "used": 4_000, "in_time": 0, "borrowed": 0, "lent": 0,
    }  # fmt: skip
    return {**given, **fields}


ROWS = [
    limit(),
    limit(title="GrpTRESMins", tres="gres/gpu", limit=6_000_000, used=900_000, in_time=1),
    limit(title="GrpWall", tres="wall", limit=172_800, used=3_600, in_time=1),
    limit(title="Quota", tres="mem", limit=8_192, used=12_288, borrowed=4_096),
    limit(kind="user", user="ann", partition="short", title="MaxJobs", tres="", limit=5, used=6),
    limit(kind="qos", name="high", title="MaxTRESPU", tres="cpu", limit=500, used=-1),
]


def test_a_line_for_each_limit(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler.table("ListQuotas", ROWS, session.NOW_S)
    assert main.main(["quota", "chem", "ann"]) == 0
    assert capsys.readouterr().out == (
        "WHOSE           LIMIT        RESOURCE             ALLOWED     USED        FREE  BORROWED  LENT\n"
        "chem            GrpTRES      cpu                       16        4          12         -     -\n"
        "chem            GrpTRESMins  gres/gpu minutes         100       15          85         -     -\n"
        "chem            GrpWall      time              2-00:00:00  1:00:00  1-23:00:00         -     -\n"
        "chem            Quota        mem                       8G      12G          0M        4G    0M\n"
        "ann@chem/short  MaxJobs      jobs                       5        6           0         -     -\n"
        "qos high        MaxTRESPU    cpu                      0.5        -           -         -     -\n"
    )
    assert scheduler.bodies("ListQuotas")[-1]["names"] == ["chem", "ann"]


def test_as_json_and_nothing(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler.table("ListQuotas", ROWS[:1], session.NOW_S)
    assert main.main(["quota", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"limits": ROWS[:1]}
    scheduler.table("ListQuotas", [], session.NOW_S)
    assert main.main(["quota", "arts"]) == 0
    assert capsys.readouterr().out == "no limits of arts\n"


def test_a_name_that_is_nobodys(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler.handlers["ListQuotas"] = lambda body: {"nowUs": "0", "unknown": ["nosuch"]}
    assert main.main(["quota", "nosuch"]) == 1
    assert capsys.readouterr() == (
        "",
        'packhorse quota: "nosuch": no account, user or QOS; `packhorse accounts show` lists them\n',
    )
