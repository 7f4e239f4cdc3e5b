"""Who may go before blocked jobs, kind by kind, by hand; and the promise that conservative planning keeps."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from packhorse.scheduler.core.backfill_kinds import BACKFILLS, backfill
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.node import Offer
from tests.core.placement.yard import NOON, Yard


def a_yard(kind: str, *partitions: Partition, depth: int = 1, cpus: int = 10) -> Yard:
    yard = Yard(*partitions, depth=depth)
    yard.state.config = replace(yard.state.config, backfill=kind)
    yard.node("n1", cpus=cpus)
    return yard


def crowded(kind: str, depth: int = 1) -> Yard:
    """4 CPUs are free until 10, 2 more than the next job wants then; four others want them."""
    yard = a_yard(kind, depth=depth)
    yard.wait(1, cpus=6, limit_s=10)
    yard.cycle()
    yard.wait(2, cpus=8, limit_s=10)
    yard.wait(3, cpus=2, limit_s=40)
    yard.wait(4, cpus=2, limit_s=10)
    yard.wait(5, cpus=2, limit_s=9)
    yard.wait(6, cpus=2, limit_s=30)
    yard.cycle()
    return yard


@pytest.mark.parametrize(
    ("kind", "went"),
    [
        ("easy", [3, 4]),  # 3 uses what is left over
        ("sjbf", [4, 5]),
        ("before", [5]),  # 4 would end just then
        ("none", []),
    ],
)
def test_by_hand(kind: str, went: list[int]) -> None:
    yard = crowded(kind)
    assert sorted(id for id in yard.started if id > 2) == went
    assert yard.planned(2) == 10 and yard.reason(2) is Reason.RESOURCES
    for id in {3, 4, 5, 6} - set(went):
        assert yard.reason(id) is Reason.PRIORITY, id


@pytest.mark.parametrize("kind", ["before", "none"])
@pytest.mark.parametrize("depth", [2, 100])
def test_there_is_one_next_job_whatever_the_depth(kind: str, depth: int) -> None:
    assert crowded(kind, depth).started == crowded(kind).started


def test_what_is_released_at_the_very_moment() -> None:
    """Two jobs of 2 and 4 CPUs end at 10; the next one wants 3 more than are free, so that the larger is what
    is counted last: 1 CPU of it is surplus, or all that the next does not want."""

    def started(kind: str) -> list[int]:
        yard = a_yard(kind)
        yard.wait(1, cpus=2, limit_s=10)
        yard.wait(2, cpus=4, limit_s=10)
        yard.wait(3, cpus=2, limit_s=50)
        yard.cycle()
        yard.wait(4, cpus=4, limit_s=10)  # 2 are free, and 2 with the smaller release
        yard.wait(5, cpus=1, limit_s=50)
        yard.cycle()
        return [id for id in yard.started if id > 3]

    assert started("easy") == [5]
    assert started("textbook") == []
    assert started("textbook-sjbf") == []


@pytest.mark.parametrize("kind", ["none", "before"])
def test_partitions_block_themselves_only(kind: str) -> None:
    yard = a_yard(kind, Partition("main", is_default=True), Partition("other"))
    yard.wait(1, cpus=6, limit_s=10)
    yard.cycle()
    yard.wait(2, cpus=8, limit_s=10)
    yard.wait(3, cpus=1, limit_s=100)
    yard.wait(4, cpus=1, limit_s=100, partition="other")
    yard.wait(5, cpus=9, limit_s=100, partition="other")
    yard.wait(6, cpus=1, limit_s=100, partition="other")
    yard.cycle()
    # What starts runs past the planned start, and uses what is left over there.
    assert [id for id in yard.started if id > 1] == [4]
    assert (yard.reason(2), yard.reason(5)) == (Reason.RESOURCES, Reason.RESOURCES)
    assert (yard.reason(3), yard.reason(6)) == (Reason.PRIORITY, Reason.PRIORITY)


@pytest.mark.parametrize("depth", [0, 1])
def test_candidates_are_sorted_where_no_end_is_in_sight(depth: int) -> None:
    """The next job can never start while the other machine offers so little, and has no planned start."""
    yard = a_yard("sjbf", depth=depth, cpus=12)
    yard.node("n2", cpus=4)
    yard.change("n1", offer=Offer(2, 0, 16_000))
    yard.wait(1, cpus=8, limit_s=10)
    for id, limit in ((2, 40), (3, 30), (4, 20), (5, 10), (6, 50)):
        yard.wait(id, cpus=1, limit_s=limit)
    plan = yard.plan()
    assert [grant.id for grant in plan.grants] == [5, 4, 3, 2]
    assert not plan.planned


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), kind=st.sampled_from(sorted(BACKFILLS)), depth=st.sampled_from([0, 1, 3]))
def test_nobody_is_granted_twice_and_nobody_forgotten(seed: int, kind: str, depth: int) -> None:
    """Several partitions, jobs without a limit, arrays, nodes that are away."""
    chance = Random(seed)
    yard = a_yard(kind, Partition("main", is_default=True), Partition("b", priority=5), depth=depth, cpus=6)
    yard.node("n2", cpus=8)
    yard.node("n3", cpus=12)
    if chance.random() < 0.5:
        yard.drain("n3")
    counts: dict[int, int] = {}
    id = 0
    for _ in range(4):
        for _ in range(chance.randint(1, 15)):
            id += 1
            counts[id] = chance.choice([1, 1, 1, 3])
            yard.wait(
                id,
                cpus=chance.choice([1, 2, 4, 9]),
                limit_s=chance.choice([0, 5, 10, 20]),
                count=counts[id],
                partition=chance.choice(["main", "b"]),
            )
        plan = yard.plan()
        for job, n in Counter(grant.id for grant in plan.grants).items():
            assert n <= counts[job]
            counts[job] -= n
        for grant in plan.grants:
            yard.grant(grant.id, grant.placements)
        yard.state.node_columns.check()
        waiting = {job for job, n in counts.items() if n}
        assert len(yard.state.pending_columns) == len(waiting)
        yard.pass_time(chance.randint(1, 10))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_conservative_never_delays_a_planned_start(seed: int) -> None:
    """Where jobs run as long as they may, a start that was planned once is the start."""
    chance = Random(seed)
    yard = a_yard("easy", depth=1 << 16)
    promised: dict[int, int] = {}
    for id in range(1, 16):
        yard.wait(id, cpus=chance.randint(1, 10), limit_s=chance.randint(1, 6) * 5)
        yard.cycle()
        for job in yard.asks:
            if job in yard.started:
                continue
            planned = yard.planned(job)
            assert planned == promised.setdefault(job, planned) > (yard.now - NOON) // US
        yard.run_to((yard.now - NOON) // US + chance.choice([0, 0, 3, 10]))
    yard.run_to(2000)
    assert all(yard.started[job] == at for job, at in promised.items())
    assert len(yard.started) == 15


def test_unknown_kinds_are_told_with_the_known_ones() -> None:
    with pytest.raises(BadValue, match='backfill "lots" is not known; there are before, easy, none, sjbf'):
        backfill("lots")
    assert all(kind.summary for kind in BACKFILLS.values())
