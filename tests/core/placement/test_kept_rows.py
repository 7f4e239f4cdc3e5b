"""Scores that are kept from pass to pass change no plan."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core.packing.policy import Scorer
from packhorse.scheduler.core.packing.rows import KeptRows
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.resources import Ask
from tests.core.placement.yard import Yard


class Forgetful(KeptRows):
    """Nothing is kept."""

    def by(self, scorer: Scorer | None) -> KeptRows | None:
        return None


def a_yard(chance: Random) -> Yard:
    yard = Yard(policy=chance.choice(["packhorse", "first-fit", "worst-fit"]), depth=chance.choice([0, 1, 2]))
    for i in range(chance.randint(1, 12)):
        yard.node(f"n{i}", cpus=chance.choice([4, 8]), mem=chance.choice([1000, 4000]), weight=i % 2)
    return yard


def some_day(yard: Yard, chance: Random, first: int) -> None:
    """Jobs arrive, nodes are drained, resumed and shrink, and others come."""
    for id in range(first, first + chance.randint(0, 6)):
        ask = Ask(
            n_tasks=chance.choice([1, 1, 1, 4]),
            cpu_milli_per_task=chance.choice([500, 1000, 2000, 4000]),
            mem_mib_per_node=chance.choice([0, 100, 900]),
            exclusive=chance.random() < 0.05,
        )
        yard.wait(id, ask, limit_s=chance.choice([5, 10, 20]), count=chance.choice([1, 1, 1, 20]))
    name = NodeName(f"n{chance.randrange(len(yard.state.nodes))}")
    what = chance.random()
    if what < 0.1:
        yard.drain(name)
    elif what < 0.2:
        yard.change(name, offer=Offer(2, chance.choice([0, 2000, 8000]), 4000))
    elif what < 0.25:
        yard.node(f"n{len(yard.state.nodes)}", cpus=8)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_plans_as_if_nothing_was_kept(seed: int) -> None:
    chance, again = Random(seed), Random(seed)
    kept, forgetful = a_yard(chance), a_yard(again)
    forgetful.state.demand.kept = Forgetful()
    for day in range(8):
        some_day(kept, chance, 100 * day + 1)
        some_day(forgetful, again, 100 * day + 1)
        if chance.random() < 0.3:
            kept.plan()  # a plan that is given up
        again.random()
        plan, other = kept.plan(), forgetful.plan()
        assert plan == other
        for yard in (kept, forgetful):
            for grant in plan.grants:
                yard.grant(grant.id, grant.placements)
            yard.pass_time(4)


def test_rows_are_kept() -> None:
    yard = Yard(policy="packhorse")
    for i in range(3):
        yard.node(f"n{i}", cpus=4)
    yard.wait(1, cpus=2)
    yard.cycle()
    (row,) = yard.state.demand.kept._rows.values()
    yard.wait(2, cpus=2)
    assert yard.cycle() == {2: "n0"}  # beside the first
    assert list(yard.state.demand.kept._rows.values()) == [row]
