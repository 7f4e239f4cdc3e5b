"""Processors and memory by NUMA node, as sysfs shows them."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple


class Cpu(NamedTuple):
    """A logical processor. core is unique within its socket; numa -1: not known."""

    number: int
    socket: int
    core: int
    numa: int


class NumaNode(NamedTuple):
    """cpus: its processors, also those that may not be used here."""

    number: int
    mem_mib: int
    cpus: tuple[int, ...]


def usable(sys: Path, allowed: Collection[int]) -> list[int]:
    """Those of the allowed processors that are online."""
    try:
        online = set(parse_list((sys / "devices/system/cpu/online").read_text()))
    except (OSError, ValueError):
        return sorted(allowed)
    return sorted(online & set(allowed)) or sorted(allowed)


def numa_nodes(sys: Path) -> list[NumaNode]:
    """Empty where sysfs is silent."""
    found = []
    for path in sys.glob("devices/system/node/node*"):
        number = path.name.removeprefix("node")
        try:
            cpus = tuple(parse_list((path / "cpulist").read_text()))
            total = re.search(r"MemTotal:\s*(\d+) kB", (path / "meminfo").read_text())
        except (OSError, ValueError):
            continue
        if number.isdecimal():
            found.append(NumaNode(int(number), int(total[1]) // 1024 if total else 0, cpus))
    return sorted(found)


def cpus(sys: Path, numbers: Collection[int], nodes: Collection[NumaNode]) -> list[Cpu]:
    """These processors with socket and core; empty where sysfs does not tell, or tells nonsense."""
    numa_of = {cpu: node.number for node in nodes for cpu in node.cpus}
    found = []
    for number in sorted(numbers):
        topology = sys / f"devices/system/cpu/cpu{number}/topology"
        try:
            socket = int((topology / "physical_package_id").read_text())
            core = int((topology / "core_id").read_text())
        except (OSError, ValueError):
            return []
        # Virtual machines and some ARM boards say -1 where they do not know.
        found.append(Cpu(number, max(0, socket), core if core >= 0 else number, numa_of.get(number, -1)))
    return found


def shape(found: list[Cpu]) -> tuple[int, int]:
    """Threads per core and sockets; (1, 1) where nothing is known."""
    if not found:
        return 1, 1
    cores = {(cpu.socket, cpu.core) for cpu in found}
    return max(1, len(found) // len(cores)), len({cpu.socket for cpu in found})


def parse_list(text: str) -> list[int]:
    """`0-3,8`, as the kernel writes sets of processors; raises ValueError."""
    numbers: list[int] = []
    for word in filter(None, text.strip().split(",")):
        first, _, last = word.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


def list_text(numbers: Collection[int]) -> str:
    """The other way round."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in spans)
