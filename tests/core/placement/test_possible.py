"""Asks that no set of registered nodes can ever satisfy: refused with thing, limit and way out."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core.packing.possible import possible
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.reply import RefusalCode, Refused
from packhorse.scheduler.model.resources import Ask, Device, Gres
from tests.core.placement.yard import Yard, a_node, an_ask, gres

MAIN = Partition("main", is_default=True)


def demo() -> Yard:
    """The two nodes of the Slurm 22.05 transcripts."""
    yard = Yard(MAIN)
    yard.node("node1", cpus=8, mem=16_000, features=("cpu",))
    yard.node("node2", cpus=8, mem=16_000, features=("cpu", "gpu"), gpus="gpu:2")
    return yard


CONFIGURATION = "Requested node configuration is not available"
GRES = "Invalid generic resource (gres) specification"


@pytest.mark.parametrize(
    ("ask", "slurm", "says"),
    [
        # sbatch -N 1 -n 64, sbatch -c 64, sbatch -N 9, with EnforcePartLimits=ALL
        (an_ask(tasks=64, max_nodes=1), "More processors requested than permitted", "64 CPUs"),
        (an_ask(cpus=64), "More processors requested than permitted", "the most on any"),
        (an_ask(tasks=9, min_nodes=9, max_nodes=9), "Node count specification invalid", "9 nodes asked"),
        (an_ask(tasks=64), "More processors requested than permitted", "64 tasks"),
        (an_ask(mem=1024**2), CONFIGURATION, "1048576 MiB of memory"),
        (an_ask(cpus=8, mem_mib_per_cpu=2001), CONFIGURATION, "2001 MiB for each of 8 CPUs"),
        (an_ask(tmp_mib_per_node=1), CONFIGURATION, "scratch"),
        (an_ask(nodes_required=("node7",)), "Invalid node name specified", '"node7"'),
        (an_ask(features="nosuch"), "Invalid feature specification", "known there: cpu, gpu"),
        (an_ask(features="cpu&&"), "Invalid feature specification", "is missing"),
        (an_ask(features="gpu", nodes_excluded=("node2",)), CONFIGURATION, "exclude fewer"),
        (an_ask(gres_per_node=gres("gpu:9")), CONFIGURATION, "9 asked on one node"),
        (an_ask(gres_per_node=gres("fpga:1")), GRES, "fpga"),
        (
            an_ask(gres_per_node=gres("gpu:h200:1")),
            GRES,
            "gpu:h200",
        ),
        (an_ask(tasks=2, min_nodes=2, gres_per_node=gres("gpu:1")), CONFIGURATION, "2 nodes asked, 1"),
        (an_ask(gres_per_job=gres("gpu:3")), CONFIGURATION, "gpu: 3 asked"),
        (an_ask(cpus=8, features="cpu", min_nodes=3), "Node count specification invalid", "has 2"),
        (an_ask(tasks=8, tasks_per_node=1, max_nodes=2), "Node count specification invalid", "contradict"),
        (
            an_ask(nodes_required=("node1",), nodes_excluded=("node1",)),
            CONFIGURATION,
            "required and excluded",
        ),
    ],
)
def test_refused_with_slurms_words(ask: Ask, slurm: str, says: str) -> None:
    refused = possible(ask, MAIN, demo().state.node_columns)
    assert isinstance(refused, Refused)
    assert refused.slurm == slurm
    assert says in refused.message
    assert refused.code in (RefusalCode.IMPOSSIBLE, RefusalCode.INVALID)


def test_messages_read_whole() -> None:
    nodes = demo().state.node_columns

    def message(ask: Ask) -> str:
        refused = possible(ask, MAIN, nodes)
        assert refused is not None
        return refused.message

    assert message(an_ask(cpus=64)) == (
        '64 CPUs asked on one node, the most on any in partition "main" is 8 (node1 lacks 56); '
        "ask for fewer CPUs per task or node"
    )
    assert message(an_ask(tasks=17)) == (
        '17 tasks of 1 CPU asked, partition "main" holds 16 of them; '
        "ask for fewer tasks, smaller ones, or more nodes"
    )
    assert message(an_ask(gres_per_node=gres("gpu:9"))) == (
        'gpu: 9 asked on one node, the most on any in partition "main" is 2 (node2 lacks 7); '
        "ask for fewer per node, or for more nodes"
    )


def test_why_no_device_gives_a_share() -> None:
    yard = Yard(MAIN)

    def add(name: str, type_: str, mem_mib: int, layouts: tuple[tuple[str, ...], ...] = ()) -> None:
        node = a_node(name)
        devices = (Device("gpu", type_, 0, mem_mib=mem_mib, layouts=layouts),)
        yard.put(msgspec.structs.replace(node, spec=msgspec.structs.replace(node.spec, devices=devices)))

    def message(type_: str, milli: int, mem_mib: int) -> str:
        ask = an_ask(gres_per_node=(Gres("gpu", type_, 1, milli, mem_mib),))
        refused = possible(ask, MAIN, yard.state.node_columns)
        assert refused is not None and refused.slurm == CONFIGURATION
        return refused.message

    cut = (
        "asked, and those there are cut into slices and give no shares; "
        'ask for a slice (scontrol show node lists them) or a whole gpu (partition "main")'
    )
    add("n1", "h200", 144_384, (("1g.18gb",) * 7,))
    assert message("h200", 1000, 71_680) == f"71680 MiB of one gpu:h200's memory {cut}"
    assert message("h200", 250, 0) == f"a share of one gpu:h200 {cut}"
    assert message("", 1000, 71_680) == f"71680 MiB of one gpu's memory {cut}"
    add("n2", "a30", 0)
    assert message("", 1000, 71_680) == (
        "71680 MiB of one gpu's memory asked, and no node says how much its devices have; "
        'ask for a share such as 0.5, or declare it (--gpu-mem) (partition "main")'
    )
    add("n3", "a100", 40_960)
    assert message("", 1000, 71_680) == (
        "71680 MiB of one gpu's memory asked, the largest that gives shares has 40960; "
        'ask for less (partition "main")'
    )
    assert message("h200", 1000, 71_680) == f"71680 MiB of one gpu:h200's memory {cut}"


def test_what_runs_is_offered_or_drained_does_not_matter() -> None:
    yard = demo()
    yard.wait(1, cpus=8)
    yard.wait(2, cpus=8)
    yard.cycle()
    yard.drain("node1")
    yard.change("node2", offer=Offer(5, 0, 0, accepting=False, dead_devices=(("gpu", 0),)), reachable=False)
    nodes = yard.state.node_columns
    assert possible(an_ask(tasks=16), MAIN, nodes) is None
    assert possible(an_ask(gres_per_node=gres("gpu:2")), MAIN, nodes) is None


def test_a_partition_limits_nodes_and_their_number() -> None:
    yard = demo()
    nodes = yard.state.node_columns
    one = Partition("one", nodes=(NodeName("node1"),))
    few = Partition("few", max_nodes=1)
    assert possible(an_ask(tasks=16), MAIN, nodes) is None
    for partition, ask, says in [
        (one, an_ask(tasks=16), "16 tasks"),
        (one, an_ask(gres_per_node=gres("gpu:1")), "gpu"),
        (one, an_ask(nodes_required=("node2",)), 'not in partition "one"'),
        (few, an_ask(tasks=16), "on 1 node"),
        (few, an_ask(tasks=2, min_nodes=2), "limit 1 (MaxNodes)"),
        (Partition("none", nodes=(NodeName("gone"),)), an_ask(), "no registered node"),
    ]:
        refused = possible(ask, partition, nodes)
        assert refused is not None and says in refused.message


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_possible_starts_on_empty_nodes_and_nothing_else_does(seed: int) -> None:
    chance = Random(seed)
    yard = Yard(Partition("main", max_nodes=chance.choice([0, 0, 2])))
    for i in range(chance.randint(1, 4)):
        yard.node(
            f"n{i + 1}",
            cpus=chance.randint(1, 6),
            mem=chance.choice([100, 400]),
            gpus=chance.choice(["", "gpu:2", "gpu:h200:1", "gpu:h200:1,gpu:a100:1"]),
            features=tuple(chance.sample(["a", "b"], chance.randint(0, 2))),
        )
    some_gres = ["", "", "", "gpu:1", "gpu:2", "gpu:h200:1"]
    ask = Ask(
        n_tasks=chance.choice([1, 1, 2, 4, 9]),
        min_nodes=chance.choice([1, 1, 1, 2, 3]),
        max_nodes=chance.choice([0, 0, 1, 2]),
        tasks_per_node=chance.choice([0, 0, 0, 2]),
        cpu_milli_per_task=chance.choice([1000, 2000, 3500]),
        min_cpu_milli_per_node=chance.choice([0, 0, 3000]),
        mem_mib_per_node=chance.choice([0, 100, 300]),
        gres_per_node=gres(chance.choice(some_gres)),
        gres_per_task=gres(chance.choice(some_gres)),
        gres_per_job=gres(chance.choice(some_gres)),
        features=chance.choice(["", "", "a", "a&b", "a|b", "[a|b]"]),
        exclusive=chance.random() < 0.2,
        mem_all=chance.random() < 0.1,
        contiguous=chance.random() < 0.2,
        nodes_excluded=(NodeName("n1"),) if chance.random() < 0.2 else (),
    )
    refused = possible(ask, yard.state.config.partitions[0], yard.state.node_columns)
    yard.wait(1, ask)
    started = yard.cycle()
    if refused is None:
        assert started
        assert possible(ask, yard.state.config.partitions[0], yard.state.node_columns) is None
    else:
        assert not started
        assert yard.reason(1) in (Reason.PARTITION_CONFIG, Reason.PARTITION_NODE_LIMIT)
        assert ";" in refused.message or refused.code is RefusalCode.INVALID
