"""`python -m benchmarks.batch_policies`: batch policies side by side on public logs, mean against the longest
wait.

Sets: ten, the sequences of RLScheduler's table; others, ten windows of the same log that start every 8,976/9
jobs; fifty, windows that start every 181 jobs; and whole logs. Of sets of windows means are means, and waits
the longest of any window. A policy may be followed by `=SECONDS`: then "packhorse" ages from that wait on;
or `=SECONDS^POWER`: and with that power (docs/configuration.md, [batch]).
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.policies import DATA, RULES, SHARED, bounded_slowdown, mean_wait_s
from packhorse.scheduler.model.cluster import Batch, ClusterConfig
from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.engine import Simulation
from packhorse.simulator.lab_policy import lab_policy
from packhorse.simulator.traces import swf
from packhorse.simulator.traces.catalogue import open_trace
from packhorse.simulator.traces.cluster_spec import cluster
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import World

LOGS: Final = {
    "kth": "KTH-SP2-filtered",
    "kth96": "KTH-SP2-1996",
    "hpc2n": "HPC2N-2002-first3171",
    "atlas": "LLNL-Atlas-2006-2.1-cln",
    "nasa": "NASA-iPSC-1993-3.1-cln",
}
WINDOWS: Final = {"others": [i * 8976 // 9 for i in range(10)], "fifty": [181 * i for i in range(50)]}
SETS: Final = ("ten", *WINDOWS, *LOGS)
POLICIES: Final = ("easy", "easy-sjbf", "saf", "f4", "sjf", "packhorse")


class Figures(NamedTuple):
    """Of one policy on one set. Waits in seconds; p99 and longest: of the worst window."""

    slowdown: float
    mean_s: float
    p99_s: float
    longest_s: float
    seconds: float


def find(log: str, folder: Path) -> Path:
    """The log that comes with the sources, or one of the folder. PackhorseError if neither has it."""
    for path in (DATA / f"{log}.swf.gz", folder / f"{log}.swf.gz"):
        if path.is_file():
            return path
    raise PackhorseError(f"{log}.swf.gz: not in {folder}; it is in the Parallel Workloads Archive (--logs)")


def parts(name: str, folder: Path) -> Iterator[tuple[list[TraceJob], Sequence[NodeSpec]]]:
    """The runs of a set: jobs and the cluster."""
    path = find(LOGS.get(name, "lublin_256"), folder)
    if name in LOGS:
        trace = open_trace(path, RULES)
        assert trace.cluster is not None
        yield list(trace.jobs), trace.cluster
        return
    jobs = swf.rlscheduler_jobs(path)
    starts = WINDOWS.get(name) or [
        start for start, _ in swf.sequences(DATA / "rlscheduler_sequences.csv", "lublin_256")
    ]
    for start in starts:
        yield swf.window(jobs, start), cluster("256")


def setting(policy: str) -> tuple[str, Batch]:
    """The name of the policy, and the constants of the order "packhorse", of `NAME[=SECONDS[^POWER]]`.

    PackhorseError for anything else behind the name.
    """
    text, given, rest = policy.partition("=")
    batch = Batch()
    if not given:
        return text, batch
    ageing_s, raised, power = rest.partition("^")
    try:
        return text, Batch(ageing_s=int(ageing_s), power=float(power) if raised else batch.power)
    except ValueError:
        raise PackhorseError(f"{policy}: not NAME, NAME=SECONDS or NAME=SECONDS^POWER") from None


def measured(policy: str, name: str, folder: Path) -> Figures:
    """The policy on all runs of the set."""
    text, batch = setting(policy)
    config = ClusterConfig(min_job_age_s=0, max_finished_kept=1000, max_requeues=1 << 30, batch=batch)
    began, found = time.process_time(), []
    for jobs, nodes in parts(name, folder):
        run = Simulation(lab_policy(text), nodes, World(), config)
        run.run(jobs)
        outcome = run.outcome(name)
        waits = np.sort(outcome.start_us - np.array([job.submit_us for job in outcome.jobs])) / 1e6
        p99 = float(waits[int(np.ceil(0.99 * waits.size)) - 1])
        found.append((bounded_slowdown(outcome), mean_wait_s(outcome), p99, float(waits[-1])))
    slowdown, mean, p99s, longest = np.array(found).T
    return Figures(
        float(slowdown.mean()),
        float(mean.mean()),
        float(p99s.max()),
        float(longest.max()),
        time.process_time() - began,
    )


def main(words: Sequence[str] | None = None) -> int:
    """Writes one CSV row per policy and set, as they are done."""
    own = argparse.ArgumentParser(
        prog="benchmarks.batch_policies", description=(__doc__ or "").split("\n")[0]
    )
    own.add_argument("--sets", default="ten,others,kth,kth96,hpc2n,atlas,nasa", help=f"of {', '.join(SETS)}")
    own.add_argument("--policies", default=",".join(POLICIES))
    own.add_argument("--logs", type=Path, default=SHARED, help="folder of logs that do not come along")
    args = own.parse_args(words)
    sets, policies = args.sets.split(","), args.policies.split(",")
    for name in sets:
        if name not in SETS:
            own.error(f"{name}: not one of {', '.join(SETS)}")
    try:
        for policy in policies:
            lab_policy(setting(policy)[0])
        _write(sets, policies, args.logs)
    except PackhorseError as error:
        own.error(str(error))
    return 0


def _write(sets: Sequence[str], policies: Sequence[str], logs: Path) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(("set", "policy", *Figures._fields))
    for name in sets:
        for policy in policies:
            found = measured(policy, name, logs)
            out.writerow((name, policy, *(f"{value:.4f}" for value in found)))
            sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
