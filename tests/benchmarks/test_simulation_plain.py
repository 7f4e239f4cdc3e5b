"""The simulator starts every job when a plain pool of processors would; values others found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core import one_node
from packhorse.scheduler.model.ids import US
from packhorse.simulator.engine import Simulation
from packhorse.simulator.lab_policy import lab_policy
from packhorse.simulator.outcome import Outcome
from packhorse.simulator.traces import swf
from packhorse.simulator.traces.cluster_spec import cluster
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import World
from tests.benchmarks.plain_pool import Job, Pool

SWF = Path("benchmarks", "data", "swf")
KINDS = ("easy", "sjbf", "textbook", "textbook-sjbf", "before", "none")


@pytest.fixture(autouse=True, scope="module", params=[one_node.MOST_ROWS, -1], ids=["quick", "general"])
def both_cycles(request: pytest.FixtureRequest) -> Iterator[None]:
    """A pool of processors is one node, for which there is a cycle of its own."""
    most = one_node.MOST_ROWS
    one_node.MOST_ROWS = request.param  # type: ignore[misc]
    yield
    one_node.MOST_ROWS = most  # type: ignore[misc]


def simulated(jobs: Sequence[TraceJob], procs: int, policy: str, world: World | None = None) -> Outcome:
    simulation = Simulation(lab_policy(policy), cluster(str(procs)), world or World())
    simulation.run(jobs)
    return simulation.outcome("by chance")


def starts(jobs: Sequence[Job], procs: int, policy: str, world: World | None = None) -> list[int]:
    """When each job starts in the simulator, in seconds."""
    found = simulated(
        [
            TraceJob(str(i), j.submit * US, j.run * US, limit_us=j.limit * US, tasks=j.procs)
            for i, j in enumerate(jobs)
        ],
        procs,
        policy,
        world,
    )
    assert (found.end_us - found.start_us == [j.run * US for j in jobs]).all()
    return [int(at) // US for at in found.start_us.tolist()]


@st.composite
def job_lists(draw: st.DrawFn) -> list[Job]:
    """Crowded, with few distinct times, so that much happens at once; some run longer than they asked for."""
    coarse = draw(st.sampled_from([1, 10]))
    found, at = [], draw(st.integers(0, 50))
    for gap, limit, share, procs in draw(
        st.lists(
            st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(0, 12), st.integers(1, 8)),
            min_size=1,
            max_size=50,
        )
    ):
        at += gap * coarse
        found.append(Job(at, limit * coarse * share // 10, limit * coarse, procs))
    return found


@settings(max_examples=80, deadline=None)
@given(jobs=job_lists(), kind=st.sampled_from(KINDS), order=st.sampled_from(["fcfs", "sjf", "saf", "ljf"]))
def test_same_starts_as_a_plain_pool(jobs: list[Job], kind: str, order: str) -> None:
    assert starts(jobs, 8, f"{order}+{kind}") == Pool(jobs, 8, order, kind).run()


@settings(max_examples=60, deadline=None)
@given(
    jobs=job_lists(), kind=st.sampled_from(["easy", "before", "none"]), order=st.sampled_from(["sjf", "sqf"])
)
def test_the_next_job_stays_next(jobs: list[Job], kind: str, order: str) -> None:
    assert starts(jobs, 8, f"{order}+{kind}!") == Pool(jobs, 8, order, kind, keep_next=True).run()


@settings(max_examples=60, deadline=None)
@given(jobs=job_lists(), kind=st.sampled_from(KINDS))
def test_one_thing_after_the_other(jobs: list[Job], kind: str) -> None:
    found = starts(jobs, 8, f"fcfs+{kind}", World(one_by_one=True))
    assert found == Pool(jobs, 8, "fcfs", kind, one_by_one=True).run()


# ------------------------------------------------------------------------------------------ published values


def _slowdown(submit: np.ndarray, start: np.ndarray, run: np.ndarray) -> float:
    return float(np.maximum(1.0, (start - submit + run) / np.maximum(run, 10.0)).mean())


def _plain_jobs(jobs: Sequence[TraceJob]) -> list[Job]:
    return [Job(j.submit_us // US, j.run_us // US, j.limit_us // US, j.tasks) for j in jobs]


@pytest.mark.parametrize("order", ["fcfs", "wfp3-rl", "unicep-rl", "sjf", "f1"])
@pytest.mark.parametrize("kind", ["none", "before"])
def test_a_part_of_the_published_sequences(order: str, kind: str) -> None:
    """RLScheduler's heuristics, with and without its backfilling, on the first 200 jobs of two sequences."""
    jobs = swf.rlscheduler_jobs(SWF / "lublin_256.swf.gz")
    for start, _ in swf.sequences(SWF / "rlscheduler_sequences.csv", "lublin_256")[:2]:
        some = _plain_jobs(swf.window(jobs, start, 200))
        found = starts(some, 256, f"{order}+{kind}!", World(one_by_one=True))
        assert found == Pool(some, 256, order, kind, keep_next=True, one_by_one=True).run()


@pytest.mark.parametrize("order", ["wfp3", "unicep", "f1", "f2", "f3", "f4"])
@pytest.mark.parametrize("kind", ["textbook", "textbook-sjbf", "easy"])
def test_orders_on_a_part_of_a_published_sequence(order: str, kind: str) -> None:
    some = _plain_jobs(swf.rlscheduler_jobs(SWF / "lublin_256.swf.gz")[4299:4449])
    assert starts(some, 256, f"{order}+{kind}") == Pool(some, 256, order, kind).run()


def test_a_whole_log_with_its_reference_values() -> None:
    """Textbook EASY on the beginning of HPC2N: slowdown and mean wait as in reference_full_logs.csv."""
    jobs = swf.rlscheduler_jobs(SWF / "HPC2N-2002-first3171.swf.gz")
    jobs.sort(key=lambda job: job.submit_us)
    found = simulated(jobs, 240, "fcfs+textbook")
    submit = np.array([job.submit_us for job in jobs]) / US
    run = np.array([job.run_us for job in jobs]) / US
    start = found.start_us / US
    assert round(_slowdown(submit, start, run), 2) == 19.04
    assert round(float((start - submit).mean()), 1) == 3553.1
