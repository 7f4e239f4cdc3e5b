"""A made-up cluster and queue with every kind of constraint, for measuring passes. All follows from the seed.

Three in five nodes have CPUs only, the others eight GPUs of one of three types; racks of 16 nodes. Asks are
CPU work, shares of a GPU, whole GPUs, GPUs per task, gangs of 2 to 16 nodes and jobs that want nodes for
themselves, with features, excluded nodes, partitions, priorities and time limits spread over them.
"""

from __future__ import annotations

from random import Random
from typing import Final

from packhorse.scheduler.core.cycle import Plan
from packhorse.scheduler.core.pending_columns import PendingRow
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import ClusterConfig, Partition
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.node import Node, NodeSpec, Offer
from packhorse.scheduler.model.resources import WHOLE, Ask, Device, Gres

NOW: Final = Instant(1_750_000_000 * US)
NODE_KINDS: Final = ("cpu", "cpu", "cpu", "cpu-large", "cpu", "cpu", "l40", "a100", "h100", "l40")
"""Kind of every node, over and over."""

_GPUS: Final = {"l40": (48, 32, 96, 512), "a100": (80, 4, 128, 1024), "h100": (80, 8, 192, 2048)}
"""GiB of each GPU, GPUs per link group, CPUs and GiB of the node."""

_LIMITS_S: Final = (600, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400, 172_800)


def node(i: int) -> Node:
    """Node number i, all of it offered."""
    kind = NODE_KINDS[i % len(NODE_KINDS)]
    devices: tuple[Device, ...] = ()
    features = ["ib"] if i // 16 % 4 == 0 else []
    if kind in _GPUS:
        mem_gib, link, cpus, mem = _GPUS[kind]
        devices = tuple(
            Device("gpu", kind, g, mem_mib=mem_gib * 1024, link=g // link if link < 32 else -1)
            for g in range(8)
        )
        features.append("gpu")
    else:
        cpus, mem = (128, 1024) if kind == "cpu-large" else (64, 256)
        features += ["avx512", "large"] if kind == "cpu-large" else (["avx512"] if i % 2 else [])
    name = NodeName(f"n{i + 1}")
    spec = NodeSpec(
        name,
        name,
        cpus * 1000,
        mem * 1024,
        tmp_mib=1 << 20,
        devices=devices,
        features=tuple(features),
        topology=(f"row{i // 256}", f"rack{i // 16}"),
    )
    return Node(spec, "boot", Offer(1, spec.cpu_milli, spec.mem_mib), NOW)


def cluster(n_nodes: int, policy: str) -> State:
    """The nodes, empty, and three partitions: main and short of all nodes, gpu of those with GPUs."""
    state = State()
    nodes = [node(i) for i in range(n_nodes)]
    with_gpus = tuple(n.name for n in nodes if n.spec.devices)
    state.config = ClusterConfig(
        partitions=(
            Partition("main", is_default=True),
            Partition("short", max_time_s=14_400, priority_tier=2),
            Partition("gpu", nodes=with_gpus or (NodeName("ALL"),)),
        ),
        policy=policy,
    )
    for each in nodes:
        state.nodes[each.name] = each
        state.node_columns.put(each)
    return state


def asks(chance: Random, n: int, n_nodes: int, gangs: bool = True) -> list[tuple[Ask, str]]:
    """n distinct asks, each with its partition. gangs: also such as need several nodes."""
    found: dict[tuple[Ask, str], None] = {}
    while len(found) < n:
        found[_ask(chance, n_nodes, gangs)] = None
    return list(found)


def _ask(chance: Random, n_nodes: int, gangs: bool) -> tuple[Ask, str]:
    kind = chance.choices(
        ["cpu", "share", "whole", "task", "gang", "exclusive"], [40, 20, 22, 8, 6 if gangs else 0, 4]
    )[0]
    partition = chance.choice(["main", "main", "short"])
    cpus, mem = chance.choice([1, 2, 4, 8, 16, 32]), 1024 * chance.choice([1, 2, 4, 8, 16, 32, 64])
    excluded = {NodeName(f"n{chance.randint(1, n_nodes)}") for _ in range(chance.choice([0, 0, 0, 0, 1, 3]))}
    fields: dict[str, object] = {"nodes_excluded": tuple(sorted(excluded))}
    features = chance.choice(["", "", "", "ib", "avx512", "avx512&large|ib"])
    model = chance.choice(["", "", "l40", "a100", "h100"])
    if kind == "share":
        share = chance.choice(
            [Gres("gpu", model, 1, chance.choice([100, 250, 500])), Gres("gpu", model, 1, WHOLE, 10_240)]
        )
        fields |= {"gres_per_node": (share,)}
        cpus, features = min(cpus, 8), ""
    elif kind == "whole":
        n = chance.choice([1, 1, 1, 2, 4, 8])
        fields |= {"gres_per_node": (Gres("gpu", model, n),), "linked": model == "h100" and n > 1}
        cpus, features = min(cpus, 8) * n, chance.choice(["", "", "gpu", "ib&gpu"])
        partition = chance.choice(["gpu", "main"])
    elif kind == "task":
        fields |= {
            "n_tasks": chance.choice([2, 4]),
            "max_nodes": 1,
            "gres_per_task": (Gres("gpu", model, 1),),
        }
        cpus, features = min(cpus, 8), ""
    elif kind == "gang":
        n = chance.choice([2, 2, 4, 4, 8, 16])
        fields |= {"n_tasks": n, "min_nodes": n, "max_nodes": n, "hops": chance.choice([-1, -1, 1])}
        if chance.random() < 0.5:
            fields |= {"gres_per_node": (Gres("gpu", model, chance.choice([1, 4, 8])),)}
            features = ""
    elif kind == "exclusive":
        fields |= {"exclusive": True}
    ask = Ask(cpu_milli_per_task=cpus * 1000, mem_mib_per_node=mem, features=features, **fields)  # type: ignore[arg-type]
    return ask, partition


def jobs(chance: Random, kinds: list[tuple[Ask, str]], n: int, first: int = 1) -> list[PendingRow]:
    """n waiting jobs of these asks in random order, of ten priorities."""
    picked = chance.choices(kinds, k=n)
    return [
        PendingRow(
            JobId(first + i),
            ask,
            partition,
            chance.choice(_LIMITS_S[:5] if partition == "short" else _LIMITS_S),
            nice=chance.randint(0, 9),
        )
        for i, (ask, partition) in enumerate(picked)
    ]


def start(state: State, plan: Plan) -> None:
    """The grants as facts in the columns."""
    pending, nodes, running = state.pending_columns, state.node_columns, state.running_columns
    for id, placements, _ in plan.grants:
        row = pending.row(id)
        nodes.allocate(id, placements, exclusive=row.ask.exclusive)
        running.add(id, Instant(NOW + row.time_limit_s * US), placements)
    pending.remove_many([grant.id for grant in plan.grants])


def end(state: State, ids: list[JobId]) -> None:
    """These jobs are over."""
    for id in ids:
        state.node_columns.release(id)
        state.running_columns.remove(id)
