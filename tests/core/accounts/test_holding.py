"""What jobs hold is counted once a limit asks for it, and is then the same as if it had always been."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from packhorse.scheduler.core.accounts.check_limits import there
from packhorse.scheduler.core.accounts.holding import holdings
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.check import check
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.accounts import AccountsDelta
from packhorse.scheduler.model.cluster import AccountsPolicy, Enforce
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.event import Configured
from packhorse.scheduler.model.ids import JobId
from tests.core.accounts.limits import ANN, BOB, EVE, a_qos, a_tree, change
from tests.core.scenario import USER, Cluster, a_cluster, a_config

ROOMY = {"grp_jobs": 1000}
LOOSE = a_config(accounts=AccountsPolicy(Enforce.ACCOUNTS))
"""Jobs without an association count as well."""


def counts(cluster: Cluster) -> bool:
    return cluster.state.held.counting


def a_busy_day(cluster: Cluster) -> None:
    """Jobs that wait, run, are suspended, over, held, put back and moved, and what is left of arrays."""
    cluster.submit(caller=ANN, account="chem", cpus=2, count=3, time_limit_s=600)
    other = cluster.submit(caller=BOB, account="bio", count=2)
    cluster.submit(caller=EVE, account="bio", cpus=3, mem_mib=700)
    array = cluster.submit_array("0-9%3", caller=BOB, account="bio", time_limit_s=60)
    after = cluster.submit_array("0-3", caller=ANN, account="chem")
    cluster.hold(after)
    started = cluster.run_cycle()
    cluster.run(*started)
    cluster.suspend(started[0])
    cluster.exit(started[1])
    cluster.requeue(started[2])
    cluster.cancel(f"{array}_[7-9]")
    late = cluster.submit(caller=ANN, account="chem", cpus=8)
    cluster.update(late, caller=ANN, account="bio")
    cluster.cancel(other)
    cluster.pass_time(5)
    cluster.run_cycle()


def test_while_nobody_is_limited_nothing_is_counted() -> None:
    cluster = a_cluster(nodes=2, config=LOOSE)
    a_tree(cluster, chem={}, bio={})
    a_busy_day(cluster)
    assert cluster.state.running_columns.jobs() and len(cluster.state.pending_columns)
    assert not counts(cluster)
    assert not cluster.state.held.by_holder and not cluster.state.held.running


@pytest.mark.parametrize("read_back", [False, True])
def test_counted_late_it_is_what_was_counted_all_the_time(read_back: bool) -> None:
    always, late = a_cluster(nodes=2, config=LOOSE), a_cluster(nodes=2, config=LOOSE)
    for cluster, limits in ((always, ROOMY), (late, {})):
        a_tree(cluster, chem=limits, bio={})
        a_busy_day(cluster)
    assert counts(always) and not counts(late)
    a_tree(always, chem=ROOMY, bio={})
    a_tree(late, chem=ROOMY, bio={})
    assert always.state == late.state
    if read_back:
        late.state = load(list(dump(late.state.freeze())))
    assert always.run_cycle() == late.run_cycle()
    assert counts(late) and late.state.held.running
    assert len(late.state.held.by_holder) == 4
    assert late.state.held == always.state.held == there(late.state)
    check(late.state)


def test_it_is_counted_no_more_once_the_last_limit_is_gone() -> None:
    cluster = a_cluster(nodes=2, config=LOOSE)
    a_tree(cluster, chem=ROOMY, bio={})
    a_busy_day(cluster)
    assert counts(cluster)
    a_tree(cluster, chem={}, bio={})
    cluster.run_cycle()
    assert not counts(cluster) and not cluster.state.held.by_holder
    cluster.submit(caller=ANN, account="chem")
    cluster.run_cycle()
    a_qos(cluster, grp_jobs=1000)
    cluster.run_cycle()
    assert counts(cluster) and cluster.state.held == there(cluster.state)
    check(cluster.state)


def test_a_limit_on_what_was_there_before_it_holds() -> None:
    cluster = a_cluster(config=LOOSE)
    a_tree(cluster, chem={})
    cluster.submit(caller=ANN, account="chem", count=2)
    assert len(cluster.run_cycle()) == 2
    a_tree(cluster, chem={"grp_jobs": 2, "grp_submit": 2})
    refused = cluster.try_submit(caller=ANN, spec=cluster.job(1).spec)
    assert "2 unfinished jobs and 1 more" in str(refused)


def test_another_price_counts_again() -> None:
    cluster = a_cluster(config=LOOSE)
    a_tree(cluster, chem={"grp_tres": "billing=10"})
    cluster.submit(caller=ANN, account="chem", cpus=2)
    cluster.run_cycle()
    assert counts(cluster)

    def billed() -> list[int]:
        return [dict(one.tres)["billing"] for one in holdings(cluster.state).running.values()]

    assert billed() == [2]
    apply(
        cluster.state,
        Configured(
            cluster.clock.now, replace(LOOSE, partitions=a_config(billing=(("cpu", 3.0),)).partitions)
        ),
    )
    assert not counts(cluster)
    assert billed() == [6]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.held.by_holder.clear(),
        lambda state: state.held.running.pop(JobId(1)),
        lambda state: (state.held.forget(), state.held.submit(holder_of(state.jobs[1].spec, USER), 1)),
    ],
)
def test_a_wrong_count_is_found(spoil: Callable[[State], object]) -> None:
    cluster = a_cluster(config=LOOSE)
    a_tree(cluster, chem=ROOMY)
    cluster.submit(caller=ANN, account="chem", count=2)
    cluster.run_cycle()
    check(cluster.state)
    spoil(cluster.state)
    with pytest.raises(InvariantBroken, match="held"):
        check(cluster.state)


def test_a_change_of_the_book_alone_counts_nothing() -> None:
    cluster = a_cluster(config=LOOSE)
    change(cluster, AccountsDelta())
    assert not counts(cluster)
