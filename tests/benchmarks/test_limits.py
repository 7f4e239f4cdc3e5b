"""Usage estimates judged on usage over time: by hand on a tiny trace, and on the slices that come along."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import reclaim_estimators as bench
from packhorse.scheduler.core.reclaim.estimators import ESTIMATORS, Settings
from packhorse.scheduler.model.ids import US
from packhorse.simulator.limits import Samples, estimated, samples, score
from packhorse.simulator.traces import usage
from packhorse.simulator.traces.broken import Skipped
from packhorse.simulator.traces.usage import Series

SLOT = 300 * US
DAY = 288 * SLOT


def series(name: str, used: list[int], asked: list[int], first: int = 0, apart: int = SLOT) -> Series:
    at = first + np.arange(len(used)) * apart
    zero = np.zeros(len(used), dtype=np.int64)
    return Series(name, at, zero, zero, np.array(asked), np.array(used))


def tiny() -> Samples:
    """a: 100 of 1000, then 300, which is more than double; b: more than it asked for; over midnight."""
    a = series("a", [100, 100, 100, 300, 100], [1000] * 5, first=DAY - 4 * SLOT)
    b = series("b", [50, 50, 500], [400] * 3, first=0)
    return samples([a, b])


def test_a_tiny_trace_by_hand() -> None:
    """`window` with double the peak: a is given 1000, 1000, 200, 200, 600, and b 400, 400, 100."""
    told = tiny()
    assert told.vm.tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    found = estimated(told, "window", Settings(margin_milli=1000, window_s=86_400))
    assert found.tolist() == [400, 400, 100, 1000, 1000, 200, 200, 600]
    used, kept, asked = 50 + 50 + 400 + 700, 400 + 400 + 100 + 3000, 3 * 400 + 5000
    judged = score(told, found)
    assert judged.slack == pytest.approx(1 - used / kept)
    assert judged.reclaimed == pytest.approx(1 - kept / asked)
    assert judged.overrun == 2 / 8  # b's 500, which counts as 400, above 100, and a's 300 above 200
    assert (judged.n_days, judged.days_overrun) == (3, 2 / 3)  # b's first, a's first and second
    assert (judged.n_samples, judged.beyond) == (8, 1 / 8)


def test_where_the_limit_itself_is_passed_no_estimate_is_to_blame() -> None:
    told = samples([series("a", [500, 500, 500], [400] * 3)])
    found = score(told, estimated(told, "borg", Settings()))
    assert (found.overrun, found.slack, found.beyond) == (0, 0, 1)


def test_samples_that_are_close_go_together_and_of_one_series_the_later_counts() -> None:
    told = samples(
        [series("a", [1, 2, 3, 4], [9, 9, 9, 8], apart=20 * US), series("b", [5, 6], [9] * 2, first=70 * US)]
    )
    assert told.used_mib.tolist() == [4, 5, 6]
    assert [group.vms for group in told.groups] == [[0, 1], [1]]
    assert [group.limits for group in told.groups] == [{0: 8, 1: 9}, {}]
    assert [group.at_us for group in told.groups] == [60 * US, 370 * US]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimate_knows_nothing_of_its_own_sample_or_later_ones(name: str) -> None:
    """Two traces that differ from a sample on have the same estimates up to and with that sample."""
    rng = np.random.default_rng(5)
    same = [rng.integers(20, 60, 80).tolist() for _ in range(6)]
    both = []
    for high in (60, 400):
        rows = [[*row, *rng.integers(20, high, 40).tolist()] for row in same]
        told = samples([series(str(i), row, [1000] * 120) for i, row in enumerate(rows)])
        both.append(estimated(told, name, Settings(overrun_days=1)).reshape(120, 6))
    assert (both[0][:81] == both[1][:81]).all()
    assert (both[0][80] < 1000).any() and (both[0][81:] < both[1][81:]).any()


def test_halves_share_no_sample() -> None:
    parts = bench.halves(tiny())
    assert (parts["odd"] ^ parts["even"]).all() and (parts["early"] ^ parts["late"]).all()


OTHERS = {
    "bitbrains_vm1-50_first_6_days": (("borg 7 d", 5000), ("window peak 7 d", 9000)),
    "google2011_every_4th": (("borg 1 h", 1000), ("window peak 6 h", 1100), ("window peak 1 d", 1100)),
}


@pytest.mark.parametrize(
    ("stem", "overrun_days", "slack", "days_overrun"),
    [("bitbrains_vm1-50_first_6_days", 60, 0.9311, 0.0167), ("google2011_every_4th", 12, 0.4864, 0.0067)],
)
def test_ours_keeps_less_idle_on_the_slices(
    stem: str, overrun_days: int, slack: float, days_overrun: float
) -> None:
    """Recorded scores; and whoever is as safe keeps more idle."""
    told = samples(usage.read(bench.DATA / f"{stem}.csv.gz", Skipped()))
    ours = score(told, estimated(told, "packhorse", Settings(overrun_days=overrun_days)))
    assert ours.slack == pytest.approx(slack, abs=0.002)
    assert ours.days_overrun == pytest.approx(days_overrun, abs=0.0035)
    others = []
    for label, margin in OTHERS[stem]:
        name, base = bench.WINDOWS[label]
        others.append(score(told, estimated(told, name, bench.with_margin(base, margin))))
    as_safe = [each.slack for each in others if each.days_overrun <= ours.days_overrun]
    assert len(as_safe) > 1
    assert ours.slack < min(as_safe) - 0.005


def test_the_command_prints_a_line_per_setting_and_writes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["vm,slot,cpu_pct,mem_pct"]
    lines += [f"vm{i},{slot},1.0,{10 + (slot * (i + 3)) % 7}" for i in range(4) for slot in range(40)]
    (tmp_path / "google_x.csv").write_text("\n".join(lines) + "\n")
    words = ["--data", str(tmp_path), "--only", "packhorse", "--out", str(tmp_path / "out.json")]
    assert bench.main(words) == 2
    assert "no *.csv.gz with usage over time" in capsys.readouterr().err
    (tmp_path / "google_x.csv.gz").write_bytes(gzip.compress((tmp_path / "google_x.csv").read_bytes()))
    assert bench.main([*words, "--plot", str(tmp_path / "plot.png")]) == 0
    out = capsys.readouterr().out
    assert out.count("\ngoogle,packhorse,") == len(bench.OVERRUN_DAYS)
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert len(rows) == 5 * len(bench.OVERRUN_DAYS)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "google_x.csv.gz").write_bytes(gzip.compress(b"vm,slot\n1,2\n"))
    assert bench.main(words) == 2
    assert "no usage over time" in capsys.readouterr().err
