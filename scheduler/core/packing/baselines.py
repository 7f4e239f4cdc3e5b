"""The simple packers that others are measured against, each as published.

Best fit, dot product, GPU packing and GPU clustering are those of the simulator of Weng et al. (Beware of
Fragmentation, USENIX ATC 2023). There a larger score is better and is an integer; here it is negated. Dot
product is Tetris (Grandl et al., SIGCOMM 2014). A share goes to the fullest device that can take it.
"""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing.policy import Ground, Mix, Scores, Sight, Want
from packhorse.scheduler.model.resources import WHOLE

_MOST = 1 << 30
_TOP = 100  # the largest published score


class Even:
    """First fit: all nodes score the same, so the first takes the job."""

    relative = False

    def __init__(self, ground: Ground, mix: Mix) -> None:
        pass

    def phase(self, fill: float) -> int:
        return 0

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        return np.zeros(sight.at.size), fullest(want, sight)


class _Measured(Even):
    """What a node has left, measured against the largest node of the cluster."""

    def __init__(self, ground: Ground, mix: Mix) -> None:
        # Of a cluster without devices memory takes the place of devices; 1 keeps an empty cluster finite.
        self.by_memory = not ground.n_devices.any()
        self.most_cpu = float(ground.cpu.max(initial=1))
        second = ground.mem if self.by_memory else ground.n_devices * WHOLE
        self.most_second = float(second.max(initial=1))

    def left(self, want: Want, sight: Sight) -> np.ndarray:
        """Part of the largest node that stays free `[k]`, 0..1: half by CPU, half by devices."""
        second = (
            sight.mem - want.mem_mib
            if self.by_memory
            else sight.dev.sum(axis=0) - want.n_devices * want.milli
        )
        left: np.ndarray = (
            sight.cpu - want.cpu_milli
        ) / self.most_cpu * 0.5 + second / self.most_second * 0.5
        return left


class BestFit(_Measured):
    """The node that it leaves fullest: int(100 (1 - left)), stretched to 0..100 over the nodes that fit."""

    # The stretching rounds, and so makes ties that depend on which other nodes fit.
    relative = True

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        good = ((1.0 - self.left(want, sight)) * _TOP).astype(np.int64)
        low, high = (int(good.min()), int(good.max())) if good.size else (0, 0)
        if high == low:
            return np.zeros(good.size, np.int64), fullest(want, sight)
        return -((good - low) * _TOP // (high - low)), fullest(want, sight)


class WorstFit(_Measured):
    """Spread: the node that it leaves emptiest, and there the emptiest device."""

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        score = -self.left(want, sight)
        if not want.shares:
            return score, np.zeros(sight.at.size, np.int64)
        return score, np.where(sight.may, sight.dev, -1).argmax(axis=0)


class DotProduct(_Measured):
    """The node whose free amounts point least along the ask: int(100 (1 - free . ask / 2)), both against the
    largest node, devices summed up."""

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        second, ask = sight.dev.sum(axis=0), want.n_devices * want.milli
        if self.by_memory:
            second, ask = sight.mem, want.mem_mib
        along = sight.cpu * (want.cpu_milli / self.most_cpu**2) + second * (ask / self.most_second**2)
        return -(_TOP * (1.0 - along / 2)).astype(np.int64), fullest(want, sight)


class GpuPacking(Even):
    """Devices in use before idle devices of nodes in use before idle nodes.

    On devices in use 100 less a hundredth of what is free there (at least 50); 50 less the number of idle
    devices taken (at least 33); on an idle node 33 less the number of its devices.
    """

    def __init__(self, ground: Ground, mix: Mix) -> None:
        self.n_devices = ground.n_devices

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        k = sight.at.size
        if not want.n_devices:
            return np.zeros(k, np.int64), np.zeros(k, np.int64)
        idle = (sight.dev == WHOLE).sum(axis=0)
        takes_idle = np.full(k, want.n_devices)
        shared = np.zeros(k, np.int64)
        if want.shares:
            least = np.where(sight.may, sight.dev, _MOST).min(axis=0, initial=_MOST)
            takes_idle = (least == WHOLE).astype(np.int64)
            shared = np.minimum(least, WHOLE) * _TOP // WHOLE // 10
        good = np.where(takes_idle > 0, np.maximum(_TOP // 2 - takes_idle, _TOP // 3), _TOP - shared)
        good = np.where(idle == self.n_devices[sight.at], np.maximum(_TOP // 3 - idle, idle), good)
        return -good, fullest(want, sight)


class GpuClustering(Even):
    """Shares to nodes of shares, whole devices to nodes of whole devices, fuller nodes first (Gandiva).

    A node that runs this kind alone scores 75..100, with others 50..75, an idle one 25..50, one of other
    kinds 0..25. The published one keeps a list of kinds per node (shares, one whole device, two, ...); this
    one sees free amounts: a device partly free runs shares, one with nothing free counts as whole devices.
    """

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        k = sight.at.size
        if not want.n_devices:
            return np.zeros(k, np.int64), np.zeros(k, np.int64)
        free = sight.dev.sum(axis=0)
        shares = ((sight.dev > 0) & (sight.dev < WHOLE)).any(axis=0)
        wholes = self._taken(sight) > 0
        mine, others = (shares, wholes) if want.shares else (wholes, shares)
        tier = np.where(mine, np.where(others, 2, 3), np.where(others, 0, 1))
        return -(_TOP // 4 * np.maximum(self.most - free, 0) // self.most + _TOP * tier // 4), fullest(
            want, sight
        )

    def __init__(self, ground: Ground, mix: Mix) -> None:
        self.n_devices = ground.n_devices
        self.most = int(ground.n_devices.max(initial=1)) * WHOLE or WHOLE

    def _taken(self, sight: Sight) -> np.ndarray:
        """How many devices of each node have nothing free `[k]`."""
        taken: np.ndarray = self.n_devices[sight.at] - (sight.dev > 0).sum(axis=0)
        return taken


def fullest(want: Want, sight: Sight) -> np.ndarray:
    """The device with the least free that can take the share `[k]`; 0 for other jobs."""
    if not want.shares:
        return np.zeros(sight.at.size, np.int64)
    best: np.ndarray = np.where(sight.may, sight.dev, _MOST).argmin(axis=0)
    return best
