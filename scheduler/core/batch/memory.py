"""What the order "packhorse" knows from pass to pass. A new process begins anew, so that nothing hangs on
which passes there were before it; what has to outlive it is in core/batch/arrivals.py and core/predictors.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.batch.estimates import Estimates
from packhorse.scheduler.model.ids import UNKNOWN, Instant, JobId


class Kept(NamedTuple):
    """A job that would leave too little room. amount: what it takes of its partition, hold: what has to stay
    free beside it, free: what is; CPUs or, with on_devices, devices."""

    amount: float
    hold: int
    free: float
    on_devices: bool


class Told:
    """What the last pass found, for those who ask why a job waits.

    ids, slots: of the rows, in order `[n]`. kept: places of those that had to leave room. quiet: jobs that
    wait for a quiet hour.
    """

    __slots__ = ("_amount", "_free", "_hold", "_on_devices", "ids", "kept", "quiet", "slots")

    def __init__(
        self,
        ids: np.ndarray,
        slots: np.ndarray,
        quiet: frozenset[JobId],
        kept: np.ndarray,
        columns: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    ) -> None:
        """columns: amount, hold, free and kind of the kept ones."""
        self.ids, self.slots, self.quiet, self.kept = ids, slots, quiet, kept
        self._amount, self._hold, self._free, self._on_devices = columns

    def kept_back(self, id: JobId) -> Kept | None:
        """What the job had to leave, None if it was not kept back."""
        found = np.flatnonzero(self.kept == id)
        if not found.size:
            return None
        i = int(found[0])
        return Kept(
            float(self._amount[i]), int(self._hold[i]), float(self._free[i]), bool(self._on_devices[i])
        )


class Memory:
    """wake_at: when a pass is due although nothing may have happened, UNKNOWN for never. told: None before
    the first pass."""

    __slots__ = ("estimates", "told", "wake_at")

    def __init__(self) -> None:
        self.estimates = Estimates()
        self.told: Told | None = None
        self.wake_at: Instant = UNKNOWN
