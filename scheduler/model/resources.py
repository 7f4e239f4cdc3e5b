"""What can be asked for and handed out: amounts, devices, asks, placements."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from packhorse.scheduler.model.ids import NodeName


class Gres(NamedTuple):
    """A count of one kind of device. kind "gpu", type "h200" or "" for any type."""

    kind: str
    type: str
    n: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.type}:{self.n}" if self.type else f"{self.kind}:{self.n}"


class Devices(NamedTuple):
    """Particular devices of one node: their indices among that node's devices of the kind, ascending."""

    kind: str
    type: str
    indices: tuple[int, ...]


class Device(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One device of a node. index counts from 0 within its kind on its node."""

    kind: str
    type: str
    index: int
    uuid: str = ""
    mem_mib: int = 0


class Ask(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one job needs, before it is known where. Hashable: equal asks form one ask class.

    A job has n_tasks tasks on min_nodes..max_nodes nodes (max_nodes 0: as many as it takes), at
    most tasks_per_node on each (0: no bound), at least one on each. Every task takes
    cpu_milli_per_task; a node of the job never gives less than min_cpu_milli_per_node.
    Memory: mem_mib_per_node, or mem_mib_per_cpu for every CPU given (at most one is non-zero), or
    all of the node's (mem_all). features is an expression over node features with `&` and `|`
    (`&` binds tighter), "" for none. nodes_required must all be part of the allocation.
    exclusive: nothing else shares the nodes, and all their CPUs are given.
    """

    n_tasks: int = 1
    min_nodes: int = 1
    max_nodes: int = 0
    tasks_per_node: int = 0
    cpu_milli_per_task: int = 1000
    min_cpu_milli_per_node: int = 0
    mem_mib_per_node: int = 0
    mem_mib_per_cpu: int = 0
    mem_all: bool = False
    tmp_mib_per_node: int = 0
    gres_per_node: tuple[Gres, ...] = ()
    gres_per_task: tuple[Gres, ...] = ()
    gres_per_job: tuple[Gres, ...] = ()
    features: str = ""
    nodes_required: tuple[NodeName, ...] = ()
    nodes_excluded: tuple[NodeName, ...] = ()
    exclusive: bool = False
    contiguous: bool = False


class Placement(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one node gives to one job: amounts, devices and how many tasks it takes."""

    node: NodeName
    cpu_milli: int
    mem_mib: int
    n_tasks: int = 1
    devices: tuple[Devices, ...] = ()
    tmp_mib: int = 0


class Usage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an attempt really used, as its supervisor or the agent measured it."""

    user_cpu_us: int = 0
    system_cpu_us: int = 0
    max_rss_kib: int = 0
    max_vm_kib: int = 0
    disk_read_bytes: int = 0
    disk_write_bytes: int = 0
