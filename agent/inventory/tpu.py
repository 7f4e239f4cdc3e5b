"""TPU chips by their device files, the PCI bus and the environment that Google's images set.

There is no library to ask without taking the chips away from the jobs (libtpu lets one process in), so health
is what the kernel shows: a chip whose device file is gone is dead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from packhorse.agent.inventory.found import Found, Look, Remark, type_name
from packhorse.scheduler.model.resources import Device

PREFIX = "tpu-"
GOOGLE = "0x1ae0"
MODELS = {
    "0x0027": "",  # v2 or v3
    "0x005e": "v4",
    "0x0062": "v5p",
    "0x0063": "v5e",
    "0x006f": "v6e",
    "0x0076": "v7x",
}
"""PCI device ids, as in JAX (jax/_src/hardware_utils.py)."""

MEM_MIB = {"v2": 16 << 10, "v3": 32 << 10, "v4": 32 << 10, "v5e": 16 << 10, "v5p": 95 << 10, "v6e": 32 << 10}
"""Of one chip, as in Google's system architecture pages."""

_KINDS = {"v5litepod": "v5e", "v5lite": "v5e"}
"""Names of types where TPU_ACCELERATOR_TYPE has another one."""

VARIABLES = (
    "TPU_ACCELERATOR_TYPE",
    "TPU_TOPOLOGY",
    "TPU_CHIPS_PER_HOST_BOUNDS",
    "TPU_HOST_BOUNDS",
    "TPU_WORKER_ID",
)

_BOUNDS = re.compile(r"(\d+),(\d+),(\d+)")


def look(dev: Path, sys: Path, environment: Mapping[str, str]) -> Look:
    """The chips of this host. Raises nothing: what cannot be read is not there."""
    remarks = []
    chips = _on_bus(sys)
    files = _files(dev, bool(chips) or any(environment.get(name) for name in VARIABLES))
    if not chips and not files:
        return Look(PREFIX)
    kind = _kind(environment)
    n = max(len(chips), len(files))
    expected = _BOUNDS.fullmatch(environment.get("TPU_CHIPS_PER_HOST_BOUNDS", ""))
    if expected is not None:
        wanted = int(expected[1]) * int(expected[2]) * int(expected[3])
        if 0 < wanted <= 256 and wanted != n:
            remarks.append(
                Remark("tpu-bounds", f"TPU_CHIPS_PER_HOST_BOUNDS tells of {wanted} TPU chips, {n} are here")
            )
    details = tuple(
        (name.removeprefix("TPU_").lower(), environment[name]) for name in VARIABLES if name in environment
    )
    found = []
    for index in range(n):
        pci, model, numa = chips[index] if index < len(chips) else ("", "", -1)
        type_ = model or kind
        name = f"{PREFIX}{pci or files[index].name}"
        dead = "" if index < len(files) else "its device file is missing (/dev/accel*, /dev/vfio/*)"
        file = (("file", str(files[index])),) if index < len(files) else ()
        device = Device("tpu", type_, index, name, MEM_MIB.get(type_, 0), numa, link=0 if n > 1 else -1)
        found.append(Found(device, dead, details=(("pci", pci), *file, *details)))
    return Look(
        PREFIX, tuple(found), tuple(remarks), missing="its device file and its place on the bus are gone"
    )


def _kind(environment: Mapping[str, str]) -> str:
    """The type that TPU_ACCELERATOR_TYPE ("v5litepod-8") names, "" for none."""
    name = type_name(environment.get("TPU_ACCELERATOR_TYPE", "").rpartition("-")[0])
    return _KINDS.get(name, name)


def _files(dev: Path, is_tpu_host: bool) -> list[Path]:
    """Device files of chips, in the order of their numbers. A vfio group may be anything: it counts only
    where something else tells of TPUs."""
    for directory, pattern in ((dev, r"accel(\d+)"), (dev / "vfio", r"(\d+)")):
        if directory.name == "vfio" and not is_tpu_host:
            return []
        try:
            names = [
                (match, path) for path in directory.iterdir() if (match := re.fullmatch(pattern, path.name))
            ]
        except OSError:
            continue
        if names:
            return [path for match, path in sorted(names, key=lambda pair: int(pair[0][1]))]
    return []


def _on_bus(sys: Path) -> list[tuple[str, str, int]]:
    """Google's accelerators on the PCI bus: address, model, NUMA node."""
    found = []
    try:
        places = sorted((sys / "bus/pci/devices").iterdir())
    except OSError:
        return []
    for place in places:
        try:
            if (place / "vendor").read_text().strip() != GOOGLE:
                continue
            model = MODELS.get((place / "device").read_text().strip())
            if model is not None:
                found.append((place.name, model, _number(place / "numa_node")))
        except OSError:
            continue
    return found


def _number(path: Path) -> int:
    try:
        return max(-1, min(1023, int(path.read_text())))
    except (OSError, ValueError):
        return -1
