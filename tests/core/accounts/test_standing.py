"""What `packhorse quota` shows of limits, and what is used of them."""

from __future__ import annotations

from packhorse.scheduler.core.accounts.standing import NOT_SUMMED, standings
from packhorse.scheduler.model.cluster import Priorities
from tests.core.accounts.limits import ANN, a_qos, a_tree
from tests.core.scenario import Cluster, a_cluster, a_config


def shown(cluster: Cluster, *names: str) -> list[tuple[object, ...]]:
    """Whose, which, of what, allowed, used, borrowed, lent."""
    return [
        (row.user or row.name, row.title, row.tres, row.limit, row.used, row.borrowed, row.lent)
        for row in standings(cluster.state, cluster.clock.now, names)
    ]


def test_every_limit_with_what_is_used_of_it() -> None:
    cluster = a_cluster(cpus=32, config=a_config(priorities=Priorities(half_life_s=0)))
    a_tree(
        cluster,
        chem={"quota": "cpu=2", "grp_tres_mins": "cpu=100", "grp_submit": 9, "max_jobs": 5},
        bio={"quota": "cpu=4", "users": {"ann": {"max_submit": 7}}},
    )
    a_qos(cluster, grp_jobs=8, max_tres_pu="cpu=6")
    for account, n in (("chem", 4), ("bio", 1)):
        cluster.submit(caller=ANN, account=account, count=n, time_limit_s=600)
    cluster.run_cycle()
    cluster.clock.advance(60)
    assert shown(cluster, "chem") == [
        ("chem", "GrpSubmit", "", 9, 4, 0, 0),
        ("chem", "MaxJobs", "", 5, NOT_SUMMED, 0, 0),
        ("chem", "GrpTRESMins", "cpu", 6_000_000, 2_400_000, 0, 0),
        ("chem", "Quota", "cpu", 2000, 4000, 2000, 0),
    ]
    assert shown(cluster, "bio") == [
        ("bio", "Quota", "cpu", 4000, 1000, 0, 2000),
        ("ann", "MaxSubmit", "", 7, 1, 0, 0),
    ]
    assert shown(cluster, "ann") == [("ann", "MaxSubmit", "", 7, 1, 0, 0)]
    assert shown(cluster, "normal") == [
        ("normal", "GrpJobs", "", 8, 5, 0, 0),
        ("normal", "MaxTRESPU", "cpu", 6000, NOT_SUMMED, 0, 0),
    ]
    assert len(shown(cluster)) == 8
    assert shown(cluster, "nobody") == []
