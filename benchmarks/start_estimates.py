"""`python -m benchmarks.start_estimates`: how right estimates of starts are, on public logs under EASY.

Every job that waits is told when it will start at its first consideration, and its start is compared with
that. Beside it stands what Slurm tells (`squeue --start`): the planned start of conservative backfilling at
that moment, with all jobs running for their whole time limits. Both are asked about the same jobs at the
same moments of the same run.

Planning for all who wait takes most of the time; with `--limits-every 8` only every eighth job is asked about
by limits, and both errors are compared on these.

coverage: share of starts inside the 80 % interval. error: median of |start - estimate| by the median wait of
these jobs; worst block: the coverage that is farthest from 80 % in any of ten blocks of equal length.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec.structs import replace

from benchmarks.__main__ import machine, revision
from benchmarks.batch_policies import parts
from benchmarks.policies import SHARED
from packhorse.scheduler.core.cycle import Cycle
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.when.book import COVERAGE
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.event import Event, JobGranted, StartEstimate, StartsEstimated
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.engine import Simulation
from packhorse.simulator.lab_policy import ALL, lab_policy
from packhorse.simulator.report import colors, style
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import World

TITLES: Final = {
    "kth": "KTH-SP2, EASY",
    "kth96": "KTH-SP2, unfiltered",
    "hpc2n": "HPC2N, its first 3,171 jobs",
    "lublin": "Lublin-1, its first slice",
}
SETS: Final = ("kth", "hpc2n", "lublin")
BLOCKS: Final = 10
SEED: Final = 0


class Told:
    """What the jobs of one run were told, first time only, and when they started. Seconds of the trace."""

    def __init__(self, limits_every: int) -> None:
        """limits_every: of so many jobs one gets a planned start by limits, 0: none."""
        self.state: State | None = None
        self._limits_every = limits_every
        self._first: dict[JobId, tuple[Instant, StartEstimate, Instant | None]] = {}
        self._start: dict[JobId, Instant] = {}

    def see(self, event: Event) -> None:
        """An event of the run, applied."""
        if isinstance(event, JobGranted):
            self._start.setdefault(event.job, event.at)
        elif isinstance(event, StartsEstimated):
            new = [estimate for estimate in event.estimates if estimate.job not in self._first]
            n, every = len(self._first), self._limits_every
            asked = {e.job for i, e in enumerate(new, n) if every and i % every == 0}
            planned = self._planned(event.at) if asked else {}
            for estimate in new:
                by_limits = planned.get(estimate.job) if estimate.job in asked else None
                self._first[estimate.job] = event.at, estimate, by_limits

    def _planned(self, now: Instant) -> dict[JobId, Instant]:
        """Starts of all waiting jobs by conservative backfilling on time limits."""
        state = self.state
        assert state is not None
        config = state.config
        state.config = replace(config, backfill_depth=ALL)
        planned = Cycle(state, now).run().planned
        state.config = config
        return planned

    def columns(self) -> np.ndarray:
        """A row per job: told at, wait, low, median, high, and the wait by limits (-1: none); seconds
        `[n, 6]`."""
        rows = [
            (at, *((t - at) / US for t in (self._start[job], e.low, e.median, e.high, planned or at - US)))
            for job, (at, e, planned) in self._first.items()
            if job in self._start
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, 6)


def told(jobs: list[TraceJob], nodes: Sequence[NodeSpec], policy: str, limits_every: int = 1) -> np.ndarray:
    """One run; see Told."""
    seen = Told(limits_every)
    config = ClusterConfig(min_job_age_s=0, max_finished_kept=1000, max_requeues=1 << 30)
    run = Simulation(lab_policy(policy), nodes, World(), config, seen=seen.see, estimate=SEED)
    seen.state = run.state
    run.run(jobs)
    return seen.columns()


def figures(rows: np.ndarray) -> dict[str, Any]:
    """The numbers of some jobs."""
    _, wait, low, median, high, planned = rows.T
    inside = (wait >= low - 1) & (wait <= high + 1)
    usual = max(float(np.median(wait)), 1.0)
    mine, asked = np.abs(median - wait), planned >= 0
    by_limits, beside = np.abs(planned - wait)[asked], mine[asked]
    blocks: list[float] = [float(block.mean()) for block in np.array_split(inside, BLOCKS)]
    return {
        "jobs": int(wait.size),
        "median_wait_s": round(usual),
        "coverage": round(float(inside.mean()), 4),
        "worst_block": round(blocks[int(np.abs(np.array(blocks) - COVERAGE).argmax())], 4),
        "error": round(float(np.median(mine)) / usual, 4),
        "error_by_limits": round(float(np.median(by_limits)) / usual, 4),
        "better_by": round(1 - float(np.median(beside) / max(np.median(by_limits), 1e-9)), 4),
        "mean_error_s": round(float(mine.mean())),
        "asked_by_limits": int(asked.sum()),
        "mean_error_by_limits_s": round(float(by_limits.mean())),
        "interval_s": round(float(np.median(high - low))),
    }


def draw(found: dict[str, np.ndarray], path: Path) -> None:
    """Estimates against starts, and the coverage over time, of every set."""
    with style.settings():
        plot = style.figure(2.6 * len(found))
        panels = plot.subplots(len(found), 2, squeeze=False)
        for (name, rows), (left, right) in zip(found.items(), panels, strict=True):
            _compare(left, rows, TITLES[name])
            _over_time(right, rows)
        path.write_bytes(style.picture(plot))


def _compare(panel: Any, rows: np.ndarray, title: str) -> None:
    """Waits by estimated wait: the interval, and what share of starts was sooner."""
    _, wait, low, median, high, planned = rows.T
    edges = np.quantile(median, np.linspace(0, 1, 25))
    place = np.clip(np.searchsorted(edges, median, side="right") - 1, 0, edges.size - 2)
    parts_ = [place == i for i in range(edges.size - 1) if (place == i).any()]
    x = [np.median(median[part]) / 3600 + 0.01 for part in parts_]
    for values, text, color, dots in (
        (low, "", 0, "-"),
        (high, "80 % interval", 0, "-"),
        (planned, "by time limits", 1, "--"),
    ):
        known = [values[part & (values >= 0)] for part in parts_]
        y = [np.median(some) / 3600 + 0.01 if some.size else np.nan for some in known]
        panel.plot(x, y, dots, color=colors.POLICIES[color], label=text or None)
    spread = np.array([np.quantile(wait[part], (0.1, 0.5, 0.9)) / 3600 + 0.01 for part in parts_]).T
    panel.vlines(x, spread[0], spread[2], color=colors.MUTED, lw=1, label="waits, 10 to 90 %")
    panel.plot(x, spread[1], ".", color=colors.INK, ms=4, label="their median")
    panel.plot(x, x, ":", color=colors.POLICIES[0], label="the estimate")
    panel.set(xscale="log", yscale="log", xlabel="estimated wait, hours", ylabel="hours", title=title)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter("{x:g}")
    panel.legend(fontsize=7)


def _over_time(panel: Any, rows: np.ndarray) -> None:
    at, wait, low, _, high, _ = rows.T
    inside = (wait >= low - 1) & (wait <= high + 1)
    window = max(wait.size // 40, 25)
    share = np.convolve(inside, np.ones(window) / window, mode="valid")
    panel.plot((at[window - 1 :] - at[0]) / US / 86_400, 100 * share, color=colors.POLICIES[0])
    panel.axhline(100 * COVERAGE, color=colors.MUTED, lw=0.8)
    panel.set(ylim=(0, 100), xlabel="days", title=f"inside the interval, % of the last {window} starts")


def measured(name: str, policy: str, folder: Path, limits_every: int = 1) -> np.ndarray:
    """The run of a set; of the slices of RLScheduler's table the first."""
    jobs, nodes = next(parts("ten" if name == "lublin" else name, folder))
    return told(jobs, nodes, policy, limits_every)


def main(words: Sequence[str] | None = None) -> int:
    """Prints a line for each set."""
    own = argparse.ArgumentParser(
        prog="benchmarks.start_estimates", description=(__doc__ or "").split("\n")[0]
    )
    own.add_argument("--sets", default=",".join(SETS), help=f"of {', '.join(TITLES)}")
    own.add_argument("--policy", default="easy", help="of the simulator (docs/simulator.md)")
    own.add_argument("--limits-every", type=int, default=1, metavar="N", help="ask one job in N by limits")
    own.add_argument("--logs", type=Path, default=SHARED, help="folder of logs that do not come along")
    own.add_argument("--json", type=Path, help="write the numbers there, with what they were measured on")
    own.add_argument("--plot", type=Path, help="draw them, as PNG")
    args = own.parse_args(words)
    if args.limits_every < 1:
        own.error(f"--limits-every {args.limits_every}: at least 1")
    found: dict[str, np.ndarray] = {}
    results: dict[str, Any] = {}
    try:
        for name in args.sets.split(","):
            if name not in TITLES:
                own.error(f"{name}: not one of {', '.join(TITLES)}")
            began = time.process_time()
            found[name] = measured(name, args.policy, args.logs, args.limits_every)
            results[name] = {**figures(found[name]), "cpu_s": round(time.process_time() - began, 1)}
            print(name, json.dumps(results[name]), flush=True)
    except PackhorseError as error:
        own.error(str(error))
    if args.json:
        head = {"machine": machine(), "revision": revision(), "policy": args.policy, "seed": SEED}
        head["limits_every"] = args.limits_every
        args.json.write_text(json.dumps({**head, "sets": results}, indent=1) + "\n")
    if args.plot:
        draw(found, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
