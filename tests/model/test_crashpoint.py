"""Crash points: which passing dies, what the log says, what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhorse.scheduler.model import crashpoint

PROGRAM = """
from packhorse.scheduler.model.crashpoint import crash_point, register
register("a.point", "for this test")
register("b.point", "for this test")
for name in ("a", "b", "a", "b", "a"):
    print(name, flush=True)
    crash_point(f"{name}.point")
"""


def run(tmp_path: Path, at: str, log: bool = True) -> tuple[str, int, str]:
    """What it printed, its status, and the log without the process numbers."""
    path = tmp_path / "log"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PACKHORSE_CRASH_AT": at,
            **({"PACKHORSE_CRASH_LOG": str(path)} if log else {}),
        },
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    lines = path.read_text().splitlines() if path.exists() else []
    return (
        "".join(done.stdout.split()),
        done.returncode,
        " ".join(f"{w[0]}:{w[2]}" for w in map(str.split, lines)),
    )


def test_nothing_happens_unless_told(tmp_path: Path) -> None:
    assert run(tmp_path, "", log=False) == ("ababa", 0, "")


def test_the_log_alone_kills_nobody(tmp_path: Path) -> None:
    output, status, log = run(tmp_path, "")
    assert (output, status) == ("ababa", 0)
    assert (
        log.split() == ["a:passed", "b:passed", "a:passed", "b:passed", "a:passed"]
        or log.count("passed") == 5
    )


@pytest.mark.parametrize(
    ("at", "output"), [("a.point", "a"), ("b.point:2", "abab"), ("b.point:2,a.point:2", "aba")]
)
@pytest.mark.parametrize("log", [True, False])
def test_dies_at_the_passing_asked_for(tmp_path: Path, at: str, output: str, log: bool) -> None:
    printed, status, text = run(tmp_path, at, log)
    assert (printed, status) == (output, -signal.SIGKILL)
    assert text.count("died") == (1 if log else 0)


def test_with_a_log_all_processes_count_together(tmp_path: Path) -> None:
    assert run(tmp_path, "a.point:4")[:2] == ("ababa", 0)
    assert run(tmp_path, "a.point:4")[:2] == ("a", -signal.SIGKILL)


@pytest.fixture
def disarmed() -> Iterator[None]:
    yield
    crashpoint.arm({})


@pytest.mark.usefixtures("disarmed")
def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='"x:0" is not'):
        crashpoint.arm({"PACKHORSE_CRASH_AT": "x:0"})
    name = crashpoint.register("test.point", "one thing")
    assert crashpoint.register("test.point", "one thing") == name
    with pytest.raises(ValueError, match="registered twice"):
        crashpoint.register("test.point", "another thing")
    del crashpoint.REGISTERED["test.point"]
    crashpoint.arm({"PACKHORSE_CRASH_LOG": str(tmp_path / "log")})
    with pytest.raises(KeyError, match="is not registered"):
        crashpoint.crash_point("test.point")
