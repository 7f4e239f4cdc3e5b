"""Processors, memory, disk and identity of this machine, by psutil and what Linux says of itself."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import NamedTuple

import psutil

from packhorse.scheduler.model.ids import US, Instant

MIB = 1 << 20


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


def look(scratch: Path) -> Found:
    """What is here. scratch: a path on the file system whose size counts as temporary disk."""
    cpus = len(os.sched_getaffinity(0))
    threads, sockets = _topology(cpus)
    return Found(
        host_name=platform.node().split(".")[0],
        boot_id=boot_id(),
        boot_at=Instant(int(psutil.boot_time()) * US),
        cpus=cpus,
        sockets=sockets,
        cores_per_socket=max(1, cpus // (sockets * threads)),
        threads_per_core=threads,
        mem_mib=_memory_bytes() // MIB,
        tmp_mib=shutil.disk_usage(scratch).total // MIB,
        arch=platform.machine(),
        os=f"{platform.system()} {platform.release()}",
    )


def boot_id() -> str:
    """An identifier that changes with every boot (and with every container restart that has its own)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _topology(cpus: int) -> tuple[int, int]:
    """Threads per core and sockets, of the processors this process may use; (1, 1) where sysfs is silent."""
    cores: set[tuple[str, str]] = set()
    packages: set[str] = set()
    for cpu in os.sched_getaffinity(0):
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            package = (topology / "physical_package_id").read_text().strip()
            cores.add((package, (topology / "core_id").read_text().strip()))
        except OSError:
            return 1, 1
        packages.add(package)
    return max(1, cpus // len(cores)), len(packages)


def _memory_bytes() -> int:
    """Memory that work on this machine can have: what the kernel has, or a container's limit below that."""
    total = int(psutil.virtual_memory().total)
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total
