"""The Slurm-style commands as whole processes, beside those of a real Slurm on the same machine.

    SLURM_BIN=/usr/bin python -m benchmarks.slurm_commands [--runs 50] [--jobs 10000] [--keep]

Nothing is installed and no Slurm is started: one has to run, with room for the jobs that are submitted here
(held, and cancelled in the end). Ours is the package of this interpreter's environment, on a cluster in a
temporary home. A round runs every command once, ours and Slurm's in turns, so that whatever else the machine
does meets both. Wall times are medians and least values; processor time (user and system, of the process
alone) tells most where the machine is busy. The bar is three times Slurm's, for the long listing Slurm's.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.cluster import BIN, BenchCluster

RESULTS = Path(__file__).parent / "results"
CONFIG = "[jobs]\nallow_root_jobs = true\n"
ARRAY = 1000
"""Elements of one array: Slurm's default limit is 1001."""

HELD = ("sbatch", "--parsable", "--hold", "-n1", "--mem=10", "-t5", "-o", "/dev/null")


class Pair(NamedTuple):
    """One command, as it is typed to both. bar: how many times Slurm's processor time it may take."""

    what: str
    words: tuple[str, ...]
    bar: float = 3.0


class Taken(NamedTuple):
    """Of one command's runs, in ms: wall time and processor time, medians and least values."""

    wall: float
    wall_least: float
    cpu: float
    cpu_least: float


class Side:
    """One of the two: its commands' directory and environment, and a job of it to be shown."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.env = dict(env)
        self.jobs: list[str] = []

    def submit(self, *more: str) -> str:
        """A held job's id."""
        done = subprocess.run(
            [self.folder / "sbatch", *HELD[1:], *more, "--wrap", "true"],
            env=self.env,
            check=True,
            capture_output=True,
            text=True,
        )
        self.jobs.append(done.stdout.strip().partition(";")[0])
        return self.jobs[-1]

    def cancel_all(self) -> None:
        if self.jobs:
            subprocess.run([self.folder / "scancel", *self.jobs], env=self.env, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slurm_commands")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=10_000, help="of the long listing, a multiple of 1000")
    parser.add_argument("--keep", action="store_true", help="write the figures to benchmarks/results/")
    args = parser.parse_args()
    slurm_bin = Path(os.environ.get("SLURM_BIN", "/usr/bin"))
    if not (slurm_bin / "squeue").exists():
        parser.error(f"no Slurm in {slurm_bin}: name its directory in SLURM_BIN")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env = {
        name: value for name, value in env.items() if not name.startswith("SLURM_") or name == "SLURM_CONF"
    }
    with tempfile.TemporaryDirectory(prefix="ph-") as folder:
        root = Path(folder)
        (root / "packhorse.toml").write_text(CONFIG)
        cluster = BenchCluster(root, ["--nodes", "2", "--cpus-per-node", "8", "--mem-per-node", "16G"])
        ours = Side(BIN, {**env, "PACKHORSE_HOME": str(root), "PATH": cluster.env["PATH"]})
        slurm = Side(slurm_bin, env)
        cluster.up()
        try:
            found = _all(ours, slurm, args.runs, args.jobs)
        finally:
            slurm.cancel_all()
            cluster.command("packhorse", "down")
    if args.keep:
        _keep(found, args.runs)
    return 0


def _all(ours: Side, slurm: Side, runs: int, n_jobs: int) -> list[dict[str, object]]:
    """Prints the table as it comes; the figures of every row."""
    print("| command | ours: wall, least, CPU | Slurm: wall, least, CPU | ratio of wall, least, CPU | bar |")
    print("|---|---|---|---|---|")
    shown = [side.submit() for side in (ours, slurm)]
    few = [
        Pair("squeue", ("squeue",)),
        Pair("sinfo", ("sinfo",)),
        Pair("sbatch", (*HELD, "--wrap", "true")),
        Pair("scancel (ended job)", ("scancel", "JOB")),
        Pair("sacct", ("sacct", "-j", "JOB")),
        Pair("scontrol show job", ("scontrol", "show", "job", "JOB")),
    ]
    rows = _compare(few, ours, slurm, shown, runs)
    for side in (ours, slurm):
        for _ in range(n_jobs // ARRAY):
            side.submit(f"--array=1-{ARRAY}")
    long_list = [Pair(f"squeue -r, {n_jobs:,} jobs", ("squeue", "-r"), 1.0)]
    return rows + _compare(long_list, ours, slurm, shown, max(runs // 3, 5))


def _compare(
    pairs: Sequence[Pair], ours: Side, slurm: Side, shown: Sequence[str], runs: int
) -> list[dict[str, object]]:
    python = [sys.executable, "-c", "pass"]
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for i in range(runs + 2):
        bare = _run(python, ours.env)
        if i >= 2:
            taken.setdefault(("bare interpreter", "ours"), []).append(bare)
        for pair in pairs:
            for who, side, job in (("ours", ours, shown[0]), ("Slurm", slurm, shown[1])):
                words = [job if word == "JOB" else word for word in pair.words]
                spent = _run([str(side.folder / words[0]), *words[1:]], side.env)
                if i >= 2:
                    taken.setdefault((pair.what, who), []).append(spent)
                elif pair.words[0] == "scancel" and i == 0:
                    side.jobs.remove(job)
    rows: list[dict[str, object]] = []
    own = _summary(taken["bare interpreter", "ours"])
    print(f"| a bare interpreter | {_shown(own)} | | | |", flush=True)
    rows.append({"what": "bare interpreter", "ours": own._asdict()})
    for pair in pairs:
        mine, theirs = (_summary(taken[pair.what, who]) for who in ("ours", "Slurm"))
        ratios = [
            mine.wall / theirs.wall,
            mine.wall_least / theirs.wall_least,
            mine.cpu_least / theirs.cpu_least,
        ]
        times = ", ".join([f"{ratio:.1f}" for ratio in ratios])
        print(f"| {pair.what} | {_shown(mine)} | {_shown(theirs)} | {times} | {pair.bar:g} |", flush=True)
        rows.append({"what": pair.what, "ours": mine._asdict(), "slurm": theirs._asdict(), "bar": pair.bar})
    return rows


def _run(words: Sequence[str], env: Mapping[str, str]) -> tuple[float, float]:
    """(wall, processor) ms of a process that has to succeed. Its output goes to /dev/null."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1)]
    began = time.perf_counter()
    pid = os.posix_spawn(words[0], list(words), dict(env), file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    if status:
        raise RuntimeError(f"{' '.join(words)}: exit status {os.waitstatus_to_exitcode(status)}")
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def _summary(runs: Sequence[tuple[float, float]]) -> Taken:
    walls, cpus = zip(*runs, strict=True)
    return Taken(statistics.median(walls), min(walls), statistics.median(cpus), min(cpus))


def _shown(taken: Taken) -> str:
    return f"{taken.wall:.1f}, {taken.wall_least:.1f}, {taken.cpu_least:.1f} ms"


def _keep(rows: Sequence[dict[str, object]], runs: int) -> None:
    day = datetime.date.today().isoformat()
    path = RESULTS / f"{day}-slurm-commands.json"
    about = {"python": platform.python_version(), "cores": os.cpu_count(), "runs": runs}
    path.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
