"""`packhorse simulate`: sweeps, files, policies of one's own, and going on after a stop."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.core.orders import ORDERS
from packhorse.simulator import policy_file, simulate
from packhorse.simulator.lab_policy import lab_policy

ROOT = Path(__file__).parents[2]
TRACE = "poisson:jobs=120,load=0.9,procs=32"
MUTATES = "ORDER = Order('mutates', '', True, key)"
IMPORT = "from packhorse.scheduler.core.orders import Order\n"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a test makes known is not known to the next one."""
    before = dict(ORDERS)
    yield
    ORDERS.clear()
    ORDERS.update(before)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Sequence[object]:
    def act(*words: str) -> tuple[int, str, str]:
        code = simulate.main([*words, "--runs", str(tmp_path / "runs"), "--jobs", "2"])
        out = capsys.readouterr()
        return code, out.out, out.err

    return act  # type: ignore[return-value]


def test_table_files_and_nothing_twice(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    words = (TRACE, "--policy", "easy,sjf", "--seeds", "1-2", "--json", str(tmp_path / "out.json"))
    code, out, err = run(*words, "--jobs-out", str(tmp_path / "jobs.csv"))
    assert code == 0
    assert "mean ± deviation of 2 seeds" in out
    found = json.loads((tmp_path / "out.json").read_text())
    assert [(entry["policy"], entry["seed"]) for entry in found] == [
        ("easy", 1),
        ("easy", 2),
        ("sjf", 1),
        ("sjf", 2),
    ]
    files = sorted(path.name for path in tmp_path.glob("jobs*.csv"))
    assert len(files) == 4
    first = (tmp_path / files[0]).read_bytes()
    assert first.startswith(b"job,submit,start,end,procs,nodes,restarts\n")
    assert first.count(b"\n") == 121
    results = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    assert len(results) == 4
    code, again, err = run(*words, "--jobs-out", str(tmp_path / "jobs.csv"))
    assert (code, again) == (0, out)
    assert "4 of 4 runs are there already" in err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()} == results
    assert (tmp_path / files[0]).read_bytes() == first


def test_a_policy_of_ones_own_beside_ours(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    mine = ROOT / "examples" / "policy" / "aged_sjf.py"
    code, out, _ = run(f"{TRACE},seed=1", "--policy", f"easy,{mine}")
    assert code == 0
    assert "aged-sjf" in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import time", 'line 1: a policy may not import "time"'),
        ("from os import path", 'line 1: a policy may not import "os"'),
        ("x = open('/etc/passwd')", 'line 1: a policy may not use "open"'),
        ("import numpy as np\nx = np.random.rand(3)", 'line 2: a policy may not use "random"'),
        ("x = ().__class__", 'line 1: a policy may not use "__class__"'),
        ("x = 1", "defines neither ORDER nor POLICY"),
        ("def (", "line 1: "),
        ("1 / 0", "line 1: ZeroDivisionError"),
        (
            f"{IMPORT}def key(w):\n    w.run_s[:] = 0\n    return w.run_s\n{MUTATES}",
            "line 3: ValueError: assignment destination is read-only",
        ),
        (
            f"{IMPORT}ORDER = Order('short', '', True, lambda w: w.run_s[:1])",
            "expected 7 finite numbers",
        ),
        (
            f"{IMPORT}n = []\ndef key(w):\n    n.append(1)\n    return w.run_s * len(n)\n{MUTATES}",
            "two answers",
        ),
        (
            f"{IMPORT}ORDER = Order('sjf', '', True, lambda w: w.run_s)",
            'there is an order "sjf" already',
        ),
    ],
)
def test_what_is_not_pure_is_refused_and_the_others_go_on(  # type: ignore[no-untyped-def]
    run, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    code, out, err = run(f"{TRACE},seed=1", "--policy", f"easy,{path}")
    assert code == 1
    assert f"packhorse simulate: {path}" in err
    assert said in err
    assert "easy" in out
    assert "Traceback" not in err


def test_a_policy_that_raises_later_is_reported_by_name(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "mine.py"
    path.write_text(
        "from packhorse.scheduler.core.orders import Order\n"
        "def key(w):\n    if w.run_s.size == 3:\n        raise RuntimeError('three is too many')\n"
        "    return w.run_s\nORDER = Order('fails-later', '', True, key)"
    )
    code, out, err = run(f"{TRACE},seed=1", "--policy", f"{path},easy")
    assert code == 1
    assert "fails-later on poisson" in err
    assert "three is too many" in err
    assert "easy" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothere.swf"], "nothere.swf: there is no such file"),
        ([TRACE, "--policy", "nonsense"], 'policy "nonsense": order "nonsense" is not known'),
        ([TRACE, "--policy", "sjf+nothing"], 'backfill "nothing" is not known'),
        ([TRACE, "--policy", "sjf@nobody"], 'predictor "nobody" is not known'),
        ([TRACE, "--policy", "sjf/nowhere"], 'placement policy "nowhere" is not known'),
        ([TRACE, "--policy", "sjf+easy:0"], "depth 0: from 1 to"),
        ([TRACE, "--seeds", "3-1"], "is empty"),
        ([TRACE, "--seeds", "x"], '"x" is no seed'),
        ([TRACE, "--windows", "5"], '"5" is not start+jobs'),
        ([TRACE, "--cluster", "many"], "many"),
        ([TRACE, "--cluster", "1"], "job "),
        ([TRACE, "--prices", "per_kwh=much"], "is not NAME=NUMBER"),
        ([TRACE, "--prices", "per_mile=1"], "per_mile"),
        ([TRACE, "--failures", "-1"], "--failures -1.0: from 0"),
    ],
)
def test_wrong_words_are_told_in_a_line(run, words: list[str], said: str) -> None:  # type: ignore[no-untyped-def]
    code, _, err = run(*words)
    assert code in (1, 2)
    assert said in err
    assert "Traceback" not in err


def test_names_of_policies() -> None:
    full = lab_policy("sjf+sjbf:3!@last2/best-fit")
    assert full[1:8] == ("sjf", "sjbf", 3, True, "last2", False, "best-fit")
    assert lab_policy("easy++")[1:6] == ("priority", "sjbf", 1, False, "last2")
    assert lab_policy("fcfs@clairvoyant").clairvoyant
    assert lab_policy("fcfs+easy:all").depth == 1 << 16


def test_a_stopped_sweep_goes_on(tmp_path: Path) -> None:
    """Killed while it works: what was done stays, and is not done again."""
    words = ["poisson:jobs=600,load=0.9,procs=64", "--policy", "easy,sjf", "--seeds", "1-6", "--jobs", "1"]
    command = [sys.executable, "-m", "packhorse.simulator.simulate", *words, "--runs", str(tmp_path)]
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=env, stdout=quiet, stderr=quiet, start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("*.npz"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    assert 2 <= len(done) < 12
    finished = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert f"{len(done)} of 12 runs are there already" in finished.stderr
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    assert len(after) == 12
    assert {name: after[name] for name in done} == done


def test_digest_tells_files_apart(tmp_path: Path) -> None:
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("x = 1")
    two.write_text("x = 2")
    assert policy_file.digest(one) != policy_file.digest(two)


JOBS = """\
id,submit_s,run_s,tasks,user,group,qos
one,0,100,8,ann,arts,long
two,0,100,8,eve,,
"""
ACCOUNTS = """\
[qos.long]
[account.physics]
qos = ["normal"]
users = ["ann"]
[account.arts]
qos = ["long"]
"""


def test_accounts_from_a_file_of_them(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A job runs under its user's default account, or the trace's group, and its QOS."""
    trace, accounts = tmp_path / "jobs.csv", tmp_path / "accounts.toml"
    trace.write_text(JOBS)
    accounts.write_text(ACCOUNTS)
    words = (str(trace), "--cluster", "32", "--accounts", str(accounts))
    code, _, err = run(*words)
    assert code == 1 and 'QOS "long": user ann in account physics may not use it' in err
    assert run(*words, "--account-of", "group")[::2] == (0, "")
    bad = tmp_path / "bad.toml"
    bad.write_text("[account.physics]\nmax_jobz = 4\n")
    code, _, err = run(*words, "--accounts", str(bad))
    assert code == 2 and 'did you mean "max_jobs"?' in err
    worse = tmp_path / "worse.toml"
    worse.write_text('[account.physics]\ndefault_qos = "nosuch"\n')
    code, _, err = run(*words, "--accounts", str(worse))
    assert code == 1 and 'QOS "nosuch" does not exist' in err


WEIGHTS = """\
[priority]
weight_fairshare = {fairshare}
weight_job_size = {size}
half_life = 0
"""
SHARES = """\
[account.physics]
shares = 90
users = ["ann"]
[account.arts]
shares = 10
users = ["eve"]
"""
CROWD = """\
id,submit_s,run_s,tasks,user,group,qos
first,0,100,32,eve,arts,
small,10,100,8,ann,physics,
large,11,100,32,eve,arts,
"""


@pytest.mark.parametrize(("fairshare", "size", "next_one"), [(1000, 0, "small"), (0, 1000, "large")])
def test_weights_and_limits_of_a_configuration_file(
    run: Any, tmp_path: Path, fairshare: int, size: int, next_one: str
) -> None:
    """The cluster is full until 100 s; who is next then is what the weights say."""
    trace, accounts, config = (tmp_path / name for name in ("jobs.csv", "accounts.toml", "site.toml"))
    out = tmp_path / "out.csv"
    trace.write_text(CROWD)
    accounts.write_text(SHARES)
    config.write_text(
        WEIGHTS.format(fairshare=fairshare, size=size) + '[scheduling]\norder = "multifactor"\n'
    )
    words = (str(trace), "--cluster", "32", "--accounts", str(accounts), "--config", str(config))
    starts = {}
    for policy in ((), ("--policy", "multifactor")):  # the file's own, and by name
        code, shown, err = run(*words, *policy, "--jobs-out", str(out))
        assert (code, err) == (0, "")
        assert ("site" if not policy else "multifactor") in shown
        starts = {row["job"]: float(row["start"]) for row in csv.DictReader(out.read_text().splitlines())}
        assert starts[next_one] == 100.0 and max(starts.values()) == 200.0, starts
    strict, strangers = tmp_path / "strict.toml", tmp_path / "strangers.csv"
    strict.write_text('[accounts]\nenforce = "limits"\n')
    strangers.write_text(CROWD.replace("ann", "kim"))
    others = (str(strangers), "--cluster", "32", "--accounts", str(accounts))
    assert run(*others)[0] == 0, "traces name users whom no file lists"
    code, _, err = run(*others, "--config", str(strict))
    assert code == 1 and "user kim has no default account" in err


def test_a_configuration_that_cannot_be_read_is_named(run: Any, tmp_path: Path) -> None:
    trace, config = tmp_path / "jobs.csv", tmp_path / "site.toml"
    trace.write_text(CROWD)
    config.write_text("[priority]\nweight_fairshares = 3\n")
    code, _, err = run(str(trace), "--cluster", "32", "--config", str(config))
    assert code == 2 and "weight_fairshares is not a key of [priority]" in err
    assert len(err.splitlines()) == 1
    code, _, err = run(str(trace), "--cluster", "32", "--config", str(tmp_path / "none.toml"))
    assert code == 1 and "none.toml: No such file" in err
