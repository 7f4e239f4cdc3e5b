"""`make bench-policies`: the simulator against published and independently recomputed numbers, row by row.

The references are benchmarks/data/swf/reference_*.csv: the table of RLScheduler (Zhang et al., SC 2020) and
textbook EASY on whole logs of the Parallel Workloads Archive. A row is exact when it agrees in every digit
that is given.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from packhorse.simulator import runs
from packhorse.simulator.lab_policy import lab_policy
from packhorse.simulator.outcome import Outcome
from packhorse.simulator.runs import Run, Window
from packhorse.simulator.sweep import Bar, sweep
from packhorse.simulator.traces.catalogue import open_trace
from packhorse.simulator.traces.cluster_spec import cluster
from packhorse.simulator.world import World

DATA: Final = Path(__file__).parent / "data" / "swf"
SHARED: Final = Path(__file__).parent.parent.parent / "shared" / "traces" / "swf"
RULES: Final = "swf:rlscheduler=1"
"""Which jobs count, as the references were made."""

_ORDER: Final = {
    "FCFS": "fcfs",
    "SJF": "sjf",
    "F1": "f1",
    "WFP3": "wfp3",
    "UNICEP": "unicep",
    "WFP3*": "wfp3-rl",
    "UNICEP*": "unicep-rl",
}
_BACKFILL: Final = {
    "none": "+none!",
    "rlscheduler-style": "+before!",
    "EASY (backfill scan in policy order)": "+textbook",
    "EASY (backfill scan SJF)": "+textbook-sjbf",
}
_FULL: Final = {
    "EASY": "fcfs+textbook",
    "EASY-SJBF": "fcfs+textbook-sjbf",
    "EASY clairvoyant": "fcfs+textbook@clairvoyant",
    "EASY-SJBF clairvoyant": "fcfs+textbook-sjbf@clairvoyant",
}


class Row(NamedTuple):
    """One number to reproduce. runs: whose mean it is."""

    log: str
    what: str
    metric: str
    value: str
    policy: str
    runs: tuple[Run, ...]


def find(log: str) -> Path | None:
    """The log that comes with the sources, or a shared one."""
    for folder in (DATA, SHARED):
        path = folder / f"{log}.swf.gz"
        if path.is_file():
            return path
    return None


def rows() -> Iterator[Row]:
    """All rows of the references whose log is at hand."""
    lublin = find("lublin_256")
    assert lublin is not None
    with (DATA / "rlscheduler_sequences.csv").open() as file:
        windows = [Window(int(r["start_index0"]), int(r["length"])) for r in csv.DictReader(file)]
    with (DATA / "reference_lublin.csv").open() as file:
        for r in csv.DictReader(file):
            if r["metric"] == "avg_bsld" and r["policy"] in _ORDER:
                policy = _ORDER[r["policy"]] + _BACKFILL[r["backfill"]]
                each = r["backfill"] == "rlscheduler-style"
                found = tuple(_run(lublin, policy, w, each) for w in windows)
                yield Row(
                    "Lublin-1, ten", f"{r['policy']}, {r['backfill']}", "bsld", r["value"], policy, found
                )
    with (DATA / "reference_full_logs.csv").open() as file:
        for r in csv.DictReader(file):
            path, policy = find(r["log"]), _FULL[r["policy"]]
            if path is not None:
                whole = (_run(path, policy, Window(), False),)
                yield Row(r["log"], r["policy"], "bsld", r["avg_bsld"], policy, whole)
                yield Row(r["log"], r["policy"], "wait", r["avg_wait_s"], policy, whole)


def _run(path: Path, policy: str, window: Window, one_by_one: bool) -> Run:
    world = World(one_by_one=one_by_one)
    nodes = open_trace(path, RULES).cluster or cluster("256")
    found = lab_policy(policy)
    return Run(path.name, window.start, str(path), RULES, "stop", window, found, None, nodes, world, False)


def bounded_slowdown(outcome: Outcome) -> float:
    """Mean of max(1, turnaround / max(run, 10 s)); a formula of its own, not that of the metrics."""
    submit = np.array([job.submit_us for job in outcome.jobs])
    run = np.array([job.run_us for job in outcome.jobs])
    return float(np.maximum(1.0, (outcome.end_us - submit) / np.maximum(run, 10_000_000)).mean())


def mean_wait_s(outcome: Outcome) -> float:
    """Mean of start less submission."""
    submit = np.array([job.submit_us for job in outcome.jobs])
    return float((outcome.start_us - submit).mean()) / 1e6


def main(words: Sequence[str] | None = None) -> int:
    """1 if a number is off."""
    own = argparse.ArgumentParser(prog="benchmarks.policies", description=(__doc__ or "").partition("\n")[0])
    own.add_argument("--runs", type=Path, default=Path("build/policy-runs"), help="where results are kept")
    own.add_argument("--json", type=Path, help="write the rows there")
    own.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    own.add_argument("--only", default="", help="rows whose log or policy contains this")
    args = own.parse_args(words)
    asked = [row for row in rows() if args.only in row.log or args.only in row.what]
    todo = list(dict.fromkeys(run for row in asked for run in row.runs))
    bar, began = Bar(), time.monotonic()
    try:
        failed = sweep(todo, args.runs, args.jobs, bar)
    finally:
        bar.end()
    for i, why in failed.items():
        print(f"{todo[i].policy.name} on {todo[i].title}: {why}", file=sys.stderr)
    if failed:
        return 1
    figures = {run: runs.read(args.runs, run) for run in todo} if len(todo) < 200 else None
    out, off = [], 0
    print(f"{'log':<28}{'policy':<48}{'metric':<7}{'reference':>10}{'ours':>12}")
    for row in asked:
        measure = bounded_slowdown if row.metric == "bsld" else mean_wait_s
        found = [measure(figures[run] if figures else runs.read(args.runs, run)) for run in row.runs]
        ours = sum(found) / len(found)
        digits = len(row.value.partition(".")[2])
        exact = abs(ours - float(row.value)) <= 0.5 * 10**-digits + 1e-9
        close = abs(ours - float(row.value)) <= (0.02 if row.metric == "bsld" else 1e-3 * float(row.value))
        off += not (exact or close)
        verdict = "" if exact else " close" if close else " OFF"
        print(f"{row.log:<28}{row.what:<48}{row.metric:<7}{row.value:>10}{ours:>12.3f}{verdict}")
        entry = {"log": row.log, "policy": row.what, "ours": row.policy, "metric": row.metric}
        out.append(entry | {"reference": float(row.value), "value": ours, "exact": exact})
    exact = sum(bool(entry["exact"]) for entry in out)
    print(f"{exact} of {len(out)} exact, {off} off; {len(todo)} runs, {time.monotonic() - began:.0f} s")
    if args.json is not None:
        args.json.write_text(
            json.dumps({"command": "python -m benchmarks.policies", "rows": out}, indent=1) + "\n"
        )
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
