"""Best fit over everything: the node that has the least left, each resource measured against the largest
node.

The field keeps this score for every node anyway and places whole runs by it (packing/greedy.py); here it is
for those who drive policies without a field.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.packing.policy import Ground, Mix, Scores, Sight, Want
from packhorse.scheduler.model.resources import WHOLE

TIGHTEST: Final = "tightest"


class Tightest:
    """The scorer. Shares go to the fullest device that can give them."""

    relative = False

    def __init__(self, ground: Ground, _mix: Mix) -> None:
        self._cpu = 1.0 / max(int(ground.cpu.max(initial=0)), 1)
        self._mem = 1.0 / max(int(ground.mem.max(initial=0)), 1)
        self._device = 1.0 / (WHOLE * max(int(ground.n_devices.max(initial=0)), 1))

    def phase(self, fill: float) -> int:
        return 0

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        score = sight.cpu * self._cpu + sight.mem * self._mem + sight.dev.sum(axis=0) * self._device
        if not want.shares:
            return score, np.zeros(score.size, dtype=np.intp)
        return score, np.where(sight.may, sight.dev, 2 * WHOLE).argmin(axis=0)
