"""`python -m benchmarks [NAME…]`: the table of numbers, printed and kept in benchmarks/results/."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import psutil

from benchmarks import commands, running, scale, submission
from benchmarks.line import Line

SUITES: dict[str, Callable[[], Iterator[Line]]] = {
    "submission": submission.lines,
    "commands": commands.lines,
    "running": running.lines,
    "waiting": scale.waiting_lines,
    "history": scale.history_lines,
}
RESULTS = Path(__file__).parent / "results"
HEADER = "| what | measured | bar | goal | reaches | note |\n|---|---|---|---|---|---|"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)} (default: all)")
    parser.add_argument("--keep", action="store_true", help="write the table to benchmarks/results/")
    args = parser.parse_args()
    unknown = set(args.suites) - set(SUITES)
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    print(HEADER, flush=True)
    lines = []
    for name in args.suites or SUITES:
        for line in SUITES[name]():
            lines.append(line)
            print(line.row(), flush=True)
    if args.keep:
        keep(lines, args.suites or list(SUITES))
    return 1 if any(line.verdict == "below" for line in lines) else 0


def keep(lines: list[Line], suites: list[str]) -> None:
    """Write table and raw figures, with what they were measured on."""
    RESULTS.mkdir(exist_ok=True)
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    where = machine()
    command = f'make bench ARGS="{" ".join(suites)} --keep"'
    table = "\n".join([HEADER, *(line.row() for line in lines)])
    base = RESULTS / f"{today}-{'-'.join(suites) if len(suites) < len(SUITES) else 'all'}"
    base.with_suffix(".md").write_text(
        f"# {today}\n\nCommand: `{command}`, revision {revision()}.\nMachine: {where}.\n\n{table}\n"
    )
    base.with_suffix(".json").write_text(
        json.dumps(
            {"machine": where, "revision": revision(), "lines": [asdict(line) for line in lines]}, indent=1
        )
        + "\n"
    )


def machine() -> str:
    """What it was measured on, in a line."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = psutil.virtual_memory().total / (1 << 30)
    return (
        f"{psutil.cpu_count()} x {model}, {memory:.0f} GiB, Linux {platform.release()}, "
        f"CPython {platform.python_version()}"
    )


def revision() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=RESULTS.parent,
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
