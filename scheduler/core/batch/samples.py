"""How long jobs ran of what they were allowed: the samples that predictions are drawn from."""

from __future__ import annotations

from collections import deque
from typing import Final

NOMINAL_S: Final = 86_400.0
"""What a job without a time limit counts as having asked for: a day."""

ALL: Final = 200
"""Jobs of anybody that are remembered, the last ones."""

OWN: Final = 20
"""Jobs of each user."""

_USERS: Final = 20_000
"""Users whose jobs are remembered, those whose jobs ended last."""


class Samples:
    """Run times as shares of the limits they were given.

    shares: of the last jobs of anybody. touched: users whose jobs have ended since
    somebody last emptied this.
    """

    __slots__ = ("_own", "shares", "touched")

    def __init__(self) -> None:
        self.shares: deque[float] = deque(maxlen=ALL)
        self.touched: dict[int, None] = {}
        self._own: dict[int, deque[tuple[float, float]]] = {}

    def add(self, uid: int, limit_us: int, run_us: int) -> None:
        """A job of this user with that limit (0: none) ran that long."""
        limit_s = limit_us / 1e6 if limit_us else NOMINAL_S
        run_s = run_us / 1e6
        self.shares.append(run_s / limit_s)
        own = self._own.pop(uid, None) or deque(maxlen=OWN)
        own.append((limit_s, run_s))
        self._own[uid] = own
        self.touched[uid] = None
        if len(self._own) > _USERS:
            gone = next(iter(self._own))
            del self._own[gone]
            self.touched.pop(gone, None)

    def own(self, uid: int) -> tuple[tuple[float, float], ...]:
        """(limit, run) in seconds of this user's last jobs, oldest first."""
        return tuple(self._own.get(uid, ()))
