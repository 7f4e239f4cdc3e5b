"""The table of partitions, as sinfo and scontrol ask for it."""

from __future__ import annotations

from functools import cached_property

from packhorse.scheduler.core.partitions import openness
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.node import Node
from packhorse.scheduler.service.tables.amounts import Amounts, device_counts, tres_text
from packhorse.scheduler.service.tables.table import Catalogue, ints, texts


class PartitionView:
    """All partitions, with those of their nodes that have registered."""

    def __init__(self, state: State) -> None:
        self.partitions = state.config.partitions
        self._nodes = state.nodes
        self.states = [openness(state, partition.name).value for partition in self.partitions]

    @cached_property
    def nodes(self) -> list[list[Node]]:
        """The registered nodes of each partition."""
        return [self._members(partition) for partition in self.partitions]

    def _members(self, partition: Partition) -> list[Node]:
        if partition.nodes == ("ALL",):
            return list(self._nodes.values())
        return [self._nodes[name] for name in partition.nodes if name in self._nodes]


def _total(nodes: list[Node]) -> Amounts:
    gres: dict[tuple[str, str], int] = {}
    for node in nodes:
        for kind, type_, count in device_counts(node.spec.devices):
            gres[kind, type_] = gres.get((kind, type_), 0) + count
    return Amounts(
        sum([node.spec.cpu_milli // 1000 for node in nodes]),
        sum([node.spec.mem_mib for node in nodes]),
        len(nodes),
        0,
        tuple([(*key, count) for key, count in gres.items()]),
    )


PARTITIONS: Catalogue[PartitionView] = {
    "name": texts(lambda view: [partition.name for partition in view.partitions]),
    "is_default": ints(lambda view: [int(partition.is_default) for partition in view.partitions]),
    "state": texts(lambda view: view.states),
    "max_time_s": ints(lambda view: [partition.max_time_s for partition in view.partitions]),
    "default_time_s": ints(lambda view: [partition.default_time_s for partition in view.partitions]),
    "nodes": texts(lambda view: [compress_sorted([node.name for node in nodes]) for nodes in view.nodes]),
    "total_cpus": ints(lambda view: [_total(nodes).cpus for nodes in view.nodes]),
    "total_nodes": ints(lambda view: [len(nodes) for nodes in view.nodes]),
    "min_nodes": ints(lambda view: [partition.min_nodes for partition in view.partitions]),
    "max_nodes": ints(lambda view: [partition.max_nodes for partition in view.partitions]),
    "def_mem_mib_per_cpu": ints(
        lambda view: [partition.def_mem_mib_per_cpu for partition in view.partitions]
    ),
    "def_mem_mib_per_node": ints(lambda view: [0 for _ in view.partitions]),  # the configuration has none
    "max_mem_mib_per_node": ints(
        lambda view: [partition.max_mem_mib_per_node for partition in view.partitions]
    ),
    "priority_tier": ints(lambda view: [partition.priority_tier for partition in view.partitions]),
    "priority_factor": ints(lambda view: [partition.priority for partition in view.partitions]),
    "allow_accounts": texts(lambda view: [",".join(part.allow_accounts) for part in view.partitions]),
    "deny_accounts": texts(lambda view: [",".join(part.deny_accounts) for part in view.partitions]),
    "allow_groups": texts(lambda view: [",".join(part.allow_groups) for part in view.partitions]),
    "allow_qos": texts(lambda view: [",".join(part.allow_qos) for part in view.partitions]),
    "deny_qos": texts(lambda view: [",".join(part.deny_qos) for part in view.partitions]),
    "qos": texts(lambda view: [part.qos for part in view.partitions]),
    "billing": texts(
        lambda view: [",".join([f"{name}={weight:g}" for name, weight in p.billing]) for p in view.partitions]
    ),
    "grace_s": ints(lambda view: [part.grace_s for part in view.partitions]),
    "tres": texts(lambda view: [tres_text(_total(nodes)) for nodes in view.nodes]),
}
