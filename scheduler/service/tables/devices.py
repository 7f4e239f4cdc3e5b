"""Who holds what of each device of a node: whole, a share, or slices; and which are dead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from packhorse.scheduler.model.gresspec import layout_text
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.resources import WHOLE, Device, Placement


class DeviceUse(msgspec.Struct, gc=False):
    """One device. milli: thousandths by job, those of its slices too. slices: the job by the number of its
    slice. layout: which of the device's layouts it has now, -1: it is not cut. dead: why nothing new is put
    on it, "" if that is done.
    """

    device: Device
    milli: dict[JobId, int]
    slices: dict[int, JobId]
    layout: int = -1
    dead: str = ""

    @property
    def used_milli(self) -> int:
        """Thousandths in use, the same that the jobs are told they have. All slices are all of it, since
        what they are of the whole is rounded down for each.
        """
        if self.slices and len(self.slices) >= len(self.cut):
            return WHOLE
        return sum(self.milli.values())

    @property
    def cut(self) -> tuple[str, ...]:
        """The slices that the device has now."""
        layouts = self.device.layouts
        return layouts[self.layout] if 0 <= self.layout < len(layouts) else ()


class ShownDevice(msgspec.Struct, gc=False, omit_defaults=True):
    """One device as the commands are told of it. used: thousandths; in_use: `1g.18gb#0:17` for slice 0, held
    by job 17. declared: its owner says that it is there, no hardware answered. dead: why nothing new is put
    on it.
    """

    kind: str
    index: int
    type: str = ""
    declared: bool = False
    mem_mib: int = 0
    numa: int = -1
    link: int = -1
    used: int = 0
    jobs: list[int] = []
    layouts: list[str] = []
    layout: str = ""
    in_use: list[str] = []
    dead: str = ""


def dead_reasons(offer: Offer) -> dict[tuple[str, int], str]:
    """Why each dead device of an offer is not handed out."""
    reasons = (*offer.dead_reasons, *[""] * len(offer.dead_devices))
    return {
        device: why or "its agent says so" for device, why in zip(offer.dead_devices, reasons, strict=False)
    }


def dead_texts(offer: Offer) -> list[str]:
    """`gpu 1: fell off the bus`, for each dead device of an offer."""
    return [f"{kind} {index}: {why}" for (kind, index), why in dead_reasons(offer).items()]


def device_uses(
    devices: Sequence[Device],
    held: Mapping[JobId, Placement],
    dead: Mapping[tuple[str, int], str] = {},
) -> list[DeviceUse]:
    """The use of every device, in the node's order. A device that the node has no more is left out. dead: by
    kind and index, why."""
    uses = {
        (device.kind, device.index): DeviceUse(device, {}, {}, dead=dead.get((device.kind, device.index), ""))
        for device in devices
    }
    for job, placement in held.items():
        for kind, _type, indices, milli, part, place in placement.devices:
            for index in indices:
                use = uses.get((kind, index))
                if use is None:
                    continue
                use.milli[job] = use.milli.get(job, 0) + milli
                if part:
                    use.layout, slice_ = place
                    use.slices[slice_] = job
    return list(uses.values())


def uses_json(uses: Sequence[DeviceUse]) -> str:
    """All devices as one JSON list, "" for none."""
    return msgspec.json.encode([_shown(use) for use in uses]).decode() if uses else ""


def _shown(use: DeviceUse) -> ShownDevice:
    device, cut = use.device, use.cut
    return ShownDevice(
        kind=device.kind,
        index=device.index,
        type=device.type,
        declared=not device.uuid,
        mem_mib=device.mem_mib,
        numa=device.numa,
        link=device.link,
        used=use.used_milli,
        jobs=sorted(use.milli),
        layouts=[layout_text(layout) for layout in device.layouts],
        layout=layout_text(cut) if use.slices else "",
        in_use=[
            f"{cut[slice_] if slice_ < len(cut) else '?'}#{slice_}:{job}"
            for slice_, job in sorted(use.slices.items())
        ],
        dead=use.dead,
    )
