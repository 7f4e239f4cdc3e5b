"""What to run, and running it: variants by manners by policies by seeds, on several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from packhorse.scheduler.plugins import require_policy
from packhorse.simulator.openb.results import write_placements
from packhorse.simulator.openb.run import Manner, Outcome, run
from packhorse.simulator.openb.workload import workload
from packhorse.simulator.traces import openb


class Job(NamedTuple):
    """One run. nodes: None for the published ones. placements: folder for its file, None for no file."""

    data: Path
    variant: str
    policy: str
    manner: Manner
    seed: int
    nodes: int | None
    placements: Path | None


def run_job(job: Job) -> Outcome:
    """Read, run, write the placements; what comes back holds none."""
    work = workload(openb.read(job.data, job.variant, (job.seed,)), job.seed, job.nodes)
    outcome = run(work, require_policy(job.policy), job.manner)
    if job.placements is not None:
        write_placements(job.placements, job, outcome.placed)
    return outcome._replace(placed=[])


def run_all(jobs: list[Job], processes: int) -> Iterator[tuple[Job, Outcome]]:
    """As they end."""
    if processes == 1 or len(jobs) == 1:
        for job in jobs:
            yield job, run_job(job)
        return
    # spawn: a forked child would have the parent's threads' locks
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(processes, len(jobs)), mp_context=context, initializer=_end_on_ctrl_c
    ) as pool:
        yield from _in_pool(pool, jobs)


def _end_on_ctrl_c() -> None:
    """In a process of the pool: at once and without a word; the terminal tells the parent too."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))


def _in_pool(pool: Executor, jobs: list[Job]) -> Iterator[tuple[Job, Outcome]]:
    running: dict[Future[Outcome], Job] = {pool.submit(run_job, job): job for job in jobs}
    try:
        for done in as_completed(running):
            yield running[done], done.result()
    finally:
        for future in running:
            future.cancel()
