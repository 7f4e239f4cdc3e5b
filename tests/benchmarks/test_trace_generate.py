"""Synthetic traces: the same line gives the same jobs, and they are distributed as they should be."""

from __future__ import annotations

import math
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from packhorse.simulator.traces import estimates, lublin, poisson, swf
from packhorse.simulator.traces.broken import Skipped
from packhorse.simulator.traces.catalogue import open_trace
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.traces.parameters import ParameterError

LUBLIN = Path("benchmarks", "data", "swf", "lublin_256.swf.gz")


def jobs_of(line: str) -> list[TraceJob]:
    return list(open_trace(line).jobs)


@pytest.mark.parametrize("line", ["lublin:jobs=300", "poisson:jobs=300", "lublin:jobs=300,types=1,load=0.5"])
def test_the_same_line_the_same_jobs(line: str) -> None:
    first = jobs_of(line)
    assert first == jobs_of(line)
    assert first != jobs_of(f"{line},seed=2")
    assert [job.id for job in first] == [str(i) for i in range(1, 301)]
    assert all(a.submit_us <= b.submit_us for a, b in pairwise(first))
    assert all(job.run_us > 0 and 1 <= job.tasks <= 256 for job in first)


@pytest.mark.parametrize("line", ["lublin:jobs=1e9", "poisson:jobs=1e9"])
def test_jobs_are_made_when_they_are_wanted(line: str) -> None:
    assert len(list(islice(open_trace(line).jobs, 3))) == 3


def test_across_blocks() -> None:
    """Arrivals go on where the last block ended."""
    n = lublin.BLOCK + 100
    for line in (f"lublin:jobs={n},types=1", f"poisson:jobs={n}"):
        submitted = np.array([job.submit_us for job in open_trace(line).jobs])
        assert submitted.size == n
        assert (np.diff(submitted) >= 0).all()
        assert np.diff(submitted)[lublin.BLOCK - 5 : lublin.BLOCK + 5].max() < 6 * 86_400_000_000


def figures(jobs: list[TraceJob]) -> dict[str, float]:
    size = np.array([job.tasks for job in jobs])
    log_run = np.log([job.run_us / 1e6 for job in jobs])
    hour = np.array([job.submit_us // 3_600_000_000 % 24 for job in jobs])
    return {
        "mean size": size.mean(),
        "serial": (size == 1).mean(),
        "powers of two": ((size & (size - 1)) == 0).mean(),
        "large": (size > 64).mean(),
        "mean run": np.exp(log_run).mean(),
        "mean log run": log_run.mean(),
        "deviation of log run": log_run.std(),
        "correlation": np.corrcoef(np.log(size), log_run)[0, 1],
        "from 9 to 18": ((hour >= 9) & (hour < 18)).mean(),
        "from 3 to 6": ((hour >= 3) & (hour < 6)).mean(),
    }


def test_lublin_is_the_model_of_the_published_trace(repository: Path) -> None:
    """lublin_256 came from the authors' program, set for 256 processors, with another random generator."""
    published = figures(list(swf.read(repository / LUBLIN, Skipped())))
    ours = figures(jobs_of("lublin:jobs=40000,procs=256"))
    assert ours == pytest.approx(published, rel=0.08, abs=0.015)


def test_lublin_load(repository: Path) -> None:
    for line, expected in (("lublin:jobs=200000,load=0.5", 0.5), ("lublin:jobs=200000,load=0.8", 0.8)):
        jobs = jobs_of(line)
        work = sum(job.tasks * job.run_us for job in jobs)
        assert work / jobs[-1].submit_us / 256 == pytest.approx(expected, rel=0.06)


def test_lublin_types() -> None:
    jobs = jobs_of("lublin:jobs=20000,types=1,procs=128")
    runs = {
        queue: [math.log(job.run_us / 1e6) for job in jobs if job.queue == queue]
        for queue in ("interactive", "batch")
    }
    assert len(runs["interactive"]) + len(runs["batch"]) == 20_000
    assert min(len(runs["interactive"]), len(runs["batch"])) > 3000
    assert np.mean(runs["batch"]) > np.mean(runs["interactive"]) + 1


def test_gamma_distribution() -> None:
    assert lublin.gamma_cdf(2.0, 1.0) == pytest.approx(1 - math.exp(-2))
    assert lublin.gamma_cdf(3.0, 2.0) == pytest.approx(1 - 4 * math.exp(-3))
    weights = lublin.day_weights(lublin.ALL)
    assert weights.mean() == pytest.approx(1)
    assert weights[26] > 1.5  # one o'clock in the afternoon
    assert weights[9] < 0.2  # and before five in the morning


@pytest.mark.parametrize(
    "runs",
    [
        poisson.Lognormal(600, 1.5, 20_000),
        poisson.Pareto(1.0, 10, 10_000),
        poisson.Pareto(0.7, 10, 10_000),
        poisson.Pareto(2.5, 10, 10_000),
    ],
)
def test_means_are_exact(runs: poisson.Lognormal | poisson.Pareto) -> None:
    drawn = runs.draw_s(400_000, np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(runs.mean_s(), rel=0.02)
    assert drawn.max() <= runs.most_s


def test_sizes() -> None:
    sizes = poisson.Sizes(0.25, 100, 0.7)
    drawn = sizes.draw(200_000, np.random.default_rng(1))
    assert set(np.unique(drawn)) == {1, 2, 4, 8, 16, 32, 64}
    assert (drawn == 1).mean() == pytest.approx(0.25, abs=0.01)
    assert drawn.mean() == pytest.approx(sizes.mean(), rel=0.02)
    assert poisson.Sizes(0.25, 1, 0.7).draw(3, np.random.default_rng(1)).tolist() == [1, 1, 1]


def test_poisson_load() -> None:
    jobs = jobs_of("poisson:jobs=200000,load=0.7,procs=1024,sigma=1,median_s=100")
    work = sum(job.tasks * job.run_us for job in jobs)
    assert work / jobs[-1].submit_us / 1024 == pytest.approx(0.7, rel=0.03)
    gaps = np.diff([job.submit_us for job in jobs])
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.02)  # as exponential gaps have


def test_estimates() -> None:
    chance = np.random.default_rng(1)
    run_us = (np.exp(chance.uniform(0, 12, 50_000)) * 1e6).astype(np.int64)
    limits = estimates.limits_us(run_us, "rounded", 86_400, chance)
    assert (limits >= run_us).all()
    assert (limits[run_us <= 86_400_000_000] <= 86_400_000_000).all()
    assert np.unique(limits).size < 35
    short = run_us < 1_800_000_000
    assert (limits[short] == 86_400_000_000).mean() == pytest.approx(estimates.ASK_THE_MOST, abs=0.01)
    assert estimates.limits_us(run_us, "exact", 60, chance) is run_us
    assert not estimates.limits_us(run_us, "none", 60, chance).any()


def test_what_comes_with_the_jobs() -> None:
    trace = open_trace("poisson:jobs=2000,procs=64,nodes=16,gpus=1,mem_mib=5,users=3,estimates=rounded")
    jobs = list(trace.jobs)
    assert {job.user for job in jobs} == {"u1", "u2", "u3"}
    assert sum(job.user == "u1" for job in jobs) > sum(job.user == "u3" for job in jobs)
    assert {(job.cpu_milli, job.mem_mib, job.n_gpus) for job in jobs} == {(1000, 5, 1)}
    assert trace.cluster is not None
    assert [(node.cpu_milli, len(node.devices)) for node in trace.cluster] == [(4000, 4)] * 16
    assert trace.skipped.count == 0
    pool = open_trace("lublin:procs=512").cluster
    assert pool is not None
    assert [node.cpu_milli for node in pool] == [512_000]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lublin:job=5", 'parameter "job" is not known; accepted are jobs, procs, seed'),
        ("lublin:jobs=0", 'jobs: "0", expected 1 to'),
        ("lublin:jobs=1.5", 'jobs: "1.5", expected a whole number'),
        ("lublin:procs=1", 'procs: "1", expected 2 and more'),
        ("lublin:load=nan", 'load: "nan", expected 0 to 100'),
        ("poisson:run=normal", 'run: "normal", expected one of lognormal, pareto'),
        ("poisson:run=pareto,least_s=9,most_s=10", 'least_s: "9", expected 0.001 to 5'),
        ("poisson:procs=64,max_size=65", 'max_size: "65", expected 1 to 64'),
        ("poisson:procs=64,nodes=10", 'nodes: "10", expected a number that divides procs, 64'),
        ("poisson:estimates=good", 'estimates: "good", expected one of exact, rounded, none'),
        ("poisson:jobs", '"jobs" is not KEY=VALUE'),
    ],
)
def test_wrong_parameters(line: str, said: str) -> None:
    with pytest.raises(ParameterError) as wrong:
        open_trace(line)
    assert said in str(wrong.value)
