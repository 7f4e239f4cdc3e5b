"""Nodes of a reservation that are down make way for others."""

from __future__ import annotations

from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.command import Launch
from packhorse.scheduler.model.input import Caller, RunCycle
from packhorse.scheduler.model.reply import Refused
from tests.core.scenario import OTHER, Cluster, a_cluster, a_config

DONKEY = Caller(OTHER)


def kept(nodes: int = 4, cpus: int = 2, count: int = 2, start_s: float = 0) -> Cluster:
    """r has the first nodes for mule."""
    cluster = a_cluster(nodes=nodes, cpus=cpus, config=a_config())
    cluster.reserve("r", node_counts=(count,), flags="REPLACE_DOWN", users="mule", start_s=start_s)
    assert nodes_of(cluster) == ["n1", "n2"][:count]
    cluster.clock.advance(1)
    return cluster


def nodes_of(cluster: Cluster) -> list[str]:
    return list(cluster.state.reservations["r"].nodes)


def passes(cluster: Cluster) -> list[int]:
    """As many as the scheduler wants; the jobs that started."""
    started: list[int] = []
    while True:
        decision = cluster.do(RunCycle())
        started += [command.job for command in decision.commands if isinstance(command, Launch)]
        if not decision.more:
            return started


def places(cluster: Cluster, job: int) -> list[str]:
    return [placement.node for placement in cluster.active(job).placements]


def test_a_node_that_is_drained_is_replaced_before_anybody_takes_the_other() -> None:
    cluster = kept()
    cluster.drain("n1")
    first, second = (cluster.submit(caller=DONKEY, cpus=2, time_limit_s=100) for _ in range(2))
    assert passes(cluster) == [first], "on n4"
    assert nodes_of(cluster) == ["n2", "n3"]
    assert places(cluster, first) == ["n4"]
    mine = [cluster.submit(cpus=2, reservation="r", time_limit_s=100) for _ in range(2)]
    assert passes(cluster) == mine
    assert cluster.state_of(second) == "PENDING"
    cluster.resume("n1")
    assert passes(cluster) == [second], "what is back is for all, and n3 stays in the reservation"
    assert nodes_of(cluster) == ["n2", "n3"]
    assert cluster.replayed() == cluster.state == load(dump(cluster.state.freeze()))


def test_nodes_that_were_named_are_not_exchanged() -> None:
    cluster = a_cluster(nodes=4, cpus=2)
    cluster.reserve("named", nodes="n1", users="mule")
    reply = cluster.try_reserve("named", update=True, start_s=None, hours=None, flags="+REPLACE_DOWN")
    assert isinstance(reply, Refused) and "say NodeCnt=" in reply.message
    cluster.reserve("counted", node_counts=(1,), users="mule")
    assert cluster.change_reservation("counted", start_s=None, hours=None, flags="+REPLACE_DOWN").flags


def test_without_the_flag_nodes_stay() -> None:
    cluster = a_cluster(nodes=4, cpus=2)
    cluster.reserve("r", node_counts=(2,), users="mule")
    cluster.drain("n1")
    passes(cluster)
    assert nodes_of(cluster) == ["n1", "n2"]


def test_nobody_is_pushed_out_for_it() -> None:
    """It waits for a node that is idle, and takes it when there is one."""
    cluster = kept(nodes=3)
    busy = cluster.submit(caller=DONKEY, cpus=1, time_limit_s=100)
    cluster.run(busy)
    cluster.down("n2")
    passes(cluster)
    assert nodes_of(cluster) == ["n1", "n2"]
    cluster.exit(busy)
    passes(cluster)
    assert nodes_of(cluster) == ["n1", "n3"]


def test_a_node_is_kept_while_a_job_of_it_runs_there() -> None:
    cluster = kept(nodes=3)
    job = cluster.submit(cpus=2, reservation="r", time_limit_s=100)
    cluster.run(job)
    [name] = places(cluster, job)
    cluster.drain(name)
    passes(cluster)
    assert nodes_of(cluster) == ["n1", "n2"]
    cluster.exit(job)
    passes(cluster)
    assert "n3" in nodes_of(cluster) and name not in nodes_of(cluster)


def test_nodes_of_others_and_jobs_that_run_into_the_window_are_left_alone() -> None:
    cluster = kept(nodes=4, count=1, start_s=50)
    cluster.reserve("other", nodes="n2", users="donkey", start_s=60)
    long, short = (cluster.submit(caller=DONKEY, cpus=2, time_limit_s=t) for t in (3000, 20))
    cluster.drain("n1")
    cluster.drain("n2")
    passes(cluster)
    assert sorted([*places(cluster, long), *places(cluster, short)]) == ["n3", "n4"]
    assert nodes_of(cluster) == places(cluster, short), "over before the window begins"


def test_the_report_has_one_row_for_the_window() -> None:
    cluster = kept()
    cluster.drain("n1")
    passes(cluster)
    assert nodes_of(cluster) == ["n2", "n3"] and not cluster.windows
    cluster.pass_time(3600)
    assert [row.nodes for row in cluster.windows] == ["n[2-3]"]
