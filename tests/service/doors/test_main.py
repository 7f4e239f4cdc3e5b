"""The scheduler's own process: start, one per home, stop in good order, start again with everything known."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhorse.cli import transport
from packhorse.scheduler.model.pidfile import running_pid
from tests.service.doors.running import SCRIPT, SETTINGS

WITHIN_S = 30.0
STARTED: list[subprocess.Popen[str]] = []
"""By the test that runs; what it left behind is killed."""


class Process:
    """`python -m packhorse.scheduler.service` on a home."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-m", "packhorse.scheduler.service", "--home", str(home), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        STARTED.append(self.process)

    def serving(self) -> None:
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                transport.call("Ping", {})
                return
            except (transport.TransportError, transport.CallError):
                assert self.process.poll() is None, self.output()
                assert time.monotonic() < deadline
                time.sleep(0.01)

    def output(self) -> str:
        out, _ = self.process.communicate(timeout=WITHIN_S)
        return out

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.output()
        return self.process.returncode


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PACKHORSE_HOME", str(tmp_path))
    (tmp_path / "packhorse.toml").write_text(SETTINGS)
    yield tmp_path
    for process in STARTED:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=WITHIN_S)
    STARTED.clear()


def test_a_life(home: Path) -> None:
    first = Process(home, "--local-node", "n1")
    first.serving()
    assert running_pid(str(home / "run/scheduler.pid")) == first.process.pid
    addresses = json.loads((home / "run/scheduler.addr").read_text())
    assert addresses["grpc"].startswith("127.0.0.1:") and addresses["http"].startswith("127.0.0.1:")
    assert (home / "secrets").stat().st_mode & 0o777 == 0o700
    assert {path.name for path in (home / "secrets").iterdir()} == {
        "token.key",
        "owner.token",
        "agent-n1.token",
    }
    job = int(transport.call("SubmitJob", {"spec": {"script": SCRIPT, "name": "kept"}})["jobId"])
    assert first.stop() == 0
    assert not (home / "run/scheduler.sock").exists()
    assert not (home / "run/scheduler.addr").exists()
    assert running_pid(str(home / "run/scheduler.pid")) == 0
    lines = [json.loads(line) for line in (home / "log/scheduler.log").read_text().splitlines()]
    assert {"engine.serving", "scheduler.serving", "scheduler.stopping"} <= {line["event"] for line in lines}
    assert all({"at", "level", "event"} <= line.keys() for line in lines)

    second = Process(home)
    second.serving()
    table = transport.call("ListJobs", {"fields": ["job_id", "name"]})
    assert [column.get("ints") or column.get("texts") for column in table["columns"]] == [[job], ["kept"]]
    assert int(transport.call("Ping", {})["epoch"]) == 2
    assert second.stop(signal.SIGINT) == 0


def test_one_scheduler_per_home(home: Path) -> None:
    first = Process(home)
    first.serving()
    second = Process(home)
    assert "runs already" in second.output()
    assert second.process.returncode == 1
    assert first.stop() == 0


def test_killed_and_started_again(home: Path) -> None:
    first = Process(home)
    first.serving()
    job = int(transport.call("SubmitJob", {"spec": {"script": SCRIPT}})["jobId"])
    first.process.kill()
    first.output()
    second = Process(home)
    second.serving()
    assert int(transport.call("SubmitJob", {"spec": {"script": SCRIPT}})["jobId"]) == job + 1
    assert second.stop() == 0


def test_a_wrong_configuration(home: Path) -> None:
    (home / "packhorse.toml").write_text("[jobs]\nkill_wiat = 1\n")
    process = Process(home)
    assert f"{home}/packhorse.toml:2: kill_wiat" in process.output()
    assert process.process.returncode == 1
    checked = Process(home, "--check-config", "--json")
    found = json.loads(checked.output())
    assert found["problems"][0].startswith(f"{home}/packhorse.toml:2: ")
    assert checked.process.returncode == 1
    (home / "packhorse.toml").write_text(SETTINGS)
    good = Process(home, "--check-config")
    assert good.output().strip() == f"{home}/packhorse.toml: good"
    assert good.process.returncode == 0
    missing = Process(home, "--config", str(home / "nosuch.toml"))
    assert "no such file" in missing.output()


def test_a_long_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than the address of a Unix socket may be."""
    home = tmp_path / ("long" * 30)
    home.mkdir()
    monkeypatch.setenv("PACKHORSE_HOME", str(home))
    process = Process(home)
    try:
        process.serving()
        assert len(os.fsencode(home / "run/scheduler.sock")) > 107
    finally:
        assert process.stop() == 0


def test_logs_for_people(home: Path) -> None:
    (home / "packhorse.toml").write_text(f'{SETTINGS}\n[log]\nfile = "-"\n')
    process = Process(home)
    process.serving()
    process.process.terminate()
    out = process.output()
    assert "info    scheduler.serving pid=" in out
    assert not (home / "log/scheduler.log").exists()
