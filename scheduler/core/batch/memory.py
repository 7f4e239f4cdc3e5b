"""What the order "packhorse" remembers from pass to pass. Derived: a restart begins anew."""

from __future__ import annotations

from packhorse.scheduler.core.batch.estimates import Estimates
from packhorse.scheduler.core.batch.hours import Hours
from packhorse.scheduler.model.ids import UNKNOWN, Instant


class Memory:
    """wake_at: when a pass is due although nothing may have happened, UNKNOWN for never."""

    __slots__ = ("estimates", "hours", "wake_at")

    def __init__(self) -> None:
        self.estimates = Estimates()
        self.hours = Hours()
        self.wake_at: Instant = UNKNOWN
