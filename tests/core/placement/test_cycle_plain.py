"""The vectorised cycle decides exactly as the plain one does."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core import cycle, hopeless
from packhorse.scheduler.core.packing import growth
from packhorse.scheduler.core.running_columns import NEVER
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.resources import Ask, Devices, Gres, Placement
from tests.core.placement.plain import FAR, PlainJob, PlainNode, Running, plan
from tests.core.placement.yard import NOON, Yard


def ask_of(need: tuple[int, int, int]) -> Ask:
    cpus, mem, gpus = need
    return Ask(
        cpu_milli_per_task=cpus * 1000,
        mem_mib_per_node=mem,
        gres_per_node=(Gres("gpu", "", gpus),) if gpus else (),
    )


def a_situation(chance: Random) -> tuple[Yard, list[PlainNode], list[PlainJob], list[Running]]:
    """A yard with running and waiting jobs, and the same in plain values (CPUs in thousandths).

    Few distinct times and amounts, so that ties and ends at the very instant of a planned start occur.
    """
    yard = Yard(depth=chance.choice([0, 1, 1, 1]))
    nodes: list[PlainNode] = []
    for i in range(chance.randint(1, 5)):
        cpus, mem = chance.choice([4, 8]), chance.choice([1000, 4000])
        gpus, weight = chance.choice([0, 0, 1, 2]), chance.choice([1, 1, 2])
        name = f"n{i + 1}"
        yard.node(name, cpus=cpus, mem=mem, gpus=f"gpu:{gpus}" if gpus else "", weight=weight)
        amounts = (cpus * 1000, mem, gpus)
        nodes.append(PlainNode(name, weight, amounts, list(amounts)))
    running: list[Running] = []
    for i in range(chance.randint(0, 8)):
        node = chance.choice(nodes)
        cpus, mem, gpus = chance.randint(1, 5), chance.choice([0, 500]), chance.choice([0, 0, 1])
        amounts = (cpus * 1000, mem, gpus)
        if any(a > f for a, f in zip(amounts, node.free, strict=True)):
            continue
        held = node.capacity[2] - node.free[2]
        placement = Placement(
            NodeName(node.name),
            cpus * 1000,
            mem,
            devices=(Devices("gpu", "", (held,)),) if gpus else (),
        )
        end = chance.choice([0, -5, 5, 10, 20, 30])
        end_by = Instant(NOON + end * US) if end else Instant(0)
        job = JobId(9000 + i)
        yard.state.node_columns.allocate(job, (placement,))
        yard.state.running_columns.add(job, end_by, (placement,))
        node.free = [f - a for f, a in zip(node.free, amounts, strict=True)]
        running.append(Running(node.name, amounts, end_by or FAR))
    kinds = [
        (chance.choice([1, 1, 2, 3, 8]), chance.choice([0, 0, 500, 2000]), chance.choice([0, 0, 0, 1, 2]))
        for _ in range(chance.randint(1, 5))
    ]
    jobs: list[PlainJob] = []
    for id in range(1, chance.randint(1, 30) + 1):
        amounts = chance.choice(kinds)
        limit = chance.choice([0, 5, 10, 20, 30])
        yard.wait(id, ask_of(amounts), limit_s=limit)
        jobs.append(PlainJob(id, (amounts[0] * 1000, amounts[1], amounts[2]), limit * US))
    return yard, nodes, jobs, running


@pytest.mark.parametrize("piece", [2, 256])
@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_same_as_one_job_and_one_node_at_a_time(piece: int, seed: int) -> None:
    yard, nodes, jobs, running = a_situation(Random(seed))
    held = [
        j
        for j in jobs
        # A job that no empty node holds is refused or set aside; it is no head of the queue.
        if any(all(a <= c for a, c in zip(j.need, n.capacity, strict=True)) for n in nodes)
    ]
    went, planned = plan(nodes, held, running, NOON, yard.state.config.backfill_depth)
    first, many, releases = cycle._FIRST_PIECE, hopeless.MANY_CLASSES, growth._FIRST
    cycle._FIRST_PIECE, hopeless.MANY_CLASSES = piece, 1  # type: ignore[misc]
    growth._FIRST = 1 if piece == 2 else releases  # type: ignore[misc]
    try:
        found = yard.plan()
    finally:
        cycle._FIRST_PIECE, hopeless.MANY_CLASSES = first, many  # type: ignore[misc]
        growth._FIRST = releases  # type: ignore[misc]
    assert {grant.id: grant.placements[0].node for grant in found.grants} == went
    assert len(found.grants) == len(went)
    assert found.planned == ({planned[0]: planned[1]} if planned else {})
    for grant in found.grants:
        yard.grant(grant.id, grant.placements)
    yard.state.node_columns.check()


def test_far_is_after_every_end() -> None:
    assert FAR > NEVER
