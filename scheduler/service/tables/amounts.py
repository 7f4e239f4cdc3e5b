"""Amounts as Slurm writes them: TRES, counts per node, devices; and what an ask comes to before placement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from packhorse.scheduler.model.gresspec import share_text
from packhorse.scheduler.model.node import NodeSpec
from packhorse.scheduler.model.resources import WHOLE, Ask, Device, Devices, Gres, Placement, is_slice
from packhorse.scheduler.model.units import format_mem_mib


class Amounts(NamedTuple):
    """Totals over all nodes. gres: (kind, type, thousandths of a device), one entry each, in order of first
    mention. Under a slice as type they are pieces, 1000 for each; the thousandths of devices that these are
    stand under no type, once it is known which. gpumem_mib: shares asked for by memory, of which it is not
    known yet how much of a device they are.
    """

    cpus: int
    mem_mib: int
    nodes: int
    tasks: int
    gres: tuple[tuple[str, str, int], ...]
    gpumem_mib: int = 0


def cpus_of(cpu_milli: int) -> int:
    """Whole CPUs, rounded up."""
    return -(-cpu_milli // 1000)


def asked(ask: Ask) -> Amounts:
    """What the ask comes to on the fewest nodes that it allows."""
    nodes = max(ask.min_nodes, len(ask.nodes_required), 1)
    if ask.tasks_per_node:
        nodes = max(nodes, -(-ask.n_tasks // ask.tasks_per_node))
    tasks = max(ask.n_tasks, nodes)
    cpus = max(cpus_of(tasks * ask.cpu_milli_per_task), nodes * cpus_of(ask.min_cpu_milli_per_node))
    mem_mib = ask.mem_mib_per_node * nodes or ask.mem_mib_per_cpu * cpus
    gres: dict[tuple[str, str], int] = {}
    gpumem_mib = 0
    for listed, times in ((ask.gres_per_node, nodes), (ask.gres_per_task, tasks), (ask.gres_per_job, 1)):
        for kind, type_, count, milli, share_mib in listed:
            if share_mib:
                gpumem_mib += share_mib * times
            else:
                gres[kind, type_] = gres.get((kind, type_), 0) + milli * count * times
    return Amounts(cpus, mem_mib, nodes, tasks, _entries(gres), gpumem_mib)


def placed(placements: Sequence[Placement]) -> Amounts:
    """What the placements hold together."""
    gres: dict[tuple[str, str], int] = {}
    for placement in placements:
        for devices in placement.devices:
            count_held(gres, devices)
    return Amounts(
        sum([cpus_of(placement.cpu_milli) for placement in placements]),
        sum([placement.mem_mib for placement in placements]),
        len(placements),
        sum([placement.n_tasks for placement in placements]),
        _entries(gres),
    )


def count_held(gres: dict[tuple[str, str], int], devices: Devices) -> None:
    """Adds the devices in thousandths; a slice also as one piece."""
    if devices.part:
        piece = devices.kind, devices.part
        gres[piece] = gres.get(piece, 0) + WHOLE
    key = devices.kind, "" if devices.part else devices.type
    gres[key] = gres.get(key, 0) + devices.milli * len(devices.indices)


def _entries(gres: dict[tuple[str, str], int]) -> tuple[tuple[str, str, int], ...]:
    return tuple([(*key, milli) for key, milli in gres.items()])


def tres_text(amounts: Amounts, *, billing: bool = True) -> str:
    """`cpu=2,mem=1000M,node=1,billing=2,gres/gpu=1`; memory only where some is set aside."""
    parts = [f"cpu={amounts.cpus}"]
    if amounts.mem_mib:
        parts.append(f"mem={format_mem_mib(amounts.mem_mib)}")
    if amounts.nodes:
        parts.append(f"node={amounts.nodes}")
    if billing:
        parts.append(f"billing={amounts.cpus}")
    parts += gres_tres(amounts.gres)
    if amounts.gpumem_mib:
        parts.append(f"gres/gpumem={format_mem_mib(amounts.gpumem_mib)}")
    return ",".join(parts)


def gres_tres(gres: Iterable[tuple[str, str, int]]) -> list[str]:
    """`gres/gpu=4`, and `gres/gpu:h200=4` beside it where a type is known; `gres/gpu=0.25` of a share,
    `gres/gpu=0.284,gres/gpu:1g.18gb=2` of slices, without the first while it is not known of which devices.
    """
    by_kind: dict[str, int] = {}
    by_type: dict[str, int] = {}
    for kind, type_, milli in gres:
        by_kind[kind] = by_kind.get(kind, 0) + (0 if is_slice(type_) else milli)
        if type_:
            by_type[f"{kind}:{type_}"] = by_type.get(f"{kind}:{type_}", 0) + milli
    parts = []
    for kind, milli in by_kind.items():
        if milli:
            parts.append(f"gres/{kind}={share_text(milli)}")
        parts += [
            f"gres/{name}={share_text(n)}" for name, n in by_type.items() if name.partition(":")[0] == kind
        ]
    return parts


def gres_text(gres: Sequence[Gres]) -> str:
    """`gpu:h200:4,nic:1`, "" for none."""
    return ",".join([str(item) for item in gres])


def device_counts(devices: Sequence[Device]) -> list[tuple[str, str, int]]:
    """(kind, type, thousandths) of a node's devices, in the order in which kinds appear."""
    counts: dict[tuple[str, str], int] = {}
    for device in devices:
        counts[device.kind, device.type] = counts.get((device.kind, device.type), 0) + WHOLE
    return [(*key, milli) for key, milli in counts.items()]


def devices_text(counts: Iterable[tuple[str, str, int]]) -> str:
    """`gpu:h200:4,nic:1`, "" for none."""
    return ",".join([f"{_named(kind, type_)}:{share_text(milli)}" for kind, type_, milli in counts])


def _named(kind: str, type_: str) -> str:
    return f"{kind}:{type_}" if type_ else kind


def granted_text(placements: Sequence[Placement]) -> str:
    """Devices granted, node by node where these differ: `gpu:h200:2(IDX:0-1)`, `gpu:h200:0.25(IDX:3)`, of
    slices `gpu:1g.18gb:1(IDX:3#0)` with the number of the slice on its device; "" for none.
    """
    per_node = [",".join([_granted(devices) for devices in placement.devices]) for placement in placements]
    return ",".join(dict.fromkeys([text for text in per_node if text]))


def _granted(devices: Devices) -> str:
    where = index_text(devices.indices)
    if devices.part:
        return f"{devices.kind}:{devices.part}:1(IDX:{where}#{devices.place[1]})"
    amount = share_text(devices.milli * len(devices.indices))
    return f"{_named(devices.kind, devices.type)}:{amount}(IDX:{where})"


def index_text(indices: Sequence[int]) -> str:
    """`0-1,3` of ascending indices."""
    parts: list[str] = []
    start = previous = -2
    for index in [*indices, -9]:
        if index == previous + 1:
            previous = index
            continue
        if start >= 0:
            parts.append(str(start) if start == previous else f"{start}-{previous}")
        start = previous = index
    return ",".join(parts)


def repeated_text(values: Sequence[int]) -> str:
    """`4(x2),2`: one entry for equal neighbours."""
    parts = []
    at = 0
    while at < len(values):
        end = at
        while end < len(values) and values[end] == values[at]:
            end += 1
        parts.append(f"{values[at]}(x{end - at})" if end - at > 1 else str(values[at]))
        at = end
    return ",".join(parts)


def capacity(spec: NodeSpec) -> Amounts:
    """All that a node has."""
    return Amounts(spec.cpu_milli // 1000, spec.mem_mib, 0, 0, tuple(device_counts(spec.devices)))
