"""Random clusters and asks with everything that the resource model knows: devices with slots, of several
kinds and types, shares, slices, links, aligned blocks, racks, features, exclusive jobs, gangs.

Few distinct values, so that ties, full nodes and contradictions are common. Same seed, same cluster.
"""

from __future__ import annotations

from random import Random

from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.node import Node, NodeSpec, Offer
from packhorse.scheduler.model.resources import WHOLE, Ask, Device, Gres
from tests.core.placement.yard import NOON

CUTS = (("1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb"), ("3g.40gb", "1g.10gb"), ("7g.80gb",))
"""Ways to cut one GPU."""


def gpus(
    n: int, type_: str = "", mem: int = 0, link: int = 0, layouts: tuple[tuple[str, ...], ...] = ()
) -> list[Device]:
    """n GPUs, in link groups of `link` (0: no links known)."""
    return [
        Device("gpu", type_, i, mem_mib=mem, link=i // link if link else -1, layouts=layouts)
        for i in range(n)
    ]


def tpus(n: int) -> list[Device]:
    return [Device("tpu", "v5e", i) for i in range(n)]


def some_devices(chance: Random) -> list[Device]:
    """The devices of one node."""
    kind = chance.choice(
        ["none", "none", "plain", "typed", "mixed", "linked", "cut", "tpu", "counted", "both"]
    )
    n = chance.choice([1, 2, 4])
    if kind == "plain":
        return gpus(n, mem=chance.choice([0, 8000]))
    if kind == "typed":
        return gpus(n, chance.choice(["a100", "h200"]), 80_000)
    if kind == "mixed":
        return [Device("gpu", chance.choice(["a100", "h200"]), i, mem_mib=80_000) for i in range(n)]
    if kind == "linked":
        return gpus(4, "h200", 80_000, link=chance.choice([2, 4]))
    if kind == "cut":
        return [
            Device("gpu", "a100", i, mem_mib=80_000, layouts=CUTS if chance.random() < 0.7 else ())
            for i in range(chance.choice([1, 2]))
        ]
    if kind == "tpu":
        return tpus(chance.choice([4, 8]))
    if kind == "counted":
        return [Device("fpga", chance.choice(["", "u50"]), i) for i in range(n)]
    if kind == "both":
        return [*gpus(2, "h200", 80_000), Device("fpga", "u50", 0), *tpus(2)]
    return []


def some_node(chance: Random, i: int) -> Node:
    """Node n<i+1>; on some of them a device is dead, or less is offered than there is."""
    cpus, mem = chance.choice([4, 8, 16]), chance.choice([2000, 8000])
    found = some_devices(chance)
    spec = NodeSpec(
        NodeName(f"n{i + 1}"),
        f"n{i + 1}",
        cpus * 1000,
        mem,
        tmp_mib=chance.choice([0, 100]),
        devices=tuple(found),
        features=tuple(f for f in ("a", "b") if chance.random() < 0.5),
        weight=chance.choice([1, 1, 1, 2]),
        topology=chance.choice([(), (f"r{i % 2}", f"s{i % 3}"), (f"r{i % 2}", f"s{i % 3}")]),
    )
    dead = ((found[0].kind, found[0].index),) if found and chance.random() < 0.15 else ()
    offered = cpus * 1000 if chance.random() < 0.8 else cpus * 500
    return Node(spec, "boot", Offer(1, offered, mem, dead_devices=dead), NOON)


def some_gres(chance: Random, most: int = 3) -> Gres:
    """Whole devices, shares or a slice."""
    return chance.choice(
        [
            Gres("gpu", "", chance.randint(1, most)),
            Gres("gpu", "", 1),
            Gres("gpu", chance.choice(["a100", "h200"]), chance.randint(1, most)),
            Gres("gpu", "", 1, chance.choice([100, 250, 333, 500, 700])),
            Gres("gpu", "", 1, chance.choice([250, 500])),
            Gres("gpu", chance.choice(["a100", "h200"]), 1, 500),
            Gres("gpu", "", 1, WHOLE, chance.choice([2000, 8000, 30_000])),
            Gres("gpu", chance.choice(["1g.10gb", "1g.10gb", "3g.40gb", "7g.80gb"]), chance.randint(1, 2)),
            Gres("tpu", "", chance.choice([1, 2, 3, 4])),
            Gres("fpga", chance.choice(["", "u50"]), 1),
        ]
    )


def some_ask(chance: Random) -> Ask:
    """An ask; not all of them can be satisfied anywhere, or make sense."""
    nodes = chance.choice([1, 1, 1, 1, 2, 3])
    tasks = nodes * chance.choice([1, 1, 1, 2])
    where = chance.choice(["", "", "node", "node", "node", "task", "task", "job"])
    given: tuple[Gres, ...] = ()
    if where:
        given = (some_gres(chance),)
        if chance.random() < 0.1:
            given += (some_gres(chance),)
    return Ask(
        n_tasks=tasks,
        min_nodes=nodes,
        max_nodes=chance.choice([0, nodes, nodes, 4]),
        cpu_milli_per_task=chance.choice([0, 500, 1000, 1000, 2000, 4000]),
        mem_mib_per_node=chance.choice([0, 500, 1000, 4000]),
        mem_all=False,
        tmp_mib_per_node=chance.choice([0, 0, 0, 60]),
        gres_per_node=given if where == "node" else (),
        gres_per_task=given if where == "task" else (),
        gres_per_job=given if where == "job" else (),
        features=chance.choice(["", "", "", "a", "a|b", "[a|b]", "a*1&b*1"]),
        exclusive=chance.random() < 0.08,
        contiguous=chance.random() < 0.08,
        hops=chance.choice([-1, -1, -1, 0, 1]),
        spread=chance.random() < 0.15,
        linked=chance.random() < 0.15,
    )
