"""Windows that are over leave a row each, with what was set aside in the end."""

from __future__ import annotations

from packhorse.scheduler.core.reservations.times import window_row
from packhorse.scheduler.model.ids import US
from tests.core.scenario import Cluster, a_cluster

HOUR = 3600


def spans(cluster: Cluster) -> list[tuple[str, str, int, str]]:
    return [(row.name, row.nodes, (row.until - row.since) // US, row.tres) for row in cluster.windows]


def test_a_window_that_ends_and_one_that_is_cut_short() -> None:
    cluster = a_cluster(nodes=3, cpus=4, mem_mib=1024)
    cluster.reserve("whole", start_s=HOUR, nodes="n1,n2", flags="MAINT", users="root")
    cluster.reserve("cut", start_s=0, nodes="n3", users="root")
    assert spans(cluster) == []
    cluster.pass_time(HOUR // 2)
    cluster.unreserve("cut")
    cluster.pass_time(3 * HOUR)
    assert spans(cluster) == [
        ("cut", "n3", HOUR // 2, "cpu=4,mem=1G,node=1"),
        ("whole", "n[1-2]", HOUR, "cpu=8,mem=2G,node=2"),
    ]
    assert cluster.windows[1].flags.split(",")[0] == "MAINT"


def test_one_that_never_began_leaves_nothing() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.reserve("later", start_s=HOUR, nodes="n1")
    cluster.unreserve("later")
    assert cluster.windows == []


def test_every_window_of_one_that_repeats() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.reserve("daily", start_s=0, nodes="n1", flags="DAILY")
    cluster.pass_time(2 * 24 * HOUR + HOUR // 2)
    assert [row.until - row.since for row in cluster.windows] == [HOUR * US] * 2
    [now] = window_row(cluster.state, cluster.state.reservations["daily"], cluster.clock.now)
    assert now.until - now.since == HOUR // 2 * US


def test_a_job_says_in_which_it_ran() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.reserve(nodes="n1")
    job = cluster.submit(cpus=1, reservation="r", time_limit_s=60)
    cluster.run_cycle()
    cluster.start(job)
    cluster.exit(job)
    assert cluster.rows[-1].reservation == "r"
