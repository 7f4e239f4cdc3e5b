"""What an agent registers: the hardware found, with what its owner declared in its place."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from packhorse.agent.inventory import machine, numbering
from packhorse.agent.inventory.found import Look, Remark
from packhorse.agent.inventory.probes import FIRST_S, Probes
from packhorse.agent.inventory.watch import Seen
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.gresspec import MAX_MEM_MIB
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.node import LEVELS, NodeSpec, Offer, are_levels
from packhorse.scheduler.model.resources import Device, Gres

MAX_DEVICES = 4096
"""Of one kind on one node."""

MAX_CPUS = (1 << 27) // 1000
MAX_WEIGHT = (1 << 32) - 1
"""Of one node; the scheduler has the same limits."""

NUMBERS = "devices.json"
"""The file in the node's directory that keeps the devices' numbers."""


class Declared(NamedTuple):
    """Amounts stated on the command line or in a file; None: as found.

    gpu_mem_mib, gpu_link_groups, gpu_layouts: of every declared GPU its memory (0: unknown), in how many
    groups with fast links among each other they come (0: unknown), and the ways to cut it into slices.
    topology: the racks and switches above the node, from the top down.
    """

    cpus: int | None = None
    mem_mib: int | None = None
    gres: tuple[Gres, ...] | None = None
    features: tuple[str, ...] = ()
    weight: int = 1
    gpu_mem_mib: int = 0
    gpu_link_groups: int = 0
    gpu_layouts: tuple[tuple[str, ...], ...] = ()
    topology: tuple[str, ...] = ()


class Inventory(NamedTuple):
    """A node as it will be registered, and remarks for the person who started the agent.

    seen: what was there when it was looked at. declared: the devices are what its owner says.
    """

    spec: NodeSpec
    boot_id: str
    remarks: tuple[str, ...]
    seen: Seen = Seen(0, 0)
    declared: bool = False

    def offer(self) -> Offer:
        """All of it."""
        return Offer(epoch=1, cpu_milli=self.spec.cpu_milli, mem_mib=self.spec.mem_mib)


def parse_gres(text: str) -> tuple[Gres, ...]:
    """`gpu:2`, `gpu:h200:4,fpga:1`; raises BadValue."""
    found = []
    for word in filter(None, text.split(",")):
        parts = word.split(":")
        if len(parts) not in (2, 3) or not _is_count(parts[-1]) or not all(map(_is_name, parts)):
            raise BadValue(
                f'"{word}" is not a device count: write kind:count or kind:type:count, as in gpu:2, with '
                "names of letters, digits, -, _ and ."
            )
        count = int(parts[-1]) if len(parts[-1]) <= 9 else MAX_DEVICES + 1
        if count > MAX_DEVICES:
            raise BadValue(f'"{word}": a node has at most {MAX_DEVICES} devices of a kind')
        found.append(Gres(parts[0], parts[1] if len(parts) == 3 else "", count))
    return tuple(found)


def _is_count(text: str) -> bool:
    """Plain digits; "²" is a digit as well, of which int() makes nothing."""
    return text.isascii() and text.isdecimal()


def _is_name(text: str) -> bool:
    """What stands between the commas, colons and equal signs of what jobs ask for and are told."""
    return bool(text) and all(char.isascii() and (char.isalnum() or char in "-_.") for char in text)


def parse_topology(text: str) -> tuple[str, ...]:
    """`rack1/switch2`: where a node stands, from the top down; raises BadValue."""
    levels = tuple(text.split("/")) if text else ()
    if not are_levels(levels):
        raise BadValue(f'--topology "{text}": write {LEVELS}, joined by /, as in rack1/switch2')
    return levels


def check_amounts(declared: Declared) -> None:
    """Raises BadValue for amounts that no node can have."""
    for option, amount, limit, unit in (
        ("cpus", declared.cpus, MAX_CPUS, ""),
        ("mem", declared.mem_mib, MAX_MEM_MIB, " MiB"),
        ("weight", declared.weight, MAX_WEIGHT, ""),
    ):
        if amount is not None and not 1 <= amount <= limit:
            raise BadValue(f"--{option} {amount}{unit}: a node has from 1 to {limit}{unit}")


def devices_of(declared: Declared) -> tuple[Device, ...]:
    """The declared devices, numbered from 0 within each kind; raises BadValue.

    Link groups are equal parts in the order of the index, and each is taken to be at a NUMA node of its own.
    """
    gres = declared.gres or ()
    n_gpus = sum(g.n for g in gres if g.kind == "gpu")
    groups = declared.gpu_link_groups
    if not n_gpus and (groups or declared.gpu_mem_mib or declared.gpu_layouts):
        raise BadValue(
            "--gpu-mem, --gpu-link-groups and --gpu-layouts are about declared GPUs: add --gres gpu:COUNT"
        )
    if declared.gpu_mem_mib > MAX_MEM_MIB:
        raise BadValue(f"--gpu-mem: {declared.gpu_mem_mib} MiB is over the limit, {MAX_MEM_MIB}")
    if groups and n_gpus % groups:
        raise BadValue(f"--gpu-link-groups {groups}: {n_gpus} GPUs do not come in {groups} equal groups")
    found = []
    for kind in sorted({g.kind for g in gres}):
        for index, type_ in enumerate(g.type for g in gres if g.kind == kind for _ in range(g.n)):
            if kind != "gpu":
                found.append(Device(kind, type_, index))
                continue
            link = index // (n_gpus // groups) if groups else -1
            found.append(
                Device(
                    kind,
                    type_,
                    index,
                    mem_mib=declared.gpu_mem_mib,
                    numa=link,
                    link=link,
                    layouts=declared.gpu_layouts,
                )
            )
    return tuple(found)


def take(
    name: NodeName,
    declared: Declared,
    scratch: Path,
    *,
    version: str,
    isolation: str,
    probes: Probes | None = None,
    first_s: float = FIRST_S,
    keep: bool = True,
) -> Inventory:
    """Look at the machine and lay what was declared over it.

    scratch: the node's directory; the devices' numbers are kept there if `keep`. probes: already started;
    None: no devices are looked for. Waits up to first_s for them.
    """
    check_amounts(declared)
    stated = devices_of(declared)
    found = machine.look(scratch)
    looks, remarks, notes = _looks(probes, first_s)
    numbers = scratch / NUMBERS
    numbered = numbering.number(looks, numbering.read(numbers), found.boot_id)
    devices = numbered.devices
    remarks += numbered.remarks
    beyond = False
    if declared.gres is not None:
        devices, all_here = _confirmed(stated, devices)
        beyond = not all_here
    elif devices and keep:
        numbering.keep(numbers, numbering.Known(found.boot_id, devices, numbered.remarks))
    cpus = declared.cpus if declared.cpus is not None else found.cpus
    mem_mib = declared.mem_mib if declared.mem_mib is not None else found.mem_mib
    if cpus > found.cpus:
        beyond = True
        notes.append(f"{cpus} CPUs are declared, {found.cpus} are here: jobs will share them")
    if mem_mib > found.mem_mib:
        beyond = True
        notes.append(f"{mem_mib} MiB of memory are declared, {found.mem_mib} are here")
    as_found = cpus == found.cpus
    spec = NodeSpec(
        name=name,
        host_name=found.host_name,
        cpu_milli=cpus * 1000,
        mem_mib=mem_mib,
        tmp_mib=found.tmp_mib,
        devices=devices,
        features=declared.features,
        sockets=found.sockets if as_found else 1,
        cores_per_socket=found.cores_per_socket if as_found else cpus,
        threads_per_core=found.threads_per_core if as_found else 1,
        weight=declared.weight,
        declared=beyond,
        isolation=isolation,
        arch=found.arch,
        os=found.os,
        version=version,
        boot_at=found.boot_at,
        topology=declared.topology,
    )
    seen = Seen(found.cpus, found.mem_mib, looks, remarks=tuple(remarks))
    return Inventory(spec, found.boot_id, tuple(notes), seen, declared=declared.gres is not None)


def _looks(probes: Probes | None, first_s: float) -> tuple[tuple[Look, ...], list[Remark], list[str]]:
    """The devices there are, what operators should know, and notes for who started the agent."""
    if probes is None:
        return (), [], []
    looks = probes.first(first_s)
    notes = [probes.note] if probes.note else []
    if looks is not None:
        return looks, [], notes
    why = (
        f"the drivers of its devices have not answered within {first_s:g} s; they are registered once they do"
    )
    remark = probes.defect or Remark("silence", why)
    return (Look("", complete=False),), [remark], notes


def _confirmed(stated: tuple[Device, ...], found: tuple[Device, ...]) -> tuple[tuple[Device, ...], bool]:
    """What was declared, with what is known of those that are really here; and whether all are."""
    here = {(device.kind, device.index): device for device in found}
    devices = []
    for device in stated:
        real = here.get((device.kind, device.index))
        if real is not None and device.type in ("", real.type):
            layouts = device.layouts or real.layouts
            device = msgspec.structs.replace(real, type=device.type, layouts=layouts)
        devices.append(device)
    return tuple(devices), all(device.uuid for device in devices)
