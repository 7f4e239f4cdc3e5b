"""How asks lie on nodes: CPUs, memory, devices and tasks per node, as Slurm lays them out."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core.packing.gang import level
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.resources import Ask, Devices, Placement
from tests.core.placement.yard import Yard, a_node, an_ask, gres


def placements(yard: Yard, ask: Ask) -> tuple[Placement, ...]:
    """Where the only waiting job goes; () if nowhere."""
    yard.wait(1, ask)
    grants = yard.plan().grants
    assert len(grants) <= 1
    return grants[0].placements if grants else ()


def tasks(found: tuple[Placement, ...]) -> dict[str, int]:
    return {p.node: p.n_tasks for p in found}


def test_memory_per_cpu_counts_every_cpu_given() -> None:
    yard = Yard()
    yard.node("n1", cpus=8, mem=40_000)
    (p,) = placements(yard, Ask(n_tasks=1, cpu_milli_per_task=4000, mem_mib_per_cpu=4096))
    assert (p.cpu_milli, p.mem_mib, p.n_tasks) == (4000, 16_384, 1)


def test_minimum_of_cpus_per_node() -> None:
    yard = Yard()
    yard.node("n1", cpus=2)
    yard.node("n2", cpus=8)
    (p,) = placements(yard, Ask(min_cpu_milli_per_node=4000, mem_mib_per_cpu=10))
    assert (p.node, p.cpu_milli, p.mem_mib) == ("n2", 4000, 40)


def test_exclusive_gets_all_cpus_and_the_memory_for_them() -> None:
    yard = Yard()
    yard.node("n1", cpus=8, mem=1000)
    (p,) = placements(yard, Ask(exclusive=True, mem_mib_per_cpu=100))
    assert (p.cpu_milli, p.mem_mib, p.n_tasks) == (8000, 800, 1)
    assert placements(Yard(), Ask(exclusive=True)) == ()
    small = Yard()
    small.node("n1", cpus=8, mem=799)
    assert placements(small, Ask(exclusive=True, mem_mib_per_cpu=100)) == ()


def test_exclusive_waits_for_an_empty_node_and_keeps_others_off() -> None:
    yard = Yard()
    yard.node("n1", cpus=8)
    yard.node("n2", cpus=8)
    yard.wait(1, cpus=1, limit_s=10)
    assert yard.cycle() == {1: "n1"}
    yard.wait(2, Ask(exclusive=True), limit_s=10)
    yard.wait(3, Ask(exclusive=True), limit_s=10)
    assert yard.cycle() == {2: "n2"}
    yard.change("n2", spec=a_node("n2", cpus=16).spec, offer=a_node("n2", cpus=16).offer)
    yard.wait(4, cpus=1, limit_s=3)
    yard.wait(5, Ask(cpu_milli_per_task=0), limit_s=3)
    assert yard.cycle() == {4: "n1", 5: "n1"}, "nothing beside the exclusive job, though CPUs are left"
    yard.pass_time(10)
    assert yard.cycle() == {3: "n1"}


def test_all_memory_needs_a_node_whose_memory_nobody_uses() -> None:
    yard = Yard()
    yard.node("n1", mem=1000)
    yard.node("n2", mem=2000)
    yard.wait(1, cpus=1, mem=1)
    assert yard.cycle() == {1: "n1"}
    yard.wait(2, Ask(mem_all=True))
    plan = yard.plan()
    assert [(g.id, g.placements[0].node, g.placements[0].mem_mib) for g in plan.grants] == [(2, "n2", 2000)]


def test_all_memory_is_all_memory_whatever_amount_is_asked_beside_it() -> None:
    """An ask over HTTP that had both was accepted where several nodes could hold it, and never started."""
    yard = Yard()
    yard.node("n1", mem=100)
    yard.wait(1, Ask(n_tasks=2, mem_mib_per_node=300, mem_all=True))
    assert yard.cycle() == {1: "n1"}
    assert yard.state.node_columns.held(JobId(1))[0].mem_mib == 100


@pytest.mark.parametrize("ask", [Ask(exclusive=True), Ask(mem_all=True)])
def test_each_of_a_run_gets_the_whole_of_its_own_node(ask: Ask) -> None:
    yard = Yard()
    for i in (1, 2, 3):
        yard.node(f"n{i}", cpus=2 * i, mem=100 * i)
    yard.wait(1, ask, count=5)
    plan = yard.plan()
    given = [(p.node, p.cpu_milli, p.mem_mib) for grant in plan.grants for p in grant.placements]
    if ask.exclusive:
        assert given == [("n1", 2000, 0), ("n2", 4000, 0), ("n3", 6000, 0)]
    else:
        assert given == [("n1", 1000, 100), ("n2", 1000, 200), ("n3", 1000, 300)]
    yard.cycle()
    assert yard.state.pending_columns.row(JobId(1)).count == 2


def test_all_memory_of_several_nodes() -> None:
    yard = Yard()
    for i in (1, 2, 3):
        yard.node(f"n{i}", cpus=2, mem=100 * i)
    yard.wait(9, cpus=1, mem=1, nodes_required=("n2",))
    assert yard.cycle() == {9: "n2"}
    found = placements(yard, Ask(n_tasks=2, min_nodes=2, mem_all=True))
    assert [(p.node, p.mem_mib) for p in found] == [("n1", 100), ("n3", 300)]
    assert placements_of(yard, Ask(n_tasks=3, min_nodes=3, mem_all=True)) == ()


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (an_ask(tasks=4, min_nodes=2, max_nodes=2), {"n1": 2, "n2": 2}),
        (an_ask(tasks=5, min_nodes=2, max_nodes=2), {"n1": 3, "n2": 2}),
        (an_ask(tasks=1, min_nodes=3, max_nodes=3), {"n1": 1, "n2": 1, "n3": 1}),
        (an_ask(tasks=8), {"n1": 8}),
        (an_ask(tasks=11), {"n1": 8, "n2": 3}),
        (an_ask(tasks=20), {"n1": 8, "n2": 8, "n3": 4}),
        (an_ask(tasks=24, min_nodes=2), {"n1": 8, "n2": 8, "n3": 8}),
        (an_ask(tasks=25), {}),
        (an_ask(tasks=9, max_nodes=1), {}),
        (an_ask(tasks=6, tasks_per_node=2), {"n1": 2, "n2": 2, "n3": 2}),
        (an_ask(tasks=3, nodes_required=("n3",)), {"n3": 3}),
        (an_ask(tasks=1, nodes_required=("n2", "n3")), {"n2": 1, "n3": 1}),
        (an_ask(tasks=10, nodes_required=("n3",)), {"n1": 2, "n3": 8}),
        (an_ask(tasks=2, nodes_excluded=("n1", "n2")), {"n3": 2}),
        (an_ask(tasks=2, nodes_required=("n9",)), {}),
        (an_ask(cpus=3, tasks=4), {"n1": 2, "n2": 2}),
        (an_ask(tasks=2, min_nodes=2, contiguous=True), {"n1": 1, "n2": 1}),
    ],
)
def test_tasks_on_three_nodes_of_eight_cpus(ask: Ask, expected: dict[str, int]) -> None:
    yard = Yard()
    for name in ("n3", "n2", "n1"):
        yard.node(name, cpus=8)
    assert tasks(placements(yard, ask)) == expected


def test_uneven_nodes_take_what_they_can() -> None:
    yard = Yard()
    yard.node("n1", cpus=2)
    yard.node("n2", cpus=8)
    assert tasks(placements(yard, an_ask(tasks=8, min_nodes=2))) == {"n1": 2, "n2": 6}


def test_contiguous_nodes_follow_each_other_by_name() -> None:
    yard = Yard()
    for i in range(1, 12):
        yard.node(f"n{i}", cpus=1)
    yard.wait(50, cpus=1, nodes_required=("n10",))
    yard.wait(51, cpus=1, nodes_required=("n3",))
    assert yard.cycle() == {50: "n10", 51: "n3"}
    found = placements(yard, an_ask(tasks=5, min_nodes=5, contiguous=True))
    assert list(tasks(found)) == ["n4", "n5", "n6", "n7", "n8"]
    assert placements_of(yard, an_ask(tasks=7, min_nodes=7, contiguous=True)) == ()


def placements_of(yard: Yard, ask: Ask) -> tuple[Placement, ...]:
    yard.state.pending_columns.remove(JobId(1))
    return placements(yard, ask)


def test_the_tightest_node_is_chosen_then_weight_then_name() -> None:
    yard = Yard()
    yard.node("n1", cpus=8)
    yard.node("n2", cpus=4)
    yard.node("n10", cpus=4)
    yard.wait(1, cpus=1)
    yard.wait(2, cpus=3)
    yard.wait(3, cpus=4)
    assert yard.cycle() == {1: "n2", 2: "n2", 3: "n10"}
    yard.node("n0", cpus=2, weight=5)
    yard.wait(4, cpus=2)
    assert yard.cycle() == {4: "n1"}, "a node of lower weight comes first, however empty"


def test_jobs_without_gpus_stay_away_from_free_gpus() -> None:
    yard = Yard()
    yard.node("a", cpus=4, gpus="gpu:2")
    yard.node("b", cpus=8)
    yard.wait(1, cpus=4)
    assert yard.cycle() == {1: "b"}
    yard.wait(2, cpus=1, gres_per_node=gres("gpu:2"))
    yard.wait(3, cpus=3)
    assert yard.cycle() == {2: "a", 3: "a"}, "and go there once they are used"


def test_devices_lowest_first_and_by_type() -> None:
    yard = Yard()
    yard.node("n1", gpus="gpu:a100:2,gpu:h200:2")
    found = placements(yard, an_ask(gres_per_node=gres("gpu:h200:1")))
    assert found[0].devices == (Devices("gpu", "h200", (2,)),)
    yard.grant(JobId(1), found)
    yard.wait(2, an_ask(gres_per_node=gres("gpu:2")))
    yard.wait(3, an_ask(gres_per_node=gres("gpu:h200:1")))
    yard.wait(4, an_ask(gres_per_node=gres("gpu:1")))
    grants = {g.id: g.placements[0].devices for g in yard.plan().grants}
    assert grants == {2: (Devices("gpu", "a100", (0, 1)),), 3: (Devices("gpu", "h200", (3,)),)}


def test_a_mixed_wish_of_typed_and_any() -> None:
    yard = Yard()
    yard.node("n1", gpus="gpu:h200:2,gpu:a100:1")
    yard.wait(1, an_ask(gres_per_node=gres("gpu:h200:1,gpu:1")))
    yard.wait(2, an_ask(gres_per_node=gres("gpu:h200:1,gpu:1")))
    assert yard.cycle() == {1: "n1"}
    assert yard.reason(2) is Reason.RESOURCES


def test_dead_devices_are_not_handed_out() -> None:
    yard = Yard()
    yard.node("n1", gpus="gpu:3")
    node = yard.state.nodes[NodeName("n1")]
    import msgspec

    yard.change("n1", offer=msgspec.structs.replace(node.offer, dead_devices=(("gpu", 0),)))
    found = placements(yard, an_ask(gres_per_task=gres("gpu:1"), tasks=2))
    assert found[0].devices == (Devices("gpu", "", (1, 2)),)
    assert placements_of(yard, an_ask(gres_per_node=gres("gpu:3"))) == ()


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (an_ask(tasks=2, gres_per_job=gres("gpu:2")), {"n1": 2}),
        (an_ask(tasks=2, gres_per_job=gres("gpu:5")), {"n1": 3, "n2": 2}),
        (an_ask(tasks=2, min_nodes=2, gres_per_job=gres("gpu:6")), {"n1": 3, "n2": 3}),
        (an_ask(tasks=4, min_nodes=2, gres_per_task=gres("gpu:2")), {"n1": 4, "n2": 4}),
        (an_ask(tasks=2, min_nodes=2, gres_per_node=gres("gpu:3")), {"n1": 3, "n2": 3}),
        (an_ask(tasks=2, gres_per_job=gres("gpu:9")), {}),
        (an_ask(tasks=1, gres_per_job=gres("gpu:5")), {}),
        (an_ask(tasks=3, min_nodes=3, gres_per_job=gres("gpu:2")), {"n1": 1, "n2": 1, "n3": 0}),
    ],
)
def test_gpus_per_job_task_and_node(ask: Ask, expected: dict[str, int]) -> None:
    yard = Yard()
    yard.node("n1", cpus=8, gpus="gpu:4")
    yard.node("n2", cpus=8, gpus="gpu:4")
    yard.node("n3", cpus=8)
    found = placements(yard, ask)
    assert {p.node: sum(len(d.indices) for d in p.devices) for p in found} == expected


def test_one_set_of_features_for_the_whole_gang() -> None:
    yard = Yard()
    for i, rack in enumerate(["r1", "r2", "r1", "r2", "r2"]):
        yard.node(f"n{i + 1}", cpus=1, features=(rack, "x"))
    three = an_ask(tasks=3, min_nodes=3, features="[r1|r2]")
    assert list(tasks(placements(yard, three))) == ["n2", "n4", "n5"]
    assert len(placements_of(yard, an_ask(tasks=3, min_nodes=3, features="r1|r2"))) == 3
    assert placements_of(yard, an_ask(tasks=4, min_nodes=4, features="[r1|r2]")) == ()
    assert list(tasks(placements_of(yard, an_ask(features="(r2)&(x)")))) == ["n2"]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.data())
def test_level_is_as_even_as_caps_allow(caps: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(caps)))
    out = level(total, caps)
    assert sum(out) == total and all(o <= c for o, c in zip(out, caps, strict=True))
    for o, c in zip(out, caps, strict=True):
        assert o == c or o >= max(out) - 1, "nobody could take one from somebody who has two more"


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_gangs_are_placed_whenever_any_choice_of_nodes_works(seed: int) -> None:
    chance = Random(seed)
    yard = Yard(depth=chance.choice([0, 1]))
    n_nodes = chance.randint(1, 6)
    for i in range(n_nodes):
        yard.node(
            f"n{i + 1}",
            cpus=chance.randint(1, 6),
            mem=chance.choice([100, 200, 400]),
            weight=chance.randint(1, 2),
        )
    for id in range(100, 100 + chance.randint(0, 4)):
        yard.wait(id, cpus=chance.randint(1, 3), mem=chance.choice([0, 50, 150]))
    yard.cycle()
    n_tasks = chance.randint(1, 8)
    min_nodes = chance.randint(1, 4)
    required = chance.sample(range(1, n_nodes + 1), chance.choice([0, 0, 1]))
    ask = Ask(
        n_tasks=n_tasks,
        min_nodes=min_nodes,
        max_nodes=chance.choice([0, 0, min_nodes, min_nodes + 1]),
        tasks_per_node=chance.choice([0, 0, 0, 2, 3]),
        cpu_milli_per_task=chance.choice([1000, 2000]),
        mem_mib_per_cpu=chance.choice([0, 40]),
        nodes_required=tuple(NodeName(f"n{i}") for i in required),
    )
    for id in range(100, 104):
        if JobId(id) in yard.state.pending_columns:
            yard.state.pending_columns.remove(JobId(id))
    free = {n: yard.state.node_columns.amounts_free(n) for n in yard.state.nodes}
    caps = {}
    for name, amounts in free.items():
        cap = amounts["cpu_milli"] // ask.cpu_milli_per_task
        if ask.mem_mib_per_cpu:
            cap = min(cap, amounts["mem_mib"] // (ask.mem_mib_per_cpu * ask.cpu_milli_per_task // 1000))
        caps[name] = max(min(cap, ask.tasks_per_node or cap), 0)
    total = max(n_tasks, min_nodes, len(ask.nodes_required))
    most = ask.max_nodes or total
    sizes = range(max(min_nodes, len(ask.nodes_required)), min(most, total) + 1)
    able = [
        chosen
        for k in sizes
        for chosen in combinations(sorted(caps), k)
        if all(caps[n] for n in chosen)
        and set(ask.nodes_required) <= set(chosen)
        and sum(caps[n] for n in chosen) >= total
    ]
    found = placements(yard, ask)
    assert bool(found) == bool(able)
    if found:
        assert sum(p.n_tasks for p in found) == total
        assert len(found) == min(len(chosen) for chosen in able), "as few nodes as will do"
        assert all(1 <= p.n_tasks <= caps[p.node] for p in found)
        assert set(ask.nodes_required) <= {p.node for p in found}
        yard.grant(JobId(1), found)
        yard.state.node_columns.check()
