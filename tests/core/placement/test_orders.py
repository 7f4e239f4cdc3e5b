"""In what order jobs are looked at: each order against a plain key and sort, and what comes before it."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from msgspec.structs import replace

from packhorse.scheduler.core.orders import FCFS, ORDERS, Waiting, order
from packhorse.scheduler.core.pending_columns import FOREVER
from packhorse.scheduler.model.cluster import ClusterConfig, Partition
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import US, Instant, JobId
from tests.benchmarks.plain_pool import KEYS, Job
from tests.core.placement.yard import NOON, Yard, an_ask


def a_yard(*partitions: Partition, depth: int = 1, **config: object) -> Yard:
    """Its times are counted from NOON."""
    yard = Yard(*partitions, depth=depth)
    yard.state.config = replace(yard.state.config, origin=NOON, **config)
    return yard


def in_order(yard: Yard) -> list[int]:
    state = yard.state
    pending, total = state.pending_columns, state.node_columns.board().totals
    return [int(id) for id in pending.id[pending.ordered(state.config, yard.now, state.usage, total)]]


@pytest.mark.parametrize("name", [name for name in KEYS if name != "fcfs"])
def test_as_by_a_plain_key(name: str) -> None:
    chance = Random(name)
    yard = a_yard(order=name)
    jobs: dict[int, Job] = {}
    for id in range(1, 300):
        yard.now = Instant(yard.now + chance.randint(0, 100) * US)
        tasks, cpus, limit = chance.randint(1, 30), chance.randint(1, 3), chance.randint(1, 90_000)
        yard.wait(id, cpus=cpus, tasks=tasks, limit_s=limit)
        jobs[id] = Job((yard.now - NOON) // US, limit, limit, tasks * cpus)
    now = (yard.now - NOON) // US
    found = in_order(yard)
    assert sorted(found) == sorted(jobs)
    keys = [KEYS[name](jobs[id], now) for id in found]
    for (id, key), (next_id, next_key) in zip(
        zip(found, keys, strict=True), list(zip(found, keys, strict=True))[1:], strict=False
    ):
        assert key < next_key or np.isclose(key, next_key, rtol=1e-12, atol=0), (id, next_id)
        if key == next_key and name in ("sjf", "ljf", "sqf", "saf"):
            assert id < next_id


def test_equal_jobs_stay_as_they_came() -> None:
    yard = a_yard(order="saf")
    for id in range(1, 50):
        yard.wait(id, cpus=1 + id % 2, limit_s=2 - id % 2)  # 2 CPU seconds each
    assert in_order(yard) == list(range(1, 50))


def test_tier_and_priority_come_first() -> None:
    partitions = (Partition("main", is_default=True), Partition("fast", priority_tier=2))
    yard = a_yard(*partitions, order="sjf", keep_next=True)
    yard.node("n1", cpus=2)
    yard.wait(1, limit_s=30, cpus=2)
    yard.cycle()
    yard.wait(2, limit_s=50, cpus=2)
    yard.cycle()
    assert yard.planned(2) == 30, "and it stays the next of its kind"
    yard.wait(3, limit_s=20, cpus=2)
    yard.wait(4, limit_s=900, cpus=2, priority=20_000)
    yard.wait(5, limit_s=800, cpus=2, priority=20_000)
    yard.wait(6, limit_s=5_000, cpus=2, partition="fast")
    assert in_order(yard) == [6, 5, 4, 2, 3]


def test_keep_next_by_hand() -> None:
    def starts(keep_next: bool) -> dict[int, int]:
        yard = a_yard(order="sjf", keep_next=keep_next)
        yard.node("n1", cpus=2)
        yard.wait(1, limit_s=10, cpus=2)
        yard.cycle()
        yard.wait(2, limit_s=50, cpus=2)
        yard.cycle()
        yard.wait(3, limit_s=20, cpus=2)
        yard.run_to(100)
        return yard.started

    assert starts(False) == {1: 0, 3: 10, 2: 30}
    assert starts(True) == {1: 0, 2: 10, 3: 60}


def test_a_kept_job_that_may_not_start_any_more_is_let_go() -> None:
    yard = a_yard(order="sjf", keep_next=True)
    yard.node("n1", cpus=2)
    yard.wait(1, limit_s=10, cpus=2)
    yard.cycle()
    yard.wait(2, limit_s=50, cpus=2)
    yard.cycle()
    yard.wait(3, limit_s=20, cpus=2)
    pending = yard.state.pending_columns
    pending.set_eligible(JobId(2), False)
    pending.set_eligible(JobId(2), True)
    assert in_order(yard) == [3, 2]


def test_without_a_limit_comes_last_and_no_key_is_odd() -> None:
    one = np.array([0.0, 1.0, 1e9])
    run = np.array([0.0, FOREVER / US, 1e-6])
    w = Waiting(one, one, run, np.array([1.0, 0.5, 1e6]), *(one,) * 6)
    for found in ORDERS.values():
        key = np.asarray(found.key(w))
        assert key.shape == (3,) and np.isfinite(key).all(), found.name
        assert found.summary
    for name in ("sjf", "saf", "f1", "f4"):
        yard = a_yard(order=name)
        yard.wait(1, limit_s=0)
        yard.wait(2, limit_s=10_000)
        assert in_order(yard) == [2, 1], name


def test_what_moves_says_so() -> None:
    some = np.array([1.0, 3.0])
    early = Waiting(np.zeros(2), np.array([10.0, 20.0]), np.array([5.0, 50.0]), np.ones(2), *(some,) * 6)
    late = early._replace(wait_s=early.wait_s + 1000)
    for found in ORDERS.values():
        if found.users:
            continue  # what their owners have used moves them
        assert found.moves == bool((found.key(early) != found.key(late)).any()), found.name


def test_cpus_of_a_job_are_those_of_all_its_tasks_and_a_task_of_an_array_is_one() -> None:
    yard = a_yard(order="sqf")
    yard.wait(1, an_ask(cpus=2, tasks=3), limit_s=5)
    yard.wait(2, an_ask(tasks=4, min_nodes=4, max_nodes=4), limit_s=5)
    yard.wait(3, cpus=1, count=100, limit_s=5)
    yard.wait(4, an_ask(cpus=1, tasks=2, min_nodes=2, min_cpu_milli_per_node=4000), limit_s=5)
    yard.wait(5, cpus=3, limit_s=5)
    assert in_order(yard) == [3, 5, 2, 1, 4]


def test_another_order_counts_from_the_next_cycle_on() -> None:
    yard = a_yard(order="sjf")
    yard.wait(1, limit_s=30, cpus=1)
    yard.wait(2, limit_s=10, cpus=4)
    assert in_order(yard) == [2, 1]
    yard.state.config = replace(yard.state.config, order="sqf")
    assert in_order(yard) == [1, 2]
    yard.state.config = replace(yard.state.config, order=FCFS)
    yard.wait(3, limit_s=5, cpus=1)
    assert in_order(yard) == [1, 2, 3]


def test_unknown_names_are_told_with_the_known_ones() -> None:
    with pytest.raises(BadValue, match=r'order "fifo" is not known; there are drf, f1, f2.*wfp3'):
        order("fifo")
    assert order("f1").name == "f1"
    yard = a_yard(order="fifo")
    yard.wait(1)
    with pytest.raises(BadValue, match='order "fifo"'):
        yard.plan()
    yard.state.config = replace(ClusterConfig(), backfill="aggressive")
    with pytest.raises(BadValue, match='backfill "aggressive" is not known; there are before, easy'):
        yard.plan()
