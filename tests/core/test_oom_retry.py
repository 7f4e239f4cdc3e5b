"""After running out of memory: again with more, as far as there is more, and never without end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.job import Ended, Retry
from packhorse.scheduler.model.reply import Refused
from tests.core.scenario import Cluster, a_cluster, a_config, a_node

DETAIL = "1010 MiB used, limit 1000 MiB"


def out_of_memory(cluster: Cluster, job: int) -> None:
    """The job runs, and a process of it is killed for want of memory."""
    cluster.pass_time(5)
    cluster.run(job)
    cluster.exit(job, 0, signal=9, cause="oom", detail=DETAIL)


def ended(cluster: Cluster, job: int) -> Ended:
    """How it ended."""
    phase = cluster.job(job).phase
    assert isinstance(phase, Ended), phase
    return phase


def test_it_runs_again_with_so_much_more() -> None:
    cluster = a_cluster()
    job = cluster.submit(mem_mib=1000, oom_factor_milli=1500)
    out_of_memory(cluster, job)
    assert cluster.state_of(job) == "PENDING"
    assert cluster.job(job).spec.ask.mem_mib_per_node == 1500
    assert (cluster.job(job).oom_retries, cluster.job(job).retries) == (1, 0)
    cluster.pass_time(5)
    cluster.run(job)
    assert cluster.active(job).placements[0].mem_mib == 1500
    cluster.exit(job, 0)
    first, second = cluster.rows
    assert (first.state, first.reason, first.mem_mib, first.req_mem) == (
        "OUT_OF_MEMORY", "OutOfMemory", 1000, "1000M",
    )  # fmt: skip
    assert first.detail == f"{DETAIL}; again with 1500M on each node"
    assert (second.state, second.mem_mib, second.req_mem) == ("COMPLETED", 1500, "1500M")
    assert cluster.replayed() == cluster.state == load(dump(cluster.state.freeze()))


def test_memory_per_cpu_grows_per_cpu() -> None:
    cluster = a_cluster()
    job = cluster.submit(cpus=4, mem_mib_per_cpu=500, oom_factor_milli=2000)
    out_of_memory(cluster, job)
    assert cluster.job(job).spec.ask.mem_mib_per_cpu == 1000
    out_of_memory(cluster, job)
    assert [row.mem_mib for row in cluster.rows] == [2000, 4000]


def test_the_last_step_is_what_the_largest_node_has() -> None:
    cluster = a_cluster(nodes=2, mem_mib=10_000)
    cluster.register(a_node("big", mem_mib=24_000))
    job = cluster.submit(mem_mib=8_000, oom_factor_milli=2000)
    asked = []
    while cluster.state_of(job) == "PENDING":
        asked.append(cluster.job(job).spec.ask.mem_mib_per_node)
        out_of_memory(cluster, job)
    assert asked == [8_000, 16_000, 24_000]
    end = ended(cluster, job)
    assert end.state == "OUT_OF_MEMORY"
    assert end.detail == (
        f'{DETAIL}; not tried again with more memory: no node of partition "main" has more than 24000M'
    )


def test_per_cpu_the_last_step_is_the_largest_nodes_share() -> None:
    cluster = a_cluster(cpus=4, mem_mib=10_000)
    job = cluster.submit(cpus=4, mem_mib_per_cpu=2000, oom_factor_milli=2000)
    out_of_memory(cluster, job)
    assert cluster.job(job).spec.ask.mem_mib_per_cpu == 2500
    out_of_memory(cluster, job)
    assert "has more than 10000M" in ended(cluster, job).detail


def test_the_partition_bounds_it() -> None:
    cluster = a_cluster(config=a_config(max_mem_mib_per_node=3_000))
    job = cluster.submit(mem_mib=2_000, oom_factor_milli=2000)
    out_of_memory(cluster, job)
    assert cluster.job(job).spec.ask.mem_mib_per_node == 3_000
    out_of_memory(cluster, job)
    assert ended(cluster, job).detail.endswith(
        'partition "main" gives at most 3000M on a node (MaxMemPerNode)'
    )


def test_a_node_that_lacks_something_else_does_not_count() -> None:
    cluster = a_cluster(mem_mib=4_000)
    cluster.register(a_node("big", cpus=1, mem_mib=64_000))
    job = cluster.submit(cpus=2, mem_mib=2_000, oom_factor_milli=3000)
    out_of_memory(cluster, job)
    assert cluster.job(job).spec.ask.mem_mib_per_node == 4_000
    out_of_memory(cluster, job)
    assert ended(cluster, job).state == "OUT_OF_MEMORY"


@pytest.mark.parametrize(
    ("own", "cluster_wide", "runs", "why"), [(1, 16, 2, "max = 1"), (0, 2, 3, "max_requeues = 2")]
)
def test_not_more_often_than_job_and_cluster_allow(own: int, cluster_wide: int, runs: int, why: str) -> None:
    cluster = a_cluster(config=a_config(max_requeues=cluster_wide))
    job = cluster.submit(mem_mib=10, oom_factor_milli=1100, oom_max_retries=own)
    for _ in range(runs):
        out_of_memory(cluster, job)
    plural = "s" * (runs != 2)
    assert ended(cluster, job).detail.endswith(f"it has had {runs - 1} further run{plural} ({why})")
    cluster.requeue(job)
    assert cluster.job(job).oom_retries == 0, "asked for anew, it may grow anew"
    assert cluster.job(job).spec.ask.mem_mib_per_node > 10


def test_it_is_never_tried_again_with_the_same_memory() -> None:
    """A retry after failures is for other failures."""
    cluster = a_cluster(mem_mib=1_000)
    job = cluster.submit(mem_mib=1_000, oom_factor_milli=2000, retry=Retry(3, 1))
    cluster.run(job)
    cluster.exit(job, 1)
    assert (cluster.job(job).retries, cluster.job(job).oom_retries) == (1, 0)
    out_of_memory(cluster, job)
    assert ended(cluster, job).state == "OUT_OF_MEMORY"


def test_without_the_option_retries_go_on_as_they_did() -> None:
    cluster = a_cluster()
    job = cluster.submit(mem_mib=1_000, retry=Retry(1, 1))
    out_of_memory(cluster, job)
    assert cluster.job(job).spec.ask.mem_mib_per_node == 1_000
    assert (cluster.job(job).retries, cluster.job(job).oom_retries) == (1, 0)


def test_each_task_of_an_array_grows_by_itself() -> None:
    cluster = a_cluster()
    array = cluster.submit_array("0-2", mem_mib=1_000, oom_factor_milli=2000)
    cluster.run_cycle()
    tasks = [cluster.task(array, index) for index in range(3)]
    cluster.start(*tasks)
    cluster.exit(tasks[1], 0, signal=9, cause="oom")
    assert [cluster.job(task).spec.ask.mem_mib_per_node for task in tasks] == [1_000, 2_000, 1_000]
    assert cluster.replayed() == cluster.state == load(dump(cluster.state.freeze()))


def test_a_job_that_may_not_be_requeued_any_more_ends() -> None:
    cluster = a_cluster()
    job = cluster.submit(mem_mib=1_000, oom_factor_milli=2000)
    cluster.update(job, requeue=False)
    out_of_memory(cluster, job)
    assert ended(cluster, job).detail.endswith("it may not be requeued any more (Requeue=0)")


def test_cancelled_while_it_ran_out_of_memory_it_stays_cancelled() -> None:
    cluster = a_cluster()
    job = cluster.submit(mem_mib=1_000, oom_factor_milli=2000)
    cluster.run(job)
    cluster.cancel(job)
    cluster.exit(job, 0, signal=9, cause="oom")
    assert cluster.state_of(job) == "CANCELLED"


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"mem_all": True}, "--mem=0"),
        ({}, "without an ask for memory"),
        ({"mem_mib": 10, "requeue": False}, "--no-requeue"),
        ({"mem_mib": 10, "oom_factor_milli": 1000}, "over 1"),
        ({"mem_mib": 10, "oom_factor_milli": 0, "oom_max_retries": 3}, "without a factor"),
    ],
)
def test_what_cannot_be_meant_is_refused(what: dict[str, object], why: str) -> None:
    reply = a_cluster().try_submit(**{"oom_factor_milli": 2000, **what})  # type: ignore[arg-type]
    assert isinstance(reply, Refused)
    assert why in reply.message


def test_the_partitions_default_memory_is_enough_of_an_ask() -> None:
    cluster = a_cluster(config=a_config(def_mem_mib_per_cpu=100))
    job = cluster.submit(oom_factor_milli=2000)
    out_of_memory(cluster, job)
    assert cluster.job(job).spec.ask.mem_mib_per_cpu == 200


@given(
    start=st.integers(1, 20_000),
    factor=st.integers(1_001, 100_000),
    nodes=st.lists(st.integers(1_000, 20_000), min_size=1, max_size=4),
    limit=st.sampled_from([0, 0, 5_000, 12_000]),
    tries=st.integers(0, 6),
)
def test_memory_grows_strictly_within_bounds_and_comes_to_an_end(
    start: int, factor: int, nodes: list[int], limit: int, tries: int
) -> None:
    cluster = a_cluster(0, config=a_config(max_mem_mib_per_node=limit, max_requeues=4))
    for i, mem_mib in enumerate(nodes):
        cluster.register(a_node(f"n{i}", mem_mib=mem_mib))
    largest = min(max(nodes), limit or max(nodes))
    reply = cluster.try_submit(mem_mib=start, oom_factor_milli=factor, oom_max_retries=tries)
    assert isinstance(reply, Refused) == (start > largest)
    if isinstance(reply, Refused):
        return
    job = reply.first_id
    asked = []
    while cluster.state_of(job) == "PENDING":
        asked.append(cluster.job(job).spec.ask.mem_mib_per_node)
        out_of_memory(cluster, job)
    assert asked == sorted(set(asked))
    assert asked[-1] <= largest
    assert len(asked) <= 1 + min(tries or 4, 4)
    if len(asked) <= min(tries or 4, 4):
        assert asked[-1] == largest, "it ended though there was more"
    assert cluster.replayed() == cluster.state
