"""The simulator's engine: its world, its books, and that nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from packhorse.scheduler.core.check import check
from packhorse.scheduler.model.event import Event, JobEnded, JobRequeued, NodeSilenced
from packhorse.scheduler.model.ids import US, JobId, NodeName
from packhorse.scheduler.model.input import Caller, ResumeJobs, SuspendJobs, Target
from packhorse.scheduler.model.job import JobState, Owner
from packhorse.scheduler.model.node import NodeSpec
from packhorse.scheduler.model.resources import Device
from packhorse.simulator.engine import ORIGIN, NotRunnable, Simulation
from packhorse.simulator.jobs_out import write
from packhorse.simulator.lab_policy import lab_policy
from packhorse.simulator.outcome import NOT_YET, Outcome
from packhorse.simulator.traces.cluster_spec import cluster
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import World
from tests.benchmarks.outcomes import random_jobs


def job(id: str, submit: float = 0, run: float = 10, **fields: Any) -> TraceJob:
    """Seconds."""
    return TraceJob(id, round(submit * US), round(run * US), **fields)


class Checked(Simulation):
    """Every invariant after every event, and all events in order."""

    def __init__(
        self, policy: str, nodes: Sequence[NodeSpec], world: World, keep_going: bool = False
    ) -> None:
        self.events: list[Event] = []
        super().__init__(lab_policy(policy), nodes, world, keep_going=keep_going, seen=self._look)

    def _look(self, event: Event) -> None:
        self.events.append(event)
        check(self.state)


def run(
    jobs: Sequence[TraceJob],
    nodes: str | Sequence[NodeSpec] = "8",
    policy: str = "fcfs",
    world: World | None = None,
    keep_going: bool = False,
) -> tuple[Checked, Outcome]:
    specs = cluster(nodes) if isinstance(nodes, str) else nodes
    simulation = Checked(policy, specs, world or World(), keep_going)
    simulation.run(jobs)
    return simulation, simulation.outcome("by hand")


def seconds(values: Any) -> list[float]:
    return [int(v) / US if v != NOT_YET else NOT_YET for v in values]


STORMY = World(seed=3, failures_per_day=24, repair_s=120, launch_s=2.5)
"""Each of the nodes fails once an hour."""


def crowd(seed: int, n: int = 60) -> list[TraceJob]:
    return random_jobs(n, Random(seed), 16)


def some_nodes() -> tuple[NodeSpec, ...]:
    return tuple(NodeSpec(NodeName(f"n{i}"), f"n{i}", 4000, 16_000) for i in range(1, 5))


def test_a_suspended_job_ends_as_much_later() -> None:
    simulation = Checked("fcfs", cluster("8"), World(enforce_limits=True))
    simulation.run([job("a", run=100, tasks=8), job("b", submit=20, run=10, tasks=8)], until_us=30 * US)
    root = Caller(Owner(0, 0, "root", "root"), admin=True)
    first = (Target("1", JobId(1)),)
    simulation.now_us = 30 * US
    simulation._do(SuspendJobs(root, first))
    simulation._cycle()
    simulation.run((), until_us=45 * US)
    simulation.now_us = 45 * US
    simulation._do(ResumeJobs(root, first))
    simulation.run(())
    outcome = simulation.outcome("by hand")
    assert seconds(outcome.start_us) == [0, 30]
    assert seconds(outcome.end_us) == [115, 40]
    assert {event.state for event in simulation.events if isinstance(event, JobEnded)} == {JobState.COMPLETED}
    assert simulation._cpu_milli == 0


# -- the same again ----------------------------------------------------------------------------------------


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    def written(seed: int, name: str, policy: str = "saf+sjbf@last2") -> bytes:
        _, found = run(crowd(1, 30), some_nodes(), policy, STORMY._replace(seed=seed))
        write(tmp_path / name, found)
        return (tmp_path / name).read_bytes()

    first = written(3, "a")
    assert first.count(b"\n") == 31
    assert first == written(3, "b")
    assert first != written(4, "c"), "other failures"
    assert first != written(3, "d", "fcfs+none")


@pytest.mark.parametrize("repair_s", [15, 600])
@pytest.mark.parametrize(
    "policy", ["saf+sjbf@last2", "fcfs+easy:4", "f1+textbook@like", "wfp3+before!", "sqf+none"]
)
def test_failures_and_repairs_lose_nobody(policy: str, repair_s: float) -> None:
    """Whoever has ended has run for its whole time without a failure of any of its machines."""
    jobs = crowd(2, 40)
    simulation, found = run(jobs, some_nodes(), policy, STORMY._replace(repair_s=repair_s))
    requeued = [event for event in simulation.events if isinstance(event, JobRequeued)]
    ended = [event for event in simulation.events if isinstance(event, JobEnded)]
    failed = [event for event in simulation.events if isinstance(event, NodeSilenced)]
    assert len(ended) == len(jobs) and {event.state for event in ended} == {JobState.COMPLETED}
    assert found.restarts.sum() >= len(requeued) > 0, "some are launched again without being queued again"
    assert len(found.jobs) == len(jobs) and (found.end_us != NOT_YET).all()
    for i, each in enumerate(found.jobs):
        launched_us = each.run_us + round(2.5 * US)
        ran = found.end_us[i] - found.start_us[i] - found.lost_us[i] - found.stopped_us[i]
        assert ran == launched_us, each.id
        assert bool(found.lost_us[i]) == bool(found.restarts[i])
        assert found.start_us[i] >= each.submit_us
        end = ORIGIN + int(found.end_us[i])
        mine = [event.at for event in failed if event.node in found.nodes[i]]
        assert not any(end - launched_us < at < end for at in mine), each.id
    simulation.state.node_columns.check()
    assert not simulation.state.usage.held
    assert not len(simulation.state.running_columns) and not len(simulation.state.pending_columns)


# -- the world ---------------------------------------------------------------------------------------------


def test_limits_are_not_enforced_unless_wanted() -> None:
    jobs = [job("a", 0, 100, limit_us=40 * US, tasks=8), job("b", 1, 10, limit_us=10 * US)]
    _, found = run(jobs)
    assert seconds(found.end_us) == [100, 110]
    simulation, found = run(jobs, world=World(enforce_limits=True))
    assert seconds(found.end_us) == [40, 50]
    ends = [event.state for event in simulation.events if isinstance(event, JobEnded)]
    assert ends == [JobState.TIMEOUT, JobState.COMPLETED]
    _, found = run(jobs, world=World(enforce_limits=True, launch_s=5))
    assert seconds(found.end_us) == [45, 60], "counted from the first instruction"


def test_launching_takes_its_time() -> None:
    _, found = run([job("a", 1, 10, tasks=8), job("b", 2, 10)], world=World(launch_s=1.5))
    assert seconds(found.start_us) == [1, 12.5]
    assert seconds(found.end_us) == [12.5, 24]


def test_clairvoyance() -> None:
    jobs = [
        job("a", 0, 10, limit_us=100 * US, tasks=6),
        job("b", 1, 10, limit_us=10 * US, tasks=8),
        job("c", 2, 8, limit_us=98 * US, tasks=2),
    ]
    assert seconds(run(jobs, policy="fcfs")[1].start_us) == [0, 10, 2]
    jobs[2] = job("c", 2, 9, limit_us=9 * US, tasks=2)
    assert seconds(run(jobs, policy="fcfs")[1].start_us) == [0, 11, 2]
    assert seconds(run(jobs, policy="fcfs@clairvoyant")[1].start_us) == [0, 10, 20]


def test_one_thing_after_the_other_or_all_at_once() -> None:
    jobs = [job("a", 0, 10, tasks=5), job("b", 0, 5, tasks=8)]
    assert seconds(run(jobs, policy="sjf")[1].start_us) == [5, 0]
    assert seconds(run(jobs, policy="sjf", world=World(one_by_one=True))[1].start_us) == [0, 10]


# -- who comes when ----------------------------------------------------------------------------------------

CHAIN = [
    job("a", 0, 100),
    job("b", 10, 5, after="a", think_us=50 * US),
    job("c", 20, 5, after="nobody", think_us=50 * US),
    job("d", 30, 5, after="c", think_us=10 * US),
    job("e", 35, 5, after="c", think_us=2 * US),
    job("f", 400, 5, after="b", think_us=10 * US),
    job("g", 400, 5, after="f", think_us=0),
]


def test_jobs_come_as_recorded() -> None:
    _, found = run(CHAIN)
    assert [each.id for each in found.jobs] == list("abcdefg")
    assert seconds(found.start_us) == [0, 10, 20, 30, 35, 400, 400]


def test_jobs_come_when_the_other_has_ended_and_their_user_has_thought() -> None:
    _, found = run(CHAIN, world=World(think_times=True))
    starts = dict(zip([each.id for each in found.jobs], seconds(found.start_us), strict=True))
    # c is after one that the trace lacks; it has ended at 25 when d and e are due.
    assert starts == {"a": 0, "b": 150, "c": 20, "d": 35, "e": 35, "f": 400, "g": 405}


def test_a_job_comes_even_if_the_one_that_it_is_after_was_refused() -> None:
    jobs = [job("a", 0, tasks=9), job("b", 5, after="a", think_us=3 * US)]
    simulation, found = run(jobs, world=World(think_times=True), keep_going=True)
    assert [id for id, _ in simulation.refused] == ["a"]
    assert seconds(found.start_us) == [5]


def test_refused_jobs() -> None:
    jobs = [job("a", 0), job("b", 1, tasks=9), job("c", 2)]
    with pytest.raises(NotRunnable, match=r"^job b: .*9"):
        run(jobs)
    simulation, found = run(jobs, keep_going=True)
    assert [each.id for each in found.jobs] == ["a", "c"]
    assert [id for id, why in simulation.refused if why] == ["b"]


def test_a_trace_that_is_not_sorted() -> None:
    with pytest.raises(
        NotRunnable, match=r"^job b: submitted at 4 s, before the one above it .*\(5 s\); sort"
    ):
        run([job("a", 5), job("b", 4)])


def test_nothing_to_do() -> None:
    simulation, found = run([], world=STORMY)
    assert found.jobs == [] and found.start_us.size == 0 and simulation.n_cycles == 0


# -- the books ---------------------------------------------------------------------------------------------


def test_samples_of_a_small_run() -> None:
    _, found = run([job("a", 0, 10, tasks=6), job("b", 1, 10, tasks=4)])
    rows = list(zip(*(column.tolist() for column in found.samples), strict=True))
    assert [row for row in rows if row[0] != 15 * US] == [  # the core forgets a job then
        (0, 6000, 0, 0, 1, 2, 0),
        (1 * US, 6000, 0, 1, 1, 2, 0),
        (10 * US, 4000, 0, 0, 1, 4, 0),
        (20 * US, 0, 0, 0, 0, 8, 0),
    ]
    assert (found.capacity_milli, found.capacity_gpus, found.seed) == (8000, 0, 0)


def test_cycles_only_where_something_happened() -> None:
    jobs = [job(str(i), 0, 10, tasks=8) for i in range(5)]
    simulation, _ = run(jobs)
    assert simulation.n_cycles == 5


# -- devices -----------------------------------------------------------------------------------------------


def gpu_nodes() -> tuple[NodeSpec, ...]:
    def node(name: str, *models: str) -> NodeSpec:
        devices = tuple(Device("gpu", model, i) for i, model in enumerate(models))
        return NodeSpec(NodeName(name), name, 8000, 32_000, devices=devices)

    return node("n1", "v100", "v100"), node("n2", "t4", "t4"), node("n3", "p100"), node("n4")


def where(found: Outcome) -> dict[str, tuple[str, ...]]:
    return {each.id: names for each, names in zip(found.jobs, found.nodes, strict=True)}


def test_devices_by_model_and_shares() -> None:
    jobs = [
        job("a", 0, n_gpus=2, gpu_type="t4", nodes=1),
        job("b", 1, n_gpus=1, gpu_milli=600, gpu_type="p100", nodes=1),
        job("c", 2, n_gpus=1, gpu_milli=400, gpu_type="p100", nodes=1),
        job("d", 3, n_gpus=1, gpu_milli=500, gpu_type="p100", nodes=1),
        job("e", 4, n_gpus=1, tasks=2, nodes=1, gpu_type="v100"),
    ]
    _, found = run(jobs, gpu_nodes())
    assert where(found) == {"a": ("n2",), "b": ("n3",), "c": ("n3",), "d": ("n3",), "e": ("n1",)}
    assert seconds(found.start_us) == [0, 1, 2, 11, 4], "no room for d beside b and c"
    assert found.samples.gpu_milli.max() == 5000 and found.capacity_gpus == 5


def test_any_of_several_models() -> None:
    jobs = [
        job("a", 0, n_gpus=2, gpu_type="t4|p100", nodes=1),
        job("b", 1, n_gpus=1, gpu_type="t4|p100", nodes=1),
        job("c", 2, n_gpus=1, gpu_type="p100|t4", nodes=1),
        job("d", 3, n_gpus=1, gpu_milli=500, gpu_type="v100|k80", nodes=1),
        job("e", 4, n_gpus=1, tasks=3, gpu_type="v100|t4", nodes=0),
    ]
    _, found = run(jobs, gpu_nodes())
    assert where(found) == {"a": ("n2",), "b": ("n3",), "c": ("n2",), "d": ("n1",), "e": ("n1", "n2")}
    assert seconds(found.start_us) == [0, 1, 10, 3, 13]


def test_any_of_several_models_where_a_node_has_several() -> None:
    mixed = (
        *gpu_nodes(),
        NodeSpec(
            NodeName("n5"), "n5", 8000, 32_000, devices=(Device("gpu", "t4", 0), Device("gpu", "a10", 1))
        ),
    )
    wish = [job("a", 0, n_gpus=1, gpu_type="t4|p100", nodes=1)]
    with pytest.raises(
        NotRunnable, match=r'^job a: any of "t4\\|p100": node n5 has devices of several models'
    ):
        run(wish, mixed)
    simulation, _ = run([*wish, job("b", 1, n_gpus=1, gpu_type="a10", nodes=1)], mixed, keep_going=True)
    assert [id for id, _ in simulation.refused] == ["a"]


def test_a_model_that_no_node_has_is_refused() -> None:
    for model in ("k80", "k80|k40"):
        with pytest.raises(NotRunnable, match=r"^job a: "):
            run([job("a", n_gpus=1, gpu_type=model, nodes=1)], gpu_nodes())


def test_jobs_over_several_nodes_with_memory() -> None:
    nodes = some_nodes()
    jobs = [
        job("a", 0, 10, tasks=8, nodes=2, mem_mib=1000),
        job("b", 1, 10, tasks=8, mem_mib=3000),  # wherever there is room for its tasks
        job("c", 2, 10, tasks=2, cpu_milli=2000, nodes=1, mem_mib=8000),
    ]
    _, found = run(jobs, nodes)
    assert [len(names) for names in found.nodes] == [2, 2, 1]
    assert seconds(found.start_us) == [0, 1, 10]


def test_more_nodes_than_tasks_are_refused_by_name() -> None:
    with pytest.raises(NotRunnable, match=r"^job a: "):
        run([job("a", tasks=1, nodes=3)], some_nodes())
