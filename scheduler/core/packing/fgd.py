"""Fragmentation gradient descent: the node whose fragmentation falls most.

Weng et al., Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent,
USENIX ATC 2023. The fragment of a node in the eyes of a typical job is what is free on devices too full for
it, or all that is free where the job cannot run or takes no device. Fragmentation is the mean over typical
jobs, the most frequent classes that make up 95 % of all. The score is int(100 sigmoid(fall / 1000)) as
published: the rounding sends jobs that do about equally well to the first node; without it packing is a
point worse.
"""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing.policy import Ground, Mix, Scores, Sight, Want
from packhorse.scheduler.model.resources import WHOLE

_DECIMALS = 6  # of a fall in thousandths of a device: the order of summing must not move an integer score


class Fgd:
    """FGD for one cluster and mix; shares go to the first of the devices where the score is best."""

    relative = False

    def __init__(self, ground: Ground, mix: Mix) -> None:
        typical = mix.typical()
        self.cpu = typical.cpu[:, None]
        self.n_devices = typical.n_devices[:, None]
        self.milli = np.where(typical.n_devices > 0, typical.milli, 0)[:, None, None]
        self.takes = (typical.n_devices > 0)[:, None]
        self.weight = typical.weight
        # allowed[m, type + 1]: the last code, -1, is no device at all.
        self.allowed = np.concatenate([typical.types, np.zeros((typical.weight.size, 1), bool)], axis=1)
        self.type_of = ground.type_of

    def phase(self, fill: float) -> int:
        return 0

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        allowed = self.allowed[:, self.type_of[:, sight.at]]  # [m, D, k]
        before = self._fragments(allowed, sight.cpu, sight.dev)
        cpu = sight.cpu - want.cpu_milli
        if not want.shares:
            taken = sight.may & (np.cumsum(sight.may, axis=0) <= want.n_devices)
            after = self._fragments(allowed, cpu, np.where(taken, 0, sight.dev))
            return -_published(before - after), np.zeros(sight.at.size, np.int64)
        good = np.full(sight.dev.shape, -1, np.int64)
        for device in np.flatnonzero(sight.may.any(axis=1)):
            one = np.flatnonzero(sight.may[device])
            dev = sight.dev[:, one]
            dev[device] -= want.milli
            after = self._fragments(allowed[:, :, one], cpu[one], dev)
            good[device, one] = _published(before[one] - after)
        best = good.argmax(axis=0)
        return -np.take_along_axis(good, best[None], axis=0)[0], best

    def _fragments(self, allowed: np.ndarray, cpu: np.ndarray, dev: np.ndarray) -> np.ndarray:
        """Thousandths of a device that the typical job cannot use `[k]`."""
        can = allowed & (dev >= self.milli)
        able = self.takes & (can.sum(axis=1) >= self.n_devices) & (cpu >= self.cpu)
        usable = np.where(able, (can * dev).sum(axis=1), 0)
        fragments: np.ndarray = dev.sum(axis=0) * self.weight.sum() - self.weight @ usable
        return fragments


def _published(fall: np.ndarray) -> np.ndarray:
    score: np.ndarray = (100.0 / (1.0 + np.exp(-np.round(fall, _DECIMALS) / WHOLE))).astype(np.int64)
    return score
