"""`packhorse shadow`: what is printed, and what is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from packhorse.cli import main
from tests.cli.fake_scheduler import FakeScheduler

AT = 1_760_000_000_000_000
ANSWER = {
    "on": True, "name": "other.toml", "sinceUs": str(AT), "nPasses": "12", "lastAtUs": str(AT),
    "lastMs": "34", "liveMilli": "801", "shadowMilli": "855", "settings": ["order: priority -> sjf"],
    "counts": [{"kind": "starts_now", "n": "3", "nJobs": "2"}, {"kind": "later", "n": "1", "nJobs": "1"}],
    "latest": [
        {"atUs": str(AT), "jobId": "7", "kind": "starts_now", "shadow": "n1"},
        {"atUs": str(AT), "jobId": "8", "kind": "later", "live": str(AT), "shadow": str(AT + 10**9),
         "shiftS": "1000"},
    ],
}  # fmt: skip


def test_the_differences(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler.on("GetShadow", ANSWER)
    assert main.main(["shadow", "--latest", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("shadow other.toml, since 2025-10-0")
    assert lines[1] == "  order: priority -> sjf"
    assert lines[2].startswith("12 passes compared") and lines[2].endswith("in 34 ms")
    assert "80.1% live, 85.5% if" in lines[3]
    assert lines[6].split() == ["3", "2", "would", "have", "started,", "and", "waits"]
    assert lines[-2].endswith("7  starts_now  - -> n1")
    assert lines[-1].count("2025-10-0") == 3
    assert scheduler.bodies("GetShadow") == [{"latest": 5}]


def test_a_failure_is_shown(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler.on("GetShadow", {"on": True, "name": "x", "error": "KeyError: 3", "nFailed": "4"})
    assert main.main(["shadow"]) == 0
    assert "last failure: KeyError: 3 (4 in all)" in capsys.readouterr().out


def test_on_and_off(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('[scheduling]\norder = "sjf"\n')
    scheduler.on("SwitchShadow", {"on": True, "settings": ["order: priority -> sjf"]})
    assert main.main(["shadow", "on", str(file)]) == 0
    assert capsys.readouterr().out == f"shadow on, with {file}\n  order: priority -> sjf\n"
    scheduler.on("SwitchShadow", {})
    assert main.main(["shadow", "off", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"on": False, "settings": []}
    assert scheduler.bodies("SwitchShadow") == [
        {"name": str(file), "config": file.read_text()},
        {"off": True},
    ]


@pytest.mark.parametrize("words", [["on"], ["off", "file"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["shadow", *words]) == 2
    assert capsys.readouterr().err.startswith("packhorse shadow: ")


def test_a_file_that_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main.main(["shadow", "on", str(tmp_path / "none.toml")]) == 1
    assert (
        capsys.readouterr().err == f"packhorse shadow: {tmp_path / 'none.toml'}: No such file or directory\n"
    )
