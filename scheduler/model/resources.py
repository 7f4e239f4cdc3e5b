"""What can be asked for and handed out: amounts, devices, asks, placements."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import astuple

from packhorse.scheduler.model.ids import NodeName

WHOLE: Final = 1000
"""Thousandths of a device."""

DIVISIBLE: Final = ("gpu",)
"""Kinds of devices of which a job may have a share or a slice; of others only whole ones."""

_SLICE = re.compile(r"[1-9][0-9]?g\.[1-9][0-9]{0,3}gb")


def is_slice(type_: str) -> bool:
    """Whether the type of an ask names a slice of a device ("1g.10gb", as NVIDIA's MIG does), not a model."""
    return _SLICE.fullmatch(type_) is not None


class Gres(NamedTuple):
    """A count of one kind of device. kind "gpu"; type "h200", a slice "1g.10gb", or "" for any type.

    milli below 1000: instead of whole devices a share of one (then n is 1), so many thousandths of it.
    mem_mib: instead, as large a share of one as gives that much of its memory; milli is 1000 then.
    """

    kind: str
    type: str
    n: int
    milli: int = WHOLE
    mem_mib: int = 0

    @property
    def shares(self) -> bool:
        """A share of one device is asked for, not whole ones."""
        return self.milli < WHOLE or self.mem_mib > 0

    def __str__(self) -> str:
        """As it is written for --gres: gpu:h200:4, gpu:0.25, gpu:20G (of a device's memory)."""
        amount = str(self.n)
        if self.mem_mib:
            amount = f"{self.mem_mib // 1024}G" if self.mem_mib % 1024 == 0 else f"{self.mem_mib}M"
        elif self.milli < WHOLE:
            amount = f"{self.milli / WHOLE:g}"
        return f"{self.kind}:{self.type}:{amount}" if self.type else f"{self.kind}:{amount}"


class Devices(NamedTuple):
    """Particular devices of one node: their indices among that node's devices of the kind, ascending.

    milli: thousandths of each that were given. part: the slice that was given ("1g.10gb"), of one device;
    place: which of its layouts the device has, and which slice of it, counted from 0.
    """

    kind: str
    type: str
    indices: tuple[int, ...]
    milli: int = WHOLE
    part: str = ""
    place: tuple[int, int] = (-1, -1)


class Device(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One device of a node. index counts from 0 within its kind on its node.

    numa, link: its NUMA node and the group of devices that it has a fast link (NVLink, ICI) to; -1: unknown.
    layouts: the ways in which it may be cut into slices, each the slices in order; empty: it is not cut.
    The layout may change while nothing runs on the device.
    """

    kind: str
    type: str
    index: int
    uuid: str = ""
    mem_mib: int = 0
    numa: int = -1
    link: int = -1
    layouts: tuple[tuple[str, ...], ...] = ()


class Ask(msgspec.Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """What one job needs, before it is known where. Hashable: equal asks form one ask class.

    A job has n_tasks tasks on min_nodes..max_nodes nodes (max_nodes 0: as many as it takes), at
    most tasks_per_node on each (0: no bound), at least one on each. Every task takes
    cpu_milli_per_task; a node of the job never gives less than min_cpu_milli_per_node.
    Memory: mem_mib_per_node, or mem_mib_per_cpu for every CPU given (at most one is non-zero), or
    all of the node's (mem_all). features is an expression over node features with `&` and `|`
    (`&` binds tighter), "" for none; `a*2&b*4` asks for 2 nodes with a and 4 with b.
    nodes_required must all be part of the allocation.
    exclusive: nothing else shares the nodes, and all their CPUs are given.
    hops: how far apart the nodes may be in the tree of switches and racks: 0 all below the same lowest
    one, 1 below the same one above that …, -1 anywhere. spread: rather many and empty nodes than few and
    full ones. linked: the devices of a node must be of one link group. max_switches: all nodes below so
    many of the lowest switches or racks, 0: any number.
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
    hops: int = -1
    spread: bool = False
    linked: bool = False
    max_switches: int = 0


class Placement(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one node gives to one job: amounts, devices and how many tasks it takes. lent_mib: so much of
    mem_mib is memory of other jobs there, lent to this one."""

    node: NodeName
    cpu_milli: int
    mem_mib: int
    n_tasks: int = 1
    devices: tuple[Devices, ...] = ()
    tmp_mib: int = 0
    lent_mib: int = 0


class Usage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an attempt really used, as its supervisor or the agent measured it.

    max_rss_kib: the most that counted against its memory limit; max_cache_kib: page cache beside that.
    oom_kills: processes that the kernel ended for want of memory. gpu_ms: milliseconds in which its GPUs were
    measured, summed over them, of which something ran on them for gpu_busy_ms. gpu_max_mem_mib: on all of
    them together. gpu_gflop: operations done, gpu_peak_gflop: what they could have done in the same time,
    both 0 where the GPUs do not tell.
    """

    user_cpu_us: int = 0
    system_cpu_us: int = 0
    max_rss_kib: int = 0
    max_vm_kib: int = 0
    disk_read_bytes: int = 0
    disk_write_bytes: int = 0
    max_cache_kib: int = 0
    oom_kills: int = 0
    gpu_ms: int = 0
    gpu_busy_ms: int = 0
    gpu_max_mem_mib: int = 0
    gpu_energy_mj: int = 0
    gpu_gflop: int = 0
    gpu_peak_gflop: int = 0


def joined_usage(parts: Iterable[Usage]) -> Usage:
    """Of several parts of one thing, on several nodes: sums, but the highest of what is a highest value."""
    columns = zip(*(astuple(part) for part in parts), strict=True)
    pairs = zip(Usage.__struct_fields__, columns, strict=False)
    return Usage(*(max(values) if name in _HIGHEST else sum(values) for name, values in pairs))


_HIGHEST: Final = frozenset({"max_rss_kib", "max_vm_kib", "max_cache_kib", "gpu_max_mem_mib"})
