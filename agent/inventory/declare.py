"""What an agent registers: the hardware found, with what its owner declared in its place."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from packhorse.agent.inventory import machine, nvidia
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.resources import Device, Gres


class Declared(NamedTuple):
    """Amounts stated on the command line or in a file; None: as found."""

    cpus: int | None = None
    mem_mib: int | None = None
    gres: tuple[Gres, ...] | None = None
    features: tuple[str, ...] = ()
    weight: int = 1


class Inventory(NamedTuple):
    """A node as it will be registered, and remarks for the person who started the agent."""

    spec: NodeSpec
    boot_id: str
    remarks: tuple[str, ...]

    def offer(self) -> Offer:
        """All of it."""
        return Offer(epoch=1, cpu_milli=self.spec.cpu_milli, mem_mib=self.spec.mem_mib)


def parse_gres(text: str) -> tuple[Gres, ...]:
    """`gpu:2`, `gpu:h200:4,fpga:1`; raises BadValue."""
    found = []
    for word in filter(None, text.split(",")):
        parts = word.split(":")
        if len(parts) not in (2, 3) or not parts[-1].isdigit() or not parts[0]:
            raise BadValue(
                f'"{word}" is not a device count: write kind:count or kind:type:count, as in gpu:2'
            )
        found.append(Gres(parts[0], parts[1] if len(parts) == 3 else "", int(parts[-1])))
    return tuple(found)


def take(name: NodeName, declared: Declared, scratch: Path, *, version: str, isolation: str) -> Inventory:
    """Look at the machine and lay what was declared over it."""
    found = machine.look(scratch)
    gpus, no_gpus = nvidia.gpus()
    remarks = [no_gpus] if no_gpus else []
    devices = gpus
    beyond = False
    if declared.gres is not None:
        devices = tuple(
            Device(g.kind, g.type, index)
            for kind in sorted({g.kind for g in declared.gres})
            for index, g in enumerate(g for g in declared.gres if g.kind == kind for _ in range(g.n))
        )
        beyond |= devices != tuple(Device(d.kind, d.type, d.index) for d in gpus)
    cpus = declared.cpus if declared.cpus is not None else found.cpus
    mem_mib = declared.mem_mib if declared.mem_mib is not None else found.mem_mib
    if cpus > found.cpus:
        beyond = True
        remarks.append(f"{cpus} CPUs are declared, {found.cpus} are here: jobs will share them")
    if mem_mib > found.mem_mib:
        beyond = True
        remarks.append(f"{mem_mib} MiB of memory are declared, {found.mem_mib} are here")
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
    )
    return Inventory(spec, found.boot_id, tuple(remarks))
