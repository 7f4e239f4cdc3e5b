"""Quotas: what an account is sure of, what it borrows of its siblings, and who waits for it."""

from __future__ import annotations

from packhorse.scheduler.core.accounts.borrowing import QuotaLoan, Short, borrowed, lent_too_much, loans
from packhorse.scheduler.core.accounts.held import Scope
from packhorse.scheduler.core.accounts.needs import asked
from packhorse.scheduler.core.accounts.quota import quota
from packhorse.scheduler.core.accounts.terms import COHORT
from packhorse.scheduler.core.explain import explain
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.accounts import AssociationKey
from packhorse.scheduler.model.ids import JobId
from tests.core.accounts.limits import ANN, a_tree, reasons
from tests.core.scenario import Cluster, a_cluster

CHEM, BIO, MATHS = (AssociationKey(name) for name in ("chem", "bio", "maths"))


def submit(cluster: Cluster, account: str, count: int = 1, cpus: int = 1) -> list[int]:
    first = cluster.submit(caller=ANN, account=account, count=count, cpus=cpus, time_limit_s=600)
    return list(range(first, first + count))


def short_of(cluster: Cluster, job: int) -> list[Short]:
    """What the job lacks that is lent."""
    state, job_ = cluster.state, cluster.job(job)
    given = quota(state, cluster.clock.now)
    assert given is not None
    needs = asked(job_.spec.ask, job_.spec.licenses, state.config, job_.spec.partition)
    return lent_too_much(given, holder_of(job_.spec, job_.owner), needs, job_.spec.time_limit_s)


def three(cluster: Cluster, **of_chem: object) -> None:
    """Four, four and two CPUs, for sure."""
    a_tree(cluster, chem={"quota": "cpu=4", **of_chem}, bio={"quota": "cpu=4"}, maths={"quota": "cpu=2"})


def test_an_account_uses_its_quota_and_what_its_siblings_leave() -> None:
    cluster = a_cluster(cpus=32)
    three(cluster)
    jobs = submit(cluster, "chem", 12)
    assert cluster.run_cycle() == jobs[:10], "all that the three are sure of together"
    assert reasons(cluster, *jobs[10:]) == ["AssocQuotaLimit"] * 2
    assert borrowed(cluster.state) == {CHEM: (("cpu", 6000),)}
    assert loans(cluster.state) == (
        QuotaLoan(CHEM, BIO, "cpu", 4000),
        QuotaLoan(CHEM, MATHS, "cpu", 2000),
    )


def test_no_more_is_borrowed_than_an_account_may() -> None:
    cluster = a_cluster(cpus=32)
    three(cluster, borrow="cpu=1")
    jobs = submit(cluster, "chem", 6)
    assert cluster.run_cycle() == jobs[:5]
    assert reasons(cluster, jobs[5]) == ["AssocQuotaLimit"]
    mine = submit(cluster, "bio", 6)
    assert cluster.run_cycle() == mine[:5], "four of its own, and one of maths"
    assert reasons(cluster, mine[5]) == ["AssocQuotaLimit"]


def test_an_empty_borrow_is_none_at_all() -> None:
    cluster = a_cluster(cpus=32)
    three(cluster, borrow=())
    jobs = submit(cluster, "chem", 5)
    assert cluster.run_cycle() == jobs[:4]


def test_who_is_within_its_quota_waits_for_what_is_lent() -> None:
    cluster = a_cluster(cpus=32)
    three(cluster)
    jobs = submit(cluster, "chem", 9)
    cluster.run(*jobs)
    (mine,), (big,), (other,) = (submit(cluster, "bio", cpus=n) for n in (3, 5, 1))
    assert cluster.run_cycle() == [other]
    assert reasons(cluster, mine, big) == ["QuotaLent", "AssocQuotaLimit"]
    assert short_of(cluster, mine) == [Short(Scope(COHORT, "root", "cpu"), "cpu", 3000, 3000)]
    assert short_of(cluster, big) == [], "more than bio is sure of"
    (why, *_) = explain(cluster.state, JobId(mine), cluster.clock.now)
    assert why.reason == "QuotaLent"
    assert why.sentence == (
        "account bio: needs 3 CPUs of its quota, which is lent to its siblings; together they hold "
        "10 CPUs of 10 CPUs (Quota)"
    )
    for job in jobs[:3]:
        cluster.exit(job)
    assert cluster.run_cycle() == [mine]
    assert short_of(cluster, mine) == []


def test_each_resource_is_lent_by_itself_and_levels_hold_at_once() -> None:
    cluster = a_cluster(cpus=32)
    a_tree(
        cluster,
        science={"quota": "cpu=6"},
        arts={"quota": "cpu=4"},
        chem={"parent": "science", "quota": "cpu=3,mem=1G"},
        bio={"parent": "science", "quota": "cpu=3"},
    )
    jobs = submit(cluster, "chem", 9)
    assert len(cluster.run_cycle()) == 6, "chem borrows of bio; of arts it could not"
    more = submit(cluster, "arts", 5)
    assert cluster.run_cycle() == more[:4]
    assert borrowed(cluster.state) == {CHEM: (("cpu", 3000),)}
    assert reasons(cluster, jobs[6], more[4]) == ["AssocQuotaLimit"] * 2


def test_a_quota_that_was_lowered_is_borrowed_from_nobody() -> None:
    cluster = a_cluster(cpus=32)
    three(cluster)
    cluster.run(*submit(cluster, "chem", 10))
    a_tree(cluster, chem={"quota": "cpu=1"}, bio={"quota": "cpu=4"}, maths={"quota": "cpu=2"})
    assert borrowed(cluster.state) == {CHEM: (("cpu", 9000),)}
    assert sum(loan.amount for loan in loans(cluster.state)) == 6000
    (mine,) = submit(cluster, "bio")
    cluster.run_cycle()
    assert reasons(cluster, mine) == ["QuotaLent"]
    (short,) = short_of(cluster, mine)
    assert (short.amount, short.needed) == (4000, 1000)
