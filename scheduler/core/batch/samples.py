"""How long jobs ran of what they were allowed: the samples that predictions are drawn from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
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

    shares: of the last jobs of anybody. touched: users whose jobs have ended since somebody last emptied
    this; no part of what makes them equal.
    """

    __slots__ = ("_own", "shares", "touched")

    def __init__(self) -> None:
        self.shares: deque[float] = deque(maxlen=ALL)
        self.touched: dict[int, None] = {}
        self._own: dict[int, tuple[tuple[float, float], ...]] = {}

    def add(self, uid: int, limit_us: int, run_us: int) -> None:
        """A job of this user with that limit (0: none) ran that long."""
        limit_s = limit_us / 1e6 if limit_us else NOMINAL_S
        run_s = run_us / 1e6
        self.shares.append(run_s / limit_s)
        self._own[uid] = (*self._own.pop(uid, ())[-OWN + 1 :], (limit_s, run_s))
        self.touched[uid] = None
        if len(self._own) > _USERS:
            gone = next(iter(self._own))
            del self._own[gone]
            self.touched.pop(gone, None)

    def own(self, uid: int) -> tuple[tuple[float, float], ...]:
        """(limit, run) in seconds of this user's last jobs, oldest first."""
        return self._own.get(uid, ())

    def users(self) -> dict[int, tuple[tuple[float, float], ...]]:
        """The same of all users, those whose jobs ended last at the end. Not to be changed."""
        return self._own

    def restore(
        self, shares: Iterable[float], own: Iterable[tuple[int, tuple[tuple[float, float], ...]]]
    ) -> None:
        """More of what was remembered, after what is there."""
        self.shares.extend(shares)
        self._own.update(own)

    def copy(self) -> Samples:
        """As they are now."""
        copy = Samples()
        copy.restore(self.shares, self._own.items())
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Samples):
            return NotImplemented
        return self.shares == other.shares and list(self._own.items()) == list(other._own.items())

    __hash__ = None  # type: ignore[assignment]
