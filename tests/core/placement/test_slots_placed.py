"""Shares, slices, chips, links and racks, each by hand: what goes where, what waits, what is refused."""

from __future__ import annotations

import msgspec
import pytest

from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.possible import possible
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.node import Node, NodeSpec, Offer
from packhorse.scheduler.model.reply import RefusalCode, Refused
from packhorse.scheduler.model.resources import WHOLE, Ask, Device, Devices, Gres
from tests.core.placement.chance import CUTS, gpus, tpus
from tests.core.placement.yard import NOON, Yard, an_ask

MAIN = Partition("main", is_default=True)


def put(yard: Yard, name: str, devices: list[Device], cpus: int = 64, **spec: object) -> None:
    """A node with these devices."""
    found = NodeSpec(NodeName(name), name, cpus * 1000, 64_000, devices=tuple(devices), **spec)  # type: ignore[arg-type]
    yard.put(Node(found, "boot", Offer(1, cpus * 1000, 64_000), NOON))


def share(milli: int = WHOLE, mem: int = 0, type_: str = "") -> tuple[Gres, ...]:
    return (Gres("gpu", type_, 1, milli, mem),)


def given(yard: Yard, id: int) -> tuple[Devices, ...]:
    """The devices of the job's first node."""
    return yard.state.node_columns.held(id)[0].devices  # type: ignore[arg-type]


def indices(yard: Yard, id: int) -> tuple[int, ...]:
    return tuple(i for d in given(yard, id) for i in d.indices)


# -- shares ----------------------------------------------------------------------------------------------


def test_shares_fill_one_device_before_the_next() -> None:
    yard = Yard()
    put(yard, "n1", gpus(2))
    for id, milli in ((1, 500), (2, 250), (3, 500), (4, 250), (5, 501)):
        yard.wait(id, an_ask(gres_per_node=share(milli)))
    yard.cycle()
    assert [indices(yard, id) for id in (1, 2, 3, 4)] == [(0,), (0,), (1,), (0,)]
    assert 5 not in yard.started, "device 1 has 500 left"
    assert yard.state.node_columns.amounts_free(NodeName("n1"))["gpu%"] == 500


def test_a_share_by_memory_takes_what_it_is_of_each_device_rounded_up() -> None:
    yard = Yard()
    put(yard, "n1", [Device("gpu", "small", 0, mem_mib=10_000), Device("gpu", "big", 1, mem_mib=30_001)])
    yard.wait(1, an_ask(gres_per_node=share(mem=20_000)))
    yard.wait(2, an_ask(gres_per_node=share(mem=10_000)))
    yard.wait(3, an_ask(gres_per_node=share(mem=10_000)))
    yard.cycle()
    assert given(yard, 1) == (Devices("gpu", "big", (1,), 667),)
    assert given(yard, 2) == (Devices("gpu", "small", (0,), WHOLE),), "334 of the other, which has 333 left"
    assert 3 not in yard.started


def test_a_typed_share_goes_to_its_type() -> None:
    yard = Yard()
    put(yard, "n1", gpus(1, "a100"))
    put(yard, "n2", gpus(1, "h200"))
    for id in (1, 2, 3):
        yard.wait(id, an_ask(gres_per_node=share(500, type_="h200")))
    assert yard.cycle() == {1: "n2", 2: "n2"}


def test_a_share_per_task_spans_devices() -> None:
    yard = Yard()
    put(yard, "n1", gpus(2))
    yard.wait(1, an_ask(gres_per_node=share(400)))
    yard.wait(2, an_ask(tasks=3, gres_per_task=share(400), max_nodes=1))
    yard.cycle()
    assert given(yard, 2) == (Devices("gpu", "", (0,), 400), Devices("gpu", "", (1,), 800))


def test_shares_on_every_node_of_a_gang() -> None:
    yard = Yard()
    for name in ("n1", "n2", "n3"):
        put(yard, name, gpus(1))
    yard.wait(1, an_ask(gres_per_node=share(700), nodes_required=(NodeName("n2"),)))
    yard.cycle()
    yard.wait(2, an_ask(tasks=2, min_nodes=2, max_nodes=2, gres_per_node=share(400)))
    assert yard.cycle() == {2: "n1+n3"}


def test_a_dead_device_is_not_shared_and_comes_back() -> None:
    yard = Yard()
    put(yard, "n1", gpus(2))
    offer = Offer(2, 64_000, 64_000, dead_devices=(("gpu", 0),))
    yard.change("n1", offer=offer)
    yard.wait(1, an_ask(gres_per_node=share(500)))
    yard.wait(2, an_ask(gres_per_node=(Gres("gpu", "", 1),)))
    yard.cycle()
    assert indices(yard, 1) == (1,) and 2 not in yard.started
    yard.change("n1", offer=Offer(3, 64_000, 64_000))
    yard.cycle()
    assert indices(yard, 2) == (0,)


def test_a_device_in_use_that_is_registered_no_more_gives_nothing_and_leaves_cleanly() -> None:
    yard = Yard(depth=0)
    put(yard, "n1", gpus(2))
    yard.wait(1, an_ask(gres_per_node=share(500)))
    yard.wait(2, an_ask(gres_per_node=(Gres("gpu", "", 1),)))
    yard.cycle()
    assert indices(yard, 2) == (1,)
    put(yard, "n1", gpus(1))
    yard.state.node_columns.check()
    yard.wait(3, an_ask(gres_per_node=share(600)))
    yard.wait(4, an_ask(gres_per_node=share(500)))
    assert yard.cycle() == {4: "n1"}
    yard.end(2)
    yard.state.node_columns.check()
    yard.end(1)
    assert 3 not in yard.cycle()
    yard.end(4)
    assert yard.cycle() == {3: "n1"}


# -- slices ----------------------------------------------------------------------------------------------


def test_a_layout_is_chosen_kept_while_in_use_and_changed_when_empty() -> None:
    yard = Yard()
    put(yard, "n1", gpus(1, "a100", 80_000, layouts=CUTS))
    small, large, all_ = ((Gres("gpu", p, 1),) for p in ("1g.10gb", "3g.40gb", "7g.80gb"))
    yard.wait(1, an_ask(gres_per_node=large))
    yard.cycle()
    assert given(yard, 1)[0].part == "3g.40gb" and given(yard, 1)[0].place == (1, 0)
    yard.wait(2, an_ask(gres_per_node=small))
    yard.wait(3, an_ask(gres_per_node=small))
    assert yard.cycle() == {2: "n1"}, "the layout in force has one small slice"
    assert given(yard, 2)[0].place == (1, 1)
    yard.end(1)
    assert yard.cycle() == {}, "while one slice is in use the cut stays"
    yard.end(2)
    assert yard.cycle() == {3: "n1"}
    assert given(yard, 3)[0].place[0] == 0, "now it is cut into as many small ones as there can be"
    yard.end(3)
    yard.wait(4, an_ask(gres_per_node=all_))
    yard.cycle()
    assert given(yard, 4)[0].place == (2, 0)


def test_several_slices_come_from_devices_cut_already_first() -> None:
    yard = Yard()
    put(yard, "n1", gpus(2, "a100", 80_000, layouts=CUTS))
    yard.wait(1, an_ask(gres_per_node=(Gres("gpu", "1g.10gb", 1),)))
    yard.cycle()
    first = indices(yard, 1)
    yard.wait(2, an_ask(gres_per_node=(Gres("gpu", "1g.10gb", 3),)))
    yard.wait(3, an_ask(gres_per_node=(Gres("gpu", "1g.10gb", 5),)))
    assert yard.cycle() == {2: "n1"}
    assert set(indices(yard, 2)) == set(first)
    assert len({d.place for d in (*given(yard, 1), *given(yard, 2))}) == 4


def test_a_device_that_may_be_cut_is_given_whole_only_while_nothing_is_cut_from_it() -> None:
    yard = Yard()
    put(yard, "n1", gpus(1, "a100", 80_000, layouts=CUTS))
    yard.wait(1, an_ask(gres_per_node=(Gres("gpu", "1g.10gb", 1),)), limit_s=10)
    yard.cycle()
    yard.wait(2, an_ask(gres_per_node=(Gres("gpu", "", 1),)))
    assert yard.cycle() == {} and yard.planned(2) == 10
    yard.pass_time(10)
    assert yard.cycle() == {2: "n1"}


def test_a_planned_start_cuts_anew_what_is_free_by_then() -> None:
    """The device is cut in one way now, and in another when the slice it waits for can be made."""
    yard = Yard()
    put(yard, "n1", gpus(1, "a100", 80_000, layouts=CUTS))
    yard.wait(1, an_ask(gres_per_node=(Gres("gpu", "1g.10gb", 1),)), limit_s=10)
    yard.cycle()
    yard.wait(2, an_ask(gres_per_node=(Gres("gpu", "7g.80gb", 1),)), limit_s=10)
    yard.wait(3, an_ask(gres_per_node=(Gres("gpu", "1g.10gb", 1),)), limit_s=11)
    yard.wait(4, an_ask(gres_per_node=(Gres("gpu", "1g.10gb", 1),)), limit_s=10)
    assert yard.cycle() == {4: "n1"}
    assert yard.planned(2) == 10
    yard.pass_time(10)
    assert yard.cycle() == {2: "n1"}


# -- chips and links -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "expected"), [(1, (0,)), (2, (0, 1)), (3, (0, 1, 2)), (4, (0, 1, 2, 3))])
def test_chips_come_as_aligned_blocks(n: int, expected: tuple[int, ...]) -> None:
    yard = Yard()
    put(yard, "n1", tpus(8))
    yard.wait(1, an_ask(gres_per_node=(Gres("tpu", "", n),)))
    yard.cycle()
    assert indices(yard, 1) == expected


def test_free_chips_that_make_no_block_wait() -> None:
    yard = Yard()
    put(yard, "n1", tpus(4))
    for id in (1, 2, 3, 4):
        yard.wait(id, an_ask(gres_per_node=(Gres("tpu", "", 1),)))
    yard.cycle()
    assert [indices(yard, id) for id in (1, 2, 3, 4)] == [(0,), (1,), (2,), (3,)]
    yard.end(2)
    yard.end(3)
    yard.wait(5, an_ask(gres_per_node=(Gres("tpu", "", 2),)))
    assert yard.cycle() == {}, "chips 1 and 2 are free, and not wired together"
    yard.end(4)
    yard.cycle()
    assert indices(yard, 5) == (2, 3)


def test_a_chip_is_taken_where_it_spoils_the_least() -> None:
    yard = Yard()
    put(yard, "n1", tpus(4))
    yard.wait(1, an_ask(gres_per_node=(Gres("tpu", "", 1),)))
    yard.cycle()
    yard.wait(2, an_ask(gres_per_node=(Gres("tpu", "", 1),)))
    yard.wait(3, an_ask(gres_per_node=(Gres("tpu", "", 2),)))
    yard.cycle()
    assert indices(yard, 2) == (1,) and indices(yard, 3) == (2, 3)


def test_chips_per_job_make_a_block_on_each_node() -> None:
    yard = Yard()
    put(yard, "n1", tpus(4))
    put(yard, "n2", tpus(4))
    for id, name in ((1, "n1"), (2, "n1"), (3, "n1"), (4, "n1")):
        yard.wait(id, an_ask(gres_per_node=(Gres("tpu", "", 1),), nodes_required=(NodeName(name),)))
    yard.cycle()
    yard.end(2)
    yard.end(3)
    yard.wait(5, an_ask(tasks=2, min_nodes=2, max_nodes=2, gres_per_job=(Gres("tpu", "", 6),)))
    assert yard.cycle() == {}, "n1 has two chips free that are no block"
    yard.end(4)
    assert yard.cycle() == {5: "n1+n2"}
    chips = [p.devices[0].indices for p in yard.state.node_columns.held(5)]  # type: ignore[arg-type]
    assert sorted(len(c) for c in chips) == [2, 4] and chips[0] == (2, 3)


def test_one_link_group_is_preferred_and_needed_only_when_asked() -> None:
    yard = Yard()
    put(yard, "n1", gpus(4, "h200", 80_000, link=2))
    yard.wait(1, an_ask(gres_per_node=(Gres("gpu", "", 1),)))
    yard.cycle()
    yard.wait(2, an_ask(gres_per_node=(Gres("gpu", "", 2),)), limit_s=10)
    yard.cycle()
    assert indices(yard, 2) == (2, 3), "not 1 and 2"
    yard.end(2)
    yard.wait(3, an_ask(gres_per_node=(Gres("gpu", "", 1),), nodes_required=(NodeName("n1"),)))
    yard.cycle()
    assert indices(yard, 3) == (1,)
    yard.end(1)
    yard.wait(4, an_ask(gres_per_node=(Gres("gpu", "", 3),), linked=True))
    yard.wait(5, an_ask(gres_per_node=(Gres("gpu", "", 3),)))
    yard.cycle()
    assert 4 not in yard.started and len(indices(yard, 5)) == 3


def test_slices_and_chips_per_job_are_dealt_over_nodes() -> None:
    yard = Yard()
    put(yard, "n1", gpus(1, "a100", 80_000, layouts=CUTS))
    put(yard, "n2", gpus(1, "a100", 80_000, layouts=CUTS))
    yard.wait(1, an_ask(tasks=2, min_nodes=2, max_nodes=2, gres_per_job=(Gres("gpu", "1g.10gb", 4),)))
    assert yard.cycle() == {1: "n1+n2"}
    assert [len(p.devices) for p in yard.state.node_columns.held(1)] == [2, 2]  # type: ignore[arg-type]


# -- nodes near each other, spread, features counted -----------------------------------------------------


def racks() -> Yard:
    """Two nodes at each of switches s1, s2 (rack r1) and s3 (rack r2), and one that is nowhere."""
    yard = Yard()
    for i, path in enumerate(
        [("r1", "s1"), ("r1", "s1"), ("r1", "s2"), ("r1", "s2"), ("r2", "s3"), ("r2", "s3")]
    ):
        put(yard, f"n{i + 1}", [], cpus=4, topology=path)
    put(yard, "n7", [], cpus=4)
    return yard


def test_no_hop_is_one_switch_and_one_hop_is_one_rack() -> None:
    yard = racks()
    yard.wait(1, an_ask(cpus=1, nodes_required=(NodeName("n1"),)), limit_s=10)
    yard.cycle()
    gang = {"tasks": 2, "min_nodes": 2, "max_nodes": 2, "cpus": 4}
    yard.wait(2, an_ask(**gang, hops=0))
    yard.wait(3, an_ask(**gang, hops=0))
    yard.wait(4, an_ask(**gang, hops=0), limit_s=5)
    where = yard.cycle()
    assert sorted(where.values()) == ["n3+n4", "n5+n6"]
    assert yard.planned(4) == 10
    other = racks()
    other.wait(1, an_ask(cpus=1, nodes_required=(NodeName("n1"),)))
    other.wait(2, an_ask(cpus=1, nodes_required=(NodeName("n3"),)))
    other.wait(3, an_ask(cpus=1, nodes_required=(NodeName("n5"),)))
    other.cycle()
    other.wait(4, an_ask(**gang, hops=0))
    assert other.cycle() == {}
    other.wait(5, an_ask(**gang, hops=1), priority=1)
    assert other.cycle() in ({5: "n2+n4"}, {})
    apart = racks()
    apart.wait(1, an_ask(tasks=4, min_nodes=4, max_nodes=4, cpus=1, hops=1))
    assert apart.cycle() == {1: "n1+n2+n3+n4"}


def test_spread_takes_many_and_the_emptiest() -> None:
    yard = Yard()
    for i in range(4):
        put(yard, f"n{i + 1}", [], cpus=4)
    yard.wait(1, an_ask(cpus=2, nodes_required=(NodeName("n1"),)))
    yard.cycle()
    yard.wait(2, an_ask(cpus=1, tasks=3, spread=True))
    yard.wait(3, an_ask(cpus=1, spread=True))
    assert yard.cycle() == {2: "n2+n3+n4", 3: "n2"}


def test_counted_features_take_so_many_of_each() -> None:
    yard = Yard()
    for i, features in enumerate([("a",), ("a",), ("a",), ("b",), ("b",), ()]):
        put(yard, f"n{i + 1}", [], cpus=4, features=features)
    yard.wait(1, an_ask(cpus=4, tasks=3, features="a*2&b*1"))
    yard.wait(2, an_ask(cpus=4, tasks=3, features="a*2&b*1"))
    yard.wait(3, an_ask(cpus=4, tasks=2, features="a*1&b*1"))
    assert yard.cycle() == {1: "n1+n2+n4", 3: "n3+n5"}
    yard.end(1)
    assert yard.cycle() == {2: "n1+n2+n4"}


def test_features_in_parentheses_are_counted_together() -> None:
    yard = Yard()
    for i, features in enumerate([("a",), ("a", "b"), ("a", "b"), ("c",), ("b",)]):
        put(yard, f"n{i + 1}", [], cpus=4, features=features)
    ask = an_ask(cpus=4, tasks=3, features="[(a&b)*2&c*1]")
    assert possible(ask, MAIN, yard.state.node_columns) is None
    yard.wait(1, ask)
    assert yard.cycle() == {1: "n2+n3+n4"}
    none = possible(an_ask(tasks=3, features="(a&b)*3"), MAIN, yard.state.node_columns)
    assert none is not None and "3 nodes asked of one, 2 have it" in none.message


def test_features_counted_are_looked_for_below_one_switch() -> None:
    yard = Yard()
    for name, feature, switch, cpus in (("n1", "a", "s1", 4), ("n2", "b", "s2", 4)):
        put(yard, name, [], cpus, features=(feature,), topology=("r", switch))
    put(yard, "n3", [], 8, features=("a",), topology=("r", "s3"))
    put(yard, "n4", [], 8, features=("b",), topology=("r", "s3"))
    ask = an_ask(tasks=2, features="a*1&b*1", hops=0)
    assert possible(ask, MAIN, yard.state.node_columns) is None
    yard.wait(1, ask)
    assert yard.cycle() == {1: "n3+n4"}, "n1 and n2 are tighter, but far from each other"


def test_counted_features_are_taken_of_larger_nodes_where_the_tightest_hold_too_little() -> None:
    yard = Yard()
    put(yard, "n1", [], 2, features=("a",))
    put(yard, "n2", [], 8, features=("a",))
    put(yard, "n3", [], 4, features=("b",))
    ask = an_ask(tasks=10, max_nodes=2, features="a*1&b*1")
    assert possible(ask, MAIN, yard.state.node_columns) is None
    yard.wait(1, ask)
    assert yard.cycle() == {1: "n2+n3"}


def test_a_job_that_spreads_takes_the_lightest_nodes_first() -> None:
    yard = Yard()
    for name, weight, cpus in (("n1", 1, 4), ("n2", 1, 8), ("n3", 5, 16)):
        yard.node(name, cpus=cpus, weight=weight)
    yard.wait(1, an_ask(spread=True))
    yard.wait(2, an_ask(spread=True, tasks=2))
    assert yard.cycle() == {1: "n2", 2: "n1+n2"}


def test_a_job_that_spreads_goes_where_its_devices_are() -> None:
    yard = Yard()
    yard.node("n1", cpus=32)
    yard.node("n2", cpus=32)
    yard.node("n3", cpus=4, mem=1000, gpus="gpu:1")
    ask = an_ask(tasks=4, max_nodes=2, spread=True, gres_per_job=(Gres("gpu", "", 1),))
    assert possible(ask, MAIN, yard.state.node_columns) is None
    yard.wait(1, ask)
    assert yard.cycle() == {1: "n3"}, "the two emptiest nodes have no GPU"


# -- planned starts --------------------------------------------------------------------------------------


def test_a_share_does_not_slip_in_where_it_holds_up_a_whole_device() -> None:
    yard = Yard()
    put(yard, "n1", gpus(2))
    yard.wait(1, an_ask(gres_per_node=share(500)), limit_s=10)
    yard.cycle()
    yard.wait(2, an_ask(gres_per_node=(Gres("gpu", "", 2),)), limit_s=10)
    yard.wait(3, an_ask(gres_per_node=share(500)), limit_s=11)
    yard.wait(4, an_ask(gres_per_node=share(500)), limit_s=10)
    assert yard.cycle() == {4: "n1"}
    assert yard.planned(2) == 10 and indices(yard, 4) == (0,)
    yard.run_to(10)
    assert yard.started[2] == 10


def test_a_share_may_use_what_the_planned_job_leaves() -> None:
    yard = Yard()
    put(yard, "n1", gpus(2))
    yard.wait(1, an_ask(gres_per_node=(Gres("gpu", "", 1),)), limit_s=10)
    yard.wait(2, an_ask(gres_per_node=share(700)), limit_s=50)
    yard.cycle()
    yard.wait(3, an_ask(gres_per_node=(Gres("gpu", "", 1),)), limit_s=10)
    yard.wait(4, an_ask(gres_per_node=share(300)), limit_s=500)
    assert yard.cycle() == {4: "n1"}
    assert yard.planned(3) == 10 and indices(yard, 4) == indices(yard, 2)


# -- refused ---------------------------------------------------------------------------------------------


def refusal(yard: Yard, ask: Ask) -> Refused:
    found = possible(ask, MAIN, yard.state.node_columns)
    assert isinstance(found, Refused)
    assert "\n" not in found.message
    return found


@pytest.mark.parametrize(
    ("ask", "code", "says"),
    [
        (an_ask(gres_per_node=(*share(500), Gres("gpu", "", 1))), "INVALID", "asked for together"),
        (an_ask(gres_per_node=(Gres("gpu", "1g.10gb", 1), Gres("gpu", "", 1))), "INVALID", "choose one"),
        (an_ask(gres_per_node=(Gres("tpu", "", 1, 500),)), "INVALID", "only whole devices"),
        (an_ask(gres_per_node=(Gres("gpu", "", 2, 500),)), "INVALID", "ask for one share"),
        (an_ask(gres_per_node=(Gres("tpu", "", 3), Gres("tpu", "v5e", 1))), "INVALID", "of one type"),
        (an_ask(gres_per_node=share(mem=90_000)), "IMPOSSIBLE", "90000 MiB"),
        (an_ask(gres_per_node=(Gres("tpu", "", 16),)), "IMPOSSIBLE", "tpu"),
        (an_ask(gres_per_node=(Gres("gpu", "4g.40gb", 1),)), "IMPOSSIBLE", "4g.40gb"),
        (an_ask(features="a*2&b*1", tasks=3), "IMPOSSIBLE", "b"),
        (an_ask(features="a*2&b"), "INVALID", "FEATURE*COUNT"),
        (an_ask(features="a*99999999999999999999"), "IMPOSSIBLE", "a"),
        (an_ask(tasks=3, min_nodes=3, hops=0), "IMPOSSIBLE", "within 0 hops"),
    ],
)  # fmt: skip
def test_what_can_never_be_is_refused_in_a_line(ask: Ask, code: str, says: str) -> None:
    yard = Yard()
    put(yard, "n1", gpus(2, "h200", 80_000), features=("a",), topology=("r1", "s1"))
    put(yard, "n2", [*gpus(1, "a100", 80_000, layouts=CUTS)], features=("a",), topology=("r1", "s1"))
    put(yard, "n3", tpus(4), topology=("r1", "s2"))
    found = refusal(yard, ask)
    assert found.code is RefusalCode[code], found
    assert says in found.message, found.message


def test_a_node_that_was_changed_keeps_its_jobs_slices() -> None:
    """Registering the same devices in other words (a weight, say) leaves the cut in force."""
    yard = Yard()
    put(yard, "n1", gpus(1, "a100", 80_000, layouts=CUTS))
    yard.wait(1, an_ask(gres_per_node=(Gres("gpu", "3g.40gb", 1),)))
    yard.cycle()
    node = yard.state.nodes[NodeName("n1")]
    yard.put(msgspec.structs.replace(node, spec=msgspec.structs.replace(node.spec, weight=7)))
    yard.state.node_columns.check()
    yard.wait(2, an_ask(gres_per_node=(Gres("gpu", "1g.10gb", 2),)))
    yard.wait(3, an_ask(gres_per_node=(Gres("gpu", "1g.10gb", 1),)))
    assert yard.cycle() == {3: "n1"}


@pytest.mark.parametrize("now", [CUTS[:1], (CUTS[1], CUTS[0]), ()], ids=["fewer", "swapped", "none"])
def test_a_device_cut_in_a_way_that_is_not_declared_any_more_gives_nothing_until_it_is_empty(
    now: tuple[tuple[str, ...], ...],
) -> None:
    yard = Yard()
    held = "1g.10gb" if len(now) > 1 else "3g.40gb"
    put(yard, "n1", gpus(1, "a100", 80_000, layouts=CUTS))
    yard.wait(1, an_ask(gres_per_node=(Gres("gpu", held, 1),)))
    yard.cycle()
    put(yard, "n1", gpus(1, "a100", 80_000, layouts=now))
    yard.wait(2, an_ask(gres_per_node=(Gres("gpu", "1g.10gb", 1),) if now else share(100)))
    assert yard.cycle() == {}
    yard.end(1)
    assert yard.cycle() == {2: "n1"}


@pytest.mark.parametrize(("limits", "second"), [((100, 50, 10), 10), ((10, 100, 90), 90)])
def test_planned_starts_know_the_devices_of_a_node_that_lost_one(
    limits: tuple[int, ...], second: int
) -> None:
    """The slots behind the lost device have other numbers since."""
    yard = Yard()
    put(yard, "n1", gpus(3))
    for id, limit_s in enumerate(limits, 1):
        yard.wait(id, an_ask(gres_per_node=share(999)), limit_s=limit_s)
    yard.wait(9, an_ask(gres_per_node=share(999)))
    yard.cycle()
    yard.cycle()  # now from what runs
    assert yard.planned(9) == 10
    put(yard, "n1", gpus(3)[1:])
    yard.cycle()
    assert yard.planned(9) == second


def test_what_asks_need_of_devices_is_kept_once_and_bounded() -> None:
    """One matrix of slots and nodes for every ask would be most of the memory of a large cluster."""
    yard = Yard()
    put(yard, "n1", gpus(2, "h200", 141_000))
    board, columns = yard.state.node_columns.board(), yard.state.node_columns.column_of

    def need(ask: Ask) -> object:
        return Request(ask, Shape(ask), MAIN, (), board, columns).need

    assert need(an_ask(cpus=1)) is need(an_ask(cpus=2))
    assert need(an_ask(gres_per_node=share(mem=70_000))) is need(an_ask(gres_per_node=share(mem=70_001)))
    whole = Gres("gpu", "", 1)
    assert need(an_ask(gres_per_node=(whole,))) is need(an_ask(mem=5, gres_per_node=(whole,)))
    for i in range(1000):
        assert possible(an_ask(gres_per_node=share(500, type_=f"model{i}")), MAIN, yard.state.node_columns)
    assert len(board.masks) + len(board._matrices) < 200


def test_a_slice_is_what_it_is_of_its_layout_to_a_policy() -> None:
    """Not more than the last slice of a full device has left."""
    yard = Yard()
    put(yard, "n1", gpus(1, "mi300", layouts=(("1g.24gb",) * 8,)))
    ask = an_ask(gres_per_node=(Gres("gpu", "1g.24gb", 1),))
    board, columns = yard.state.node_columns.board(), yard.state.node_columns.column_of
    request = Request(ask, Shape(ask), MAIN, (), board, columns)
    assert request.want.milli == 125
    assert request.need.tolist() == [[125]]
