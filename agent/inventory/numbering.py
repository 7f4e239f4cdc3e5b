"""Which number a device has on its node: the same for as long as the machine runs.

Jobs hold devices by number, also over a restart of the agent. NVML counts what it finds, so that the loss of
one GPU moves all behind it; here a device is known by its UUID, and one that is gone keeps its number until
the machine is started again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from packhorse.agent.inventory.found import Look, Remark
from packhorse.scheduler.model.resources import Device


class Known(msgspec.Struct, frozen=True):
    """The devices that were registered in this run of the kernel. gone: what was missing when it began."""

    boot_id: str
    devices: tuple[Device, ...]
    gone: tuple[Remark, ...] = ()


class Numbered(NamedTuple):
    """All devices, those included that were there and are gone."""

    devices: tuple[Device, ...]
    remarks: tuple[Remark, ...]


def read(path: Path) -> Known | None:
    """What was kept; None where there is nothing, or nothing that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Known)
    except (OSError, msgspec.DecodeError):
        return None


def keep(path: Path, known: Known) -> None:
    """Written whole or not at all. Raises OSError."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(known))
    fresh.replace(path)


def number(looks: Sequence[Look], before: Known | None, boot_id: str) -> Numbered:
    """Numbers what is there, each kind from 0 in the order of the looks; what has a number keeps it."""
    here = [found.device for look in looks for found in look.devices]
    if before is None or before.boot_id != boot_id:
        gone = _gone(before, here) if all(look.complete for look in looks) else ()
        return Numbered(tuple(_counted([], here)), gone)
    uuids = {device.uuid for device in before.devices}
    now = {device.uuid: device for device in here}
    kept = [_refreshed(device, now.get(device.uuid, device)) for device in before.devices]
    return Numbered(
        tuple(_counted(kept, [device for device in here if device.uuid not in uuids])), before.gone
    )


def _refreshed(known: Device, now: Device) -> Device:
    """The device as it is now, with its number; what reads as unknown now stays as it was known."""
    return msgspec.structs.replace(
        now,
        index=known.index,
        type=now.type or known.type,
        mem_mib=now.mem_mib or known.mem_mib,
        numa=known.numa if now.numa < 0 else now.numa,
    )


def _counted(kept: list[Device], new: Sequence[Device]) -> list[Device]:
    """In the order of kind and number."""
    free: dict[str, int] = {}
    for device in kept:
        free[device.kind] = max(free.get(device.kind, 0), device.index + 1)
    for device in new:
        index = free.get(device.kind, 0)
        free[device.kind] = index + 1
        kept.append(msgspec.structs.replace(device, index=index))
    return sorted(kept, key=lambda device: (device.kind, device.index))


def _gone(before: Known | None, here: Sequence[Device]) -> tuple[Remark, ...]:
    uuids = {device.uuid for device in here}
    return tuple(
        Remark(
            f"{device.uuid}-before",
            f"{device.kind} {device.index} ({device.type}, {device.uuid}) was here before the restart of the "
            "machine and is not found",
        )
        for device in (before.devices if before is not None else ())
        if device.uuid not in uuids
    )
