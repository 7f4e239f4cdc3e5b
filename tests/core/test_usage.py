"""What users have used and hold, and the orders that go by it."""

from __future__ import annotations

import pytest

from packhorse.scheduler.core.usage import HALF_LIFE_S, UserUsage
from packhorse.scheduler.model.ids import US, Instant, NodeName
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.resources import Devices, Placement
from tests.core.scenario import NOON, OTHER, USER, Cluster, a_config, a_node


def place(cpus: int, gpus: int = 0) -> tuple[Placement, ...]:
    devices = (Devices("gpu", "", tuple(range(gpus))),) if gpus else ()
    return (Placement(NodeName("n1"), cpus * 1000, 0, 1, devices),)


def test_use_halves_in_a_week() -> None:
    usage = UserUsage()
    usage.use(1, place(4), 100 * US, NOON)
    usage.use(2, place(1, gpus=2), 100 * US, NOON)
    assert usage.used(NOON) == {1: 400.0, 2: 300.0}
    later = Instant(NOON + HALF_LIFE_S * US)
    assert usage.used(later) == pytest.approx({1: 200.0, 2: 150.0})
    usage.use(1, place(4), 100 * US, later)
    assert usage.used(later) == pytest.approx({1: 600.0, 2: 150.0})


def test_years_later_numbers_are_as_small_as_ever_and_old_users_are_gone() -> None:
    usage = UserUsage()
    usage.use(1, place(1), US, NOON)
    at = NOON
    for _ in range(300):
        at = Instant(at + HALF_LIFE_S * US)
        usage.use(2, place(1), 100 * US, at)
    assert usage.used(at)[2] == pytest.approx(200.0)
    assert 1 not in usage.used(at)


def test_what_is_held_comes_and_goes() -> None:
    usage = UserUsage()
    usage.take(1, place(4, gpus=1))
    usage.take(1, place(2))
    assert (usage.held[1].cpu_milli, usage.held[1].device_milli) == (6000, 1000)
    usage.take(1, place(4, gpus=1), -1)
    usage.take(1, place(2), -1)
    assert not usage.held


def a_cluster(order: str) -> Cluster:
    cluster = Cluster(a_config(order=order))
    cluster.register(a_node("n1", cpus=4, mem_mib=16_000))
    return cluster


def test_fair_share_lets_those_first_who_have_used_least() -> None:
    cluster = a_cluster("fairshare")
    first = cluster.submit(cpus=4, caller=Caller(USER))
    cluster.run_cycle()
    cluster.clock.advance(1000)
    again = cluster.submit(cpus=4, caller=Caller(USER))
    fresh = cluster.submit(cpus=4, caller=Caller(OTHER))
    cluster.exit(first, 0)
    cluster.run_cycle()
    assert (cluster.state_of(again), cluster.state_of(fresh)) == ("PENDING", "CONFIGURING")


def test_dominant_shares_fill_up_evenly() -> None:
    """The example of the paper (section 4.1): 9 CPUs and 18 GB; A wants 1 CPU and 4 GB, B 3 CPUs and 1 GB. A
    gets three of them, B two, whoever came first."""
    cluster = Cluster(a_config(order="drf"))
    cluster.register(a_node("n1", cpus=9, mem_mib=18_000))
    mine = [cluster.submit(cpus=1, mem_mib=4_000, caller=Caller(USER)) for _ in range(9)]
    theirs = [cluster.submit(cpus=3, mem_mib=1_000, caller=Caller(OTHER)) for _ in range(9)]
    cluster.run_cycle()
    running = [sum(cluster.state_of(job) == "CONFIGURING" for job in jobs) for jobs in (mine, theirs)]
    assert running == [3, 2]
