"""`python -m benchmarks.preempt_victims [--seeds N] [--keep]`: work lost to preemption, by order of victims.

A cluster of 16 nodes with 32 CPUs each for three days: low jobs want about all of it, and every half hour a
high one comes for which some of them make room and begin anew. Every seed is run with victims that lose the
least work and with those that began last; all else is the same.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import replace

from packhorse.scheduler.model.cluster import Partition, PreemptBy, Preemption, VictimOrder
from packhorse.scheduler.model.event import Event, JobEnding
from packhorse.scheduler.model.ids import US, NodeName
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.engine import CONFIG, Simulation
from packhorse.simulator.lab_policy import lab_policy
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import World

NODES: Final = 16
CPUS: Final = 32
DAYS: Final = 3
HOUR_S: Final = 3600
RESULT: Final = Path(__file__).parent / "results" / "2026-11-28-preempt-victims.json"


class Row(NamedTuple):
    """One run. lost_cpu_h: CPU hours that victims had done and do again; of done_cpu_h that ran in all.
    high_wait_s: mean wait of the high jobs."""

    victims: str
    seed: int
    n_victims: int
    lost_cpu_h: float
    done_cpu_h: float
    high_wait_s: float


def jobs(seed: int, days: int = DAYS) -> list[TraceJob]:
    """Low jobs of 1 to 32 CPUs and some minutes to a day, one in ten on several nodes; high ones of up
    to four nodes that take half an hour."""
    chance = Random(seed)
    found: list[TraceJob] = []
    demand_s = 0.0
    while demand_s < 1.1 * NODES * CPUS * days * 24 * HOUR_S:
        nodes = chance.choice((2, 3, 4)) if chance.random() < 0.1 else 1
        cpus = chance.choice((16, 32)) if nodes > 1 else chance.choice((1, 1, 2, 4, 4, 8, 16, 32))
        run_s = min(max(chance.lognormvariate(8.9, 1.2), 300), 24 * HOUR_S)
        demand_s += run_s * cpus * nodes
        at = chance.uniform(0, days * 24 * HOUR_S) * (chance.random() > 0.15)
        found.append(_job("low", len(found), at, run_s, cpus, nodes, chance.uniform(1.2, 4)))
    at = chance.expovariate(1 / 1800)
    while at < days * 24 * HOUR_S:
        nodes = chance.choice((2, 3, 4)) if chance.random() < 0.2 else 1
        cpus = CPUS if nodes > 1 else chance.choice((4, 8, 16, 32))
        found.append(_job("high", len(found), at, chance.uniform(600, 3000), cpus, nodes, 1.5))
        at += chance.expovariate(1 / 1800)
    return sorted(found, key=lambda job: (job.submit_us, job.id))


def run(seed: int, victims: VictimOrder, days: int = DAYS) -> Row:
    """One seed with this order of victims."""
    preemption = Preemption(PreemptBy.PARTITION, victims=victims, exempt_s=60)
    partitions = (Partition("low", is_default=True), Partition("high", priority_tier=10))
    config = replace(CONFIG, partitions=partitions, preemption=preemption)
    nodes = [NodeSpec(NodeName(f"n{i}"), f"n{i}", CPUS * 1000, 1 << 20) for i in range(NODES)]
    world = World(seed, launch_s=2.0, stop_s=10.0, enforce_limits=True, keeps_work=False)
    n_victims = 0

    def seen(event: Event) -> None:
        nonlocal n_victims
        n_victims += isinstance(event, JobEnding) and bool(event.mode)

    simulation = Simulation(lab_policy("fcfs+easy"), nodes, world, config, seen=seen)
    simulation.run(jobs(seed, days), days * 24 * HOUR_S * US)
    outcome = simulation.outcome("victims")
    cpus = np.array([job.tasks * job.cpu_milli // 1000 for job in outcome.jobs])
    high = np.array([job.queue == "high" for job in outcome.jobs]) & (outcome.start_us >= 0)
    came = np.array([job.submit_us for job in outcome.jobs])
    ran_us = np.array([job.run_us for job in outcome.jobs]) * (outcome.end_us >= 0)
    return Row(
        victims.value,
        seed,
        n_victims,
        round(float((outcome.lost_us * cpus).sum()) / US / HOUR_S, 1),
        round(float((ran_us * cpus).sum()) / US / HOUR_S, 1),
        round(float((outcome.start_us - came)[high].mean()) / US, 1),
    )


def _job(
    queue: str, number: int, at_s: float, run_s: float, cpus: int, nodes: int, asks_for: float
) -> TraceJob:
    limit_s = round(run_s * asks_for)
    return TraceJob(
        f"{number}",
        round(at_s) * US,
        round(run_s) * US,
        limit_s * US,
        tasks=nodes,
        cpu_milli=cpus * 1000,
        nodes=nodes,
        user="ann",
        queue=queue,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preempt_victims")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help=f"write the rows to {RESULT.name}")
    args = parser.parse_args()
    rows = []
    print("| victims | seed | told to make room | CPU hours lost | done | mean wait of high jobs |")
    print("|---|---|---|---|---|---|")
    for seed in range(1, args.seeds + 1):
        for victims in VictimOrder:
            row = run(seed, victims)
            rows.append(row)
            print(f"| {' | '.join(str(value) for value in row)} s |", flush=True)
    if args.keep:
        RESULT.write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
