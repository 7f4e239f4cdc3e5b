"""Death at every point: what was acknowledged is there, what is there is whole, and it goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from packhorse.scheduler.model.crashpoint import REGISTERED
from packhorse.scheduler.store import crash_points
from packhorse.scheduler.store.protocol import AttemptQuery, blob_ref
from tests.store.conftest import sqlite_store
from tests.store.crash_child import JOBS, ROUNDS, script, state

POINTS = sorted(
    value for value in vars(crash_points).values() if isinstance(value, str) and value in REGISTERED
)


def run_child(directory: Path, root: Path, **environment: str) -> int:
    """Its exit status; negative: killed by that signal."""
    child = subprocess.run(
        [sys.executable, "-m", "tests.store.crash_child", str(directory)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}/build/ns", **environment},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert child.returncode in (0, -signal.SIGKILL), child.stderr.decode()
    return child.returncode


def acknowledged(directory: Path, what: str) -> list[int]:
    """Numbers of the records or snapshots of which somebody was told that they are durable."""
    file = directory / "acknowledged"
    lines = file.read_text().splitlines() if file.exists() else []
    return [int(line.split()[1]) for line in lines if line.startswith(what)]


def check(directory: Path, lives: int) -> int:
    """What the store holds fits together and covers what was acknowledged; returns its last record.

    A life may end with one record durable of which nobody was told, and with one such snapshot.
    """
    told = acknowledged(directory, "record")
    store = sqlite_store(directory)
    last = store.last_seq()
    assert len(set(told)) == len(told) <= last <= len(told) + lives
    assert max(told, default=0) <= last
    assert store.highest_job_id() == last * JOBS
    found = store.read_snapshot()
    begin = 0
    if found is not None:
        begin = found[0]
        assert list(found[1]) == state(begin)
    assert begin >= max(acknowledged(directory, "snapshot"), default=0)
    assert [record.seq for record in store.read_log(begin)] == list(range(begin + 1, last + 1))
    for seq in range(1, last + 2):
        assert (store.blob(blob_ref(script(seq))) is not None) == (seq <= last)
    assert [found_row.job for found_row in store.attempts(AttemptQuery())] == list(range(1, last * JOBS + 1))
    store.close()
    return last


def test_points_are_all_there_are() -> None:
    assert sorted(name for name in REGISTERED if name.startswith("store.")) == POINTS


def test_every_point_is_passed(tmp_path: Path, repository: Path) -> None:
    log = tmp_path / "passed"
    assert run_child(tmp_path, repository, PACKHORSE_CRASH_LOG=str(log)) == 0
    assert {line.split()[0] for line in log.read_text().splitlines()} == set(POINTS)
    assert check(tmp_path, lives=0) == ROUNDS


@pytest.mark.parametrize("point", POINTS)
def test_death_at_a_point(tmp_path: Path, repository: Path, point: str) -> None:
    """In the first life when it is passed for the first time, in the next one at the second."""
    last = 0
    for life in (1, 2):
        assert run_child(tmp_path, repository, PACKHORSE_CRASH_AT=f"{point}:{life}") == -signal.SIGKILL
        before, last = last, check(tmp_path, life)
        assert last >= before
    assert run_child(tmp_path, repository) == 0
    assert check(tmp_path, 2) == last + ROUNDS
