"""Starts that are foreseen on small clusters, where they are known."""

from __future__ import annotations

import numpy as np
import pytest

from packhorse.scheduler.core.when.futures import Foreseen, foresee, strata
from packhorse.scheduler.core.when.question import question
from packhorse.scheduler.model.cluster import ClusterConfig, Partition
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.input import Caller
from tests.core.scenario import USER, Cluster, a_cluster

NEAR = 0.06
"""Pieces of time are no finer."""


def foreseen(cluster: Cluster) -> dict[tuple[int, bool], Foreseen]:
    return {(f.job, f.last): f for f in foresee(question(cluster.state, cluster.clock.now), 0)}


def waits(cluster: Cluster) -> dict[int, int]:
    return {job: f.basis.wait_s for (job, last), f in foreseen(cluster).items() if not last}


def full(nodes: int = 1, config: ClusterConfig | None = None) -> Cluster:
    """All nodes taken for 1000 s."""
    cluster = a_cluster(nodes=nodes, cpus=4, config=config)
    cluster.submit(count=nodes, cpus=4, time_limit_s=1000)
    cluster.start(*cluster.run_cycle())
    return cluster


def test_one_after_the_other_in_the_order_of_the_queue() -> None:
    cluster = full()
    first, second = cluster.submit(cpus=4, time_limit_s=500), cluster.submit(cpus=4, time_limit_s=500)
    cluster.run_cycle()
    assert waits(cluster) == {
        first: pytest.approx(1000, rel=NEAR),
        second: pytest.approx(1500, rel=NEAR),
    }


def test_a_short_job_may_go_first() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.submit(cpus=2, time_limit_s=1000)
    cluster.start(*cluster.run_cycle())
    wide = cluster.submit(cpus=4, time_limit_s=500)
    short = cluster.submit(cpus=2, time_limit_s=300)
    long = cluster.submit(cpus=2, time_limit_s=5000)
    found = waits(cluster)
    assert found[wide] == pytest.approx(1000, rel=NEAR)
    assert found[short] == 0
    assert found[long] == pytest.approx(1500, rel=NEAR)


def test_what_users_run_of_their_limits_is_learned() -> None:
    cluster = full()
    for _ in range(20):
        cluster.state.history.samples.add(1000, 1000 * US, 100 * US)
    job = cluster.submit(cpus=4, time_limit_s=500)
    assert waits(cluster)[job] < 200


def test_an_array_has_a_first_and_a_last_start() -> None:
    cluster = full()
    array = cluster.submit_array("0-9%1", cpus=4, time_limit_s=100)
    found = foreseen(cluster)
    assert found[array, False].basis.wait_s == pytest.approx(1000, rel=NEAR)
    assert found[array, True].basis.wait_s == pytest.approx(1900, rel=0.3)
    behind = cluster.submit(cpus=4, time_limit_s=100)
    assert waits(cluster)[behind] == pytest.approx(2000, rel=0.3)


def test_a_begin_time_is_kept() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    job = cluster.submit(begin_at=Instant(cluster.clock.now + 7200 * US))
    cluster.run_cycle()
    assert waits(cluster) == {job: 7200}


def test_a_job_that_never_fits_is_left_out_and_holds_nobody_up() -> None:
    cluster = full(nodes=2)
    cluster.submit(cpus=4, nodes=2, time_limit_s=100)
    cluster.drain("n2")
    other = cluster.submit(cpus=4, time_limit_s=100)
    assert list(waits(cluster)) == [other]


def test_partitions_share_nodes() -> None:
    config = ClusterConfig(
        partitions=(
            Partition("all", is_default=True),
            Partition("few", nodes=(NodeName("n1"),)),
            Partition("rest", nodes=(NodeName("n2"),)),
        )
    )
    cluster = full(nodes=2, config=config)
    wide = cluster.submit(cpus=4, nodes=2, time_limit_s=1000, partition="all")
    few = cluster.submit(cpus=4, time_limit_s=100, partition="few")
    rest = cluster.submit(cpus=4, time_limit_s=100, partition="rest")
    found = waits(cluster)
    assert found[wide] == pytest.approx(1000, rel=NEAR)
    assert found[few] == pytest.approx(2000, rel=NEAR)
    assert found[rest] == pytest.approx(2000, rel=NEAR)


@pytest.mark.parametrize("order", ["sjf", "multifactor", "packhorse", "drf"])
def test_the_order_in_force_counts(order: str) -> None:
    cluster = full(config=ClusterConfig(order=order))
    first = cluster.submit(cpus=4, time_limit_s=4000)
    cluster.clock.advance(1)
    second = cluster.submit(cpus=4, time_limit_s=100, site_factor=5000, caller=Caller(USER, admin=True))
    cluster.run_cycle()
    found = waits(cluster)
    assert found[second] < found[first], "it is shorter, and an administrator likes it"


def test_held_jobs_are_nobodys_business() -> None:
    cluster = full()
    held, job = cluster.submit(cpus=4, hold=True), cluster.submit(cpus=4, time_limit_s=60)
    assert held not in waits(cluster)
    assert waits(cluster)[job] == pytest.approx(1000, rel=NEAR)


def test_only_those_asked_about_in_the_order_of_the_queue() -> None:
    cluster = full()
    jobs = [cluster.submit(cpus=4, time_limit_s=100) for _ in range(5)]
    all_of_them = foresee(question(cluster.state, cluster.clock.now), 0)
    some = foresee(question(cluster.state, cluster.clock.now), 0, frozenset({JobId(jobs[1]), JobId(jobs[3])}))
    assert some == [all_of_them[1], all_of_them[3]]
    assert foresee(question(cluster.state, cluster.clock.now), 0, frozenset({JobId(999)})) == []


def test_draws_are_a_jobs_own() -> None:
    ids = np.array([5, 9, 1 << 40])
    chances = strata(ids, 0, 24)
    assert (strata(ids[1:], 0, 24) == chances[:, 1:]).all()
    assert (np.sort(chances, axis=0) == ((np.arange(24) + 0.5) / 24)[:, None]).all()
    assert (strata(ids, 1, 24) != chances).any()
    assert abs(np.corrcoef(strata(np.arange(1, 200), 0, 24).T)[0, 1:]).mean() < 0.3


def test_what_waits_for_maintenance_to_be_over_starts_no_sooner_though_nodes_are_idle() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.reserve("maint", start_s=3600, hours=2, nodes="ALL", flags="MAINT", users="root")
    long, short = cluster.submit(time_limit_s=2 * 3600), cluster.submit(time_limit_s=600)
    assert cluster.run_cycle() == [short]
    assert waits(cluster) == {long: pytest.approx(3 * 3600, rel=NEAR)}
    cluster.submit(count=20, time_limit_s=2 * 3600)  # more than have a planned start
    cluster.run_cycle()
    assert len(waits(cluster)) == 21 and min(waits(cluster).values()) >= 3 * 3600 * (1 - NEAR)
