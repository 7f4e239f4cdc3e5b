"""mode = "suspend": jobs give their CPUs to others for a while, and go on afterwards."""

from __future__ import annotations

from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.accounts import PreemptMode
from packhorse.scheduler.model.command import Continue, Launch, Suspend
from packhorse.scheduler.model.event import JobResumed, JobSuspended
from tests.core.preempt.cluster_of import HIGH, LOW, a_qos, told, yielding
from tests.core.scenario import Cluster


def suspending(**what: object) -> Cluster:
    return yielding(mode=PreemptMode.SUSPEND, **what)  # type: ignore[arg-type]


def test_it_is_suspended_at_once_and_goes_on_afterwards() -> None:
    cluster = suspending(grace_s=60)
    low = cluster.submit(cpus=4, qos=LOW, time_limit_s=1000)
    cluster.run(low)
    cluster.clock.advance(100)
    high = cluster.submit(cpus=4, qos=HIGH, time_limit_s=500)
    n = len(cluster.sent)
    assert told(cluster) == []
    assert [type(command) for command in cluster.sent_since(n)] == [Suspend, Launch]
    assert cluster.state_of(low) == "SUSPENDED"
    assert cluster.active(low).suspended_for == high
    assert cluster.state_of(high) == "CONFIGURING"
    cluster.start(high)
    cluster.clock.advance(50)
    assert told(cluster) == []
    assert cluster.state_of(low) == "SUSPENDED"
    assert load(dump(cluster.state.freeze())) == cluster.state == cluster.replayed()
    cluster.exit(high)
    n = len(cluster.sent)
    cluster.run_cycle()
    assert [type(command) for command in cluster.sent_since(n)] == [Continue]
    assert cluster.state_of(low) == "RUNNING"
    assert (cluster.job(low).restarts, cluster.job(low).preemptions) == (0, 0)


def test_it_goes_on_before_others_start() -> None:
    """A job of its own kind that came before it in the order does not take its CPUs."""
    cluster = suspending()
    low = cluster.submit(cpus=4, qos=LOW, time_limit_s=1000)
    cluster.run(low)
    other = cluster.submit(cpus=4, qos=LOW, time_limit_s=100)
    high = cluster.submit(cpus=4, qos=HIGH, time_limit_s=500)
    told(cluster)
    cluster.start(high)
    cluster.exit(high)
    told(cluster)
    assert (cluster.state_of(low), cluster.state_of(other)) == ("RUNNING", "PENDING")


def test_it_stays_so_while_another_waits_that_would_have_it_suspended_again() -> None:
    cluster = suspending()
    low = cluster.submit(cpus=4, qos=LOW, time_limit_s=1000)
    cluster.run(low)
    high = [cluster.submit(cpus=4, qos=HIGH, time_limit_s=500) for _ in range(3)]
    for job in high:
        told(cluster)
        cluster.start(job)
        cluster.clock.advance(10)
        cluster.exit(job)
    told(cluster)
    moves = [type(e) for e in cluster.log if isinstance(e, JobSuspended | JobResumed)]
    assert moves == [JobSuspended, JobResumed]


def test_memory_is_not_made_free_by_that() -> None:
    for mem_mib, suspended in ((6_000, True), (9_000, False)):
        cluster = suspending()
        low = cluster.submit(cpus=4, mem_mib=10_000, qos=LOW)
        cluster.run(low)
        high = cluster.submit(cpus=4, mem_mib=mem_mib, qos=HIGH)
        told(cluster)
        assert cluster.state_of(low) == ("SUSPENDED" if suspended else "RUNNING")
        assert cluster.state_of(high) == ("CONFIGURING" if suspended else "PENDING")


def test_devices_are_kept_and_one_that_loses_work_goes_instead() -> None:
    low, mid = a_qos(LOW, mode="suspend"), a_qos("mid", mode="requeue")
    cluster = yielding(cpus=8, gpus=2, qos=(low, mid, a_qos(HIGH, LOW, "mid")))
    first, second = cluster.submit(gpus=1, qos=LOW), cluster.submit(gpus=1, qos="mid")
    cluster.run(first, second)
    cluster.submit(gpus=1, qos=HIGH)
    assert told(cluster) == [second]
    assert cluster.state_of(first) == "RUNNING"


def test_what_has_not_begun_or_cannot_be_told_is_not_suspended() -> None:
    cluster = suspending()
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run_cycle()
    cluster.submit(cpus=4, qos=HIGH)
    told(cluster)
    assert cluster.state_of(low) == "CONFIGURING"
    cluster.start(low)
    cluster.silence("n1")
    told(cluster)
    assert cluster.state_of(low) == "RUNNING"


def test_its_cpus_are_kept_for_whom_it_was_suspended() -> None:
    cluster = suspending(cpus=4)
    jobs = [cluster.submit(cpus=2, qos=LOW, time_limit_s=9000) for _ in range(2)]
    cluster.run(*jobs)
    cluster.submit(cpus=2, time_limit_s=10)
    high = cluster.submit(cpus=4, qos=HIGH, time_limit_s=9000)
    assert told(cluster) == []
    assert {cluster.state_of(job) for job in jobs} == {"SUSPENDED"}
    assert cluster.state_of(high) == "CONFIGURING"
