"""A scheduler to talk to, and commands run in this process."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhorse.cli.slurm import process, times
from tests.cli.commands import COMMANDS, Answer, Run
from tests.cli.fake_scheduler import FakeScheduler


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are printed in UTC, in the standard format."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    times.forget_format()
    yield
    monkeypatch.undo()
    time.tzset()
    times.forget_format()


@pytest.fixture
def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeScheduler]:
    """A cluster of its own in PACKHORSE_HOME."""
    home = tmp_path / "home"
    monkeypatch.setenv("PACKHORSE_HOME", str(home))
    fake = FakeScheduler(home)
    yield fake
    fake.close()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """run("squeue", "-h") -> (exit code, standard output, standard error)."""

    def work(prog: str, *words: str) -> Answer:
        capsys.readouterr()
        times.forget_format()
        code = process.run(prog, COMMANDS[prog], list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return work
