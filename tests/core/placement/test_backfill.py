"""Planned starts: worked schedules, the promise that is never broken, and the search for the first gap."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.ids import US, JobId
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.resources import Ask
from tests.core.placement.yard import NOON, Yard, an_ask, gres


def machine(nodes: int, depth: int = 1) -> Yard:
    """A parallel machine as in the papers: nodes of one CPU, jobs that take whole nodes."""
    yard = Yard(depth=depth)
    for i in range(nodes):
        yard.node(f"n{i + 1}", cpus=1)
    return yard


def whole_nodes(n: int) -> Ask:
    return Ask(n_tasks=n, min_nodes=n, max_nodes=n)


def test_easy_by_hand() -> None:
    """Ten processors. The head needs 8 at a shadow time of 10, which leaves 2 extra processors.

    Job 1 holds 6 until 10, job 2 holds 2 until 20. Job 3 needs 8: at 10, free are 2 + 6 = 8, extra 0;
    so only jobs that end by 10 may go before it: job 4 (2 for 10 s) does, job 5 (1 for 11 s) does not.
    """
    yard = machine(10)
    yard.wait(1, whole_nodes(6), limit_s=10)
    yard.wait(2, whole_nodes(2), limit_s=20)
    yard.cycle()
    yard.wait(3, whole_nodes(8), limit_s=10)
    yard.wait(5, whole_nodes(1), limit_s=11)
    yard.wait(6, whole_nodes(2), limit_s=10)
    yard.run_to(100)
    assert yard.started == {1: 0, 2: 0, 3: 10, 5: 20, 6: 0}


def test_easy_uses_the_extra_nodes() -> None:
    """The same with a head that needs 7: one extra node, which a job of any length may take."""
    yard = machine(10)
    yard.wait(1, whole_nodes(6), limit_s=10)
    yard.wait(2, whole_nodes(2), limit_s=20)
    yard.cycle()
    yard.wait(3, whole_nodes(7), limit_s=10)
    yard.wait(4, whole_nodes(1), limit_s=500)
    yard.wait(5, whole_nodes(1), limit_s=11)
    yard.cycle()
    assert yard.started == {1: 0, 2: 0, 4: 0}
    assert yard.planned(3) == 10 and yard.planned(5) == -1
    assert yard.reason(3) is Reason.RESOURCES and yard.reason(5) is Reason.PRIORITY
    yard.run_to(100)
    assert yard.started == {1: 0, 2: 0, 3: 10, 4: 0, 5: 20}


def test_depth_0_lets_everything_pass_and_depth_2_protects_the_second_too() -> None:
    def starts(depth: int) -> dict[int, int]:
        yard = machine(4, depth)
        yard.wait(1, whole_nodes(2), limit_s=10)
        yard.cycle()
        yard.wait(2, whole_nodes(4), limit_s=10)
        yard.wait(3, whole_nodes(3), limit_s=10)
        yard.wait(4, whole_nodes(2), limit_s=30)
        yard.wait(5, whole_nodes(2), limit_s=10)
        yard.run_to(200)
        return yard.started

    assert starts(0) == {1: 0, 2: 30, 3: 40, 4: 0, 5: 10}
    assert starts(1) == {1: 0, 2: 10, 3: 20, 4: 30, 5: 0}
    assert starts(2) == {1: 0, 2: 10, 3: 20, 4: 30, 5: 0}


def test_a_second_planned_start_is_kept_by_depth_2_only() -> None:
    def starts(depth: int) -> dict[int, int]:
        yard = machine(3, depth)
        yard.wait(1, whole_nodes(2), limit_s=10)
        yard.cycle()
        yard.wait(2, whole_nodes(2), limit_s=10)  # at 10
        yard.wait(3, whole_nodes(3), limit_s=10)  # at 20
        yard.wait(4, whole_nodes(1), limit_s=50)  # fits beside 1 and 2, and would hold up 3
        yard.cycle()
        if depth == 2:
            assert (yard.planned(2), yard.planned(3)) == (10, 20)
        yard.run_to(200)
        return yard.started

    assert starts(1) == {1: 0, 2: 10, 3: 50, 4: 0}
    assert starts(2) == {1: 0, 2: 10, 3: 20, 4: 30}


def test_several_resources_are_kept_apart() -> None:
    """The head waits for memory; a job that takes only CPUs may use what the head will not."""
    yard = Yard()
    yard.node("n1", cpus=8, mem=1000)
    yard.wait(1, cpus=1, mem=600, limit_s=10)
    yard.cycle()
    yard.wait(2, cpus=2, mem=600, limit_s=10)
    yard.wait(3, cpus=6, mem=500, limit_s=20)
    yard.wait(4, cpus=5, mem=400, limit_s=20)
    yard.wait(5, cpus=6, mem=300, limit_s=20)
    yard.cycle()
    assert yard.started == {1: 0, 4: 0}, "3 lacks memory now, 5 lacks CPUs"
    yard.run_to(30)
    assert yard.started[2] == 10


def test_jobs_without_limit_end_never_and_do_not_slip_in() -> None:
    yard = Yard()
    yard.node("n1", cpus=8)
    yard.wait(1, cpus=4)
    yard.cycle()
    yard.wait(2, cpus=8)
    yard.wait(3, cpus=1)
    yard.wait(4, cpus=1, limit_s=3600)
    assert yard.cycle() == {4: "n1"}
    assert yard.planned(2) == -1 and yard.reason(2) is Reason.RESOURCES
    yard.end(1)
    yard.pass_time(3600)
    assert yard.cycle() == {2: "n1"}


def test_overdue_jobs_are_expected_any_moment() -> None:
    yard = Yard()
    yard.node("n1", cpus=2)
    yard.wait(1, cpus=1, limit_s=10)
    yard.cycle()
    yard.now = type(yard.now)(NOON + 100 * US)
    yard.wait(2, cpus=2, limit_s=10)
    yard.wait(3, cpus=1, limit_s=1)
    assert yard.cycle() == {}
    assert yard.planned(2) == 100


def test_each_partition_has_its_own_next_job() -> None:
    yard = Yard(Partition("main", nodes=("n1",)), Partition("other", nodes=("n2",)))  # type: ignore[arg-type]
    yard.node("n1", cpus=4)
    yard.node("n2", cpus=4)
    yard.wait(1, cpus=3, limit_s=10)
    yard.wait(2, cpus=3, limit_s=20, partition="other")
    yard.cycle()
    yard.wait(3, cpus=4, limit_s=10)
    yard.wait(4, cpus=4, limit_s=10, partition="other")
    yard.wait(5, cpus=1, limit_s=15, partition="other")
    yard.wait(6, cpus=1, limit_s=15)
    assert yard.cycle() == {5: "n2"}
    assert (yard.planned(3), yard.planned(4)) == (10, 20)
    assert yard.reason(4) is Reason.RESOURCES and yard.reason(6) is Reason.PRIORITY


def test_an_exclusive_head_is_given_a_node_for_itself() -> None:
    yard = Yard()
    yard.node("n1", cpus=4)
    yard.node("n2", cpus=4)
    yard.wait(1, cpus=1, limit_s=10, nodes_required=("n1",))
    yard.wait(2, cpus=1, limit_s=30, nodes_required=("n2",))
    yard.cycle()
    yard.wait(3, Ask(exclusive=True), limit_s=10)
    yard.wait(4, cpus=1, limit_s=11)
    yard.wait(5, Ask(cpu_milli_per_task=0, nodes_required=("n1",)), limit_s=11)  # type: ignore[arg-type]
    assert yard.cycle() == {4: "n2"}
    assert yard.planned(3) == 10


def test_an_open_wish_for_gpus_leaves_the_type_that_the_head_needs() -> None:
    yard = Yard()
    yard.node("n1", cpus=8, gpus="gpu:a100:1,gpu:h200:2")
    yard.wait(1, an_ask(gres_per_node=gres("gpu:h200:1")), limit_s=10)
    yard.cycle()
    yard.wait(2, an_ask(gres_per_node=gres("gpu:h200:2")), limit_s=10)
    yard.wait(3, an_ask(gres_per_node=gres("gpu:1")), limit_s=50)
    yard.wait(4, an_ask(gres_per_node=gres("gpu:1")), limit_s=50)
    plan = yard.plan()
    assert [(g.id, g.placements[0].devices[0].type) for g in plan.grants] == [(3, "a100")]
    yard.run_to(10)
    assert yard.started[2] == 10


@pytest.mark.parametrize("early", [False, True])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_head_of_the_queue_starts_when_promised_or_before(early: bool, seed: int) -> None:
    """EASY's promise, over a whole run with arrivals, gangs, memory and GPUs; jobs may end early."""
    chance = Random(seed)
    yard = Yard()
    for i in range(chance.randint(1, 5)):
        gpus = chance.choice(["", "", "gpu:2", "gpu:h200:1,gpu:a100:1"])
        yard.node(f"n{i + 1}", cpus=chance.choice([2, 4, 8]), mem=chance.choice([1000, 2000]), gpus=gpus)
    promised: dict[int, int] = {}
    next_id = 1
    for _ in range(60):
        for _ in range(chance.choice([0, 0, 0, 1, 3])):
            nodes = chance.choice([1, 1, 1, 2, 3])
            ask = Ask(
                n_tasks=nodes * chance.choice([1, 1, 2]),
                min_nodes=nodes,
                cpu_milli_per_task=chance.choice([1000, 1000, 2000]),
                mem_mib_per_node=chance.choice([0, 300, 900]),
                gres_per_node=gres(chance.choice(["", "", "", "gpu:1", "gpu:h200:1"])),
                exclusive=chance.random() < 0.1,
            )
            yard.wait(next_id, ask, limit_s=chance.choice([5, 10, 20, 40]))
            next_id += 1
        yard.cycle()
        second = (yard.now - NOON) // US
        for id in range(1, next_id):
            if JobId(id) in yard.state.pending_columns:
                if id in promised:
                    assert second <= promised[id], f"job {id} was promised {promised[id]}"
                if yard.planned(id) >= 0:
                    assert yard.planned(id) <= promised.get(id, 10**9)
                    promised[id] = yard.planned(id)
            elif id in promised:
                assert yard.started[id] <= promised[id]
        if early and yard.running and chance.random() < 0.3:
            yard.end(chance.choice(sorted(yard.running)))
        yard.pass_time(1)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_planned_start_is_the_first_that_leaves_the_earlier_ones_alone(seed: int) -> None:
    """Against a search over every second, on one node where only the number of CPUs matters."""
    chance = Random(seed)
    n = chance.randint(4, 12)
    depth = chance.randint(1, 5)
    yard = Yard(depth=depth)
    yard.node("n1", cpus=n)
    busy = [0] * 600
    for id in range(1, chance.randint(3, 9)):
        size, limit = chance.randint(1, 3), chance.randint(1, 30)
        yard.wait(id, cpus=size, limit_s=limit)
        if id in yard.cycle():
            for second in range(limit):
                busy[second] += size
        else:
            yard.state.pending_columns.remove(JobId(id))
    sizes = [1, 1, 2, 3, n // 2, n - 2]
    queue = [(100 + i, chance.choice(sizes), chance.randint(1, 30)) for i in range(depth + 6)]
    for id, size, limit in queue:
        yard.wait(id, cpus=size, limit_s=limit)
    plan = yard.plan()
    starts = {int(id): (at - NOON) // US for id, at in plan.planned.items()}
    starts.update({int(grant.id): 0 for grant in plan.grants})
    heads = 0
    for id, size, limit in queue:
        start = next(s for s in range(600) if all(used + size <= n for used in busy[s : s + limit]))
        if start:
            heads += 1
            if heads > depth:
                assert id not in starts
                continue
        assert starts[id] == start
        for second in range(start, start + limit):
            busy[second] += size


def test_a_short_gap_before_two_planned_starts() -> None:
    """Job 4 goes before job 3, which was planned first; job 5 would fit beside either, not beside both."""
    yard = Yard(depth=2)
    yard.node("n1", cpus=8)
    yard.wait(1, cpus=2, limit_s=5)
    yard.wait(2, cpus=5, limit_s=10)
    yard.cycle()
    yard.wait(3, cpus=6, limit_s=5)
    yard.wait(4, cpus=2, limit_s=20)
    yard.wait(5, cpus=1, limit_s=20)
    yard.wait(6, cpus=1, limit_s=10)
    assert yard.cycle() == {6: "n1"}
    assert (yard.planned(3), yard.planned(4)) == (10, 5)


def test_two_starts_after_jobs_without_end_are_kept_from_those_without_end_that_begin_now() -> None:
    """Job 1 (6 CPUs) and job 3 (the GPU, 1 CPU) both wait for job 10, which may run for ever. Of the two free
    CPUs job 2 gets one between the two plans; job 4 would leave 6 + 1 + 1 + 1 > 8 to them."""
    yard = Yard(depth=2)
    yard.node("n1", cpus=8, gpus="gpu:1")
    yard.wait(10, an_ask(4, gres_per_node=gres("gpu:1")))
    yard.cycle()
    yard.wait(1, cpus=6)
    yard.wait(2, cpus=1)
    yard.wait(3, an_ask(1, gres_per_node=gres("gpu:1")))
    yard.wait(4, cpus=1)
    assert list(yard.cycle()) == [2]


@pytest.mark.parametrize("others", [False, True])
def test_a_shrunk_node_takes_those_who_want_nothing_of_what_it_lacks(others: bool) -> None:
    """Whoever else waits."""
    yard = Yard()
    yard.node("n1", cpus=8, mem=16_000)
    yard.wait(10, cpus=1, mem=8_000)
    yard.cycle()
    yard.change("n1", offer=Offer(2, 8_000, 4_000))
    yard.wait(1, cpus=1)
    if others:
        yard.wait(2, cpus=1, mem=1_000)
    assert list(yard.cycle()) == [1]


def test_a_full_cluster_is_looked_at_where_something_is_free() -> None:
    """Nine of ten nodes are full; the field leaves them aside and the answers stay the same."""
    yard = Yard()
    for i in range(10):
        yard.node(f"n{i + 1}", cpus=4)
    for i in range(9):
        yard.wait(100 + i, cpus=4, limit_s=100)
    assert len(yard.cycle()) == 9
    yard.wait(1, cpus=4, limit_s=10)
    yard.wait(2, cpus=2, limit_s=10)
    assert list(yard.cycle()) == [1]
    assert yard.reason(2) is Reason.RESOURCES
