"""`leave-gpus`: jobs without GPUs go where the fewest free GPUs are, jobs with GPUs where they leave least
free."""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing.policy import Ground, Mix, Policy, Scores, Sight, Want


class LeaveGpus:
    """Made once for a set of nodes and a mix of jobs; `scores` is then asked for every decision."""

    relative = False  # the score of a node does not depend on the other nodes, so that it may be kept

    def __init__(self, ground: Ground, mix: Mix) -> None:
        self.cpu = max(int(ground.cpu.max(initial=0)), 1)

    def phase(self, fill: float) -> int:
        return 0  # the scores do not depend on how full the cluster is

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        """Lower is better: first the free GPUs of a node, then, below one GPU's worth, its free CPUs."""
        score = sight.dev.sum(axis=0) + 999 * sight.cpu / self.cpu
        if not want.shares:
            return score, np.zeros(score.size, dtype=np.intp)
        fullest = np.where(sight.may, sight.dev, 1001).argmin(axis=0)
        return score, fullest


POLICY = Policy("leave-gpus", "jobs without GPUs go where the fewest free GPUs are", LeaveGpus)
