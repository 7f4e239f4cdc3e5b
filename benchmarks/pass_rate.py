"""How long a scheduling pass takes: `python benchmarks/pass_rate.py [--seed N] [--json]`.

Columns and the cycle alone, no store and no agents. Every case is made from the seed. Figures are CPU time (a
pass waits for nothing, and the machine may be shared), the best of several passes over the same state unless
it is a first pass, which judges every ask for the first time.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from random import Random

from packhorse.scheduler.core import cycle
from packhorse.scheduler.core.pending_columns import PendingRow
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.node import Node, NodeSpec, Offer
from packhorse.scheduler.model.resources import Ask

NOW = Instant(1_750_000_000 * US)


def cluster(n_nodes: int, cpus: int, mem_mib: int) -> State:
    """Equal nodes, empty."""
    state = State()
    for i in range(n_nodes):
        name = NodeName(f"n{i + 1}")
        spec = NodeSpec(name, name, cpus * 1000, mem_mib)
        state.nodes[name] = Node(spec, "boot", Offer(1, cpus * 1000, mem_mib), NOW)
        state.node_columns.put(state.nodes[name])
    return state


def queue(state: State, asks: list[Ask], chance: Random, n: int) -> None:
    """n waiting jobs of these asks in random order (as many asks as jobs: each its own), random limits."""
    own = len(asks) == n
    state.pending_columns.add_many(
        [
            PendingRow(
                JobId(i + 1), asks[i] if own else chance.choice(asks), "main", 60 * chance.randint(1, 2880)
            )
            for i in range(n)
        ]
    )


def random_asks(chance: Random, n: int) -> list[Ask]:
    """Distinct asks of 1 to 32 CPUs and 1 to 128 GiB."""
    found: dict[Ask, None] = {}
    while len(found) < n:
        found[
            Ask(
                cpu_milli_per_task=1000 * chance.randint(1, 32),
                mem_mib_per_node=chance.randint(1000, 131_072),
            )
        ] = None
    return list(found)


def start(state: State, plan: cycle.Plan) -> None:
    """The grants as facts in the columns."""
    for id, placements, _ in plan.grants:
        row = state.pending_columns.row(id)
        state.node_columns.allocate(id, placements)
        state.running_columns.add(id, Instant(NOW + row.time_limit_s * US), placements)
    state.pending_columns.remove_many([grant.id for grant in plan.grants])


def timed(act: Callable[[], object], times: int) -> float:
    """Least seconds of one call."""
    best = float("inf")
    for _ in range(times):
        begin = time.process_time()
        act()
        best = min(best, time.process_time() - begin)
    return best


def many_jobs(seed: int, n_classes: int) -> dict[str, float]:
    """100,000 waiting jobs on 1,000 nodes: a first pass, one that starts thousands, one on a full cluster."""
    chance = Random(seed)
    state = cluster(1000, 64, 262_144)
    asks = random_asks(chance, n_classes)
    begin = time.process_time()
    queue(state, asks, chance, 100_000)
    out = {"queue 100,000 rows": time.process_time() - begin}
    begin = time.process_time()
    plan = cycle.plan(state, NOW)
    out[f"first pass, {len(plan.grants)} starts"] = time.process_time() - begin
    out[f"same pass again, {len(plan.grants)} starts"] = timed(lambda: cycle.plan(state, NOW), 3)
    while plan.grants:
        start(state, plan)
        plan = cycle.plan(state, NOW)
    out["cluster full, no start"] = timed(lambda: cycle.plan(state, NOW), 5)
    return out


def identical(n: int) -> dict[str, float]:
    """One run of equal jobs."""
    state = cluster(1000, 64, 262_144)
    state.config = ClusterConfig(max_starts_per_cycle=n)
    rows = [
        PendingRow(JobId(i + 1), Ask(cpu_milli_per_task=2000, mem_mib_per_node=4000), "main", 60)
        for i in range(n)
    ]
    state.pending_columns.add_many(rows)
    plan = cycle.plan(state, NOW)
    return {f"{len(plan.grants)} equal jobs placed": timed(lambda: cycle.plan(state, NOW), 5)}


def small() -> dict[str, float]:
    """The passes on the path of every short job."""
    out = {}
    state = cluster(4, 8, 16_000)
    out["nothing waits"] = timed(lambda: cycle.plan(state, NOW), 1000)
    state.pending_columns.add(PendingRow(JobId(1), Ask(), "main", 60))
    out["1 job, 4 nodes"] = timed(lambda: cycle.plan(state, NOW), 1000)
    for id in range(2, 11):
        ask = Ask(cpu_milli_per_task=1000 * (1 + id % 4), mem_mib_per_node=100 * id)
        state.pending_columns.add(PendingRow(JobId(id), ask, "main", 60 * id))
    out["10 jobs, 4 nodes"] = timed(lambda: cycle.plan(state, NOW), 1000)
    state.pending_columns.add_many([PendingRow(JobId(id), Ask(), "main", 60) for id in range(100, 130)])
    start(state, cycle.plan(state, NOW))
    out[f"{len(state.pending_columns)} jobs wait, cluster full"] = timed(lambda: cycle.plan(state, NOW), 1000)
    return out


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    cases = {
        "100,000 jobs of 200 asks, 1,000 nodes": many_jobs(args.seed, 200),
        "100,000 jobs, each with an ask of its own, 1,000 nodes": many_jobs(args.seed, 100_000),
        "10,000 equal jobs, 1,000 nodes": identical(10_000),
        "small cluster": small(),
    }
    if args.json:
        print(
            json.dumps({"seed": args.seed, "python": platform.python_version(), "seconds": cases}, indent=1)
        )
        return 0
    print(f"seed {args.seed}, Python {platform.python_version()}, {platform.machine()}")
    for title, figures in cases.items():
        print(title)
        for name, seconds in figures.items():
            shown = f"{seconds * 1e3:9.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:9.1f} us"
            print(f"  {name:<42}{shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
