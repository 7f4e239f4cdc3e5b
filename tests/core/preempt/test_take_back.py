"""Accounts get back what others borrowed of their quota: from whom, how much, and for whom it is kept."""

from __future__ import annotations

from typing import Any

import pytest

from packhorse.scheduler.core.preempt.rights import group_of
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.accounts import PreemptMode
from packhorse.scheduler.model.cluster import Preemption
from tests.core.accounts.limits import ANN, BOB, a_qos, a_tree, reasons
from tests.core.preempt.cluster_of import told
from tests.core.scenario import Cluster, a_cluster, a_config


def lending(cpus: int = 32, nodes: int = 1, **preemption: Any) -> Cluster:
    """chem and bio are sure of four CPUs, maths of two; chem borrows all that the others leave."""
    cluster = a_cluster(nodes, cpus, config=a_config(preemption=Preemption(**preemption)))
    a_tree(cluster, chem={"quota": "cpu=4"}, bio={"quota": "cpu=4"}, maths={"quota": "cpu=2"})
    return cluster


def submit(cluster: Cluster, account: str, count: int = 1, cpus: int = 1, **what: Any) -> list[int]:
    fields = {"time_limit_s": 6000, "caller": ANN, **what}
    first = cluster.submit(account=account, count=count, cpus=cpus, **fields)
    return list(range(first, first + count))


def begun_one_by_one(cluster: Cluster, account: str, n: int, cpus: int = 1) -> list[int]:
    """A minute after each other."""
    jobs = []
    for _ in range(n):
        jobs += submit(cluster, account, cpus=cpus)
        cluster.run(jobs[-1])
        cluster.clock.advance(60)
    return jobs


def test_borrowers_give_back_as_much_as_is_wanted_those_first_that_lose_least() -> None:
    cluster = lending()
    jobs = begun_one_by_one(cluster, "chem", 10)
    (mine,) = submit(cluster, "bio", cpus=3, caller=BOB)
    victims = told(cluster)
    assert sorted(victims) == jobs[7:]
    assert reasons(cluster, mine) == ["QuotaLent"]
    active = cluster.active(jobs[7])
    assert active.ending_for == mine
    assert (
        active.ending_why == f"gave back what account chem had borrowed, for job {mine} of account bio (bob)"
    )
    for job in victims:
        assert told(cluster) == []
        assert cluster.state_of(mine) == "PENDING"
        cluster.exit(job, signal=15)
    assert cluster.run_cycle() == [mine]
    assert cluster.job(jobs[7]).preempted_by == mine
    assert load(dump(cluster.state.freeze())) == cluster.state == cluster.replayed()


def test_only_what_is_borrowed_is_given_back() -> None:
    """Chem holds seven of its four, bio three of its four; maths wants more than it has."""
    cluster = lending()
    chem, bio = begun_one_by_one(cluster, "chem", 7), begun_one_by_one(cluster, "bio", 3)
    mine = submit(cluster, "maths", 2, cpus=1)
    assert set(told(cluster)) == {chem[6], chem[5]}
    assert all(cluster.state_of(job) == "RUNNING" for job in bio)
    assert reasons(cluster, *mine) == ["QuotaLent"] * 2


def test_nobody_takes_what_others_than_it_have_left_free() -> None:
    """What bio wants beyond its quota it waits for."""
    cluster = lending()
    begun_one_by_one(cluster, "chem", 10)
    (mine,) = submit(cluster, "bio", cpus=5)
    assert told(cluster) == []
    assert reasons(cluster, mine) == ["AssocQuotaLimit"]


def test_nobody_else_gets_what_is_given_back() -> None:
    """Jobs of the borrower, and of a third account within its quota, come first in the order."""
    cluster = lending()
    jobs = begun_one_by_one(cluster, "chem", 8)
    begun_one_by_one(cluster, "maths", 2)
    (mine,) = submit(cluster, "bio", cpus=2)
    victims = told(cluster)
    assert sorted(victims) == jobs[6:]
    (late,) = submit(cluster, "chem", cpus=1, time_limit_s=1)
    cluster.exit(victims[0], signal=15)
    assert cluster.run_cycle() == []
    cluster.exit(victims[1], signal=15)
    assert cluster.run_cycle() == [mine]
    assert cluster.state_of(late) == "PENDING"


def test_what_is_leaving_already_is_waited_for() -> None:
    cluster = lending()
    jobs = begun_one_by_one(cluster, "chem", 10)
    cluster.cancel(jobs[0], caller=ANN)
    (mine,) = submit(cluster, "bio", cpus=1)
    assert told(cluster) == []
    cluster.exit(jobs[0], signal=15)
    assert cluster.run_cycle() == [mine]


def test_two_jobs_each_get_their_own_back() -> None:
    cluster = lending()
    jobs = begun_one_by_one(cluster, "chem", 10)
    mine = submit(cluster, "bio", 2, cpus=2)
    assert sorted(told(cluster)) == jobs[6:]
    assert sorted(cluster.active(job).ending_for for job in jobs[6:]) == [mine[0]] * 2 + [mine[1]] * 2


def test_room_is_made_as_well_where_the_nodes_are_full() -> None:
    """Two nodes of five CPUs: what one borrower gives back must lie together."""
    cluster = lending(cpus=5, nodes=2)
    jobs = begun_one_by_one(cluster, "chem", 10)
    node = {job: cluster.active(job).placements[0].node for job in jobs}
    (mine,) = submit(cluster, "bio", cpus=3)
    victims = told(cluster)
    assert len(victims) == 3
    assert len({node[job] for job in victims}) == 1
    for job in victims:
        cluster.exit(job, signal=15)
    assert cluster.run_cycle() == [mine]


@pytest.mark.parametrize(
    "settings, qos",
    [({"take_back": False}, {}), ({"mode": PreemptMode.OFF}, {}), ({}, {"preempt_mode": PreemptMode.OFF})],
)
def test_it_can_be_switched_off(settings: dict[str, Any], qos: dict[str, Any]) -> None:
    cluster = lending(**settings)
    a_qos(cluster, **qos)
    begun_one_by_one(cluster, "chem", 10)
    submit(cluster, "bio", cpus=3)
    assert told(cluster) == []


def test_a_suspended_job_would_give_nothing_back() -> None:
    cluster = lending(mode=PreemptMode.SUSPEND)
    jobs = begun_one_by_one(cluster, "chem", 10)
    submit(cluster, "bio", cpus=1)
    assert told(cluster) == [jobs[9]]
    assert cluster.active(jobs[9]).ending_mode is PreemptMode.REQUEUE


def test_the_exempt_time_counts_here_too() -> None:
    cluster = lending(exempt_s=300)
    jobs = begun_one_by_one(cluster, "chem", 10)
    (mine,) = submit(cluster, "bio", cpus=3)
    victims = told(cluster)
    assert sorted(victims) == jobs[3:6], "the last that have run for five minutes"
    assert group_of(cluster.job(mine)) == group_of(cluster.job(jobs[0])), "and no right but that"


def test_a_suspended_borrower_gives_back_too() -> None:
    """It holds its quota as long as it is there; it has no CPUs, and would not hear a warning."""
    cluster = lending(cpus=10, grace_s=60)
    (job,) = begun_one_by_one(cluster, "chem", 1, cpus=10)
    cluster.suspend(job)
    (mine,) = submit(cluster, "bio", cpus=4, caller=BOB)
    assert told(cluster) == [job]
    assert cluster.active(job).terminate_at == 0
    cluster.exit(job, signal=15)
    assert cluster.run_cycle() == [mine]
    assert load(dump(cluster.state.freeze())) == cluster.state == cluster.replayed()
