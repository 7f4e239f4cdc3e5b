"""When jobs came, and of what kind the last ones were: what the order "packhorse" knows of a site by day and
by night, and what it calls small. A part of the state, kept whatever the order is.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from packhorse.scheduler.core.batch.hours import Hours

RECENT: Final = 500
"""Arrivals that are remembered one by one, the last ones."""


class Arrival(NamedTuple):
    """What a job's prediction depends on. limit_s: 0 for none."""

    uid: int
    limit_s: int


class Arrivals:
    """See the module. n: how many were ever seen; no part of what makes them equal."""

    __slots__ = ("hours", "n", "recent")

    def __init__(self) -> None:
        self.hours = Hours()
        self.recent: deque[Arrival] = deque(maxlen=RECENT)
        self.n = 0

    def see(self, since_us: int, arrival: Arrival, n: int) -> None:
        """So many jobs of this kind came, that long after the cluster's origin. An array counts as one."""
        self.hours.see(since_us, n)
        self.recent.extend([arrival] * min(n, RECENT))
        self.n += n

    def newest(self, n: int) -> list[Arrival]:
        """The last n, oldest first, as far as they are remembered."""
        recent = list(self.recent)
        return recent[-n:] if n else []

    def copy(self) -> Arrivals:
        """As they are now."""
        copy = Arrivals()
        copy.hours = self.hours.copy()
        copy.recent = self.recent.copy()
        copy.n = self.n
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Arrivals):
            return NotImplemented
        return self.hours == other.hours and self.recent == other.recent

    __hash__ = None  # type: ignore[assignment]
