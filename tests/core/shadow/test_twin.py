"""A twin decides like the live state under the same configuration, and differs where the other one does."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from packhorse.scheduler.core.shadow.compare import Difference, Kind, differences, outcome
from packhorse.scheduler.core.shadow.twin import decided, moment, settings_apart, twin
from packhorse.scheduler.core.snapshot import dump
from packhorse.scheduler.model.cluster import Batch, ClusterConfig, Partition
from packhorse.scheduler.model.input import Caller, RunCycle
from tests.core.scenario import OTHER, USER, Cluster, a_cluster


def compared(cluster: Cluster, config: ClusterConfig) -> list[Difference]:
    """A live pass, and what the shadow says about it."""
    before = moment(cluster.state, cluster.clock.now)
    live = outcome(cluster.state, cluster.do(RunCycle()).events)
    state = twin(before, config)
    return list(differences(live, outcome(state, decided(state, before.at))))


def random_cluster(seed: int, config: ClusterConfig) -> Cluster:
    chance = random.Random(seed)
    cluster = a_cluster(nodes=3, cpus=8, gpus=2, config=config)
    for _ in range(12):
        for _ in range(chance.randint(1, 5)):
            caller = Caller(chance.choice([USER, OTHER]))
            cpus, limit_s = chance.choice([1, 2, 4, 8]), chance.choice([60, 600, 6000])
            if chance.random() < 0.3:
                cluster.submit_array("0-5%2", caller=caller, cpus=cpus, time_limit_s=limit_s)
            else:
                gpus, nodes = chance.choice([0, 0, 1]), chance.choice([1, 1, 2])
                cluster.submit(caller=caller, gpus=gpus, nodes=nodes, cpus=cpus, time_limit_s=limit_s)
        jobs = cluster.run_cycle()
        cluster.start(*jobs)
        for job in jobs[::2]:
            cluster.clock.advance(20)
            cluster.exit(job)
    return cluster


@pytest.mark.parametrize("order", ["priority", "sjf", "fairshare", "packhorse"])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_configuration_decides_the_same(order: str, seed: int) -> None:
    config = ClusterConfig(order=order, backfill_depth=3)
    cluster = random_cluster(seed, config)
    before = list(dump(cluster.state.freeze()))
    assert compared(cluster, cluster.state.config) == []
    cluster = random_cluster(seed, config)
    state = twin(moment(cluster.state, cluster.clock.now), replace(config, order="sjf", backfill="none"))
    decided(state, cluster.clock.now)
    assert list(dump(cluster.state.freeze())) == before, "the live state is as it was"


def test_who_would_start_instead() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    long = cluster.submit(cpus=4, time_limit_s=6000)
    short = cluster.submit(cpus=4, time_limit_s=60)
    found = compared(cluster, replace(cluster.state.config, order="sjf"))
    assert found == [
        Difference(long, Kind.WAITS, "n1", ""),
        Difference(short, Kind.STARTS_NOW, "", "n1"),
    ]


def test_where() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    first = cluster.submit(cpus=2, time_limit_s=500)
    [job] = cluster.run_cycle()
    cluster.start(job)
    assert first == job
    second = cluster.submit(cpus=2, time_limit_s=1000)
    [elsewhere] = compared(cluster, replace(cluster.state.config, policy="worst-fit"))
    assert elsewhere == Difference(second, Kind.ELSEWHERE, "n1", "n2")


def test_why_and_when() -> None:
    cluster = a_cluster(nodes=1, cpus=4, config=ClusterConfig(backfill_depth=2))
    cluster.submit(cpus=4, time_limit_s=500)
    cluster.start(*cluster.run_cycle())
    long = cluster.submit(cpus=4, time_limit_s=1000)
    short = cluster.submit(cpus=4, time_limit_s=10)
    found = compared(cluster, replace(cluster.state.config, order="sjf"))
    assert [(d.job, d.kind, d.shift_us // 1_000_000) for d in found] == [
        (long, Kind.LATER, 10),
        (short, Kind.EARLIER, -1000),
    ]
    found = compared(cluster, replace(cluster.state.config, order="sjf", backfill_depth=1))
    assert {(d.job, d.kind, d.live, d.shadow) for d in found if d.kind is Kind.REASON} == {
        (long, Kind.REASON, "Resources", "Priority")
    }


def test_tasks_of_an_array_are_told_by_its_number() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    array = cluster.submit_array("0-9", cpus=1, time_limit_s=6000)
    short = cluster.submit(cpus=3, time_limit_s=60)
    found = compared(cluster, replace(cluster.state.config, order="sjf"))
    assert found == [
        Difference(array, Kind.WAITS, "n1 n1 n1", ""),
        Difference(short, Kind.STARTS_NOW, "", "n1"),
    ]


def test_which_settings_differ() -> None:
    live = ClusterConfig(partitions=(Partition("main", is_default=True), Partition("old")))
    other = ClusterConfig(
        name="other",
        order="sjf",
        batch=Batch(reserve=0.5),
        partitions=(Partition("main", is_default=True, max_time_s=60), Partition("new")),
    )
    assert settings_apart(live, live) == []
    assert settings_apart(live, other) == [
        "partition main.max_time_s: 0 -> 60",
        "partition old: there -> none",
        "partition new: none -> there",
        "order: priority -> sjf",
        "batch.reserve: 0.2 -> 0.5",
    ]
