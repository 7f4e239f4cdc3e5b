"""Estimates of starts on a public log: most hold, and they are better than those by time limits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import estimates_rate, start_estimates
from benchmarks.batch_policies import parts
from benchmarks.policies import SHARED


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    jobs, nodes = next(parts("hpc2n", SHARED))
    return start_estimates.told(jobs[:900], nodes, "easy")


def test_most_hold_and_they_are_better_than_by_limits(rows: np.ndarray) -> None:
    found = start_estimates.figures(rows)
    assert found["jobs"] > 150
    assert 0.65 < found["coverage"] < 0.95
    assert found["better_by"] > 0.3
    assert found["error"] < found["error_by_limits"]


def test_the_same_run_tells_the_same(rows: np.ndarray) -> None:
    jobs, nodes = next(parts("hpc2n", SHARED))
    again = start_estimates.told(jobs[:900], nodes, "easy", limits_every=0)
    assert (again[:, :5] == rows[:, :5]).all(), "whether or not somebody asks for planned starts"
    assert (again[:, 5] == -1).all()
    some = start_estimates.told(jobs[:300], nodes, "easy", limits_every=4)
    assert (some[::4, 5] >= 0).all() and (np.delete(some, slice(None, None, 4), axis=0)[:, 5] == -1).all()


def test_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rows: np.ndarray) -> None:
    monkeypatch.setattr(start_estimates, "measured", lambda *_: rows)
    out, plot = tmp_path / "out.json", tmp_path / "plot.png"
    assert start_estimates.main(["--sets", "hpc2n", "--json", str(out), "--plot", str(plot)]) == 0
    assert json.loads(out.read_text())["sets"]["hpc2n"]["jobs"] == len(rows)
    assert plot.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit):
        start_estimates.main(["--sets", "nosuch"])


def test_the_rate(capsys: pytest.CaptureFixture[str]) -> None:
    assert estimates_rate.main(["--nodes", "20", "--jobs", "300"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["waiting"] == found["told"] >= 300
    assert found["running"] > 20
