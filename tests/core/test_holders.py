"""Codes of holders are given up once no row has them, and nothing that goes by codes is mistaken then."""

from __future__ import annotations

from typing import Any

import pytest

from packhorse.scheduler.core import pending_columns
from packhorse.scheduler.core.check import check
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.cluster import Priorities
from packhorse.scheduler.model.ids import JobId
from tests.core.accounts.limits import ANN, BOB, a_qos, a_tree, reasons
from tests.core.scenario import Cluster, a_cluster, a_config

MADE_UP: dict[str, dict[str, Any]] = {f"made_up_{i}": {} for i in range(30)}
WEIGHTS = Priorities(weight_qos=1000, weight_assoc=100)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight codes that no row has are too many."""
    monkeypatch.setattr(pending_columns, "IDLE_HOLDERS", 8)


def name_many(cluster: Cluster, n: int) -> None:
    """Jobs of so many accounts, which come and go again."""
    for i in range(n):
        cluster.cancel(cluster.submit(caller=BOB, account=f"made_up_{i}", hold=True), caller=BOB)


def n_holders(cluster: Cluster) -> int:
    return len(cluster.state.pending_columns.holders)


def test_holders_do_not_grow_with_the_names_that_were_ever_given(few: None) -> None:
    cluster = a_cluster(config=a_config())
    keep = cluster.submit(account="kept", cpus=8)
    cluster.run_cycle()
    wait = cluster.submit(account="also kept", cpus=8)
    for _ in range(5):
        name_many(cluster, 10)
        cluster.run_cycle()
        assert n_holders(cluster) <= 2 + 10 + 8
    assert cluster.state.pending_columns.row(wait).holder.account == "also kept"
    assert wait in cluster.state.pending_columns and keep not in cluster.state.pending_columns


def test_limits_are_those_of_the_right_account_afterwards(few: None) -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={}, bio={"grp_jobs": 1}, **MADE_UP)
    name_many(cluster, 3)
    of_bio = cluster.submit(caller=ANN, account="bio", count=2)
    cluster.run_cycle()
    assert reasons(cluster, of_bio + 1) == ["AssocGrpJobsLimit"]
    before = n_holders(cluster)
    name_many(cluster, 20)
    free = cluster.submit(caller=ANN, account="chem", count=2)
    assert cluster.run_cycle() == [free, free + 1]
    assert n_holders(cluster) < before
    assert reasons(cluster, of_bio + 1) == ["AssocGrpJobsLimit"]
    cluster.start(of_bio)
    cluster.exit(of_bio)
    assert cluster.run_cycle() == [JobId(of_bio + 1)]
    check(cluster.state)


def test_priorities_are_those_of_the_right_holder_afterwards(few: None) -> None:
    cluster = a_cluster(config=a_config(order="multifactor", priorities=WEIGHTS))
    a_tree(cluster, chem={}, **MADE_UP)
    a_qos(cluster, "high", priority=10)
    cluster.submit(caller=ANN, account="chem", cpus=8)
    cluster.run_cycle()
    name_many(cluster, 3)
    low = cluster.submit(caller=ANN, account="chem", cpus=8)
    high = cluster.submit(caller=ANN, account="chem", qos="high", cpus=8)
    cluster.run_cycle()
    name_many(cluster, 30)
    cluster.run_cycle()
    again = load(list(dump(cluster.state.freeze())))
    pending = cluster.state.pending_columns
    decided = {id: pending.decided_of(id, cluster.state.config) for id in (low, high)}
    assert decided == {low: 1, high: 1000}  # the least is 1
    assert again == cluster.state
    cluster.state = again
    cluster.run_cycle()
    pending = again.pending_columns
    assert decided == {id: pending.decided_of(id, again.config) for id in (low, high)}
