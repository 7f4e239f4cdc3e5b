"""A policy for tests: least left over; a share goes to the device with the least that has enough."""

from __future__ import annotations

from typing import Any

import numpy as np

from packhorse.scheduler.core.packing.policy import Ground, Mix, Policy, Scores, Sight, Want


class Tight:
    relative = False

    def phase(self, fill: float) -> int:
        return 0

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        return sight.cpu + 64 * sight.dev.sum(axis=0), np.where(sight.may, sight.dev, 9999).argmin(axis=0)


MIXES: list[Any] = []
"""What the policy was made from, call by call."""


def _make(ground: Ground, mix: Mix) -> Tight:
    MIXES.append(mix)
    return Tight()


TIGHT = Policy("tight", "for tests", _make)
