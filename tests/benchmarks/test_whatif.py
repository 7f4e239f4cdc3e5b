"""`packhorse whatif`: a site's history under two configurations, what it says of itself, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.step import step
from packhorse.scheduler.model.cluster import AccountsPolicy, ClusterConfig, Enforce, Priorities
from packhorse.scheduler.model.ids import Instant, NodeName
from packhorse.scheduler.model.input import Caller, ChangeAccounts, Input, RegisterNode, Start
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.store.codec import encode
from packhorse.scheduler.store.protocol import Batch, LogRecord
from packhorse.scheduler.store.sqlite import FILE_NAME, SqliteStore
from packhorse.simulator.whatif.__main__ import main
from packhorse.simulator.whatif.changes import changes
from tests.core.account_wishes import account, member, qos, user
from tests.store.samples import row

US = 1_000_000
T0 = 1_700_000_000 * US


def records(inputs: Sequence[Input]) -> list[LogRecord]:
    """The log that these lead to, a second after each other."""
    state = State.empty()
    found: list[LogRecord] = []
    for i, input in enumerate(inputs):
        for event in step(state, input, Instant(T0 + i * US)).events:
            apply(state, event)
            found.append(encode(event, len(found) + 1))
    return found


def a_site(
    home: Path,
    jobs: Sequence[dict[str, Any]],
    nodes: int = 1,
    start: Sequence[Input] = (Start(ClusterConfig()),),
) -> Path:
    """A home with a store: nodes of four CPUs, and these jobs in its accounting."""
    home.mkdir()
    store = SqliteStore(home / "store" / FILE_NAME, ballast=0)
    names = [NodeName(f"n{i}") for i in range(nodes)]
    inputs = [RegisterNode(NodeSpec(name, name, 4000, 8000), "boot", Offer(1, 4000, 8000)) for name in names]
    plain: dict[str, Any] = {"partition": "main", "mem_mib": 0}
    rows = [row(i, **(plain | job)) for i, job in enumerate(jobs, 1)]
    store.append(Batch(records([*start, *inputs]), (), rows))
    store.close()
    return home


def a_job(submit_s: int, start_s: int, run_s: int, cpus: int = 4, **more: Any) -> dict[str, Any]:
    return {
        "submitted_at": T0 + submit_s * US,
        "eligible_at": T0 + submit_s * US,
        "started_at": T0 + start_s * US,
        "ended_at": T0 + (start_s + run_s) * US,
        "time_limit_s": 600,
        "n_cpus": cpus,
        "n_tasks": 1,
        "n_nodes": 1,
        "state": "COMPLETED",
        "alloc_tres": "",
        "req_tres": "",
    } | more


QUEUE = [
    a_job(10, 10, 100, user="ann"),
    a_job(20, 110, 500, user="ann"),
    a_job(30, 610, 10, user="bob", time_limit_s=20),
]
"""A long job waits before a short one, on one node."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return a_site(tmp_path / "site", QUEUE)


def found(home: Path, *words: str) -> dict[str, Any]:
    out = home / "found.json"
    assert main(["--home", str(home), "--json", str(out), *words]) == 0
    read: dict[str, Any] = json.loads(out.read_text())
    return read


def config(home: Path, text: str) -> str:
    path = home / "new.toml"
    path.write_text(text)
    return str(path)


def test_another_order(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of = found(home, "--config", config(home, '[scheduling]\norder = "sjf"\n'))
    today, new = of["columns"]
    assert today["summary"]["wait_s"]["max"] == 580  # the short job behind the long one
    assert new["changes"] == ["order: priority -> sjf"]
    assert new["summary"]["wait_s"]["max"] == 100  # the long one behind the short one
    assert [party["name"] for party in new["change"]["gainers"]] == ["bob"]
    assert [party["name"] for party in new["change"]["losers"]] == ["ann"]
    text = capsys.readouterr().out
    assert "new: order: priority -> sjf" in text
    assert "new against today: 1 jobs end sooner (0.14 h in all), 1 later (0.00 h), 1 as before" in text
    assert "Jobs run as long as they ran" in text


def test_the_constants_of_our_own_order(home: Path) -> None:
    text = '[scheduling]\norder = "packhorse"\n[batch]\nageing = "5d"\npower = 24\n'
    new = found(home, "--config", config(home, text))["columns"][1]
    assert new["changes"] == [
        "order: priority -> packhorse",
        "batch.ageing_s: 280000 -> 432000",
        "batch.power: 28.0 -> 24.0",
    ]


def test_it_says_how_well_it_gives_what_was_recorded(home: Path, tmp_path: Path) -> None:
    exact = found(home, "--policy", "saf")["calibration"]
    assert (exact["n"], exact["off_mean"], exact["correlation"]) == (3, 0, 1)
    late = [*QUEUE[:2], QUEUE[2] | {"started_at": T0 + 640 * US, "ended_at": T0 + 650 * US}]
    off = found(a_site(tmp_path / "late", late), "--policy", "saf")["calibration"]
    assert (off["off_mean"], off["bias"]) == (10, -10)
    assert 0.99 < off["correlation"] < 1


def test_a_whole_configuration_holds(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Partitions and their limits: jobs of a partition run in it, refused ones are counted and named."""
    text = '[[partition]]\nname = "big"\n\n[[partition]]\nname = "main"\nmax_time = 5\n'
    of = found(home, "--config", config(home, text))
    new = of["columns"][1]
    assert [id for id, _ in new["refused"]] == ["1", "2"]
    assert "at most 5:00 (MaxTime)" in new["refused"][0][1]
    assert new["summary"]["never_started"] == 2
    assert new["summary"]["jobs"] == 3
    assert new["changes"][0] == "partition main: is_default: true -> false"
    assert "new refuses 2 jobs (1, 2): partition" in capsys.readouterr().out


def test_a_partition_that_is_no_more(home: Path) -> None:
    of = found(home, "--config", config(home, '[[partition]]\nname = "other"\n'))
    assert of["columns"][1]["summary"]["never_started"] == 0
    assert "new: 3 jobs of partition main run in the default one." in of["assumptions"]


def test_other_nodes_and_several_policies(home: Path) -> None:
    of = found(home, "--policy", "fcfs,sjf@last2", "--cluster", "3x4")
    assert [column["name"] for column in of["columns"]] == ["today", "fcfs", "sjf@last2"]
    assert all(column["summary"]["wait_s"]["max"] == 0 for column in of["columns"])
    assert of["columns"][2]["changes"] == ["order: priority -> sjf", "predictor: limit -> last2"]


def test_the_same_again_gives_the_same(home: Path) -> None:
    assert found(home, "--policy", "saf") == found(home, "--policy", "saf")


def test_a_site_with_accounts(tmp_path: Path) -> None:
    """Jobs run under the account they had, whoever is in it by now, and fair share is of these accounts."""
    config = ClusterConfig(
        order="multifactor",
        priorities=Priorities(weight_fairshare=1000),
        accounts=AccountsPolicy(Enforce.ASSOCIATIONS),
    )
    accounts = (
        qos("long"),
        *(account("chem", shares=90), account("bio", shares=10, qos="long")),
        *(user("ann"), member("ann", "chem")),
    )
    start = (Start(config), ChangeAccounts(Caller(Owner(0, 0, "root", "root"), admin=True), accounts))
    jobs = [
        a_job(10, 10, 100, account="bio", user="ann", qos="long"),
        a_job(20, 110, 100, account="bio", user="bob", qos="long"),
        a_job(30, 210, 100, account="chem", user="ann"),
    ]
    of = found(a_site(tmp_path / "campus", jobs, start=start), "--policy", "fcfs")
    today, first_come = of["columns"]
    assert today["refused"] == first_come["refused"] == []
    assert today["summary"]["wait_s"]["max"] == 190, "the job of bob behind that of chem"
    assert first_come["summary"]["wait_s"]["max"] == 180


def test_a_job_without_a_limit_has_none(tmp_path: Path) -> None:
    """What it ran must not become known to the scheduler by the back door."""
    jobs = [
        a_job(0, 0, 50, cpus=2, time_limit_s=0),
        a_job(1, 50, 10),
        a_job(2, 60, 5, cpus=2, time_limit_s=0),
    ]
    of = found(a_site(tmp_path / "site", jobs), "--policy", "fcfs+none")
    assert of["calibration"]["off_mean"] == 0


def test_the_page(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert main(["--home", str(home), "--policy", "saf", "--report", str(tmp_path / "page")]) == 0
    page = (tmp_path / "page" / "index.html").read_text()
    assert "Calibration: simulated under today" in page
    assert "saf: order: priority -&gt; saf." in page


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "nothing to compare with: give --config FILE, or --policy NAME"),
        (["--config", "nowhere.toml"], "--config nowhere.toml: there is no such file"),
        (["--policy", "magic"], 'policy "magic": order "magic" is not known'),
        (["--policy", "saf,saf"], "each column needs a name of its own: today, saf, saf"),
        (["--policy", "saf", "--since", "yesterday"], '--since "yesterday": a number and a unit'),
        (["--policy", "saf", "--since", "1d"], "no job has ended since 1d; the last one ended at 20"),
        (["--policy", "saf", "--store", "nowhere.db"], "store nowhere.db: there is no such file"),
        (["--policy", "saf", "--cluster", "3y4"], "3y4"),
        (["--policy", "saf", "--json", "no/file"], "--json no/file: there is no folder no"),
    ],
)
def test_what_cannot_be_done_gets_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["--home", str(home), *words]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("packhorse whatif: ")
    assert says in err
    assert err.count("\n") == 1


def test_a_configuration_with_mistakes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '[scheduling]\norder = "sooner"\nbackfil = "easy"\n'
    assert main(["--home", str(home), "--config", config(home, text)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert 'new.toml:2: order = "sooner": there is no such order; accepted is "priority"' in first
    assert 'new.toml:3: backfil is not a key of [scheduling] (did you mean "backfill"?)' in second


def test_stores_without_a_history_or_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = a_site(tmp_path / "empty", [])
    assert main(["--home", str(empty), "--policy", "saf"]) == 1
    assert "no job has ended yet, so there is nothing to simulate" in capsys.readouterr().err
    waiting = a_site(tmp_path / "waiting", [a_job(0, 0, 0) | {"attempt": 0, "started_at": 0}])
    assert main(["--home", str(waiting), "--policy", "saf"]) == 1
    assert (
        "none of the jobs that have ended ever ran (1 line skipped: 1 never ran)" in capsys.readouterr().err
    )
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"SQLite format 3\0" + bytes(5000))
    assert main(["--store", str(broken), "--policy", "saf"]) == 1
    err = capsys.readouterr().err
    assert f"store {broken}: " in err
    assert err.count("\n") == 1


def test_changes_are_named_as_in_the_file() -> None:
    assert changes(ClusterConfig(), ClusterConfig(origin=Instant(5), owner_uid=3)) == []
    new = ClusterConfig(backfill_depth=4, keep_next=True, licenses=(("matlab", 2),))
    assert changes(ClusterConfig(), new) == [
        "backfill_depth: 1 -> 4",
        "licenses:  -> matlab:2",
        "keep_next: false -> true",
    ]
