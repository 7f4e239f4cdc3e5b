"""Which device files a job must not open: those of the devices that its node hands out and it has not got.

Found here, and therefore kept from jobs by a device cgroup:

- NVIDIA GPUs: /dev/nvidiaN, N being the driver's minor number, which /proc/driver/nvidia/gpus tells by UUID;
  without that the GPU's index. The control devices (nvidiactl, nvidia-uvm) are everybody's: without a GPU's
  own file they open nothing.
- TPU chips: /dev/accelN.

AMD's GPUs share one file (/dev/kfd) and slices of one GPU (MIG) the file of the whole: for these, and where
no device cgroup can be used, only the environment says what a job should use.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from packhorse.scheduler.model.resources import Device, Devices


class DeviceFiles:
    """The rules for each device of a node, looked up once. root: "/" but for tests."""

    def __init__(self, devices: Iterable[Device], root: Path = Path("/")) -> None:
        minors = _nvidia_minors(root / "proc/driver/nvidia/gpus")
        self._rule: dict[tuple[str, int], str] = {}
        for device in devices:
            if device.kind == "gpu":
                path = root / f"dev/nvidia{minors.get(device.uuid, device.index)}"
            elif device.kind == "tpu":
                path = root / f"dev/accel{device.index}"
            else:
                continue
            if rule := _rule(path):
                self._rule[device.kind, device.index] = rule

    @property
    def known(self) -> bool:
        """There are device files to keep jobs from."""
        return bool(self._rule)

    def denied(self, given: Iterable[Devices]) -> tuple[str, ...]:
        """Rules of the device cgroup against all devices but those given, sorted."""
        own = {(devices.kind, index) for devices in given for index in devices.indices}
        return tuple(sorted({rule for device, rule in self._rule.items() if device not in own}))


def _rule(path: Path) -> str:
    """ "c 195:1 rwm" for a character device, "" for anything else, or nothing."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    if not stat.S_ISCHR(found.st_mode):
        return ""
    return f"c {os.major(found.st_rdev)}:{os.minor(found.st_rdev)} rwm"


def _nvidia_minors(gpus: Path) -> dict[str, int]:
    """UUID -> minor number of its file, as the driver tells; {} without it."""
    found = {}
    for path in sorted(gpus.glob("*/information")):
        try:
            lines = [line.partition(":") for line in path.read_text(errors="replace").splitlines()]
        except OSError:
            continue
        said = {name.strip(): value.strip() for name, _, value in lines}
        if said.get("Device Minor", "").isdecimal() and said.get("GPU UUID"):
            found[said["GPU UUID"]] = int(said["Device Minor"])
    return found
