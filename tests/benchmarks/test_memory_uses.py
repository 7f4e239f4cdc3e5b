"""Memory use over time from files, and what `packhorse simulate --use … --lend …` makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from packhorse.scheduler.model.ids import US
from packhorse.simulator import simulate
from packhorse.simulator.traces import memory_uses
from packhorse.simulator.traces.broken import Skipped, TraceBroken

JOBS = """\
id,submit_s,run_s,limit_s,tasks,mem_mib,qos,use
big,0,36000,40000,1,8000,,big
f1,10,3600,7200,1,2000,scavenger,
f2,10,3600,7200,1,2000,scavenger,
"""

USE = """\
use,at_s,mem_mib
big,36000,900
big,0,900
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jobs.csv").write_text(JOBS)
    (tmp_path / "use.csv").write_text(USE)
    return tmp_path


def run(folder: Path, *words: str) -> int:
    return simulate.main(
        [
            str(folder / "jobs.csv"),
            "--cluster",
            "1x(cpus=8,mem=8000M)",
            "--runs",
            str(folder),
            "--jobs",
            "1",
            *words,
        ]
    )


def starts(folder: Path) -> dict[str, float]:
    rows = [line.split(",") for line in (folder / "out.csv").read_text().splitlines()]
    columns = rows[0].index("job"), rows[0].index("start")
    return {row[columns[0]]: float(row[columns[1]]) for row in rows[1:]}


def test_times_are_sorted_and_count_from_the_start(folder: Path) -> None:
    (use,) = memory_uses.read(folder / "use.csv").values()
    assert use.at_us.tolist() == [0, 36_000 * US]
    assert use.mem_mib.tolist() == [900, 900]


def test_published_series_count_from_their_first_sample(tmp_path: Path) -> None:
    path = tmp_path / "google.csv"
    path.write_text("vm,slot,cpu_pct,mem_pct\nvm7,3,10,50\nvm7,4,10,25\n")
    (use,) = memory_uses.read(path).values()
    assert use.at_us.tolist() == [0, 300 * US]
    assert use.mem_mib[0] == 2 * use.mem_mib[1] > 0


def test_a_broken_line_is_named_or_counted(tmp_path: Path) -> None:
    path = tmp_path / "use.csv"
    path.write_text("use,at_s,mem_mib\na,0,5\na,-1,5\n,3,5\na,4,x\n")
    with pytest.raises(TraceBroken, match=r"line 3, column 2 \(at_s\)"):
        memory_uses.read(path)
    skipped = Skipped("skip")
    assert memory_uses.read(path, skipped)["a"].at_us.tolist() == [0]
    assert skipped.broken == 3
    path.write_text("who,when\n")
    with pytest.raises(TraceBroken, match="expected a header with use,at_s,mem_mib"):
        memory_uses.read(path)


def test_unused_memory_is_lent_only_where_that_is_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--jobs-out", str(folder / "out.csv"))
    assert run(folder, "--use", str(folder / "use.csv"), *out) == 0
    assert "0.0 GiB-hours lent" in capsys.readouterr().out
    alone = starts(folder)
    assert min(alone["f1"], alone["f2"]) >= 36_000
    assert run(folder, "--use", str(folder / "use.csv"), "--lend", "borg", *out) == 0
    said = capsys.readouterr().out
    lent = starts(folder)
    assert 300 <= min(lent["f1"], lent["f2"]) < 36_000
    # Two jobs of 2,000 MiB for an hour each.
    gib_hours = float(said.split(" GiB-hours lent")[0].rsplit(" ", 1)[1])
    assert gib_hours == pytest.approx(2 * 2000 / 1024, abs=0.06)
    assert "machines without memory ended 0 jobs" in said


def test_the_same_again_is_read_from_its_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--use", str(folder / "use.csv"), "--lend", "borg")
    assert run(folder, *words) == 0
    first = capsys.readouterr().out
    assert run(folder, *words) == 0
    assert capsys.readouterr().out == first
    (folder / "use.csv").write_text(USE.replace("900", "7900"))
    assert run(folder, *words) == 0
    assert "0.0 GiB-hours lent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--lend", "borg"), "--lend needs --use"),
        (("--use", "use.csv", "--lend", "nobody"), "no such estimator; there are"),
        (("--use", "nothing.csv"), "nothing.csv"),
    ],
)
def test_wrong_words(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], why: str
) -> None:
    assert run(folder, *words) != 0
    assert why in capsys.readouterr().err


def test_figures_in_json_have_no_place_for_what_was_not_simulated(folder: Path) -> None:
    assert run(folder, "--json", str(folder / "figures.json")) == 0
    assert len(json.loads((folder / "figures.json").read_text())) == 1
