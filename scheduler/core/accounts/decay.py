"""How use fades: by half every so long, and altogether at the start of each day, week, month …

As Slurm's PriorityDecayHalfLife and PriorityUsageResetPeriod; days and weeks begin in UTC.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.model.ids import UNKNOWN, US, Instant

NEVER: Final = "none"
DAILY: Final = "daily"
WEEKLY: Final = "weekly"
MONTHLY: Final = "monthly"
QUARTERLY: Final = "quarterly"
YEARLY: Final = "yearly"

RESETS: Final = (NEVER, DAILY, WEEKLY, MONTHLY, QUARTERLY, YEARLY)
"""After what all use counts from zero again."""

_LN2: Final = math.log(2.0)
_DAY_S: Final = 86_400


class Decay(NamedTuple):
    """half_life_s 0: use does not fade. reset: one of RESETS."""

    half_life_s: int = 0
    reset: str = NEVER

    def over(self, elapsed_s: float) -> tuple[float, float]:
        """What is left of one second of use after so long, and what use of one per second has grown to.

        du/dt = r - lambda u with lambda = ln 2 / half-life, so
        u(t) = u(0) e^(-lambda t) + r (1 - e^(-lambda t)) / lambda; without a half-life u(0) + r t.
        """
        if not self.half_life_s:
            return 1.0, elapsed_s
        fade = _LN2 / self.half_life_s
        return math.exp(-fade * elapsed_s), -math.expm1(-fade * elapsed_s) / fade

    def since(self, now: Instant) -> Instant:
        """When the present period began, UNKNOWN where there is none."""
        return UNKNOWN if self.reset == NEVER else period(self.reset, now)[0]


NO_DECAY: Final = Decay()


def period(reset: str, now: Instant) -> tuple[Instant, Instant]:
    """The day, week (from Sunday), month, quarter or year with `now` in it: its start, and the next one's."""
    day = now // US // _DAY_S
    match reset:
        case "daily":
            return _start_of(day), _start_of(day + 1)
        case "weekly":
            sunday = day - (day + 4) % 7  # 1970 began on a Thursday
            return _start_of(sunday), _start_of(sunday + 7)
        case "monthly" | "quarterly" | "yearly":
            n = {"monthly": 1, "quarterly": 3, "yearly": 12}[reset]
            month = int(np.datetime64(day, "D").astype("datetime64[M]").astype(int)) // n * n
            return _start_of_month(month), _start_of_month(month + n)
    raise ValueError(f"use is not reset {reset}")


def _start_of(day: int) -> Instant:
    """The first instant of a day, which is counted from 1970."""
    return Instant(day * _DAY_S * US)


def _start_of_month(month: int) -> Instant:
    """The same of a month."""
    return _start_of(int(np.datetime64(month, "M").astype("datetime64[D]").astype(int)))
