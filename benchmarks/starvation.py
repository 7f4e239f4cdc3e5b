"""`python -m benchmarks.starvation`: does a wide job start in spite of streams of small ones that mean it
ill?

The bar: a job that can start does so no later than its first planned start, plus the time that jobs of higher
priority took. That time is the length of the union of what they were granted after the plan was made: each
from its start to its time limit, since plans know limits only. Jobs of lower priority may go first
(backfilling), but must cost nothing. The streams are made to find the gaps: jobs that fit beside the wide
one's plan by a second, jobs whose limits are far too long, jobs of users who have used least, all of which
keep every CPU busy.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.model.account_settings import Thing
from packhorse.scheduler.model.accounts_change import AccountChange, Edit, Verb
from packhorse.scheduler.model.cluster import Priorities
from packhorse.scheduler.model.event import Event, JobGranted
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.engine import CONFIG, ORIGIN, Simulation
from packhorse.simulator.lab_policy import lab_policy
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import World

HOUR_S: Final = 3600
NODES: Final = 4
CPUS: Final = 8
SMALL: Final = ("ann", "bob", "cat")
WIDE: Final = "dan"


class Stream(NamedTuple):
    """Small jobs of so many CPUs that run for so long, whose users ask for limits so many times as long.
    load: of the whole cluster. account: theirs."""

    name: str
    cpus: tuple[int, ...]
    run_s: tuple[int, int]
    limit: tuple[float, float]
    load: float
    account: str = "crowd"


STREAMS: Final = (
    Stream("short", (1, 2), (60, 300), (1.0, 1.0), 1.3),
    Stream("overstated", (1, 2, 3), (60, 600), (1.0, 20.0), 1.3),
    Stream("odd sizes", (3, 5, 7), (300, 3600), (1.0, 1.5), 1.3),
    Stream("long", (1,), (3600, 7200), (1.0, 3.0), 1.3),
    Stream("underserved", (1, 2), (60, 900), (1.0, 4.0), 0.5, "poor"),
)


class Watched(NamedTuple):
    """A job that had a plan. All in seconds of the trace: its first planned start and when that was made,
    what higher priority took since, when it started."""

    job: str
    made_s: float
    planned_s: float
    higher_s: float
    started_s: float

    @property
    def late_s(self) -> float:
        """Beyond the bar; at most 0 where it holds."""
        return self.started_s - self.planned_s - self.higher_s


class _Watch:
    """Of all jobs that are ever promised a start."""

    def __init__(self) -> None:
        self.plans: dict[JobId, tuple[Instant, Instant]] = {}
        self.higher: dict[JobId, list[tuple[int, int]]] = {}
        self.found: list[Watched] = []
        self.simulation: Simulation | None = None

    def before(self, event: Event) -> None:
        """Grants, with the queue as the pass saw it that made them."""
        if not isinstance(event, JobGranted):
            return
        assert self.simulation is not None
        state, now = self.simulation.state, event.at
        pending = state.pending_columns
        rules = pending.rules(state.config)
        own = self.plans.pop(event.job, None)
        standing = (*pending.standing_of(event.job, rules), event.job)
        for id in self.plans:
            if standing < (*pending.standing_of(id, rules), id):
                limit_us = state.jobs[event.job].spec.time_limit_s * US
                self.higher.setdefault(id, []).append((now, now + limit_us))
        if own is not None:
            made, planned = own
            higher_us = union(self.higher.pop(event.job, []))
            numbers = (made - ORIGIN, planned - ORIGIN, higher_us, now - ORIGIN)
            self.found.append(Watched(str(event.job), *(n / US for n in numbers)))

    def look(self) -> None:
        """After a pass: who has its first plan."""
        assert self.simulation is not None
        pending = self.simulation.state.pending_columns
        now = Instant(ORIGIN + self.simulation.now_us)
        for slot in pending.planned_at.nonzero()[0].tolist():
            id = JobId(int(pending.id[slot]))
            if id and id not in self.plans and id in pending:
                self.plans[id] = now, Instant(int(pending.planned_at[slot]))


def union(spans: Sequence[tuple[int, int]]) -> int:
    """The length of what they cover together."""
    total, end = 0, 0
    for start, stop in sorted(spans):
        total += max(stop - max(start, end), 0)
        end = max(end, stop)
    return total


def jobs_of(stream: Stream, seed: int, hours: int) -> list[TraceJob]:
    """The stream, and every two hours a job that wants all nodes, all CPUs."""
    chance = Random(seed)
    mean = sum(stream.cpus) / len(stream.cpus) * sum(stream.run_s) / 2
    found, at = [], 0.0
    while at < hours * HOUR_S:
        run_s = chance.randint(*stream.run_s)
        limit_s = int(run_s * chance.uniform(*stream.limit))
        found.append(
            TraceJob(
                "",
                round(at * US),
                run_s * US,
                limit_s * US,
                cpu_milli=chance.choice(stream.cpus) * 1000,
                user=chance.choice(SMALL),
                group=stream.account,
            )
        )
        at += chance.expovariate(NODES * CPUS * stream.load / mean)
    wide = TraceJob("", 0, 1800 * US, 2400 * US, NODES, CPUS * 1000, nodes=NODES, user=WIDE, group="crowd")
    found += [replace(wide, submit_us=hour * HOUR_S * US) for hour in range(1, hours, 2)]
    found.sort(key=lambda job: (job.submit_us, job.user))
    return [replace(job, id=str(number)) for number, job in enumerate(found)]


def accounts() -> tuple[AccountChange, ...]:
    """The crowd, and an account of small jobs that has much more coming to it than it uses."""
    made = [
        AccountChange(Verb.ADD, Thing.ACCOUNT, name, edits=(Edit("fairshare", str(shares)),))
        for name, shares in (("crowd", 10), ("poor", 90))
    ]
    for user in (*SMALL, WIDE):
        made.append(AccountChange(Verb.ADD, Thing.USER, user, edits=(Edit("defaultaccount", "crowd"),)))
        made.append(AccountChange(Verb.ADD, Thing.ASSOCIATION, account="crowd", user=user))
    made += [AccountChange(Verb.ADD, Thing.ASSOCIATION, account="poor", user=user) for user in SMALL]
    return tuple(made)


def simulate(stream: Stream, policy: str, seed: int, hours: int) -> list[Watched]:
    """All jobs that had a plan and started. The stream goes on until long after the last wide job has
    come."""
    watch = _Watch()
    weights = Priorities(weight_fairshare=10_000, weight_age=5_000, max_age_s=12 * HOUR_S)
    nodes = [NodeSpec(NodeName(f"n{i}"), f"n{i}", CPUS * 1000, 64_000) for i in range(NODES)]
    simulation = watch.simulation = Simulation(
        lab_policy(policy),
        nodes,
        World(enforce_limits=True),
        replace(CONFIG, priorities=weights),
        before=watch.before,
        accounts=accounts(),
        account_of="group",
        after_pass=watch.look,
    )
    simulation.run(jobs_of(stream, seed, hours))
    return watch.found


def figures(stream: Stream, policy: str, seed: int, hours: int) -> dict[str, Any]:
    """Of one stream under one policy."""
    found = simulate(stream, policy, seed, hours)
    return {
        "stream": stream.name,
        "policy": policy,
        "seed": seed,
        "hours": hours,
        "n_planned": len(found),
        "n_late": sum(one.late_s > 0 for one in found),
        "worst_late_s": round(max(one.late_s for one in found), 3),
        "longest_wait_after_plan_s": round(max(one.started_s - one.made_s for one in found), 1),
    }


POLICIES: Final = ("fcfs", "fcfs!", "multifactor", "multifactor!")


def main(words: Sequence[str] | None = None) -> int:
    """Exit status 1 where a job was late."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.starvation", description=__doc__)
    parser.add_argument("--hours", type=int, default=3, help="of streams (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="streams (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the figures there as JSON")
    args = parser.parse_args(words)
    rows = []
    for policy in POLICIES:
        for stream in STREAMS:
            for seed in range(1, args.seeds + 1):
                row = figures(stream, policy, seed, args.hours)
                rows.append(row)
                print(" ".join(f"{name}={value}" for name, value in row.items()), flush=True)
    if args.keep is not None:
        args.keep.write_text(
            json.dumps({"command": "python -m benchmarks.starvation", "rows": rows}, indent=1)
        )
    return int(any(row["n_late"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
