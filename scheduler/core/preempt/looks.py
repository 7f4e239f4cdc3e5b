"""Which waiting rows the searches of the last passes have looked at, and which they did not come to.

Of one process only, like all that passes leave behind: who has just begun looks at all rows anew.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.model.ids import US, Instant

AGAIN_US: Final = 60 * US
"""After this time alone a row may find room where it found none."""


class Look(NamedTuple):
    """revision: numbers that grow when anything changes that could help a row."""

    revision: tuple[int, ...]
    at: Instant


class Looks:
    """behind: rows whose turn it is before all others, since a pass did not come to them."""

    __slots__ = ("_last", "behind")

    def __init__(self) -> None:
        self.behind: frozenset[int] = frozenset()
        self._last: dict[int, Look] = {}

    def are_behind(self, ids: np.ndarray) -> np.ndarray:
        """Which of these rows come first `[n]`."""
        return np.isin(ids, sorted(self.behind)) if self.behind else np.zeros(ids.size, dtype=np.bool_)

    def all_done(self) -> None:
        """A pass came to all rows that it had to look at."""
        self.behind = frozenset()
        self._last.clear()

    def cut_short(self, rows: list[int], seen: list[int], left: list[int], look: Look) -> None:
        """A pass ended before it came to all rows. seen: of these rows, those that it looked at; left: those
        whose turn is the next."""
        there = {*rows}
        self._last = {id: last for id, last in self._last.items() if id in there}
        self._last.update(dict.fromkeys(seen, look))
        self.behind = frozenset(id for id in left if not self._is_in_vain(id, look))

    def _is_in_vain(self, id: int, look: Look) -> bool:
        """Whether it was looked at, and nothing is different since."""
        last = self._last.get(id)
        return last is not None and last.revision == look.revision and look.at - last.at < AGAIN_US
