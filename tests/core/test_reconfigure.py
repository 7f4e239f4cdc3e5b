"""Another configuration under running work: nothing is stopped, and what may not start waits for a reason."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.explain import explain
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.cluster import ClusterConfig, Partition
from packhorse.scheduler.model.event import Configured
from packhorse.scheduler.model.input import Caller, Reconfigure
from packhorse.scheduler.model.reply import Refused
from tests.core.scenario import ADMIN, USER, Cluster, a_cluster, a_config

SHORT = Partition("short")


def configure(cluster: Cluster, config: ClusterConfig, *changed: str, caller: Caller = ADMIN) -> None:
    cluster.do(Reconfigure(caller, config, changed))


def test_it_is_one_event_that_says_what_changed() -> None:
    cluster = a_cluster()
    config = cluster.state.config
    n = len(cluster.log)
    configure(cluster, replace(config, kill_wait_s=60, origin=0), "jobs.kill_wait: 30 -> 60")
    changed = ("jobs.kill_wait: 30 -> 60",)
    assert cluster.log[n:] == [
        Configured(cluster.clock.now, replace(config, kill_wait_s=60), ADMIN.owner.uid, changed)
    ]
    assert cluster.state.config.origin == config.origin
    configure(cluster, replace(config, kill_wait_s=60))
    assert len(cluster.log) == n + 1  # the same again is no event
    assert cluster.replayed() == cluster.state
    assert load(dump(cluster.state.freeze())) == cluster.state


def test_only_administrators_may() -> None:
    cluster = a_cluster()
    reply = cluster.do(Reconfigure(Caller(USER), replace(cluster.state.config, kill_wait_s=1))).reply
    assert isinstance(reply, Refused) and reply.slurm == "Access/permission denied"
    assert cluster.state.config.kill_wait_s != 1


def test_a_lower_time_limit_keeps_jobs_from_starting_and_ends_none() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    runs = cluster.submit(cpus=2, time_limit_s=600)
    cluster.run(runs)
    waits = cluster.submit(cpus=2, time_limit_s=600, hold=True)
    configure(cluster, a_config(max_time_s=300, origin=cluster.state.config.origin))
    cluster.release(waits)
    assert cluster.run_cycle() == []
    assert cluster.reason_of(waits) is Reason.PARTITION_TIME_LIMIT
    cluster.pass_time(500)
    assert cluster.state_of(runs) == "RUNNING"
    configure(cluster, a_config(max_time_s=900, origin=cluster.state.config.origin))
    assert cluster.run_cycle() == [waits]


def test_jobs_of_a_partition_that_is_gone_wait_and_can_be_moved() -> None:
    cluster = a_cluster(nodes=1, cpus=4, config=a_config(others=(SHORT,)))
    runs = cluster.submit(partition="short", cpus=3)
    cluster.run(runs)
    waits = cluster.submit(partition="short", cpus=2)
    array = cluster.submit_array("1-3", partition="short", cpus=2)
    configure(cluster, a_config())
    cluster.exit(runs)
    assert cluster.state_of(runs) == "COMPLETED"
    assert cluster.run_cycle() == []
    assert [cluster.reason_of(id) for id in (waits, array)] == [Reason.PARTITION_CONFIG] * 2
    [why, *_] = explain(cluster.state, waits, cluster.clock.now)
    assert why.sentence == (
        'partition "short" does not exist any more; `scontrol update job` can move it to another'
    )
    assert [outcome.code for outcome in cluster.update(waits, array, partition="main")] == [None, None]
    assert len(cluster.run_cycle()) == 2


def test_what_does_not_concern_the_partition_can_be_changed_though_it_is_gone() -> None:
    cluster = a_cluster(nodes=1, cpus=4, config=a_config(others=(SHORT,)))
    runs = cluster.submit(partition="short", time_limit_s=600)
    cluster.run(runs)
    waits = cluster.submit(partition="short", cpus=4)
    configure(cluster, a_config())
    (outcome,) = cluster.update(runs, caller=ADMIN, time_limit_s=900, comment="goes on")
    assert outcome.code is None
    assert (cluster.job(runs).spec.time_limit_s, cluster.job(runs).spec.comment) == (900, "goes on")
    (outcome,) = cluster.update(waits, n_cpus=2)
    assert outcome.code is not None and '"short"' in outcome.message


def test_a_new_partition_takes_jobs_at_once() -> None:
    cluster = a_cluster()
    assert isinstance(cluster.try_submit(partition="short"), Refused)
    configure(cluster, a_config(others=(SHORT,)))
    assert cluster.run_cycle() == [] and cluster.submit(partition="short") in cluster.run_cycle()


def test_fewer_licences_than_are_held_stop_new_starts_only() -> None:
    cluster = a_cluster(config=a_config(licenses=(("matlab", 3),)))
    runs = [cluster.submit(licenses="matlab") for _ in range(2)]
    cluster.run(*runs)
    waits = cluster.submit(licenses="matlab")
    configure(cluster, a_config(licenses=(("matlab", 1),)))
    assert cluster.run_cycle() == [] and cluster.reason_of(waits) is Reason.LICENSES
    cluster.exit(runs[0])
    assert cluster.run_cycle() == []
    cluster.exit(runs[1])
    assert cluster.run_cycle() == [waits]


def test_another_order_holds_from_the_next_pass() -> None:
    cluster = a_cluster(nodes=1, cpus=1)
    long, short = (cluster.submit(time_limit_s=s) for s in (600, 60))
    configure(cluster, a_config(order="sjf"))
    assert cluster.run_cycle() == [short]
    cluster.start(short)
    configure(cluster, a_config(order="las2d", preempt="order"))
    cluster.pass_time(10)
    assert cluster.state_of(long) == "PENDING"
