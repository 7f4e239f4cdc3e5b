"""Counters that only ever grow, whatever their source says."""

from __future__ import annotations


class Counter:
    """A total that never goes back. start: what was counted before this agent; base: what its source had
    counted before the attempt."""

    __slots__ = ("_last", "_lost", "base", "total")

    def __init__(self, start: int = 0, base: int = 0) -> None:
        self.total = start
        self.base = base
        self._last = 0
        self._lost = 0

    def take(self, raw: int, *, lags: bool = False) -> bool:
        """The source says `raw`; False if it went back.

        A source that went back began anew: what it counts from then on comes on top. lags: it may tell less
        than it did, and then the total waits for it (what a process used is not seen between its end and its
        parent's waiting for it).
        """
        value = raw - self.base
        if value >= self._last:
            self._last = value
            self.total = max(self.total, self._lost + value)
            return True
        if lags:
            return True
        self._lost += self._last - value
        self._last = value
        return False
