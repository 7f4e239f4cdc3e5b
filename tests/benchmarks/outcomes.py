"""Outcomes made by hand or by chance, for tests of what is computed from them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from packhorse.simulator.outcome import NOT_YET, Outcome, Samples
from packhorse.simulator.traces.job import TraceJob

S = 1_000_000
"""Microseconds of a second."""


def samples(*rows: tuple[int, ...], width: int = 7) -> Samples:
    """Rows of (seconds, CPUs, devices, waiting, running, free block, stranded devices); the rest is 0."""
    table = np.array([(*row, *(0,) * (width - len(row))) for row in rows], np.int64).reshape(-1, width)
    scale = (S, 1000, 1000, 1, 1, 1, 1000)
    return Samples(*(table[:, i] * factor for i, factor in enumerate(scale)))


def outcome(
    jobs: Sequence[TraceJob],
    ran: Sequence[tuple[float, float]],
    *,
    policy: str = "fcfs",
    seed: int = 1,
    cpus: int = 8,
    gpus: int = 0,
    restarts: Sequence[int] = (),
    lost: Sequence[float] = (),
    stopped: Sequence[float] = (),
    nodes: Sequence[tuple[str, ...]] = (),
    seen: Samples | None = None,
) -> Outcome:
    """ran: start and end of each job in seconds, NOT_YET where not; what is left out did not happen."""

    def us(values: Sequence[float]) -> np.ndarray:
        return np.array([NOT_YET if v == NOT_YET else round(v * S) for v in values], np.int64)

    none = [0.0] * len(jobs)
    return Outcome(
        policy=policy,
        trace="by hand",
        seed=seed,
        jobs=jobs,
        start_us=us([start for start, _ in ran]),
        end_us=us([end for _, end in ran]),
        restarts=np.array(restarts or [0] * len(jobs), np.int64),
        lost_us=us(lost or none),
        stopped_us=us(stopped or none),
        nodes=nodes or [("n1",) if start != NOT_YET else () for start, _ in ran],
        capacity_milli=cpus * 1000,
        capacity_gpus=gpus,
        samples=seen if seen is not None else samples(),
    )


def random_jobs(n: int, rng: random.Random, cpus: int, users: int = 7) -> list[TraceJob]:
    """Of mixed sizes and run times, as many as keep such a cluster about full."""
    found, now = [], 0.0
    for i in range(n):
        tasks = min(cpus, 2 ** rng.randint(0, max(cpus.bit_length() - 1, 0)))
        run = rng.choice((0, 3, 40, 300, 4000)) + rng.randint(0, 50)
        now += rng.expovariate(1.0) * tasks * run / cpus
        user = f"user{min(int(rng.expovariate(0.6)), users - 1)}"
        found.append(TraceJob(str(i), round(now) * S, run * S, limit_us=2 * run * S, tasks=tasks, user=user))
    return found


def played(
    jobs: Sequence[TraceJob], cpus: int, *, policy: str = "fcfs", seed: int = 1, shortest: bool = False
) -> Outcome:
    """At each event starts jobs in the order of the trace, or shortest first, up to the first that does not
    fit. Each CPU is a node. Jobs of one CPU per task.
    """
    free = list(range(cpus))
    starts, ends = [NOT_YET] * len(jobs), [NOT_YET] * len(jobs)
    nodes: list[tuple[str, ...]] = [()] * len(jobs)
    waiting: list[int] = []
    running: dict[int, list[int]] = {}
    coming = sorted(range(len(jobs)), key=lambda i: jobs[i].submit_us)
    rows: list[tuple[int, ...]] = []
    while coming or running:
        now = min([jobs[coming[0]].submit_us] if coming else [], default=1 << 62)
        now = min([now, *(ends[i] for i in running)])
        for i in [i for i in running if ends[i] == now]:
            free += running.pop(i)
        while coming and jobs[coming[0]].submit_us == now:
            waiting.append(coming.pop(0))
        if shortest:
            waiting.sort(key=lambda i: (jobs[i].run_us, i))
        while waiting and jobs[waiting[0]].tasks <= len(free):
            i = waiting.pop(0)
            free.sort()
            running[i], free = free[: jobs[i].tasks], free[jobs[i].tasks :]
            starts[i], ends[i] = now, now + jobs[i].run_us
            nodes[i] = tuple(f"c{lane:03}" for lane in running[i])
        taken = cpus - len(free)
        rows.append((now, taken * 1000, 0, len(waiting), len(running), min(len(free), 1), 0))
    seen = np.array(rows, np.int64).reshape(-1, 7)
    none = np.zeros(len(jobs), np.int64)
    return Outcome(
        policy,
        "by chance",
        seed,
        jobs,
        np.array(starts, np.int64),
        np.array(ends, np.int64),
        none,
        none,
        none,
        nodes,
        cpus * 1000,
        0,
        Samples(*seen.T),
    )
