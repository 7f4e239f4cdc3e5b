"""Processors, memory, disk and identity of this machine, by psutil and what Linux says of itself."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import NamedTuple

import psutil

from packhorse.agent.inventory import processors
from packhorse.scheduler.model.ids import US, Instant

MIB = 1 << 20


SYS = Path("/sys")


class Found(NamedTuple):
    """The hardware. cpus: logical processors this process may use; amounts in MiB."""

    host_name: str
    boot_id: str
    boot_at: Instant
    cpus: int
    sockets: int
    cores_per_socket: int
    threads_per_core: int
    mem_mib: int
    tmp_mib: int
    arch: str
    os: str


def look(scratch: Path, sys: Path = SYS) -> Found:
    """What is here. scratch: a path on the file system whose size counts as temporary disk."""
    numbers = processors.usable(sys, os.sched_getaffinity(0))
    threads, sockets = processors.shape(processors.cpus(sys, numbers, ()))
    return Found(
        host_name=platform.node().split(".")[0],
        boot_id=boot_id(),
        boot_at=Instant(int(psutil.boot_time()) * US),
        cpus=len(numbers),
        sockets=sockets,
        cores_per_socket=max(1, len(numbers) // (sockets * threads)),
        threads_per_core=threads,
        mem_mib=memory_mib(),
        tmp_mib=shutil.disk_usage(scratch).total // MIB,
        arch=platform.machine(),
        os=f"{platform.system()} {platform.release()}",
    )


def boot_id() -> str:
    """An identifier that changes with every boot (and with every container restart that has its own)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def n_cpus(sys: Path = SYS) -> int:
    """Logical processors that this process may use now."""
    return len(processors.usable(sys, os.sched_getaffinity(0)))


def memory_mib(cgroup: Path = SYS / "fs/cgroup") -> int:
    """Memory that work on this machine can have: what the kernel has, or a container's limit below that."""
    total = int(psutil.virtual_memory().total)
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (cgroup / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total // MIB
