"""When suspended jobs go on: not into what is set aside for others, and not held up by who needs no room."""

from __future__ import annotations

from typing import Any

import pytest

from packhorse.scheduler.model.accounts import PreemptMode, QosLimits
from packhorse.scheduler.model.ids import US
from tests.core.preempt.cluster_of import a_qos, know, yielding
from tests.core.scenario import Cluster, a_cluster


def stopped(cluster: Cluster, **what: Any) -> int:
    """A job of 4 CPUs that ran for 10 s and was suspended."""
    job = cluster.submit(cpus=4, **what)
    cluster.run(job)
    cluster.pass_time(10)
    cluster.suspend(job)
    return job


@pytest.mark.parametrize("flags", [None, "MAINT"])
def test_a_suspended_job_does_not_go_on_into_a_window(flags: str | None) -> None:
    """Its limit let it be over in time; now it would not be."""
    cluster = a_cluster(cpus=4)
    job = cluster.submit(cpus=4, time_limit_s=60)
    cluster.run(job)
    cluster.reserve(start_s=100, hours=0.1, nodes="n1", users="donkey", flags=flags)
    cluster.pass_time(10)
    cluster.suspend(job)
    cluster.pass_time(60)
    [outcome] = cluster.go_on(job)
    assert "n1 is set aside by reservation r" in outcome.message
    assert cluster.state_of(job) == "SUSPENDED"
    cluster.pass_time(500)
    assert not cluster.go_on(job)[0].message
    assert cluster.state_of(job) == "RUNNING"


def test_a_suspended_job_that_is_over_before_the_window_goes_on() -> None:
    cluster = a_cluster(cpus=4)
    job = stopped(cluster, time_limit_s=60)
    cluster.reserve(start_s=100, nodes="n1", users="donkey", flags="IGNORE_JOBS")
    cluster.pass_time(40)
    assert not cluster.go_on(job)[0].message


def test_nodes_of_suspended_jobs_are_not_free_for_a_window() -> None:
    """For as long as they would need if they went on now; later they may not go on into it."""
    cluster = a_cluster(cpus=4)
    job = stopped(cluster, time_limit_s=60)
    reply = cluster.try_reserve("early", start_s=30, hours=1, nodes="n1", users="donkey")
    assert "jobs there may run past the start" in str(reply)
    reply = cluster.try_reserve("late", start_s=100, hours=1, nodes="n1", users="donkey")
    assert "jobs there may run past the start" not in str(reply)
    cluster.pass_time(70)
    assert cluster.go_on(job)[0].message


def test_a_suspended_job_leaves_cpus_that_are_set_aside() -> None:
    cluster = a_cluster(cpus=4)
    job = stopped(cluster)
    cluster.reserve(nodes="n1", core_counts=(2,), users="donkey", flags="IGNORE_JOBS")
    cluster.pass_time(1)
    assert "set aside by reservation r" in cluster.go_on(job)[0].message


def test_a_suspended_job_of_a_reservation_leaves_its_cpus_to_that() -> None:
    """Not to everybody."""
    cluster = a_cluster(cpus=4)
    cluster.reserve(nodes="n1", core_counts=(3,))
    inside = cluster.submit(cpus=3, reservation="r")
    cluster.pass_time(1)
    cluster.run(inside)
    cluster.suspend(inside)
    outside = cluster.submit(cpus=3, time_limit_s=60)
    assert outside not in cluster.run_cycle()
    other = cluster.submit(cpus=3, reservation="r", time_limit_s=60)
    cluster.run(other)
    assert cluster.go_on(inside)[0].message
    cluster.exit(other)
    assert not cluster.go_on(inside)[0].message


def test_who_waits_for_no_room_does_not_keep_others_suspended() -> None:
    """The second high job waits for a limit: nobody would be suspended for it."""
    high = a_qos("high", "low")
    one_at_a_time = type(high)("high", preempts=("low",), limits=QosLimits(grp_jobs=0))
    cluster = yielding(cpus=4, mode=PreemptMode.SUSPEND, qos=(a_qos("low"), high))
    low = cluster.submit(cpus=4, qos="low")
    cluster.run(low)
    first = cluster.submit(cpus=4, qos="high")
    cluster.run_cycle()
    cluster.run(first)
    assert cluster.state_of(low) == "SUSPENDED"
    know(cluster, one_at_a_time)
    cluster.submit(cpus=4, qos="high")
    cluster.exit(first)
    cluster.clock.now = type(cluster.clock.now)(cluster.clock.now + 200 * US)
    cluster.run_cycle()
    cluster.run_cycle()
    assert cluster.state_of(low) == "RUNNING"
