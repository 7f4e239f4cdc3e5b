"""The order "multifactor": its arithmetic by hand, and who goes first by it on the real core."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from packhorse.scheduler.core import order_keys
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.multifactor import Key, weigh
from packhorse.scheduler.core.pending_columns import PendingRow
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import (
    ROOT,
    Account,
    AccountsDelta,
    Association,
    AssociationKey,
    Holder,
    Qos,
    User,
)
from packhorse.scheduler.model.cluster import AccountsPolicy, Enforce, Partition, Priorities
from packhorse.scheduler.model.event import AccountsChanged
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.reply import Refused
from packhorse.scheduler.model.resources import Ask
from tests.core.scenario import ADMIN, NOON, OTHER, USER, Cluster, a_cluster, a_config, a_spec

DAY_S = 86_400


def two_accounts(*shares: int) -> AccountsDelta:
    """mule is in chem, donkey in bio."""
    keys = (AssociationKey("chem"), AssociationKey("bio"))
    own = (AssociationKey("chem", "mule"), AssociationKey("bio", "donkey"))
    return AccountsDelta(
        (Account("chem"), Account("bio")),
        (User("mule", "chem"), User("donkey", "bio")),
        tuple(Association(key, n) for key, n in zip(keys, shares or (1, 1), strict=True))
        + tuple(Association(key) for key in own),
    )


def change(cluster: Cluster, delta: AccountsDelta) -> None:
    event = AccountsChanged(cluster.clock.now, delta, 0)
    apply(cluster.state, event)
    cluster.log.append(event)


def weighed(nodes: int = 1, cpus: int = 8, others: tuple[Partition, ...] = (), **weights: Any) -> Cluster:
    """A cluster with this order and these weights; chem and bio have equal shares."""
    of_config = {name: weights.pop(name) for name in ("keep_next", "billing", "licenses") if name in weights}
    config = a_config(
        order="multifactor",
        priorities=Priorities(**weights),
        others=others,
        accounts=AccountsPolicy(Enforce.ACCOUNTS),
        **of_config,
    )
    cluster = a_cluster(nodes=nodes, cpus=cpus, gpus=2, config=config)
    change(cluster, two_accounts())
    return cluster


def priority(cluster: Cluster, job: int) -> int:
    """As a pass would see it now."""
    pending = cluster.state.pending_columns
    slot = np.array([pending.slot(JobId(job))])
    return int(Key(cluster.state, cluster.clock.now).priority(slot)[0])


def occupied(cluster: Cluster, **what: Any) -> int:
    """A job of donkey's that holds the whole first node."""
    job = cluster.submit(cpus=8, caller=Caller(OTHER), account="bio", **what)
    cluster.run(job)
    return job


def test_age_grows_up_to_its_maximum() -> None:
    cluster = weighed(weight_age=1000, max_age_s=DAY_S)
    occupied(cluster)
    job = cluster.submit(cpus=8, account="chem")
    assert priority(cluster, job) == 1, "at least 1"
    cluster.clock.advance(DAY_S / 4)
    assert priority(cluster, job) == 250
    cluster.clock.advance(10 * DAY_S)
    assert priority(cluster, job) == 1000


def test_size_is_the_mean_of_nodes_and_cpus() -> None:
    cluster = weighed(nodes=4, weight_job_size=1000)
    assert priority(cluster, cluster.submit(nodes=2, cpus=8)) == 500
    assert priority(cluster, cluster.submit(nodes=1, cpus=2)) == 1000 * (1 / 4 + 2 / 32) // 2
    small = weighed(nodes=4, weight_job_size=1000, favor_small=True)
    assert priority(small, small.submit(nodes=2, cpus=8)) == 500
    assert priority(small, small.submit(nodes=4, cpus=8)) == 1, "the whole cluster: nothing, but at least 1"


def test_partitions_and_qos_count_against_the_highest() -> None:
    others = (Partition("long", priority=10), Partition("short", priority=40))
    cluster = weighed(others=others, weight_partition=1000, weight_qos=200, weight_assoc=60)
    assert priority(cluster, cluster.submit(partition="short")) == 1000
    assert priority(cluster, cluster.submit(partition="long")) == 250
    assert priority(cluster, cluster.submit(partition="main")) == 1
    change(cluster, AccountsDelta(qos=(Qos("normal", priority=5), Qos("high", priority=20))))
    assert priority(cluster, cluster.submit(partition="long")) == 250 + 50
    key = AssociationKey("chem", "mule")
    change(cluster, AccountsDelta(associations=(Association(key, priority=7),)))
    assert priority(cluster, cluster.submit(partition="long", account="chem")) == 250 + 50 + 60
    assert priority(cluster, cluster.submit(partition="long", account="bio")) == 250 + 50


def test_tres_count_against_the_partition_s() -> None:
    weights = (("cpu", 100), ("mem", 10), ("gres/gpu", 1000), ("license/matlab", 40))
    cluster = weighed(nodes=2, weight_tres=weights, licenses=(("matlab", 4),))
    # 2 nodes of 8 CPUs, 16,000 MiB and 2 GPUs: 3/16, 4,000/32,000, 1/4 and 1/4.
    job = cluster.submit(cpus=3, mem_mib=4000, gpus=1, licenses="matlab:1")
    assert priority(cluster, job) == 19 + 1 + 250 + 10


def test_nice_and_site_factor() -> None:
    cluster = weighed(weight_fairshare=1000)
    assert priority(cluster, cluster.submit(account="chem", nice=100)) == 900
    job = cluster.submit(account="chem")
    assert priority(cluster, job) == 1000
    assert cluster.update(job, site_factor=50)[0].slurm == "Access/permission denied"
    assert not cluster.update(job, caller=ADMIN, site_factor=-50)[0].code
    assert priority(cluster, job) == 950
    refused = cluster.try_submit(spec=a_spec(account="chem", site_factor=50))
    assert isinstance(refused, Refused) and refused.slurm == "Access/permission denied"
    cluster.update(job, caller=ADMIN, priority=7)
    assert priority(cluster, job) == 7, "a priority of its own is what it says"


def test_who_has_used_less_of_the_share_goes_first() -> None:
    cluster = weighed(weight_fairshare=10_000, weight_age=1000)
    first = occupied(cluster)
    cluster.clock.advance(100)
    rich = cluster.submit(cpus=8, caller=Caller(OTHER), account="bio")
    cluster.clock.advance(100)
    poor = cluster.submit(cpus=8, account="chem")
    cluster.exit(first)
    assert (priority(cluster, poor), priority(cluster, rich)) == (10_000, 5_000)
    assert cluster.run_cycle() == [poor]
    assert cluster.active(poor).priority == 10_000, "it says by what it was started"
    cluster.start(poor)
    cluster.exit(poor)
    assert cluster.job(poor).phase.priority == 10_000  # type: ignore[union-attr]
    assert cluster.run_cycle() == [rich]


def test_an_administrator_s_word_is_above_all_weights() -> None:
    cluster = weighed(weight_fairshare=10_000)
    first = occupied(cluster)
    poor = cluster.submit(cpus=8, account="chem")
    rich = cluster.submit(cpus=8, caller=Caller(OTHER), account="bio")
    cluster.update(rich, caller=ADMIN, priority=10_001)
    cluster.clock.advance(10)
    cluster.exit(first)
    assert cluster.run_cycle() == [rich]
    assert poor in cluster.state.pending_columns


def test_tiers_come_before_priorities_and_numbers_after_them() -> None:
    cluster = weighed(others=(Partition("urgent", priority_tier=5),), weight_fairshare=100)
    first = occupied(cluster)
    cluster.clock.advance(10)
    ids = [cluster.submit(cpus=8, account="chem") for _ in range(2)]
    urgent = cluster.submit(cpus=8, caller=Caller(OTHER), account="bio", partition="urgent")
    went = []
    for _ in range(3):
        cluster.exit(first)
        (first,) = cluster.run_cycle()
        cluster.start(first)
        went.append(first)
    assert went == [urgent, *ids]


def test_who_has_a_planned_start_keeps_its_place() -> None:
    """Without keep_next the job whose account just became the poorer one passes it."""
    for keep_next in (False, True):
        cluster = weighed(weight_fairshare=10_000, keep_next=keep_next)
        first = occupied(cluster, time_limit_s=600)
        planned = cluster.submit(cpus=8, caller=Caller(OTHER), account="bio", time_limit_s=600)
        cluster.run_cycle()
        assert cluster.state.pending_columns.planned(JobId(planned))
        cluster.clock.advance(10)
        poor = cluster.submit(cpus=8, account="chem", time_limit_s=600)
        cluster.exit(first)
        assert cluster.run_cycle() == [planned if keep_next else poor]


@pytest.mark.parametrize(("look_ahead_s", "factors"), [(0, (1.0, 1.0)), (1800, (1.0, 0.5))])
def test_what_has_just_started_counts_at_once(look_ahead_s: int, factors: tuple[float, float]) -> None:
    """Within the period in which bio's job started nothing is spent yet."""
    cluster = weighed(weight_fairshare=1000, calc_period_s=3600, look_ahead_s=look_ahead_s)
    cluster.clock.now = Instant(NOON - NOON % (3600 * US) + 10 * US)
    occupied(cluster)
    cluster.clock.advance(60)
    jobs = [
        cluster.submit(account=account, caller=Caller(owner))
        for account, owner in (("chem", USER), ("bio", OTHER))
    ]
    assert tuple(priority(cluster, job) / 1000 for job in jobs) == factors


def test_arrays_and_restarts() -> None:
    cluster = weighed(weight_fairshare=10_000)
    first = occupied(cluster)
    cluster.submit(cpus=8, caller=Caller(OTHER), account="bio")
    array = cluster.submit_array("0-3", cpus=8, account="chem")
    cluster.clock.advance(60)
    again = load(dump(cluster.state.freeze()))
    for state in (again, cluster.replayed()):
        assert order(state, cluster.clock.now) == order(cluster.state, cluster.clock.now)
    cluster.exit(first)
    (task,) = cluster.run_cycle()
    assert cluster.job(task).array_id == array and cluster.active(task).priority == 10_000


def order(state: State, now: Instant) -> list[tuple[int, int]]:
    pending = state.pending_columns
    key = Key(state, now)
    totals = state.node_columns.board().totals
    slots = pending.ordered(state.config, now, state.usage, totals, key)
    return list(zip(pending.id[slots].tolist(), key.priority(slots).tolist(), strict=True))


def test_asking_in_between_changes_no_decision() -> None:
    """Fair shares are those of the period, whoever asked for them and when."""
    seen = []
    for asks in (False, True):
        cluster = weighed(weight_fairshare=10_000, weight_age=100, calc_period_s=300)
        cluster.clock.now = Instant(NOON - NOON % (300 * US) + 10 * US)
        occupied(cluster)
        for number in range(4):
            owner, account = ((USER, "chem"), (OTHER, "bio"))[number % 2]
            cluster.submit(cpus=4, caller=Caller(owner), account=account)
        found = []
        for seconds in (1, 100, 250, 7, 900):
            cluster.clock.advance(seconds)
            if asks:
                order(cluster.state, Instant(cluster.clock.now - 1))
            found.append(order(cluster.state, cluster.clock.now))
        seen.append(found)
    assert seen[0] == seen[1]


def test_nobody_waits() -> None:
    """Whoever asks then gets an empty order."""
    cluster = weighed(weight_fairshare=1000)
    assert order(cluster.state, NOON) == []
    cluster.submit(hold=True)
    assert order(cluster.state, NOON) == []


def test_terms_add_up() -> None:
    cluster = weighed(
        nodes=3, weight_age=777, weight_fairshare=3333, weight_job_size=501, weight_tres=(("cpu", 99),)
    )
    jobs = [cluster.submit(nodes=1 + i % 3, cpus=1 + i, account="chem", nice=i) for i in range(7)]
    cluster.clock.advance(12_345)
    pending = cluster.state.pending_columns
    slots = np.array([pending.slot(JobId(job)) for job in jobs])
    factors = Key(cluster.state, cluster.clock.now).factors(slots)
    terms = weigh(cluster.state.config.priorities, factors)
    total = terms.age + terms.assoc + terms.fairshare + terms.job_size + terms.partition + terms.qos
    assert (total + terms.tres.sum(axis=0) - factors.nice).tolist() == terms.priority.tolist()
    assert all((part >= 0).all() and (part <= 1).all() for part in factors[:6])


def test_without_accounts_it_goes_by_the_other_terms() -> None:
    config = a_config(order="multifactor", priorities=Priorities(weight_fairshare=1000, weight_age=100))
    cluster = a_cluster(config=config)
    first = cluster.submit(cpus=8)
    cluster.run(first)
    jobs = [cluster.submit(cpus=8, nice=5), cluster.submit(cpus=8)]
    cluster.clock.advance(DAY_S)
    assert [priority(cluster, job) for job in jobs] == [9, 14]
    cluster.exit(first)
    assert cluster.run_cycle() == jobs[1:]


@pytest.mark.parametrize("name", ["priority", "fairshare", "packhorse"])
def test_other_orders_pay_nothing(name: str) -> None:
    cluster = a_cluster(config=a_config(order=name))
    assert order_keys.key_of(cluster.state, NOON) is None
    cluster.run(cluster.submit())
    assert cluster.active(1).priority == 0


def test_ten_thousand_rows_of_five_hundred_users() -> None:
    """A pass works everything out again in some milliseconds: after a job has started, and when none has."""
    users = [f"u{i}" for i in range(500)]
    accounts = [f"a{i}" for i in range(25)]
    own = [AssociationKey(accounts[i % 25], user) for i, user in enumerate(users)]
    delta = AccountsDelta(
        tuple(Account(name, ROOT) for name in accounts),
        tuple(User(user) for user in users),
        tuple(Association(AssociationKey(name), i % 7 + 1) for i, name in enumerate(accounts))
        + tuple(Association(key) for key in own),
    )
    weights = Priorities(
        weight_age=1000, weight_fairshare=10_000, weight_job_size=500, weight_tres=(("cpu", 9),)
    )
    cluster = a_cluster(nodes=3, config=a_config(order="multifactor", priorities=weights))
    change(cluster, delta)
    state, pending = cluster.state, cluster.state.pending_columns
    rows = [
        PendingRow(
            JobId(100 + i),
            Ask(cpu_milli_per_task=1000 * (i % 60 + 1)),
            "main",
            eligible_at=Instant(NOON - i * US),
            holder=Holder(own[i % 500].account, own[i % 500].user, "main", "normal"),
        )
        for i in range(10_000)
    ]
    pending.add_many(rows)
    order(state, NOON)
    took = []
    for again in range(5):
        state.spent.version += 1  # as if a job had started
        begun = time.perf_counter()
        order(state, Instant(NOON + again))
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.05, [f"{s * 1000:.1f} ms" for s in took]
