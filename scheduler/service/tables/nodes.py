"""The table of nodes, as sinfo and scontrol ask for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from packhorse.scheduler.core.packing.board import CPU, MEM
from packhorse.scheduler.core.reclaim.lending import lendable_mib
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.ids import Instant, NodeName
from packhorse.scheduler.model.node import Admin, Node, Offer
from packhorse.scheduler.model.units import format_mem_mib
from packhorse.scheduler.service.auth import user_name
from packhorse.scheduler.service.convert_agents import NodeUsage
from packhorse.scheduler.service.tables.amounts import (
    Amounts,
    capacity,
    count_held,
    cpus_of,
    device_counts,
    devices_text,
    tres_text,
)
from packhorse.scheduler.service.tables.devices import (
    DeviceUse,
    dead_reasons,
    dead_texts,
    device_uses,
    uses_json,
)
from packhorse.scheduler.service.tables.reservations import reserved_now
from packhorse.scheduler.service.tables.table import Catalogue, ints, texts

SILENT = "Not responding"


class NodeView:
    """Some nodes, with what is allocated on them and what they last said they use."""

    def __init__(
        self, state: State, now: Instant, nodes: Sequence[Node], usage: Mapping[NodeName, NodeUsage]
    ) -> None:
        self.state = state
        self.now = now
        self.nodes = nodes
        self.usage = usage

    @cached_property
    def allocated(self) -> list[Amounts]:
        """What jobs hold on each node; typed and untyped devices as they were granted."""
        columns = self.state.node_columns
        found = []
        for node in self.nodes:
            row = columns.row_of[node.name]
            gres: dict[tuple[str, str], int] = {}
            for placement in columns.jobs_on(node.name).values():
                for devices in placement.devices:
                    count_held(gres, devices)
            found.append(
                Amounts(
                    cpus_of(int(columns.used[CPU, row])),
                    int(columns.used[MEM, row]),
                    0,
                    0,
                    tuple([(*key, count) for key, count in gres.items()]),
                )
            )
        return found

    @cached_property
    def lending(self) -> list[tuple[int, int]]:
        """MiB that may still be lent on each node, and that are."""
        return [lendable_mib(self.state, node.name) for node in self.nodes]

    @cached_property
    def device_uses(self) -> list[list[DeviceUse]]:
        """What jobs hold of each device of each node."""
        columns = self.state.node_columns
        return [
            device_uses(node.spec.devices, columns.jobs_on(node.name), dead_reasons(node.offer))
            for node in self.nodes
        ]

    @cached_property
    def reserved(self) -> dict[NodeName, tuple[str, bool]]:
        """Nodes of reservations whose windows are open now."""
        return reserved_now(self.state, self.now)

    @cached_property
    def partitions(self) -> dict[NodeName, list[str]]:
        """The partitions of each node, in the order of the configuration."""
        return partitions_by_node(self.state.config, self.nodes)


def partitions_by_node(config: ClusterConfig, nodes: Sequence[Node]) -> dict[NodeName, list[str]]:
    """Names of the partitions that each node is in."""
    found: dict[NodeName, list[str]] = {node.name: [] for node in nodes}
    for partition in config.partitions:
        members = found if partition.nodes == ("ALL",) else partition.nodes
        for name in members:
            if name in found:
                found[name].append(partition.name)
    return found


def state_word(state: State, node: Node) -> str:
    """Slurm's long word, without its flags: IDLE, MIXED, ALLOCATED, DRAINING, DRAINED, DOWN."""
    columns = state.node_columns
    busy = bool(columns.jobs_on(node.name))
    if node.admin is Admin.DOWN or not node.reachable:
        return "DOWN"
    if node.admin is Admin.DRAIN or not node.offer.accepting:
        return "DRAINING" if busy else "DRAINED"
    if not busy:
        return "IDLE"
    row = columns.row_of[node.name]
    return "ALLOCATED" if columns.used[CPU, row] >= columns.capacity[CPU, row] else "MIXED"


def reason_of(node: Node) -> str:
    """Why no new work goes there, or not to all of it; "" if it does."""
    if node.reason:
        return node.reason
    if not node.reachable:
        return SILENT
    if not node.offer.accepting:
        return node.offer.reason or "the agent takes no work"
    return missing_text(node.offer, node.spec.cpu_milli, node.spec.mem_mib)


def missing_text(offer: Offer, cpu_milli: int, mem_mib: int) -> str:
    """What a node that takes work lacks of what it registered: `gpu 1: fell off the bus`, "" for nothing."""
    parts = list(dead_texts(offer))
    if offer.cpu_milli < cpu_milli:
        parts.append(f"{offer.cpu_milli / 1000:g} of {cpu_milli / 1000:g} CPUs are there")
    if offer.mem_mib < mem_mib:
        parts.append(f"{format_mem_mib(offer.mem_mib)} of {format_mem_mib(mem_mib)} memory are there")
    return "; ".join(parts)


def _reason_uids(view: NodeView) -> list[int]:
    return [node.reason_by if node.reason else -1 for node in view.nodes]


def _used_gres(view: NodeView) -> list[str]:
    """How much of its devices is in use by kind and type as the node has them, 0 included: `gpu:h200:1.5`."""
    found = []
    for node, uses in zip(view.nodes, view.device_uses, strict=True):
        held = {(kind, type_): 0 for kind, type_, _ in device_counts(node.spec.devices)}
        for use in uses:
            held[use.device.kind, use.device.type] += use.used_milli
        found.append(devices_text([(*key, milli) for key, milli in held.items()]))
    return found


def _measured(view: NodeView, name: str) -> list[int]:
    return [getattr(view.usage[node.name], name) if node.name in view.usage else -1 for node in view.nodes]


def _busy_at(view: NodeView) -> list[int]:
    """Now for nodes that work; else when they came, the last moment known."""
    columns = view.state.node_columns
    return [view.now if columns.jobs_on(node.name) else node.registered_at for node in view.nodes]


NODES: Catalogue[NodeView] = {
    "name": texts(lambda view: [node.name for node in view.nodes]),
    "host_name": texts(lambda view: [node.spec.host_name for node in view.nodes]),
    "addr": texts(lambda view: [node.spec.address or node.spec.host_name for node in view.nodes]),
    "port": ints(lambda view: [0 for _ in view.nodes]),  # agents dial, nobody dials them
    "state": texts(lambda view: [state_word(view.state, node) for node in view.nodes]),
    "not_responding": ints(lambda view: [int(not node.reachable) for node in view.nodes]),
    "reason": texts(lambda view: [reason_of(node) for node in view.nodes]),
    "warnings": texts(lambda view: ["\n".join(node.offer.warnings) for node in view.nodes]),
    "reason_user": texts(lambda view: [user_name(uid) if uid >= 0 else "" for uid in _reason_uids(view)]),
    "reason_uid": ints(_reason_uids),
    "reason_at": ints(
        lambda view: [
            node.reason_at if node.reason else node.silent_since or node.refusing_since for node in view.nodes
        ]
    ),
    "cpus": ints(lambda view: [node.spec.cpu_milli // 1000 for node in view.nodes]),
    "cpus_alloc": ints(lambda view: [amounts.cpus for amounts in view.allocated]),
    "mem_mib": ints(lambda view: [node.spec.mem_mib for node in view.nodes]),
    "mem_alloc_mib": ints(lambda view: [amounts.mem_mib for amounts in view.allocated]),
    "mem_lent_mib": ints(lambda view: [lent for _, lent in view.lending]),
    "mem_lendable_mib": ints(lambda view: [lendable for lendable, _ in view.lending]),
    "mem_free_mib": ints(lambda view: _measured(view, "mem_mib_free")),
    "cpu_load_milli": ints(lambda view: _measured(view, "load_milli")),
    "gres": texts(lambda view: [devices_text(device_counts(node.spec.devices)) for node in view.nodes]),
    "gres_used": texts(_used_gres),
    "devices": texts(lambda view: [uses_json(uses) for uses in view.device_uses]),
    "topology": texts(
        lambda view: ["/".join(view.state.node_columns.place_of(node.spec)) for node in view.nodes]
    ),
    "isolation": texts(lambda view: [node.spec.isolation for node in view.nodes]),
    "features": texts(lambda view: [",".join(node.spec.features) for node in view.nodes]),
    "weight": ints(lambda view: [node.spec.weight for node in view.nodes]),
    "boards": ints(lambda view: [1 for _ in view.nodes]),
    "sockets": ints(lambda view: [node.spec.sockets for node in view.nodes]),
    "cores": ints(lambda view: [node.spec.cores_per_socket for node in view.nodes]),
    "threads": ints(lambda view: [node.spec.threads_per_core for node in view.nodes]),
    "tmp_mib": ints(lambda view: [node.spec.tmp_mib for node in view.nodes]),
    "boot_at": ints(lambda view: [node.spec.boot_at for node in view.nodes]),
    "agent_start_at": ints(lambda view: [node.registered_at for node in view.nodes]),
    "last_busy_at": ints(_busy_at),
    "partitions": texts(lambda view: [",".join(view.partitions[node.name]) for node in view.nodes]),
    "version": texts(lambda view: [node.spec.version for node in view.nodes]),
    "arch": texts(lambda view: [node.spec.arch for node in view.nodes]),
    "os": texts(lambda view: [node.spec.os for node in view.nodes]),
    "declared": ints(lambda view: [int(node.spec.declared) for node in view.nodes]),
    "cfg_tres": texts(lambda view: [tres_text(capacity(node.spec)) for node in view.nodes]),
    "alloc_tres": texts(
        lambda view: [
            tres_text(amounts, billing=False) if amounts.cpus or amounts.mem_mib else ""
            for amounts in view.allocated
        ]
    ),
    "reservation": texts(lambda view: [view.reserved.get(node.name, ("", False))[0] for node in view.nodes]),
    "in_maint": ints(lambda view: [int(view.reserved.get(node.name, ("", False))[1]) for node in view.nodes]),
}
