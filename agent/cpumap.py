"""The processors that this process may use, as the binding of jobs wants them."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from packhorse.agent.binding import Processor
from packhorse.agent.inventory import processors
from packhorse.agent.inventory.machine import SYS


def of_this_process(sys: Path = SYS, allowed: Collection[int] | None = None) -> list[Processor]:
    """Each of `allowed` (by default those this process may use) that is online.

    Where sysfs is silent a processor is a core of its own, in socket 0 and NUMA node 0.
    """
    numbers = processors.usable(sys, os.sched_getaffinity(0) if allowed is None else allowed)
    told = processors.cpus(sys, numbers, processors.numa_nodes(sys))
    if not told:
        return [Processor(number, number) for number in numbers]
    return [Processor(cpu.number, cpu.core, cpu.socket, max(0, cpu.numa)) for cpu in told]
