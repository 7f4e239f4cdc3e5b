"""`packhorse bench openb`: what its words mean, and what it says to wrong ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from packhorse.cli.commands.bench import BENCHES
from packhorse.simulator.openb.__main__ import main
from packhorse.simulator.progress import Progress
from tests.benchmarks.small_trace import PODS, write_trace


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small trace in trace/, which the environment names; far from any checkout."""
    monkeypatch.chdir(tmp_path)
    write_trace(tmp_path / "trace")
    monkeypatch.setenv("PACKHORSE_OPENB", str(tmp_path / "trace"))
    return tmp_path


SMALL = ("--variant", "small", "--policy", "best-fit")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--variant", "large"], "--variant large: not in .*; there are small"),
        (["--policy", "magic"], 'policy "magic" is not known; there are best-fit'),
        (["--policy", "best-fit,"], '--policy "best-fit,": names separated by commas'),
        (["--seeds", "1"], "the published streams are 42-51"),
        (["--seeds", "50-60"], "the published streams are 42-51"),
        (["--seeds", "43-42"], "a number or a range such as 42-51"),
        (["--seeds", "x"], "a number or a range such as 42-51"),
        (["--mode", "offline"], "online or queue"),
        (["--jobs", "0"], "--jobs 0: at least 1"),
        (["--nodes", "0"], "--nodes 0: from 1 to 100,000"),
        (["--every", "0", "--mode", "queue"], "--every 0: at least 1"),
        (["--hold-arrivals", "3"], "online nothing waits"),
        (["--hold-arrivals", "-3", "--mode", "queue"], "--hold-arrivals -3: at least 0"),
        (["--hold-above", "nan"], "--hold-above nan: at least 0"),
        (["--hold-at-most", "2"], "--hold-at-most 2.0: from 0 to 1"),
        (["--data", "nowhere"], "--data nowhere: there is no such folder"),
        (["--data", "."], r"holds no openb_pod_list_VARIANT\.csv\.gz"),
        (["--json", "no/such/file"], "there is no folder no/such"),
        (["--plot", "no/such/file"], "there is no folder no/such"),
        (["--placements", "trace/order_small.csv.gz"], "exists"),
    ],
)
def test_wrong_words_get_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    given = [*SMALL, "--seeds", "42", *words]
    assert main(given) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("packhorse bench openb: ")
    assert err.count("\n") == 1
    assert re.search(says, err), err


def test_a_broken_trace_gets_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_trace(here / "trace", pods=PODS.replace("600", "many"))
    assert main([*SMALL, "--seeds", "42", "--jobs", "1"]) == 1
    err = capsys.readouterr().err
    assert 'openb_pod_list_small.csv.gz, line 2, column 5 (gpu_milli): "many", expected a whole number' in err
    assert err.count("\n") == 1


def test_without_traces_it_says_what_to_pass(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PACKHORSE_OPENB", "nowhere")
    assert main([*SMALL]) == 1
    assert "PACKHORSE_OPENB=nowhere: there is no such folder" in capsys.readouterr().err


def test_json_instead_of_the_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        *SMALL,
        "--seeds",
        "42,43",
        "--jobs",
        "1",
        "--json",
        "-",
        "--mode",
        "online,queue",
        "--mix",
        "seen",
    ]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["command"] == "packhorse bench openb " + " ".join(words)
    assert [(row["mode"], row["mix"]) for row in found["rows"]] == [("online", "seen"), ("queue", "seen")]
    runs = found["rows"][0]["runs"]
    assert [run["seed"] for run in runs] == [42, 43]
    assert runs[0]["n_arrived"] == 4
    assert runs[0]["decisions_per_s"] > 0


def test_a_larger_cluster_has_no_published_numbers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--seeds", "42", "--nodes", "9"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[:4] == ["small", "best-fit", "online", "1"]


def test_the_command_hands_over(here: Path) -> None:
    command = [sys.executable, "-m", "packhorse.cli.main", "bench"]
    listed = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(name in listed and what in listed for name, (_, what) in BENCHES.items())
    for name in BENCHES:
        helped = subprocess.run([*command, name, "--help"], capture_output=True, text=True, check=True).stdout
        assert helped.startswith(f"usage: packhorse bench {name}")
    failed = subprocess.run([*command, "openb", "--data", "no"], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr == "packhorse bench openb: --data no: there is no such folder\n"
    unknown = subprocess.run([*command, "nothing"], capture_output=True, text=True, check=False)
    assert unknown.returncode == 2
    assert "openb" in unknown.stderr


def test_progress_off_a_terminal_is_quiet_at_first(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(2, "runs") as progress:
        progress.step("one")
        progress._said -= 100
        progress.step("two")
    err = capsys.readouterr().err
    assert err == "[##############################] 2 of 2 runs  two\n"
