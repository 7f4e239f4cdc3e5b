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
"""A look for room on one node."""
MAKE: Final = 1
"""A running job, to see whether it is a candidate and what it would lose."""
PICTURE_NODES: Final = 20
"""So many nodes of a picture made anew."""
PASS_ROWS: Final = 3
"""So many rows of a pass that is made once more."""
PASS_GRANT: Final = 25
"""One of its starts."""


def look_at(n_nodes: int, several: bool) -> int:
    """What it takes to look for room on so many nodes: 12 and 62 units on 2,000."""
    return n_nodes // (32 if several else 160) + 1


class Effort:
    """What is left of it."""

    __slots__ = ("left",)

    def __init__(self, units: int) -> None:
        self.left = units

    def spend(self, units: int) -> None:
        """So much was done."""
        self.left -= units

    def look(self, n_nodes: int, several: bool) -> None:
        """Room was looked for on so many nodes; several: for a job that needs some of them."""
        self.left -= look_at(n_nodes, several)

    @property
    def is_spent(self) -> bool:
        return self.left <= 0
