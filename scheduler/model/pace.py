"""How long something that could be sent now should wait for company.

Every message on a stream costs some 200 us of processor time at its two ends together, however little is in
it. The first ones go at once; when many follow each other, those of the next few milliseconds go together.
"""

from __future__ import annotations

BURST = 10
PER_S = 100.0


class Pace:
    """At most PER_S messages in a second in the long run, and BURST of them at once."""

    __slots__ = ("_at", "_credit")

    def __init__(self) -> None:
        self._credit = float(BURST)
        self._at = 0.0

    def wait_s(self, now: float) -> float:
        """How many seconds the next message should wait from `now` on; it counts as sent then.

        now: on a clock that only goes forward.
        """
        credit = min(float(BURST), self._credit + (now - self._at) * PER_S) - 1
        self._at = now
        self._credit = credit
        return max(0.0, -credit / PER_S)
