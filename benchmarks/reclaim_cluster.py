"""`python -m benchmarks.reclaim_cluster`: a cluster that is full by limits, and what is run in unused memory.

The VMs of a usage trace are guaranteed jobs whose limit is what they were provided with, on as few machines
as hold these limits. Beside them waits an endless queue of jobs that may be stopped and use all that they
ask for. The scheduler's own core decides everything; machines report what is used every minute. Counted are
GiB-hours of memory that was lent to runs which were not stopped for it, against those of the guaranteed
jobs' limits, and guaranteed jobs that were killed because their machine had no memory left.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from packhorse.scheduler.core.reclaim.estimators import ESTIMATORS
from packhorse.scheduler.core.reclaim.ledger import loan_row, loan_rows
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounting import LoanRow
from packhorse.scheduler.model.cluster import ClusterConfig, Reclaim
from packhorse.scheduler.model.event import Event, JobEnding, MemoryEstimated
from packhorse.scheduler.model.ids import US, Instant, NodeName
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.loan import LoanEnd
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.engine import ORIGIN, Simulation
from packhorse.simulator.lab_policy import LabPolicy
from packhorse.simulator.memory import Use
from packhorse.simulator.traces.broken import Skipped
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.traces.usage import Series, read
from packhorse.simulator.world import World

RESULTS: Final = Path(__file__).parent / "results" / "2026-11-28-reclaim-cluster.json"
DATA: Final = Path(__file__).parent / "data" / "usage"
HOUR_US: Final = 3600 * US
GIB_HOUR: Final = 1024 * HOUR_US
GOAL: Final = 0.20
"""Share of all work that runs in reclaimed memory: Borg's "about 20 %" (EuroSys'15, section 5.5)."""


class Site(NamedTuple):
    """A trace on machines that it fills. filler_mib, filler_h: what a job that may be stopped takes."""

    name: str
    vms: list[Series]
    node_mib: int
    filler_mib: int
    filler_h: float


class Result(NamedTuple):
    """Work in GiB-hours. wasted: lent to runs that were stopped for it, or killed."""

    trace: str
    estimator: str
    nodes: int
    guaranteed_jobs: int
    hours: float
    guaranteed: float
    unused: float
    lent: float
    wasted: float
    stopped: int
    borrowers_killed: int
    guaranteed_killed: int
    estimates_per_node_hour: float
    cpu_s: float

    @property
    def share(self) -> float:
        """Of all work, guaranteed limits and lent memory together, what was of use in lent memory."""
        useful = self.lent - self.wasted
        return useful / (self.guaranteed + useful)


class Ledger:
    """The rows of all loans, and what else is to be counted; told every event before it is applied."""

    def __init__(self) -> None:
        self.state = State.empty()
        self.rows: list[LoanRow] = []
        self.stopped = 0
        self.n_estimates = 0

    def see(self, event: Event) -> None:
        """An event happens to the state that is watched."""
        self.rows += loan_rows(self.state, event)
        self.stopped += isinstance(event, JobEnding) and bool(event.why)
        self.n_estimates += isinstance(event, MemoryEstimated)


def run(site: Site, estimator: str) -> Result:
    """One trace under one estimator, until its end."""
    began = time.process_time()
    nodes, jobs, uses, until_us = _made(site)
    ledger = Ledger()
    simulation = Simulation(
        LabPolicy("easy", "priority"),
        nodes,
        World(enforce_limits=True, keeps_work=False, report_s=60.0, stop_s=10.0),
        ClusterConfig(
            min_job_age_s=1 << 31,
            max_finished_kept=1000,
            reclaim=Reclaim(enabled=True, estimator=estimator),
        ),
        before=ledger.see,
        uses=uses,
    )
    ledger.state = simulation.state
    simulation.run(jobs, until_us)
    rows = [*ledger.rows, *_still_lent(simulation.state, until_us)]
    killed = [job.use != "" for job in simulation.killed]
    limits = sum(job.mem_mib for job in jobs if job.use) * until_us
    used = sum(_area(uses[job.use], job.mem_mib, until_us) for job in jobs if job.use)
    bad = {(row.borrower, row.borrower_attempt) for row in rows if row.outcome == LoanEnd.TAKEN_BACK}
    lent = sum(row.mem_mib * (row.until - row.since) for row in rows)
    wasted = sum(
        row.mem_mib * (row.until - row.since) for row in rows if (row.borrower, row.borrower_attempt) in bad
    )
    return Result(
        site.name,
        estimator,
        len(nodes),
        len(uses),
        until_us / HOUR_US,
        limits / GIB_HOUR,
        (limits - used) / GIB_HOUR,
        lent / GIB_HOUR,
        wasted / GIB_HOUR,
        ledger.stopped,
        killed.count(False),
        killed.count(True),
        ledger.n_estimates / len(nodes) / (until_us / HOUR_US),
        time.process_time() - began,
    )


def _made(site: Site) -> tuple[list[NodeSpec], list[TraceJob], dict[str, Use], int]:
    """Machines, guaranteed jobs and those beside them, how memory is used, and until when."""
    start = min(int(vm.at_us[0]) for vm in site.vms)
    until_us = max(int(vm.at_us[-1]) for vm in site.vms) - start
    uses, jobs = {}, []
    free: list[int] = []
    for vm in sorted(site.vms, key=lambda vm: -int(vm.mem_asked_mib.max())):
        limit = int(vm.mem_asked_mib.max())
        uses[vm.name] = Use(vm.at_us - start, vm.mem_mib)
        jobs.append(TraceJob(f"vm{vm.name}", 0, until_us + HOUR_US, mem_mib=limit, use=vm.name))
        fits = next((i for i, left in enumerate(free) if left >= limit), None)
        if fits is None:
            free.append(site.node_mib - limit)
        else:
            free[fits] -= limit
    nodes = [NodeSpec(NodeName(f"n{i + 1}"), "", 10_000_000, site.node_mib) for i in range(len(free))]
    n = 2 * len(nodes) * site.node_mib * until_us // round(site.filler_mib * site.filler_h * HOUR_US)
    run_us = round(site.filler_h * HOUR_US)
    jobs += [TraceJob(f"f{i}", 0, run_us, run_us, mem_mib=site.filler_mib, qos="scavenger") for i in range(n)]
    return nodes, jobs, uses, until_us


def _still_lent(state: State, until_us: int) -> list[LoanRow]:
    """What is lent at the end, as rows that end then."""
    now = Instant(ORIGIN + until_us)
    rows = []
    for jobs in state.reclaim.borrowers.values():
        for id in jobs:
            job = state.jobs[id]
            assert isinstance(job.phase, Active)
            rows += [loan_row(state, job, job.phase, loan, now, None) for loan in job.phase.loans]
    return rows


def _area(use: Use, limit: int, until_us: int) -> float:
    """MiB times microseconds that are used of the limit."""
    at, mib = use.at_us, use.mem_mib.clip(max=limit)
    inside = float(((mib[1:] + mib[:-1]) / 2 * (at[1:] - at[:-1])).sum())
    return inside + float(mib[0]) * float(at[0]) + float(mib[-1]) * float(until_us - at[-1])


def sites(whole: Path | None, days: float) -> list[Site]:
    """The traces, each on machines that it fills. whole: the folder with both files, None: the slices
    here."""
    folder = whole or DATA
    found = []
    for pattern, node_gib, filler_gib, hours in (("bitbrains*", 512, 4, 1.0), ("google*", 1600, 32, 1.0)):
        path = next(iter(sorted(folder.glob(f"{pattern}.csv.gz"))), None)
        if path is None:
            raise SystemExit(f"{folder}: no {pattern}.csv.gz; name the folder of the usage traces")
        vms = [_cut(vm, days) for vm in read(path, Skipped())]
        vms = [vm for vm in vms if vm.at_us.size > 1 and vm.mem_asked_mib.max() > 0]
        found.append(Site(path.name.partition("_")[0], vms, node_gib * 1024, filler_gib * 1024, hours))
    return found


def _cut(vm: Series, days: float) -> Series:
    """Its first days."""
    n = int((vm.at_us - vm.at_us[0] <= days * 24 * HOUR_US).sum())
    return Series(vm.name, *(column[:n] for column in vm[1:]))


COLUMNS: Final = (
    "trace", "estimator", "nodes", "guaranteed jobs", "hours", "guaranteed GiB-h", "unused", "lent GiB-h",
    "wasted", "share of work", "stopped", "borrowers killed", "guaranteed killed", "estimates/node/h",
)  # fmt: skip


def row(result: Result) -> str:
    """A line of the table."""
    cells: Sequence[Any] = (
        result.trace,
        result.estimator,
        result.nodes,
        result.guaranteed_jobs,
        f"{result.hours:.0f}",
        f"{result.guaranteed:.0f}",
        f"{result.unused / result.guaranteed:.1%}",
        f"{result.lent:.0f}",
        f"{result.wasted / result.lent:.1%}" if result.lent else "-",
        f"{result.share:.1%}",
        result.stopped,
        result.borrowers_killed,
        result.guaranteed_killed,
        f"{result.estimates_per_node_hour:.1f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reclaim_cluster", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with the whole traces (default: slices of them)")
    parser.add_argument("--days", type=float, default=2.0, help="of each trace, at most (default: 2)")
    parser.add_argument("--trace", choices=("bitbrains", "google2011"), help="only this one")
    parser.add_argument("--estimator", action="append", choices=tuple(ESTIMATORS), help="default: all")
    parser.add_argument("--keep", action="store_true", help=f"write {RESULTS.name}")
    args = parser.parse_args()
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    results = []
    for site in sites(args.data, args.days):
        if args.trace in (None, site.name):
            for estimator in args.estimator or ESTIMATORS:
                results.append(run(site, estimator))
                print(row(results[-1]), flush=True)
    if args.keep:
        command = " ".join(["python -m benchmarks.reclaim_cluster", *sys.argv[1:]])
        rows = [result._asdict() | {"share": result.share} for result in results]
        RESULTS.write_text(json.dumps({"command": command, "results": rows}, indent=1) + "\n")
    return 0 if all(r.share >= GOAL and not r.guaranteed_killed for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
