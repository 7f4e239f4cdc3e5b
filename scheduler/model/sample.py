"""Measurements that are true for a moment: what a device of a node does right now."""

from __future__ import annotations

import msgspec


class DeviceSample(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One device, named by kind and index as in its node's registration. None: it does not tell.

    busy_milli: thousandths of the last moments in which something ran on it. mem_mib: in use, by whomever.
    flops_milli: floating-point operations done in the last moments against its peak, in thousandths.
    """

    kind: str
    index: int
    busy_milli: int | None = None
    mem_mib: int | None = None
    power_mw: int | None = None
    celsius: int | None = None
    flops_milli: int | None = None
