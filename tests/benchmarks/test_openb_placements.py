"""Files of placements pass a check that shares no code with the packer, and it fails on those changed."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.openb_check import Wrong, check

Lines = list[list[str]]


def bench(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "packhorse.cli.main", "bench", "openb", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def made(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the placements, the JSON and the plot of a run of two seeds."""
    out = tmp_path_factory.mktemp("openb")
    files = ["--placements", out / "placements", "--json", out / "runs.json", "--plot", out / "runs.png"]
    done = bench("--policy", "best-fit", "--seeds", "42,43", "--mode", "online,queue", *files, cwd=repository)
    assert done.returncode == 0, done.stderr
    (out / "table.txt").write_text(done.stdout)
    return out


def data(repository: Path) -> Path:
    return repository / "benchmarks" / "data" / "openb"


def test_the_placements_obey_every_rule(made: Path, repository: Path) -> None:
    runs = json.loads((made / "runs.json").read_text())
    for row in runs["rows"]:
        online = row["mode"] == "online"
        for one in row["runs"]:
            name = f"default_best-fit{'' if online else '_queue'}_s{one['seed']}.csv"
            values = check(
                data(repository), "default", one["seed"], made / "placements" / name, online=online
            )
            if online:
                assert {str(x): y for x, y in values.items()} == pytest.approx(
                    {x: one["alloc_pct"][x] for x in ("100", "130")}, abs=1e-3
                )


def test_best_fit_comes_close_to_the_published_means(made: Path) -> None:
    (row, _) = json.loads((made / "runs.json").read_text())["rows"]
    assert row["mean"]["alloc_pct"]["130"]["mean"] == pytest.approx(93.08, abs=0.1)
    assert row["mean"]["frag_pct_of_capacity"]["130"]["mean"] == pytest.approx(6.849, abs=0.1)


def test_the_table_and_the_picture(made: Path) -> None:
    lines = (made / "table.txt").read_text().splitlines()
    assert len(lines) == 4
    assert lines[2].split()[:4] == ["default", "best-fit", "online", "2"]
    assert "93.08" in lines[2]
    assert (made / "runs.png").read_bytes().startswith(b"\x89PNG")


def first_with(lines: Lines, condition: Callable[[list[str]], bool]) -> int:
    return next(i for i, line in enumerate(lines) if i and condition(line))


def two_on_one_device(lines: Lines) -> None:
    """A share goes to a device that a whole job has."""
    holder = first_with(lines, lambda line: ";" in line[3])
    share = first_with(
        lines, lambda line: line[2] != lines[holder][2] and line[3].isdigit() and line is not lines[holder]
    )
    lines[share][2:] = [lines[holder][2], lines[holder][3].split(";")[0]]
    if share < holder:
        lines[share][3] = lines[holder][3].split(";")[0]


def swap(lines: Lines) -> None:
    lines[5], lines[6] = lines[6], lines[5]


def drop_the_first(lines: Lines) -> None:
    """Its room is there, so it was refused although it fits."""
    del lines[1]


def repeat(lines: Lines) -> None:
    lines.insert(2, lines[1])


def another_row(lines: Lines) -> None:
    lines[9][1] = str(int(lines[9][1]) + 1)


def no_such_node(lines: Lines) -> None:
    lines[9][2] = "openb-node-9999"


def no_such_device(lines: Lines) -> None:
    lines[first_with(lines, lambda line: line[3] == "0")][3] = "8"


def too_few_devices(lines: Lines) -> None:
    line = lines[first_with(lines, lambda line: ";" in line[3])]
    line[3] = line[3].rpartition(";")[0]


def twice_the_same_device(lines: Lines) -> None:
    lines[first_with(lines, lambda line: line[3] == "0;1")][3] = "0;0"


def all_on_one_node(lines: Lines) -> None:
    """CPU runs out, whatever devices there are."""
    for line in lines[1:]:
        if not line[3]:
            line[2] = lines[1][2]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (two_on_one_device, "beyond 1000|different ones|MiB left"),
        (swap, "arrival 4 was refused, but fits on|after a later one"),
        (drop_the_first, "arrival 0 was refused, but fits on"),
        (repeat, "placed twice"),
        (another_row, "arrival .* is row"),
        (no_such_node, "no node openb-node-9999"),
        (no_such_device, "has no device 8"),
        (too_few_devices, "asks for"),
        (twice_the_same_device, "different ones"),
        (all_on_one_node, "milli-CPU and .* left"),
    ],
)
def test_the_check_finds_what_is_wrong(
    made: Path, repository: Path, tmp_path: Path, change: Callable[[Lines], None], says: str
) -> None:
    with (made / "placements" / "default_best-fit_s42.csv").open() as text:
        lines = list(csv.reader(text))
    change(lines)
    changed = tmp_path / "changed.csv"
    with changed.open("w", newline="") as out:
        csv.writer(out).writerows(lines)
    with pytest.raises(Wrong, match=says):
        check(data(repository), "default", 42, changed)


def test_the_check_knows_device_types(tmp_path: Path) -> None:
    from tests.benchmarks.small_trace import write_trace

    trace = write_trace(tmp_path / "trace")
    file = tmp_path / "small.csv"
    file.write_text("pos,row,node,devices\n0,3,n2,\n1,0,n1,0\n2,1,n0,1\n")
    check(trace, "small", 42, file)
    file.write_text("pos,row,node,devices\n0,3,n2,\n1,0,n0,0\n2,1,n1,0\n")
    with pytest.raises(Wrong, match="n1 has B, the pod asks for A"):
        check(trace, "small", 42, file)


@pytest.mark.parametrize("variant", ["cpu250", "gpushare100", "gpuspec33", "multigpu50"])
def test_other_variants(repository: Path, tmp_path: Path, variant: str) -> None:
    shared = repository.parent / "shared" / "traces" / "openb"
    if not (shared / f"openb_pod_list_{variant}.csv.gz").exists():
        pytest.skip(f"the variant {variant} is not in ../shared/traces/openb")
    done = bench(
        *(
            "--data",
            shared,
            "--variant",
            variant,
            "--policy",
            "best-fit",
            "--seeds",
            "44",
            "--placements",
            tmp_path,
        ),
        cwd=repository,
    )
    assert done.returncode == 0, done.stderr
    assert 80 < check(shared, variant, 44, tmp_path / f"{variant}_best-fit_s44.csv")[130] < 99
