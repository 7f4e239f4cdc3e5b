"""Synthetic traces, named in one line; the same line gives the same jobs.

    lublin:jobs=10000,procs=256,seed=1             the model of Lublin and Feitelson, see lublin.py
    poisson:jobs=1e6,load=0.9,procs=80000,seed=1   random arrivals and heavy tails, see poisson.py

Both: jobs (10000), procs (256), seed (1), users (64: their shares of the jobs fall off as 1/rank), estimates
(exact, rounded or none, see estimates.py), max_limit_s (longest estimate: 172800), nodes (0: one pool of all
processors; else the cluster has so many nodes, which must divide procs), mem_mib of a processor (0), gpus (0;
1: each processor of a job comes with a GPU, and so do those of the nodes, 8 on each unless nodes says else).
lublin: load (0: the model's own; else gaps are stretched), types (0; 1: batch and interactive jobs, in the
queues "batch" and "interactive"), med (0: log2(procs) - 2.5).
poisson: load (0.9), run (lognormal or pareto), median_s (600), sigma (2), alpha (1.1), least_s (10), most_s
(604800), serial (0.25), max_size (an eighth of procs), decay (0.7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.traces import estimates, lublin, poisson
from packhorse.simulator.traces.broken import Skipped
from packhorse.simulator.traces.cluster_spec import cluster
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.traces.parameters import Named
from packhorse.simulator.traces.trace import Trace

COMMON: Final = ("jobs", "procs", "seed", "users", "estimates", "max_limit_s", "nodes", "mem_mib", "gpus")
MOST_JOBS: Final = 1 << 30
MOST_PROCS: Final = 1 << 24
MOST_S: Final = 1e9
"""Of any time: 32 years."""


class Columns(NamedTuple):
    """Jobs of any generator by arrival, all `[n]`: microseconds, processors. queue: of each, [] for none."""

    submit_us: np.ndarray
    size: np.ndarray
    run_us: np.ndarray
    queue: list[str]


def generate(how: Named) -> Trace:
    """The trace of a line such as those above; jobs are made while they are gone through.

    Raises ParameterError that names the parameter.
    """
    chance = np.random.default_rng(how.whole("seed", 1))
    procs = how.whole("procs", 256, 1, MOST_PROCS)
    of_jobs, of_users = chance.spawn(2)
    made = GENERATORS[how.name](how, procs, of_jobs)
    return Trace(how.text, _jobs(how, made, of_users), _cluster(how, procs), Skipped())


def _jobs(how: Named, made: Iterable[Columns], chance: np.random.Generator) -> Iterator[TraceJob]:
    """Checks the parameters at once, makes the jobs later."""
    model = how.word("estimates", "exact", estimates.MODELS)
    most_s = how.number("max_limit_s", 172_800, 60, MOST_S)
    mem_mib = how.whole("mem_mib", 0, 0, 1 << 30)
    n_gpus = int(how.flag("gpus"))
    n_users = how.whole("users", 64, 1, 1 << 20)
    weights = 1 / np.arange(1, n_users + 1)
    names = [f"u{i}" for i in range(1, n_users + 1)]

    def jobs() -> Iterator[TraceJob]:
        n = 0
        for block in made:
            limit_us = estimates.limits_us(block.run_us, model, most_s, chance)
            users = chance.choice(n_users, block.size.size, p=weights / weights.sum())
            columns = (block.submit_us, block.run_us, limit_us, block.size, users)
            queues = block.queue or [""] * block.size.size
            rows = zip(*(column.tolist() for column in columns), queues, strict=True)
            for submit, run, limit, size, user, queue in rows:
                n += 1
                yield TraceJob(
                    str(n), submit, run, limit, size, 1000, mem_mib, n_gpus, user=names[user], queue=queue
                )

    return jobs()


def _cluster(how: Named, procs: int) -> tuple[NodeSpec, ...]:
    n = how.whole("nodes", 0, 0, procs)
    if n == 0 and not how.flag("gpus"):
        return cluster(str(procs))
    n = n or max(1, procs // 8)
    if procs % n:
        how.wrong("nodes", f"a number that divides procs, {procs}")
    gpus = f",gpu:{procs // n}" if how.flag("gpus") else ""
    return cluster(f"{n}x(cpus={procs // n}{gpus})")


def _lublin(how: Named, procs: int, chance: np.random.Generator) -> Iterable[Columns]:
    how.only(*COMMON, "load", "types", "med")
    n = how.whole("jobs", 10_000, 1, MOST_JOBS)
    if procs < 2:
        how.wrong("procs", "2 and more")
    med, types = how.number("med", 0, 0, 24), how.flag("types")
    fitted = (lublin.INTERACTIVE, lublin.BATCH) if types else (lublin.ALL,)
    kinds = tuple(kind.sized(procs, med) for kind in fitted)
    load = how.number("load", 0, 0, 100)
    stretch = lublin.own_load(kinds, procs) / load if load else 1.0
    queues = ("interactive", "batch")

    def columns(block: lublin.Block) -> Columns:
        queue = [queues[kind] for kind in block.kind.tolist()] if types else []
        return Columns(block.submit_s * 1_000_000, block.size, block.run_s * 1_000_000, queue)

    return map(columns, lublin.blocks(kinds, n, chance, stretch))


def _poisson(how: Named, procs: int, chance: np.random.Generator) -> Iterable[Columns]:
    how.only(
        *COMMON,
        "load",
        "run",
        "median_s",
        "sigma",
        "alpha",
        "least_s",
        "most_s",
        "serial",
        "max_size",
        "decay",
    )
    n = how.whole("jobs", 10_000, 1, MOST_JOBS)
    most_s = how.number("most_s", 604_800, 1, MOST_S)
    runs: poisson.Lognormal | poisson.Pareto
    if how.word("run", "lognormal", ("lognormal", "pareto")) == "pareto":
        least_s = how.number("least_s", 10, 0.001, most_s / 2)
        runs = poisson.Pareto(how.number("alpha", 1.1, 0.01, 100), least_s, most_s)
    else:
        median_s = how.number("median_s", 600, 0.001, most_s)
        runs = poisson.Lognormal(median_s, how.number("sigma", 2, 0.001, 10), most_s)
    sizes = poisson.Sizes(
        how.number("serial", 0.25, 0, 1),
        how.whole("max_size", max(1, procs // 8), 1, procs),
        how.number("decay", 0.7, 0.001, 1),
    )
    load = how.number("load", 0.9, 0.001, 100)
    gap_s = sizes.mean() * runs.mean_s() / (load * procs)
    made = poisson.blocks(n, gap_s, sizes, runs, chance)
    return (Columns(block.submit_us, block.size, block.run_us, []) for block in made)


GENERATORS: Final[dict[str, Callable[[Named, int, np.random.Generator], Iterable[Columns]]]] = {
    "lublin": _lublin,
    "poisson": _poisson,
}
