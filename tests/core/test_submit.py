"""Submission: defaults, limits, and refusals that name the thing, the limit and the way out."""

import pytest

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.event import Item
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.input import Caller, Submit
from packhorse.scheduler.model.job import Retry
from packhorse.scheduler.model.reply import RefusalCode, Refused, Submitted
from tests.core.scenario import ADMIN, ROOT, USER, Cluster, a_cluster, a_config, a_spec


def test_defaults_of_the_partition_are_filled_in() -> None:
    config = a_config(
        default_time_s=3600, max_time_s=7200, def_mem_mib_per_cpu=500, others=(Partition("big", lease_s=9),)
    )
    cluster = a_cluster(config=config)
    spec = cluster.job(cluster.submit(cpus=2)).spec
    assert (spec.partition, spec.time_limit_s, spec.qos) == ("main", 3600, "normal")
    assert spec.ask.mem_mib_per_cpu == 500
    spec = cluster.job(cluster.submit(partition="big", mem_mib=7, time_limit_s=0)).spec
    assert (spec.partition, spec.time_limit_s, spec.lease_s) == ("big", 0, 9)
    assert (spec.ask.mem_mib_per_node, spec.ask.mem_mib_per_cpu) == (7, 0)


@pytest.mark.parametrize(
    ("what", "slurm", "says"),
    [
        ({"partition": "nosuch"}, "Invalid partition name specified", 'partition "nosuch" does not exist'),
        (
            {"time_limit_s": 7201},
            "Requested time limit is invalid (missing or exceeds some limit)",
            "at most 2:00:00",
        ),
        (
            {"time_limit_s": 0},
            "Requested time limit is invalid (missing or exceeds some limit)",
            "UNLIMITED asked",
        ),
        ({"nodes": 4}, "Node count specification invalid", "limit 3 (MaxNodes)"),
        ({"mem_mib": 9000}, "Memory specification can not be satisfied", "limit 8000 MiB"),
        ({"cpus": 64}, "More processors requested than permitted", "64"),
        ({"gpus": 1}, "Invalid generic resource (gres) specification", "gpu"),
        ({"features": "nosuch"}, "Invalid feature specification", "nosuch"),
        ({"nodes_required": (NodeName("n7"),)}, "Invalid node name specified", "n7"),
        ({"qos": "gold"}, "Invalid qos specification", "gold"),
        ({"licenses": "matlab:1"}, "Invalid license specification", "matlab"),
        ({"nice": -5}, "Access/permission denied", "nice -5"),
        ({"priority": 5}, "Access/permission denied", "priority"),
        ({"n_tasks": 0}, "", "at least one task"),
        ({"min_nodes": 2, "max_nodes": 1, "n_tasks": 2}, "Node count specification invalid", "at most 1"),
        ({"mem_mib": -1}, "", "negative"),
        ({"retry": Retry(-1)}, "", "retries"),
        ({"mem_mib_per_node": 5, "mem_mib_per_cpu": 5}, "", "exclude each other"),
    ],
)
def test_refusals(what: dict[str, object], slurm: str, says: str) -> None:
    cluster = a_cluster(nodes=3, config=a_config(max_time_s=7200, max_nodes=3, max_mem_mib_per_node=8000))
    reply = cluster.try_submit(**what)  # type: ignore[arg-type]
    assert isinstance(reply, Refused)
    assert reply.slurm == slurm
    assert says in reply.message
    assert cluster.state.next_job_id == 1
    assert not cluster.state.jobs


def test_nothing_is_impossible_before_the_first_node_comes() -> None:
    cluster = Cluster()
    job = cluster.submit(cpus=1000, gpus=8)
    assert cluster.run_cycle() == []
    assert cluster.reason_of(job) is not Reason.NONE


def test_root_may_not_run_jobs_unless_the_site_says_so() -> None:
    cluster = a_cluster()
    reply = cluster.try_submit(caller=ADMIN)
    assert isinstance(reply, Refused)
    assert "allow_root_jobs" in reply.message
    cluster = a_cluster(config=a_config(allow_root_jobs=True))
    assert cluster.submit(caller=Caller(ROOT)) == 1


def test_closed_partitions_and_users() -> None:
    cluster = a_cluster(
        config=a_config(others=(Partition("vip", allow_users=("boss",)), Partition("shut", up=False)))
    )
    reply = cluster.try_submit(partition="vip")
    assert isinstance(reply, Refused)
    assert reply.code is RefusalCode.DENIED
    job = cluster.submit(partition="shut")
    assert cluster.run_cycle() == []
    assert cluster.reason_of(job) is Reason.PARTITION_DOWN


def test_a_full_queue_takes_no_more() -> None:
    cluster = a_cluster(config=a_config(max_pending_jobs=3))
    cluster.submit(count=2, hold=True)
    reply = cluster.try_submit(count=2)
    assert isinstance(reply, Refused)
    assert reply.code is RefusalCode.EXHAUSTED
    cluster.submit_array("0-999")
    assert isinstance(cluster.try_submit(), Refused)


def test_a_batch_of_unlike_items() -> None:
    cluster = a_cluster()
    specs = (a_spec(name="a"), a_spec(name="b", hold=True))
    items = (Item(0), Item(0), Item(1), Item(0, name="own"), Item(0, args=("x", "y")), Item(0))
    reply = cluster.do(Submit(Caller(USER), specs, items)).reply
    assert reply == Submitted(cluster.state.jobs[next(iter(cluster.state.jobs))].id, 6)
    found = [(job.spec.name, job.spec.args) for job in cluster.state.jobs.values()]
    assert found == [("a", ()), ("a", ()), ("b", ()), ("own", ()), ("a", ("x", "y")), ("a", ())]
    assert cluster.job(1).spec is cluster.job(2).spec is cluster.job(6).spec
    assert cluster.reason_of(3) is Reason.HELD_USER


def test_all_jobs_of_a_call_or_none() -> None:
    cluster = a_cluster()
    specs = (a_spec(), a_spec(partition="nosuch"))
    reply = cluster.do(Submit(Caller(USER), specs, (Item(0), Item(1)))).reply
    assert isinstance(reply, Refused)
    assert not cluster.state.jobs
    assert isinstance(cluster.do(Submit(Caller(USER), specs[:1], (Item(4),))).reply, Refused)
    assert isinstance(cluster.do(Submit(Caller(USER), specs[:1], ())).reply, Refused)
