"""The processors that this process may use, and where they are: sockets, cores and NUMA nodes by sysfs."""

from __future__ import annotations

import os
from pathlib import Path

from packhorse.agent.binding import Processor

SYSFS = Path("/sys/devices/system")


def processors(sysfs: Path = SYSFS, cpus: frozenset[int] | None = None) -> list[Processor]:
    """Each of `cpus` (by default those this process may use).

    Where sysfs is silent a processor is a core of its own, in socket 0 and NUMA node 0.
    """
    numa = _numa_nodes(sysfs / "node")
    usable = os.sched_getaffinity(0) if cpus is None else cpus
    return [
        _processor(sysfs / "cpu" / f"cpu{cpu}" / "topology", cpu, numa.get(cpu, 0)) for cpu in sorted(usable)
    ]


def _processor(topology: Path, cpu: int, numa: int) -> Processor:
    try:
        socket = int((topology / "physical_package_id").read_text())
        core = int((topology / "core_id").read_text())
    except (OSError, ValueError):
        return Processor(cpu, cpu, 0, numa)
    # Virtual machines and some ARM boards say -1 where they do not know.
    return Processor(cpu, core if core >= 0 else cpu, max(0, socket), numa)


def _numa_nodes(nodes: Path) -> dict[int, int]:
    """Processor -> NUMA node; {} where the machine does not say."""
    found = {}
    for path in sorted(nodes.glob("node[0-9]*/cpulist")):
        try:
            for cpu in cpu_list(path.read_text()):
                found[cpu] = int(path.parent.name.removeprefix("node"))
        except (OSError, ValueError):
            continue
    return found


def cpu_list(text: str) -> list[int]:
    """The numbers in the kernel's notation: "0-3,8". Raises ValueError for what is no such list."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found
