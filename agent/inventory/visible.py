"""By which names a job's programs find their NVIDIA GPUs.

CUDA counts the GPUs that it finds, as NVML does. That is the numbering of the node unless one is missing
since the agent numbered them; and a slice has no number at all. There CUDA_VISIBLE_DEVICES gets UUIDs.
Who has the whole of a GPU that is cut has all its slices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packhorse.agent.inventory.found import Look
from packhorse.scheduler.model.resources import Device, Devices

VARIABLE = "CUDA_VISIBLE_DEVICES"


def uuids(held: Iterable[Devices], devices: Sequence[Device], looks: Iterable[Look]) -> str:
    """What VARIABLE has to be for a job that holds these, "" if numbers will do. devices: the node's."""
    found = {gpu.device.uuid: gpu for look in looks for gpu in look.devices}
    names = {device.index: device.uuid for device in devices if device.kind == "gpu" and device.uuid in found}
    wanted = []
    by_number = True
    for some in held:
        for index in some.indices if some.kind == "gpu" else ():
            if index not in names:
                return ""
            gpu = found[names[index]]
            by_number &= gpu.device.index == index and not gpu.slices
            if not some.part:
                wanted += [uuid for _, uuid in gpu.slices] or [gpu.device.uuid]
                continue
            slice_ = some.place[1]
            if not 0 <= slice_ < len(gpu.slices) or gpu.slices[slice_][0] != some.part:
                return ""
            wanted.append(gpu.slices[slice_][1])
    return "" if by_number else ",".join(dict.fromkeys(wanted))


def named(environment: Sequence[str], names: str) -> tuple[str, ...]:
    """The environment with these names in VARIABLE."""
    return (*[pair for pair in environment if not pair.startswith(f"{VARIABLE}=")], f"{VARIABLE}={names}")
