"""The cycle as a whole: order, arrays, limits, and how little it does when little can happen."""

from __future__ import annotations

import pytest

from packhorse.scheduler.core import cycle
from packhorse.scheduler.core.packing import greedy
from packhorse.scheduler.core.pending_columns import PendingRow
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.running_columns import RunningColumns
from packhorse.scheduler.model.cluster import ClusterConfig, Partition
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.resources import Ask, Placement
from tests.core.placement.yard import NOON, Yard, an_ask, gres


def one_by_one(yard: Yard) -> list[int]:
    """In which order jobs of a whole node each start on one node."""
    order: list[int] = []
    for _ in range(20):
        started = yard.cycle()
        if not started:
            break
        order.extend(started)
        yard.end(next(iter(yard.running)))
    return order


def test_order_is_tier_then_priority_then_id() -> None:
    yard = Yard(Partition("main"), Partition("bonus", priority=50), Partition("top", priority_tier=10))
    yard.node("n1", cpus=4)
    yard.wait(7, cpus=4)
    yard.wait(3, cpus=4)
    yard.wait(1, cpus=4, nice=10)
    yard.wait(9, cpus=4, nice=-10)
    yard.wait(4, cpus=4, partition="bonus")
    yard.wait(5, cpus=4, partition="bonus", nice=100)
    yard.wait(6, cpus=4, priority=1_000_000)
    yard.wait(8, cpus=4, partition="top", priority=1)
    assert one_by_one(yard) == [8, 6, 4, 9, 3, 7, 1, 5]


def test_an_array_is_one_row_and_starts_as_many_tasks_as_fit() -> None:
    yard = Yard()
    yard.node("n1", cpus=3)
    yard.node("n2", cpus=2)
    yard.wait(1, cpus=1, count=100_000)
    yard.wait(2, cpus=1)
    plan = yard.plan()
    assert [grant.id for grant in plan.grants] == [1] * 5
    yard.cycle()
    assert yard.state.pending_columns.row(JobId(1)).count == 99_995
    assert yard.reason(1) is Reason.RESOURCES and yard.reason(2) is Reason.PRIORITY


def test_an_array_keeps_to_its_limit() -> None:
    yard = Yard()
    yard.node("n1", cpus=8)
    yard.wait(1, cpus=1, count=10, room=3)
    yard.wait(2, cpus=1)
    assert yard.cycle() == {1: "n1;n1;n1", 2: "n1"}
    assert yard.reason(1) is Reason.ARRAY_TASK_LIMIT
    assert yard.cycle() == {}
    yard.state.pending_columns.set_room(JobId(1), 1)
    assert yard.cycle() == {1: "n1"}


def test_no_more_starts_than_allowed_and_more_says_so() -> None:
    yard = Yard(max_starts=3)
    yard.node("n1", cpus=8)
    yard.wait(1, cpus=1, count=2)
    yard.wait(2, cpus=1)
    yard.wait(3, cpus=1, count=3)
    yard.wait(4, cpus=1)
    found = []
    for _ in range(3):
        plan = yard.plan()
        found.append(([grant.id for grant in plan.grants], plan.more))
        assert not plan.more or yard.reason(4) is Reason.NONE, "nobody has looked at it"
        for grant in plan.grants:
            yard.grant(grant.id, grant.placements)
    assert found == [([1, 1, 2], True), ([3, 3, 3], True), ([4], False)]


def test_avoided_excluded_and_unschedulable_nodes() -> None:
    yard = Yard()
    for name in ("n1", "n2", "n3", "n4"):
        yard.node(name, cpus=1)
    yard.drain("n1")
    yard.change("n2", reachable=False)
    yard.wait(1, cpus=1, avoid=(NodeName("n3"),))
    yard.wait(2, cpus=1, nodes_excluded=("n4",))
    assert yard.cycle() == {1: "n4", 2: "n3"}


def test_an_offer_bounds_what_is_placed() -> None:
    yard = Yard()
    yard.node("n1", cpus=8)
    yard.change("n1", offer=Offer(2, 3000, 100))
    yard.wait(1, cpus=2)
    yard.wait(2, cpus=2)
    assert yard.cycle() == {1: "n1"}
    yard.change("n1", offer=Offer(3, 1000, 100))
    assert yard.state.node_columns.amounts_free(NodeName("n1"))["cpu_milli"] == -1000
    assert yard.cycle() == {}
    yard.change("n1", offer=Offer(4, 80_000, 100))
    assert yard.cycle() == {2: "n1"}, "an offer counts up to what is registered"
    assert yard.state.node_columns.amounts_free(NodeName("n1"))["cpu_milli"] == 4000


def test_a_new_kind_of_device_is_used_as_soon_as_it_is_there() -> None:
    yard = Yard()
    yard.node("n1")
    yard.wait(1, an_ask(gres_per_node=gres("tpu:4")))
    assert yard.cycle() == {}
    assert yard.reason(1) is Reason.PARTITION_CONFIG
    yard.node("n2", gpus="tpu:4")
    assert yard.cycle() == {1: "n2"}


def test_a_new_configuration_is_seen() -> None:
    yard = Yard(Partition("main", up=False))
    yard.node("n1")
    yard.wait(1, cpus=1, limit_s=100)
    assert yard.cycle() == {}
    yard.state.config = ClusterConfig(partitions=(Partition("main", max_time_s=99),))
    assert yard.cycle() == {}
    assert yard.reason(1) is Reason.PARTITION_TIME_LIMIT
    yard.state.config = ClusterConfig(partitions=(Partition("main", max_time_s=100),))
    assert yard.cycle() == {1: "n1"}


def test_without_nodes_everything_waits() -> None:
    yard = Yard()
    yard.wait(1, cpus=1)
    assert yard.cycle() == {}
    assert yard.reason(1) is Reason.PARTITION_CONFIG


def test_same_state_same_plan() -> None:
    def build() -> Yard:
        yard = Yard()
        for i in (3, 1, 2):
            yard.node(f"n{i}", cpus=4 + i)
        for id in range(1, 60):
            yard.wait(id, cpus=1 + id % 5, limit_s=10 * (id % 7))
        return yard

    first, second = build(), build()
    assert first.plan() == second.plan() == first.plan()


@pytest.mark.parametrize("depth", [0, 1])
def test_a_full_cluster_costs_no_look_at_the_queue(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand jobs of two hundred kinds wait: Python looks at a handful."""
    yard = Yard(depth=depth)
    for i in range(20):
        yard.node(f"n{i}", cpus=8)
    yard.wait(1, cpus=1, count=160)
    yard.cycle()
    asks = [Ask(cpu_milli_per_task=1000 * (1 + n % 8), mem_mib_per_node=n // 8) for n in range(200)]
    rows = [PendingRow(JobId(id), asks[id % 200], "main") for id in range(200, 10_200)]
    yard.state.pending_columns.add_many(rows)
    looks = 0
    place = greedy.place

    def counted(*args: object) -> object:
        nonlocal looks
        looks += 1
        return place(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(cycle, "place", counted)
    assert yard.plan().grants == []
    assert looks == 0
    assert yard.state.pending_columns.reason_counts() == {Reason.RESOURCES: 1, Reason.PRIORITY: 9_999}
    yard.end(next(iter(yard.running)))
    assert len(yard.plan().grants) <= 1
    assert looks <= 30


def test_releases_come_by_end_and_know_new_devices() -> None:
    yard = Yard()
    yard.node("n1", cpus=8)
    running = RunningColumns()
    columns = yard.state.node_columns
    for id, end in ((1, 30), (2, 10), (3, 0)):
        parts = (Placement(NodeName("n1"), 1000, id),)
        columns.allocate(JobId(id), parts)
        running.add(JobId(id), Instant(NOON + end * US) if end else Instant(0), parts)
    found = running.releases(columns)
    assert found.amounts[1].tolist() == [2, 1, 3]
    running.set_end(JobId(3), Instant(NOON + 20 * US))
    running.set_end(JobId(1), Instant(0))
    running.remove(JobId(2))
    yard.node("n2", gpus="gpu:h200:2")
    found = running.releases(columns)
    assert found.amounts[1].tolist() == [3, 1] and found.amounts.shape[0] == len(columns.resources)
    assert running.end(JobId(3)) == NOON + 20 * US and len(running) == 2 and JobId(2) not in running
    with pytest.raises(ValueError):
        running.add(JobId(1), Instant(0), ())
    for unknown in (running.remove, running.end):
        with pytest.raises(KeyError):
            unknown(JobId(2))
    for id in range(100, 140):
        running.add(JobId(id), Instant(NOON - id), (Placement(NodeName("n2"), 0, 0),))
    assert running.releases(columns).end.tolist()[:40] == [NOON - id for id in range(139, 99, -1)]
