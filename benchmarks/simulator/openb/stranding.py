"""What a placement strands: device capacity that could be put to use before it and cannot after it."""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing.online import Placer
from packhorse.scheduler.core.packing.policy import Mix
from packhorse.scheduler.model.resources import WHOLE

RARE = 0.02
"""A share that fewer of all jobs ask for is nothing to count on for filling a gap."""

FRUGAL = 0.1
"""So many of the device jobs need no more CPU per device than what is taken for the least a device needs."""


class Stranding:
    """The free devices of a node can be used as far as shares that are not rare fill them up, and as far as
    the node's CPU lasts for frugal jobs.
    """

    def __init__(self, placer: Placer, mix: Mix) -> None:
        self._placer = placer
        shares: dict[int, float] = {}
        for milli, weight in zip(mix.milli.tolist(), mix.weight.tolist(), strict=True):
            if 0 < milli < WHOLE:
                shares[milli] = shares.get(milli, 0.0) + weight
        self._usable = _fill(sorted(m for m, w in shares.items() if w >= RARE))
        takes = mix.n_devices > 0
        per_device = mix.cpu[takes] * WHOLE / np.maximum(mix.milli * mix.n_devices, 1)[takes]
        order = np.argsort(per_device, kind="stable")
        reached = np.cumsum(mix.weight[takes][order])
        at = int(np.searchsorted(reached, FRUGAL * reached[-1])) if reached.size else 0
        self._cpu_per_device = float(per_device[order][at]) if reached.size else 0.0

    def part(self, code: int, node: int, device: int) -> float:
        """Stranded by placing a job of the class there, over what the job takes; of a job without devices,
        over one device."""
        cpu, _, dev = self._placer.free()
        want = self._placer.want(code)
        before = dev[:, node].tolist()
        after = list(before)
        if want.shares:
            after[device] -= want.milli
        else:
            for d in [d for d, milli in enumerate(before) if milli == WHOLE][: want.n_devices]:
                after[d] = 0
        cpu_milli = int(cpu[node])
        lost = self._of(before, cpu_milli) - self._of(after, cpu_milli - want.cpu_milli)
        asked = want.milli * want.n_devices
        return (lost - asked) / (asked or WHOLE)

    def _of(self, free: list[int], cpu_milli: int) -> float:
        usable = sum(self._usable[milli] for milli in free)
        return min(usable, cpu_milli * WHOLE / self._cpu_per_device) if self._cpu_per_device else usable


def _fill(shares: list[int]) -> list[int]:
    """By free thousandths 0..1000, how many shares of these sizes can fill; a whole device can be used."""
    fill = [0] * (WHOLE + 1)
    for free in range(1, WHOLE):
        fill[free] = max((share + fill[free - share] for share in shares if share <= free), default=0)
    fill[WHOLE] = WHOLE
    return fill
