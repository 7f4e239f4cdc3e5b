"""The cycle of a cluster of one node plans exactly as the general one."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core import cycle, one_node
from packhorse.scheduler.core.backfill_kinds import BACKFILLS
from packhorse.scheduler.core.orders import ORDERS, PACKHORSE
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.resources import Ask, Placement
from tests.core.placement.yard import NOON, Yard, a_node


def a_queue(chance: Random) -> Yard:
    """One node, some running and some waiting jobs; few distinct times and amounts, so that ties occur."""
    yard = Yard(policy=chance.choice(["tightest", "packhorse"]))
    yard.state.config = msgspec.structs.replace(
        yard.state.config,
        backfill=chance.choice(list(BACKFILLS)),
        backfill_depth=chance.choice([0, 1, 1, 1]),
        order=chance.choice(["priority", "priority", *(name for name in ORDERS if name != PACKHORSE)]),
        keep_next=chance.random() < 0.3,
        predictor=chance.choice(["limit", "last2"]),
    )
    cpus, mem = chance.choice([4, 16]), chance.choice([1000, 4000])
    node = a_node("n1", cpus=cpus, mem=mem, gpus=chance.choice(["", "gpu:2"]), features=("a",))
    if chance.random() < 0.2:
        node = msgspec.structs.replace(node, offer=Offer(1, cpus * 500, mem))
    yard.put(node)
    free = [cpus, mem]
    for i in range(chance.randint(0, 10)):
        amounts = [chance.randint(1, 5), chance.choice([0, 200, 300])]
        if any(a > f for a, f in zip(amounts, free, strict=True)):
            continue
        free = [f - a for f, a in zip(free, amounts, strict=True)]
        job, end = JobId(9000 + i), chance.choice([0, -5, 5, 10, 10, 20])
        placement = Placement(NodeName("n1"), amounts[0] * 1000, amounts[1])
        yard.state.node_columns.allocate(job, (placement,))
        yard.state.running_columns.add(job, Instant(NOON + end * US) if end else Instant(0), (placement,))
        if chance.random() < 0.3:
            run_us = (60 + chance.choice([-1, 5, 10])) * US
            yard.state.running_columns.expect(job, Instant(NOON - 60 * US), run_us)
    if chance.random() < 0.05:
        yard.drain("n1")
    for id in range(1, chance.randint(1, 30) + 1):
        ask = Ask(
            cpu_milli_per_task=chance.choice([1, 1, 2, 3, 8]) * 1000,
            mem_mib_per_node=chance.choice([0, 0, 200, 500]),
            max_nodes=1,
            n_tasks=chance.choice([1, 1, 2]),
            features=chance.choice(["", "", "", "b"]),
        )
        limit_s = chance.choice([0, 5, 10, 10, 20, 30])
        yard.wait(id, ask, limit_s=limit_s, nice=chance.choice([0, 0, 0, 5]))
        slot = yard.state.pending_columns._slot[JobId(id)]
        yard.state.pending_columns.expected_us[slot] = chance.choice([0, 4, 10]) * US
        yard.state.pending_columns.eligible_at[slot] = NOON - chance.choice([0, 5, 100]) * US
    return yard


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_same_as_the_general_cycle(seed: int) -> None:
    simple, general = a_queue(Random(seed)), a_queue(Random(seed))
    for _ in range(3):
        found = one_node.plan(simple.state, simple.now)
        assert found is not None
        full = cycle.Cycle(general.state, general.now)
        plan = full.run()
        full.tell(plan)
        assert ([cycle.Grant(*grant) for grant in found[0]], found[1]) == (plan.grants, plan.planned)
        for id in simple.asks:
            if JobId(id) in simple.state.pending_columns:
                assert (simple.reason(id), simple.planned(id)) == (general.reason(id), general.planned(id))
        for yard in (simple, general):
            for grant in plan.grants:
                yard.grant(grant.id, grant.placements)
            yard.pass_time(7)


@pytest.mark.parametrize(
    "complicate",
    [
        lambda yard: yard.node("n2"),
        lambda yard: yard.wait(5, cpus=1, tasks=2),
        lambda yard: yard.wait(5, Ask(cpu_milli_per_task=1000, exclusive=True)),
        lambda yard: yard.wait(5, cpus=1, count=3),
        lambda yard: yard.wait(5, cpus=1, partition="other"),
    ],
)
def test_leaves_the_rest_to_the_general_cycle(complicate: object) -> None:
    yard = Yard(Partition("main", is_default=True), Partition("other"))
    yard.node("n1")
    yard.wait(1, cpus=1)
    assert one_node.plan(yard.state, yard.now) is not None
    assert callable(complicate)
    complicate(yard)
    assert one_node.plan(yard.state, yard.now) is None
