"""What `packhorse agent --inventory` prints: the machine as it is found, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from packhorse.agent.inventory.declare import Inventory
from packhorse.agent.inventory.found import Found
from packhorse.agent.inventory.processors import Cpu, NumaNode, list_text
from packhorse.agent.inventory.watch import Verdict
from packhorse.scheduler.model.gresspec import layout_text
from packhorse.scheduler.model.resources import Device
from packhorse.scheduler.model.units import format_mem_mib

SHORT_UUID = 12


class Machine(NamedTuple):
    """All that is shown. cpus: the processors the agent may use; cgroup: what bounds jobs, in one line."""

    inventory: Inventory
    verdict: Verdict
    cpus: tuple[Cpu, ...]
    nodes: tuple[NumaNode, ...]
    cgroup: str


def as_json(machine: Machine) -> dict[str, Any]:
    """The registration's fields, and beside them what was found."""
    inventory, verdict = machine.inventory, machine.verdict
    spec: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(inventory.spec))
    spec["devices"] = [_device_json(machine, device) for device in inventory.spec.devices]
    return spec | {
        "boot_id": inventory.boot_id,
        "cgroup": machine.cgroup,
        "cpus": [cpu._asdict() for cpu in machine.cpus],
        "numa_nodes": [node._asdict() for node in machine.nodes],
        "offer": {"cpu_milli": verdict.cpu_milli, "mem_mib": verdict.mem_mib},
        "warnings": verdict.warnings,
        "remarks": inventory.remarks,
    }


def as_text(machine: Machine) -> str:
    """Several short tables."""
    spec = machine.inventory.spec
    found = _found(machine)
    lines = [
        f"node {spec.name} on {spec.host_name}: {spec.os}, {spec.arch}, boot {machine.inventory.boot_id}",
        "",
        *_cpus(machine),
        f"memory     {spec.mem_mib / 1024:.1f} GiB ({spec.mem_mib} MiB)",
        f"scratch    {spec.tmp_mib / 1024:.1f} GiB",
        f"isolation  {spec.isolation}: {machine.cgroup}",
    ]
    if len(machine.nodes) > 1 or any(node.mem_mib for node in machine.nodes):
        lines += ["", "NUMA NODE   MEMORY  CPUS"]
        lines += [
            f"{node.number:>9}  {format_mem_mib(node.mem_mib):>7}  {list_text(node.cpus)}"
            for node in machine.nodes
        ]
    if spec.devices:
        lines += ["", *_devices(machine, found)]
        names = {device.uuid: f"{device.kind}:{device.index}" for device in spec.devices}
        for look in machine.inventory.seen.looks:
            lines += _matrix([gpu for gpu in look.devices if gpu.peers], names)
    declared = [device for device in spec.devices if not device.uuid]
    if declared or spec.declared:
        lines += ["", "declared, not found in the hardware: " + (_declared(declared) or "amounts")]
    lines += [""] if machine.verdict.warnings or machine.inventory.remarks else []
    lines += [f"warning: {warning}" for warning in machine.verdict.warnings]
    lines += [f"note: {remark}" for remark in machine.inventory.remarks]
    return "\n".join(lines)


def _cpus(machine: Machine) -> list[str]:
    spec = machine.inventory.spec
    shape = (
        f"{spec.sockets} socket{'s' * (spec.sockets != 1)}, {spec.cores_per_socket} cores each, "
        f"{spec.threads_per_core} thread{'s' * (spec.threads_per_core != 1)} per core"
    )
    lines = [f"CPUs       {spec.cpu_milli // 1000} ({shape})"]
    for socket in sorted({cpu.socket for cpu in machine.cpus}):
        here = [cpu for cpu in machine.cpus if cpu.socket == socket]
        cores = len({cpu.core for cpu in here})
        cpus = list_text([cpu.number for cpu in here])
        nodes = sorted({cpu.numa for cpu in here if cpu.numa >= 0})
        where = f", NUMA {list_text(nodes)}" if nodes else ""
        lines.append(f"           socket {socket}: {cores} cores, CPUs {cpus}{where}")
    return lines


def _found(machine: Machine) -> dict[str, Found]:
    return {found.device.uuid: found for look in machine.inventory.seen.looks for found in look.devices}


def _devices(machine: Machine, found: dict[str, Found]) -> list[str]:
    dead = dict(machine.verdict.dead)
    lines = [f"{'DEVICE':<8} {'TYPE':<18} {'MEMORY':>7} {'NUMA':>4} {'LINK':>4} {'PCI':<12}  HEALTH"]
    for device in machine.inventory.spec.devices:
        details = dict(found[device.uuid].details) if device.uuid in found else {}
        reason = dead.get((device.kind, device.index))
        health = f"DEAD: {reason}" if reason else "ok" if device.uuid else "declared"
        lines.append(
            f"{f'{device.kind}:{device.index}':<8} {device.type or '-':<18} "
            f"{format_mem_mib(device.mem_mib) if device.mem_mib else '-':>7} {_number(device.numa):>4} "
            f"{_number(device.link):>4} {details.get('pci') or '-':<12}  {health}"
        )
        more = [f"{key} {value}" for key, value in details.items() if key != "pci" and value]
        if device.uuid:
            lines.append(f"         {', '.join([device.uuid, *more])}")
        if device.layouts:
            lines.append(f"         slices: {' | '.join(layout_text(layout) for layout in device.layouts)}")
        if device.uuid in found and found[device.uuid].pids:
            lines.append(f"         used by: {', '.join(map(str, found[device.uuid].pids))}")
    return lines


def _matrix(found: Sequence[Found], names: Mapping[str, str]) -> list[str]:
    """How the devices of one maker are connected, if there are several. names: by UUID."""
    if len(found) < 2:
        return []
    titles = [names.get(gpu.device.uuid, "?") for gpu in found]
    width = max(len(text) for gpu in found for text in (*gpu.peers, *titles)) + 1
    lines = ["", f"{'links':<8}" + "".join(f"{title:>{width}}" for title in titles)]
    for title, gpu in zip(titles, found, strict=True):
        lines.append(f"{title:<8}" + "".join(f"{peer:>{width}}" for peer in gpu.peers))
    return lines


def _device_json(machine: Machine, device: Device) -> dict[str, Any]:
    found = _found(machine).get(device.uuid)
    shown: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(device))
    shown["dead"] = dict(machine.verdict.dead).get((device.kind, device.index), "")
    if found is not None:
        shown["pids"] = list(found.pids)
        shown["slices"] = [{"profile": profile, "uuid": uuid} for profile, uuid in found.slices]
        shown["peers"] = list(found.peers)
        shown["details"] = dict(found.details)
    return shown


def _declared(devices: Sequence[Device]) -> str:
    counts: dict[str, int] = {}
    for device in devices:
        name = f"{device.kind}:{device.type}" if device.type else device.kind
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{name}:{n}" for name, n in counts.items())


def _number(number: int) -> str:
    return str(number) if number >= 0 else "-"
