"""AMD GPUs as the kernel's compute driver shows them in sysfs (KFD), which needs no library.

The same files are what ROCm's own libraries read: /sys/class/kfd/kfd/topology/nodes for what there is and how
it is linked (XGMI), /sys/class/drm/renderD*/device for memory, place and errors, /sys/class/kfd/kfd/proc for
who uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from packhorse.agent.inventory.found import Found, Look, Remark, type_name
from packhorse.scheduler.model.resources import Device

MIB = 1 << 20
PREFIX = "amd-"
MAX_MEM_MIB = 16 << 20
"""16 TiB: of one GPU more is not believed."""
XGMI = 11
"""HSA_IOLINK_TYPE_XGMI of the kernel's kfd_sysfs.h."""


def look(sys: Path) -> Look:
    """The GPUs of this host. Raises nothing: what cannot be read is not there, or a remark."""
    kfd = sys / "class/kfd/kfd"
    nodes = {}
    for node in _numbered(kfd / "topology/nodes"):
        gpu_id = _text(node / "gpu_id")
        if gpu_id not in ("", "0"):
            nodes[int(node.name)] = (gpu_id, _properties(node / "properties"))
    if not nodes:
        return Look(PREFIX)
    groups, peers = _links(kfd / "topology/nodes", list(nodes))
    users = _users(kfd / "proc")
    found = []
    remarks: list[Remark] = []
    for index, (number, (gpu_id, properties)) in enumerate(nodes.items()):
        try:
            gpu = _gpu(sys, index, gpu_id, properties)
        except (OSError, ValueError) as why:
            remarks.append(
                Remark(f"amd-{number}", f"the kernel does not tell what AMD GPU {index} is ({why})")
            )
            continue
        device = Device(
            gpu.device.kind,
            gpu.device.type,
            index,
            gpu.device.uuid,
            gpu.device.mem_mib,
            gpu.device.numa,
            groups.get(number, -1),
        )
        found.append(gpu._replace(device=device, pids=users.get(gpu_id, ()), peers=peers[number]))
    return Look(PREFIX, tuple(found), tuple(remarks), missing="the kernel's driver does not list it any more")


def _gpu(sys: Path, index: int, gpu_id: str, properties: dict[str, int]) -> Found:
    """Raises OSError or ValueError where it has no place."""
    minor = properties.get("drm_render_minor", 0)
    device = sys / f"class/drm/renderD{minor}/device"
    uuid = f"{PREFIX}{properties.get('unique_id', 0):016x}"
    if not properties.get("unique_id"):
        uuid = f"{PREFIX}{gpu_id}"
    remarks = []
    mem_mib = 0
    total = _text(device / "mem_info_vram_total")
    if total.isdigit() and 0 < int(total) // MIB <= MAX_MEM_MIB:
        mem_mib = int(total) // MIB
    else:
        remarks.append(Remark(f"{uuid}-memory", f'says "{total[:30]}" of its memory, which is not believed'))
    location, domain = properties.get("location_id", 0), properties.get("domain", 0)
    pci = f"{domain:04x}:{location >> 8 & 0xFF:02x}:{location >> 3 & 0x1F:02x}.{location & 7}"
    version = properties.get("gfx_target_version", 0)
    gfx = f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else ""
    name = _text(device / "product_name") or gfx
    dead = ""
    if not device.exists():
        dead = "its device is gone from the bus"
    elif uncorrected := _uncorrected(device):
        dead = f"uncorrected memory errors ({uncorrected}): it needs a reset"
    numa = _text(device / "numa_node")
    return Found(
        Device("gpu", type_name(name), index, uuid, mem_mib, int(numa) if numa.isdigit() else -1),
        dead,
        tuple(remarks),
        details=(("model", name), ("pci", pci), ("gfx", gfx)),
    )


def _uncorrected(device: Path) -> str:
    """Blocks with errors that could not be corrected, as "umc 2"; "" for none, or where it is not told."""
    found = []
    for path in sorted((device / "ras").glob("*_err_count")):
        for line in _text(path).splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "ue" and value.strip().isdigit() and 0 < int(value) < 1 << 48:
                found.append(path.name.removesuffix("_err_count"))
    return ", ".join(found)


def _links(nodes: Path, numbers: list[int]) -> tuple[dict[int, int], dict[int, tuple[str, ...]]]:
    """The link group of each node that has one, and its row of the matrix."""
    linked = {number: set[int]() for number in numbers}
    for number in numbers:
        for link in _numbered(nodes / str(number) / "io_links"):
            properties = _properties(link / "properties")
            other = properties.get("node_to", -1)
            if properties.get("type") == XGMI and other in linked:
                linked[number].add(other)
                linked[other].add(number)
    leader = {number: number for number in numbers}
    for number, others in linked.items():
        for other in others:
            joined, into = leader[other], leader[number]
            leader = {n: into if at == joined else at for n, at in leader.items()}
    shared = sorted({at for at in leader.values() if list(leader.values()).count(at) > 1})
    groups = {number: shared.index(at) for number, at in leader.items() if at in shared}
    peers = {
        number: tuple(
            "X" if other == number else "XGMI" if other in linked[number] else "PCIE" for other in numbers
        )
        for number in numbers
    }
    return groups, peers


def _users(proc: Path) -> dict[str, tuple[int, ...]]:
    """gpu_id -> processes that hold memory of it."""
    found: dict[str, list[int]] = {}
    for process in _numbered(proc):
        for path in process.glob("vram_*"):
            held = _text(path)
            if held.isdigit() and int(held):
                found.setdefault(path.name.removeprefix("vram_"), []).append(int(process.name))
    return {gpu_id: tuple(pids) for gpu_id, pids in found.items()}


def _numbered(directory: Path) -> Iterator[Path]:
    """Entries whose names are numbers, in their order."""
    try:
        names = sorted(int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal())
    except OSError:
        return
    for name in names:
        yield directory / str(name)


def _properties(path: Path) -> dict[str, int]:
    """`name number` lines."""
    found = {}
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if value.strip().isdigit():
            found[key] = int(value)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
