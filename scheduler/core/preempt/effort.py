"""How much a pass may try out in its search for victims: a count, so that the same state gives the same plan.

What it is spent on is weighed by what it takes: a candidate put out of the picture and back into it, a look
for room on one node, on all of them, on several at once. A row whose search has begun comes to its end: with
nothing left it takes the first choice that makes room and leaves out nobody in vain, not the cheapest one.
Rows after that are left to the next pass, which looks at them first (search.py).
"""

from __future__ import annotations

from typing import Final

ROW: Final = 2
"""A row, whatever comes of it."""
LEAVE: Final = 1
"""Somebody is out, or in again; one unit is about ten microseconds."""
LOOK_AT_ONE: Final = 3
LOOK_AT_ALL: Final = 12
LOOK_FOR_SEVERAL: Final = 60
MAKE: Final = 1
"""A running job, to see whether it is a candidate and what it would lose."""
PICTURE: Final = 100
"""A picture made anew."""
PASS_ROWS: Final = 3
"""So many rows of a pass that is made once more."""
PASS_GRANT: Final = 25
"""One of its starts."""


class Effort:
    """What is left of it."""

    __slots__ = ("left",)

    def __init__(self, units: int) -> None:
        self.left = units

    def spend(self, units: int) -> None:
        """So much was done."""
        self.left -= units

    @property
    def is_spent(self) -> bool:
        return self.left <= 0
