"""`make bench-fair-share`: a day of three accounts with shares 50, 30 and 20 that all want more than there
is.

Each account alone could fill the cluster. What it uses is compared with its share over every window of six
hours, a window beginning every ten minutes; by priorities of fair share alone, in the simulator, which runs
the very core of the daemon. The goal is a difference of at most two points.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec.structs import replace

from packhorse.scheduler.model.account_settings import Thing
from packhorse.scheduler.model.accounts_change import AccountChange, Edit, Verb
from packhorse.scheduler.model.cluster import Priorities
from packhorse.scheduler.model.event import Event, JobEnded
from packhorse.scheduler.model.ids import US, JobId, NodeName
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.engine import CONFIG, ORIGIN, Simulation
from packhorse.simulator.lab_policy import lab_policy
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import World

HOUR_S: Final = 3600
WINDOW_S: Final = 6 * HOUR_S
STEP_S: Final = 600
GOAL: Final = 2.0
"""Points of a hundred."""
FULL: Final = 0.97
"""Of the most that is used at any time: the cluster is full."""

SHARES: Final = {"physics": 50, "chemistry": 30, "biology": 20}
USERS: Final = 4
"""Of each account."""


class Day(NamedTuple):
    """What is simulated. load: how much of the cluster each account alone would take. spread: longest run
    over shortest."""

    seed: int = 1
    hours: int = 24
    nodes: int = 8
    cpus: int = 32
    load: float = 1.2
    shortest_s: int = 300
    longest_s: int = 5400


class Used(NamedTuple):
    """CPU seconds of each account in each step of STEP_S `[n_accounts, n_steps]`, and seconds of wall time
    that the simulation took."""

    cpu_s: np.ndarray
    took_s: float
    n_jobs: int


def jobs_of(day: Day) -> list[TraceJob]:
    """Of all accounts, by time. Sizes are powers of two up to half a node; limits are what jobs run, up to
    twice."""
    chance = Random(day.seed)
    sizes = [1 << i for i in range(day.cpus.bit_length() - 1)]
    mean = sum(sizes) / len(sizes) * (day.shortest_s + day.longest_s) / 2
    every_s = mean / (day.nodes * day.cpus * day.load)
    found = []
    for account in SHARES:
        at = 0.0
        while at < day.hours * HOUR_S:
            run_s = chance.randint(day.shortest_s, day.longest_s)
            found.append(
                TraceJob(
                    "",
                    round(at * US),
                    run_s * US,
                    round(run_s * chance.uniform(1.0, 2.0)) * US,
                    cpu_milli=chance.choice(sizes) * 1000,
                    user=f"{account}{chance.randrange(USERS)}",
                    group=account,
                )
            )
            at += chance.expovariate(1 / every_s)
    found.sort(key=lambda job: (job.submit_us, job.group))
    return [replace(job, id=str(number)) for number, job in enumerate(found)]


def accounts() -> tuple[AccountChange, ...]:
    """Three accounts below root, and their users."""
    made = [
        AccountChange(Verb.ADD, Thing.ACCOUNT, name, edits=(Edit("fairshare", str(shares)),))
        for name, shares in SHARES.items()
    ]
    for account in SHARES:
        for user in (f"{account}{n}" for n in range(USERS)):
            made.append(AccountChange(Verb.ADD, Thing.USER, user, edits=(Edit("defaultaccount", account),)))
            made.append(AccountChange(Verb.ADD, Thing.ASSOCIATION, account=account, user=user))
    return tuple(made)


def simulate(day: Day, policy: str = "multifactor", look_ahead_s: int = 1800) -> Used:
    """The day, from an empty cluster on."""
    nodes = [NodeSpec(NodeName(f"n{i}"), f"n{i}", day.cpus * 1000, 64_000) for i in range(day.nodes)]
    weights = Priorities(weight_fairshare=1_000_000, look_ahead_s=look_ahead_s)
    n_steps = day.hours * HOUR_S // STEP_S
    cpu_s = np.zeros((len(SHARES), n_steps))
    row = {name: number for number, name in enumerate(SHARES)}

    def count(id: JobId, end_us: int) -> None:
        job = simulation.state.jobs[id]
        assert isinstance(job.phase, Active)
        cpus = sum(p.cpu_milli for p in job.phase.placements) / 1000
        _add(cpu_s[row[job.spec.account]], cpus, job.phase.granted_at - ORIGIN, end_us)

    def before(event: Event) -> None:
        if isinstance(event, JobEnded):
            count(event.job, event.at - ORIGIN)

    jobs = jobs_of(day)
    begun = time.perf_counter()
    simulation = Simulation(
        lab_policy(policy),
        nodes,
        World(),
        replace(CONFIG, priorities=weights),
        before=before,
        accounts=accounts(),
        account_of="group",
    )
    end_us = day.hours * HOUR_S * US
    simulation.run(jobs, until_us=end_us)
    for id in simulation.state.running_columns.jobs():
        count(id, end_us)
    return Used(cpu_s, time.perf_counter() - begun, len(jobs))


def _add(steps: np.ndarray, cpus: float, start_us: int, end_us: int) -> None:
    """CPU seconds of a run to the steps that it touches."""
    start, end = start_us / US, end_us / US
    edges = np.arange(steps.size + 1) * float(STEP_S)
    steps += cpus * (np.clip(end, edges[:-1], edges[1:]) - np.clip(start, edges[:-1], edges[1:]))


def off_by(used: Used) -> np.ndarray:
    """Points of a hundred by which each account's part of all use differs from its share, over each window
    that begins once the cluster was full `[n_accounts, n_windows]`: before, everybody gets what they want."""
    n = WINDOW_S // STEP_S
    total = used.cpu_s.sum(axis=0)
    full = int(np.argmax(total >= FULL * total.max()))
    sums = np.concatenate([np.zeros((len(SHARES), 1)), used.cpu_s.cumsum(axis=1)], axis=1)
    window = sums[:, n:] - sums[:, :-n]
    due = np.array(list(SHARES.values()), dtype=np.float64)[:, None]
    return np.asarray(100 * window / window.sum(axis=0) - due)[:, full:]


def figures(day: Day, policy: str = "multifactor", look_ahead_s: int = 1800) -> dict[str, Any]:
    """Of one day under one policy."""
    used = simulate(day, policy, look_ahead_s)
    off = off_by(used)
    capacity = day.nodes * day.cpus * day.hours * HOUR_S
    return {
        "policy": policy,
        "look_ahead_s": look_ahead_s,
        **day._asdict(),
        "n_jobs": used.n_jobs,
        "utilisation_percent": round(float(100 * used.cpu_s.sum() / capacity), 2),
        "use_percent": {
            name: round(float(100 * mine / used.cpu_s.sum()), 3)
            for name, mine in zip(SHARES, used.cpu_s.sum(axis=1), strict=True)
        },
        "worst_window_points": {
            name: round(float(np.abs(mine).max()), 3) for name, mine in zip(SHARES, off, strict=True)
        },
        "n_windows": off.shape[1],
        "worst_points": round(float(np.abs(off).max()), 3),
        "goal_points": GOAL,
        "took_s": round(used.took_s, 1),
    }


def main(words: Sequence[str] | None = None) -> int:
    """Exit status 1 where a window is further off than the goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fair_share", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, metavar="N", help="days (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the figures there as JSON")
    args = parser.parse_args(words)
    rows = []
    for policy, ahead_s in (("multifactor", 1800), ("multifactor", 0), ("fcfs", 0)):
        for seed in range(1, args.seeds + 1):
            row = figures(Day(seed), policy, ahead_s)
            rows.append(row)
            print(
                f"{policy} looking {ahead_s} s ahead, seed {seed}: worst window {row['worst_points']} points,"
                f" use {row['use_percent']}",
                flush=True,
            )
    if args.keep is not None:
        args.keep.write_text(
            json.dumps({"command": "python -m benchmarks.fair_share", "rows": rows}, indent=1)
        )
    return int(any(row["look_ahead_s"] and row["worst_points"] > GOAL for row in rows))


if __name__ == "__main__":
    sys.exit(main())
