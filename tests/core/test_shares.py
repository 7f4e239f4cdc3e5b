"""Who has used how much, and the orders that go by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.orders import ORDERS, Waiting
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.usage import HALF_LIFE_S, UserUsage, about
from packhorse.scheduler.model.accounts import Account, AccountsDelta, Association, AssociationKey
from packhorse.scheduler.model.cluster import AccountsPolicy, Enforce
from packhorse.scheduler.model.event import AccountsChanged
from packhorse.scheduler.model.ids import US, Instant, NodeName
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.job import Active, Owner
from packhorse.scheduler.model.resources import Ask, Devices, Gres, Placement
from tests.core.scenario import NOON, OTHER, USER, Cluster, a_cluster, a_config

HERE = (Placement(NodeName("n1"), 2000, 1024, devices=(Devices("gpu", "", (0, 3), 1000),)),)
"""Two CPUs and two devices."""


def later(seconds: float) -> Instant:
    return Instant(NOON + round(seconds * US))


def test_use_halves_and_is_forgotten() -> None:
    usage = UserUsage()
    usage.use(1, HERE, 100 * US, NOON)
    assert usage.used(NOON) == {1: 400}
    assert usage.used(later(HALF_LIFE_S)) == {1: 200}
    usage.use(2, HERE, 100 * US, later(HALF_LIFE_S))
    found = usage.used(later(3 * HALF_LIFE_S))
    assert found == pytest.approx({1: 50, 2: 100})
    assert usage.used(later(200 * HALF_LIFE_S)) == {}
    usage.use(2, HERE, 1 * US, later(200 * HALF_LIFE_S))
    assert usage.used(later(200 * HALF_LIFE_S)) == pytest.approx({2: 4})


def test_what_is_held() -> None:
    usage = UserUsage()
    usage.take(1, HERE)
    usage.take(1, HERE)
    usage.take(1, HERE, -1)
    mine = usage.held[1]
    assert (mine.cpu_milli, mine.mem_mib, mine.device_milli) == (2000, 1024, 2000)
    usage.take(1, HERE, -1)
    assert not usage.held


def test_about_what_a_job_takes() -> None:
    assert about(Ask(n_tasks=4, cpu_milli_per_task=500, mem_mib_per_cpu=100)) == (2000, 200, 0)
    gres = (Gres("gpu", "", 2),)
    assert about(Ask(n_tasks=4, min_nodes=2, mem_mib_per_node=512, gres_per_node=gres)) == (4000, 1024, 4000)
    assert about(Ask(n_tasks=4, gres_per_task=(Gres("gpu", "", 1, 250),))) == (4000, 0, 1000)
    assert about(Ask(gres_per_job=gres)) == (1000, 0, 2000)


def two_users(order: str, **amounts: Any) -> Cluster:
    """The one has run for 1000 seconds on all CPUs, the other for 10."""
    cluster = a_cluster(config=a_config(order=order), **amounts)
    for owner, run_s in ((USER, 1000), (OTHER, 10)):
        job = cluster.submit(cpus=8, caller=Caller(owner))
        cluster.run(job)
        cluster.pass_time(run_s)
        cluster.exit(job)
    return cluster


@pytest.mark.parametrize("order", ["fairshare", "fairshare-age"])
def test_who_has_used_less_goes_first(order: str) -> None:
    cluster = two_users(order)
    cluster.submit(cpus=8, count=2, caller=Caller(USER))
    third = cluster.submit(cpus=8, caller=Caller(OTHER))
    assert cluster.run_cycle() == [third]


def test_age_counts_up_to_a_week() -> None:
    n, week = np.ones(4), 7 * 86_400
    wait = np.array([0.0, week / 2, week, 50 * week])
    key = ORDERS["fairshare-age"].key(Waiting(n, wait, n, n, 0 * n, *(n,) * 5))
    assert key.tolist() == [-10_000, -10_500, -11_000, -11_000]
    key = ORDERS["fairshare-age"].key(Waiting(n, 0 * n, n, n, np.array([0.0, 5, 5, 10]), *(n,) * 5))
    assert key.tolist() == [-10_000, -5_000, -5_000, -2_500]


def test_the_example_of_dominant_resource_fairness() -> None:
    """NSDI 2011, section 4.1: 9 CPUs and 18 GB; of tasks of 1 CPU and 4 GB 3 run, of 3 CPUs and 1 GB 2."""
    cluster = a_cluster(cpus=9, mem_mib=18_000, config=a_config(order="drf", backfill_depth=0))
    mine = [cluster.submit(cpus=1, mem_mib=4_000, caller=Caller(USER)) for _ in range(10)]
    cluster.submit(cpus=3, mem_mib=1_000, count=10, caller=Caller(OTHER))
    went = cluster.run_cycle()
    assert len(went) == 5 and sorted(set(went) & set(mine)) == mine[:3]
    cluster.start(*went)
    cluster.exit(mine[0])
    assert cluster.run_cycle() == [mine[3]]


@pytest.mark.parametrize("preempt", ["none", "order"])
@pytest.mark.parametrize(("shares", "of_chem", "of_bio"), [((1, 1), 3, 2), ((2, 1), 4, 1)])
def test_dominant_resource_fairness_among_accounts(
    shares: tuple[int, int], of_chem: int, of_bio: int, preempt: str
) -> None:
    """The same example, each account with two users: what counts is the account. With twice the shares chem
    may have twice the dominant share of bio: 4 tasks are 16 of 18 GB, which leaves room for one of bio."""
    free = AccountsPolicy(Enforce.ACCOUNTS)
    config = a_config(order="drf", backfill_depth=0, preempt=preempt, accounts=free)
    cluster = a_cluster(cpus=9, mem_mib=18_000, config=config)
    keys = (AssociationKey("chem"), AssociationKey("bio"))
    delta = AccountsDelta((Account("chem"), Account("bio")), (), tuple(map(Association, keys, shares)))
    event = AccountsChanged(cluster.clock.now, delta, 0)
    apply(cluster.state, event)
    cluster.log.append(event)
    owners = [Caller(Owner(uid, 1000, f"u{uid}", "pack")) for uid in (1, 2, 3, 4)]
    chem = [cluster.submit(cpus=1, mem_mib=4_000, caller=owners[i % 2], account="chem") for i in range(10)]
    for i in range(10):
        cluster.submit(cpus=3, mem_mib=1_000, caller=owners[2 + i % 2], account="bio")
    went = cluster.run_cycle()
    assert (len(set(went) & set(chem)), len(set(went) - set(chem))) == (of_chem, of_bio)
    cluster.start(*went)
    assert cluster.run_cycle() == [], "nobody makes room for an equal"
    for state in (load(dump(cluster.state.freeze())), cluster.replayed(), cluster.state):
        held = {name: held.cpu_milli for name, held in state.usage.held.items() if isinstance(name, str)}
        assert held == {"chem": of_chem * 1000, "bio": of_bio * 3000}
    cluster.exit(chem[0])
    assert cluster.run_cycle() == [chem[of_chem]]


def test_shares_after_a_restart() -> None:
    cluster = two_users("drf", gpus=4)
    cluster.run(cluster.submit(cpus=2, gpus=1, caller=Caller(OTHER)))
    cluster.run(cluster.submit(cpus=1, mem_mib=100, caller=Caller(USER)))
    again = load(dump(cluster.state.freeze()))
    for state in (cluster.replayed(), again):
        assert state.usage.held.keys() == cluster.state.usage.held.keys() == {USER.uid, OTHER.uid}
        for uid, held in cluster.state.usage.held.items():
            found = state.usage.held[uid]
            assert (found.cpu_milli, found.mem_mib, found.device_milli) == (
                held.cpu_milli,
                held.mem_mib,
                held.device_milli,
            )
        assert state.usage.used(cluster.clock.now) == pytest.approx(
            cluster.state.usage.used(cluster.clock.now)
        )


def test_nothing_is_held_in_the_end() -> None:
    cluster = two_users("fairshare")
    job = cluster.submit(cpus=2, requeue=True)
    cluster.run(job)
    cluster.requeue(job)
    cluster.exit(job, signal=15)
    assert not cluster.state.usage.held
    cluster.pass_time(5)
    cluster.run(job)
    assert isinstance(cluster.job(job).phase, Active) and list(cluster.state.usage.held) == [USER.uid]
    cluster.exit(job)
    assert not cluster.state.usage.held
