"""Why jobs wait: the words of Slurm 22.05's queue, and the sentences with figures."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from packhorse.scheduler.core.explain import Explanation, explain, reason_text
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.job import (
    ArrayJob,
    ArraySpec,
    Condition,
    Dependency,
    DependencyKind,
    Held,
    IndexRange,
    Job,
    JobSpec,
    Owner,
    Pending,
)
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.resources import Ask
from tests.core.placement.yard import NOON, Yard, an_ask, gres

OWNER = Owner(1, 1, "mule", "pack")


def known(yard: Yard, id: int, ask: Ask | None = None, *, limit_s: int = 0, **more: object) -> None:
    """A waiting job that the state knows as well as the columns."""
    ask = ask or an_ask(**more.pop("amounts", {}))  # type: ignore[arg-type]
    partition = str(more.get("partition", "main"))
    yard.wait(id, ask, limit_s=limit_s, **more)  # type: ignore[arg-type]
    spec = JobSpec("j", ask, partition, "", "", "/", time_limit_s=limit_s)
    yard.state.jobs[JobId(id)] = Job(JobId(id), spec, OWNER, NOON, Pending(eligible_at=yard.now))


def sentences(yard: Yard, id: int) -> list[tuple[Reason, str]]:
    return [tuple(e) for e in explain(yard.state, JobId(id), yard.now)]  # type: ignore[misc]


def demo() -> Yard:
    """The cluster of the transcripts, node2 drained, 111-squeue.txt."""
    day = 24 * 3600
    yard = Yard(
        Partition("normal", is_default=True, max_time_s=day),
        Partition("high", priority_tier=10, priority=10),
        Partition("closed", up=False),
        Partition("few", max_nodes=1),
    )
    yard.node("node1", cpus=8, features=("cpu",))
    yard.node("node2", cpus=8, features=("cpu", "gpu"), gpus="gpu:2")
    yard.drain("node2", "disk")
    return yard


def test_the_words_of_squeue() -> None:
    yard = demo()
    known(yard, 63, an_ask(nodes_required=("node2",)), partition="normal", limit_s=60)
    known(yard, 23, an_ask(tasks=9, min_nodes=9), partition="normal", limit_s=60)
    known(yard, 22, an_ask(cpus=64), partition="normal", limit_s=60)
    known(yard, 21, an_ask(tasks=64, max_nodes=1), partition="normal", limit_s=60)
    known(yard, 17, an_ask(tasks=2, min_nodes=2, exclusive=True), partition="normal", limit_s=60)
    known(yard, 16, an_ask(), partition="normal", limit_s=2 * 24 * 3600)
    known(yard, 15, an_ask(), partition="normal")
    known(yard, 30, an_ask(), partition="closed", limit_s=60)
    known(yard, 31, an_ask(tasks=2, min_nodes=2), partition="few", limit_s=60)
    known(yard, 32, an_ask(), partition="gone", limit_s=60)
    known(yard, 40, an_ask(cpus=6), partition="normal", limit_s=60)
    known(yard, 41, an_ask(cpus=6), partition="normal", limit_s=60)
    known(yard, 42, an_ask(cpus=1), partition="normal", limit_s=120)
    known(yard, 43, an_ask(cpus=8), partition="normal", limit_s=120)
    yard.wait(9, cpus=1, partition="normal", limit_s=60, count=4, room=0)
    assert yard.cycle() == {40: "node1", 42: "node1"}
    words = {
        id: reason_text(yard.state, JobId(id)) for id in (63, 23, 22, 21, 17, 16, 15, 30, 31, 32, 41, 43, 9)
    }
    assert words == {
        63: "ReqNodeNotAvail, UnavailableNodes:node2",
        23: "PartitionNodeLimit",
        22: "PartitionConfig",
        21: "PartitionConfig",
        17: "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
        16: "PartitionTimeLimit",
        15: "PartitionTimeLimit",
        30: "PartitionDown",
        31: "PartitionNodeLimit",
        32: "PartitionConfig",
        41: "Resources",
        43: "Priority",
        9: "JobArrayTaskLimit",
    }
    for id in words:
        if id != 9:
            assert explain(yard.state, JobId(id), yard.now)[0].reason is yard.reason(id)
    yard.change("node2", admin=yard.state.nodes[NodeName("node1")].admin, reachable=False)
    yard.cycle()
    assert yard.reason(17) is Reason.NODES_SILENT


def test_a_closed_or_hopeless_job_holds_up_nobody() -> None:
    yard = demo()
    for id in range(1, 40):
        yard.wait(id, cpus=64, partition="normal", limit_s=60, priority=10**6)
    yard.wait(50, cpus=8, partition="normal", limit_s=60)
    assert yard.cycle() == {50: "node1"}


def test_sentences_about_resources() -> None:
    yard = Yard()
    yard.node("n1", cpus=4, mem=1000)
    yard.node("n3", cpus=8, mem=500, gpus="gpu:2")
    yard.wait(90, cpus=2, mem=100, nodes_required=("n3",), gres_per_node=gres("gpu:1"))
    yard.cycle()
    known(yard, 1, an_ask(cpus=8), limit_s=60)
    known(yard, 2, an_ask(cpus=5, mem=600), limit_s=60)
    known(yard, 3, an_ask(cpus=1, gres_per_node=gres("gpu:2")), limit_s=60)
    known(yard, 4, an_ask(tasks=12), limit_s=60)
    known(yard, 5, an_ask(tasks=2, min_nodes=2, cpus=4, mem=450), limit_s=60)
    known(yard, 6, Ask(exclusive=True, nodes_required=(NodeName("n3"),)), limit_s=60)
    known(yard, 7, an_ask(cpus=4, mem=800), limit_s=60)
    first = {id: sentences(yard, id)[0] for id in (1, 3, 4, 5, 6)}
    assert first == {
        1: (Reason.RESOURCES, "needs 8 CPUs on one node; the most that is free on any is 6 (n3)"),
        3: (Reason.RESOURCES, "needs 2 gpu on one node; the most that is free on any is 1 (n3)"),
        4: (Reason.RESOURCES, "needs room for 12 tasks (1 CPU for each); there is room for 10 now"),
        5: (Reason.RESOURCES, "needs 2 nodes for 2 tasks (4 CPUs for each); 1 has room now (n1)"),
        6: (Reason.RESOURCES, "needs a node for itself; none is empty"),
    }
    assert sentences(yard, 2)[0] == (
        Reason.PARTITION_CONFIG,
        'the nodes of partition "main" are too small or too few for it, even empty and all up',
    )
    assert sentences(yard, 7) == [(Reason.PRIORITY, '5 jobs are ahead in partition "main"')]
    known(yard, 8, an_ask(cpus=5, mem=450), limit_s=60)
    assert sentences(yard, 8)[0] == (
        Reason.RESOURCES,
        (
            "no node has all of it free at once: 5 CPUs, 450 MiB of memory; "
            "n1 comes closest with 4 CPUs, 1000 MiB of memory"
        ),
    )


def test_planned_starts_and_those_behind_them() -> None:
    yard = Yard()
    yard.node("n1", cpus=4)
    yard.wait(90, cpus=3, limit_s=600)
    yard.cycle()
    known(yard, 1, an_ask(cpus=4), limit_s=60)
    known(yard, 2, an_ask(cpus=1), limit_s=3600)
    yard.cycle()
    assert sentences(yard, 1) == [
        (
            Reason.RESOURCES,
            (
                "needs 4 CPUs on one node; the most that is free on any is 1 (n1); "
                "it starts in 10:00 at the latest if all keep to their limits"
            ),
        )
    ]
    assert sentences(yard, 2) == [
        (
            Reason.PRIORITY,
            (
                '1 job is ahead in partition "main"; '
                "there is room now, but it would delay job 1, planned in 10:00"
            ),
        )
    ]


def test_who_is_ahead_is_told_by_the_order_in_force() -> None:
    yard = Yard()
    yard.state.config = replace(yard.state.config, order="sjf")
    yard.node("n1", cpus=4)
    yard.wait(90, cpus=4, limit_s=600)
    yard.cycle()
    known(yard, 1, an_ask(cpus=4), limit_s=3600)
    known(yard, 2, an_ask(cpus=4), limit_s=60)
    yard.cycle()
    ((reason, sentence),) = sentences(yard, 2)
    assert reason is Reason.RESOURCES
    assert sentence.endswith("as things stand it starts in 10:00"), "a shorter one may come"
    assert sentences(yard, 1)[0] == (Reason.PRIORITY, '1 job is ahead in partition "main"')
    yard.state.config = replace(yard.state.config, keep_next=True)
    assert sentences(yard, 2)[0][1].endswith("it starts in 10:00 at the latest if all keep to their limits")


def test_sentences_about_nodes_and_partitions() -> None:
    yard = demo()
    known(yard, 1, an_ask(nodes_required=("node2",)), partition="normal", limit_s=60)
    known(yard, 2, an_ask(tasks=16), partition="normal", limit_s=60)
    known(yard, 3, an_ask(), partition="normal", limit_s=2 * 24 * 3600)
    known(yard, 4, an_ask(), partition="closed")
    known(yard, 5, an_ask(tasks=2, min_nodes=2), partition="few")
    known(yard, 6, an_ask(), partition="gone")
    said = {id: sentences(yard, id)[0][1] for id in range(1, 7)}
    assert said == {
        1: "it asks for nodes that are away: node2 is drained (disk)",
        2: "what is up cannot hold it even when empty; node2 is drained (disk)",
        3: 'its time limit 2-00:00:00 is over the 1-00:00:00 of partition "normal" (MaxTime)',
        4: 'partition "closed" is down: it starts nothing until an administrator opens it',
        5: '2 nodes asked; partition "few" has 2 and allows 0 to 1 (MinNodes, MaxNodes)',
        6: 'partition "gone" does not exist any more; `scontrol update job` can move it to another',
    }
    yard.change("node2", admin=yard.state.nodes[NodeName("node1")].admin, reachable=False)
    assert sentences(yard, 2)[0][1].endswith("node2 is silent: the agent is not connected")
    yard.change("node2", reachable=True, offer=Offer(3, 8000, 16000, accepting=False, reason="load 90"))
    assert sentences(yard, 2)[0][1].endswith("node2 is not accepting work (load 90)")


def put(yard: Yard, job: Job | ArrayJob, reason: Reason) -> list[Explanation]:
    yard.wait(job.id, job.spec.ask)
    yard.state.pending_columns.set_eligible(job.id, reason is Reason.NONE, reason)
    if isinstance(job, Job):
        yard.state.jobs[job.id] = job
    else:
        yard.state.arrays[job.id] = job
    return list(explain(yard.state, job.id, yard.now))


@pytest.mark.parametrize(
    ("phase", "reason", "sentence"),
    [
        (Pending(held=Held.USER), Reason.HELD_USER, "held by its owner; `scontrol release 5` lets it go"),
        (Pending(held=Held.ADMIN), Reason.HELD_ADMIN, "held by an administrator"),
        (Pending(held=Held.REQUEUED), Reason.HELD_REQUEUED, "requeued in held state"),
        (Pending(begin_at=Instant(NOON + 90 * US)), Reason.BEGIN_TIME, "may not start for another 1:30"),
        (
            Pending(unmet=(Condition(DependencyKind.AFTEROK, JobId(17)),)),
            Reason.DEPENDENCY,
            "waits for job 17 to end well (afterok)",
        ),
        (
            Pending(unmet=(Condition(DependencyKind.AFTER, JobId(17), 3),)),
            Reason.DEPENDENCY,
            "waits for task 17_3 to start (after)",
        ),
        (
            Pending(unmet=(Condition(DependencyKind.SINGLETON),)),
            Reason.DEPENDENCY,
            "waits for earlier jobs of the same name and user (singleton)",
        ),
        (
            Pending(failed=(Condition(DependencyKind.AFTEROK, JobId(17)),), never=True),
            Reason.DEPENDENCY_NEVER,
            "afterok:17 can no longer come true: it will never start; cancel it or change its dependency",
        ),
    ],
)
def test_sentences_about_what_comes_before_resources(phase: Pending, reason: Reason, sentence: str) -> None:
    yard = Yard()
    yard.node("n1")
    job = Job(JobId(5), JobSpec("j", Ask(), "main", "", "", "/"), OWNER, NOON, phase)
    (only,) = put(yard, job, reason)
    assert only.reason is reason and only.sentence.startswith(sentence)


def test_any_of_and_arrays() -> None:
    yard = Yard()
    yard.node("n1")
    both = (Condition(DependencyKind.AFTEROK, JobId(7)), Condition(DependencyKind.AFTERANY, JobId(8)))
    spec = JobSpec("j", Ask(), "main", "", "", "/", dependency=Dependency(both, any_of=True))
    (only,) = put(yard, Job(JobId(5), spec, OWNER, NOON, Pending(unmet=both)), Reason.DEPENDENCY)
    assert "any of these is enough" in only.sentence
    ranges = (IndexRange(1, 9, 1),)
    array = ArrayJob(
        JobId(6), JobSpec("j", Ask(), "main", "", "", "/"), OWNER, NOON, ArraySpec(ranges, 2), ranges
    )
    put(yard, array, Reason.NONE)
    yard.state.pending_columns.set_count(JobId(6), 9, 0)
    (only,) = explain(yard.state, JobId(6), yard.now)
    assert only.reason is Reason.ARRAY_TASK_LIMIT and "--array=…%2" in only.sentence
    blocked = msgspec.structs.replace(array, blocked=ranges, never=(IndexRange(1, 3, 1),))
    yard.state.arrays[JobId(6)] = blocked
    (only,) = explain(yard.state, JobId(6), yard.now)
    assert only.reason is Reason.DEPENDENCY
    assert only.sentence == (
        "6 of its tasks wait for their counterpart in another array (aftercorr), "
        "3 will never start because theirs failed"
    )


def test_never_empty_and_never_about_somebody_unknown() -> None:
    yard = Yard()
    yard.node("n1")
    known(yard, 1, an_ask())
    assert sentences(yard, 1) == [(Reason.NONE, "nothing is in its way: the next cycle looks at it")]
    with pytest.raises(KeyError):
        explain(yard.state, JobId(2), yard.now)
