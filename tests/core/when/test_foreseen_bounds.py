"""Starts that licences, limits and windows of reservations put off, on clusters where they are known."""

from __future__ import annotations

from typing import Any

import pytest

from packhorse.scheduler.core.when.pools import NO_POOLS
from packhorse.scheduler.core.when.question import question
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.ids import JobId
from tests.core.accounts.limits import ANN, BOB, a_tree
from tests.core.scenario import Cluster, a_cluster, a_config
from tests.core.when.test_futures import NEAR, waits

HOUR = 3600


def running(cluster: Cluster, **what: Any) -> JobId:
    """A job that runs."""
    id = cluster.submit(**what)
    assert cluster.run_cycle() == [id]
    cluster.start(id)
    return id


def about(seconds: float) -> object:
    return pytest.approx(seconds, rel=NEAR)


# -- licences ------------------------------------------------------------------------------------------------


def test_a_licence_is_free_when_its_job_ends() -> None:
    cluster = a_cluster(nodes=3, cpus=4, config=a_config(licenses=(("x", 3),)))
    running(cluster, cpus=1, licenses="x:2", time_limit_s=1000)
    first = cluster.submit(cpus=1, licenses="x:2", time_limit_s=500)
    second = cluster.submit(cpus=1, licenses="x:3", time_limit_s=500)
    other = cluster.submit(cpus=1, time_limit_s=500)
    assert cluster.run_cycle() == [other]
    assert waits(cluster) == {first: about(1000), second: about(1500)}


def test_licences_that_are_set_aside() -> None:
    cluster = a_cluster(nodes=2, cpus=4, config=a_config(licenses=(("x", 3),)))
    cluster.reserve("lic", hours=1, licenses="x:2", flags="ANY_NODES")
    job = cluster.submit(cpus=1, licenses="x:2", time_limit_s=500)
    assert cluster.run_cycle() == []
    assert waits(cluster) == {job: about(HOUR)}


# -- limits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [{"grp_jobs": 1}, {"grp_tres": "cpu=2"}, {"grp_tres_run_mins": "cpu=50"}])
def test_a_limit_lets_go_when_the_holders_jobs_end(limit: dict[str, object]) -> None:
    cluster = a_cluster(nodes=3, cpus=4)
    a_tree(cluster, chem=limit, law={})
    running(cluster, cpus=2, account="chem", caller=ANN, time_limit_s=1200)
    first = cluster.submit(cpus=2, account="chem", caller=BOB, time_limit_s=600)
    second = cluster.submit(cpus=2, account="chem", caller=BOB, time_limit_s=600)
    free = cluster.submit(cpus=2, account="law", caller=BOB, time_limit_s=600)
    assert cluster.run_cycle() == [free]
    assert waits(cluster)[first] == about(1200)
    if "grp_tres_run_mins" not in limit:
        assert waits(cluster)[second] == about(1800)


def test_tasks_of_an_array_under_a_limit() -> None:
    cluster = a_cluster(nodes=3, cpus=4)
    a_tree(cluster, chem={"grp_jobs": 2})
    running(cluster, cpus=1, account="chem", caller=ANN, time_limit_s=1000)
    running(cluster, cpus=1, account="chem", caller=ANN, time_limit_s=1000)
    array = cluster.submit_array("0-9", cpus=1, account="chem", caller=ANN, time_limit_s=500)
    cluster.run_cycle()
    assert waits(cluster) == {array: about(1000)}


def test_of_what_no_end_of_a_job_lets_go_nobody_can_say() -> None:
    cluster = a_cluster(nodes=3, cpus=4)
    a_tree(cluster, chem={"max_tres": "cpu=2"}, law={"grp_tres_mins": "cpu=1"})
    large = cluster.submit(cpus=3, account="chem", caller=ANN, time_limit_s=500)
    broke = cluster.submit(cpus=2, account="law", caller=ANN, time_limit_s=500)
    assert cluster.run_cycle() == []
    assert {large, broke}.isdisjoint(waits(cluster))


# -- reservations --------------------------------------------------------------------------------------------


def test_nodes_that_are_set_aside_now_come_back() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.reserve(nodes="n1", hours=1)
    running(cluster, cpus=4, time_limit_s=3 * HOUR)
    first = cluster.submit(cpus=4, time_limit_s=HOUR)
    second = cluster.submit(cpus=4, time_limit_s=HOUR)
    assert cluster.run_cycle() == []
    assert waits(cluster) == {first: about(HOUR), second: about(2 * HOUR)}


def test_a_job_that_would_run_into_a_window_waits_until_it_is_over() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.reserve(nodes="n1", start_s=HOUR, hours=1)
    running(cluster, cpus=4, time_limit_s=600)
    long, short = (cluster.submit(cpus=4, time_limit_s=limit) for limit in (HOUR, 600))
    assert cluster.run_cycle() == []
    assert waits(cluster) == {long: about(2 * HOUR), short: about(600)}


def test_jobs_of_a_reservation_have_its_nodes_and_its_window() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.reserve(nodes="n1", start_s=HOUR, hours=2, users="mule")
    first = cluster.submit(cpus=4, time_limit_s=HOUR, reservation="r")
    second = cluster.submit(cpus=4, time_limit_s=1800, reservation="r")
    never = cluster.submit(cpus=4, time_limit_s=3 * HOUR, reservation="r")
    assert cluster.run_cycle() == []
    assert waits(cluster) == {first: about(HOUR), second: about(2 * HOUR)}
    assert never not in waits(cluster)


def test_a_reservation_while_nobody_waits() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.reserve(nodes="n1", start_s=HOUR, hours=2, users="mule")
    assert waits(cluster) == {}


def test_cpus_that_are_set_aside() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.reserve(nodes="n1", core_counts=(3,), hours=1)
    job = cluster.submit(cpus=2, time_limit_s=600)
    assert cluster.run_cycle() == []
    assert waits(cluster) == {job: about(HOUR)}


def test_a_window_that_comes_again() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.reserve(nodes="n1", start_s=600, hours=20, flags="DAILY")
    long = cluster.submit(cpus=4, time_limit_s=3 * HOUR)
    longest = cluster.submit(cpus=4, time_limit_s=10 * HOUR)
    assert cluster.run_cycle() == []
    assert waits(cluster)[long] == about(600 + 20 * HOUR)
    assert longest not in waits(cluster), "no gap between two windows is so long"


def test_without_any_of_these_nothing_is_worked_out() -> None:
    cluster = Cluster(ClusterConfig())
    found = question(cluster.state, cluster.clock.now)
    assert found.pools is NO_POOLS
    assert found.aside == ()
