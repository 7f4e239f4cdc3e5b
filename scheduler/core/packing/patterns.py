"""Which shares fit together on one device: cutting patterns.

A device is cut into shares like a roll into widths (Gilmore and Gomory, "A linear programming approach to the
cutting-stock problem", Operations Research 9(6), 1961). Devices with the same free thousandths are then a
count per pattern instead of one bin each, which takes the symmetry out of the model and makes its linear
relaxation tight.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

MOST_PATTERNS: Final = 120
"""Beyond, a model would be mostly patterns; only those that waste least are kept."""

Pattern = tuple[int, ...]
"""How many shares of each size, in the order of the sizes."""


class Patterns(NamedTuple):
    """complete: these are all; otherwise an optimum over them need not be one over all ways to cut."""

    ways: tuple[Pattern, ...]
    complete: bool


@lru_cache(maxsize=4096)
def maximal(sizes: tuple[int, ...], room: int) -> Patterns:
    """The ways to cut `room` thousandths into shares of these sizes (descending) to which no share can be
    added, least waste first. Any set of shares that fits is part of one of them, if they are complete."""
    found: list[tuple[int, Pattern]] = []
    enough = 40 * MOST_PATTERNS
    counts = [0] * len(sizes)

    def cut(i: int, left: int) -> None:
        if len(found) >= enough:
            return
        if i == len(sizes):
            if not sizes or left < sizes[-1]:
                found.append((left, tuple(counts)))
            return
        # The last size fills up: with fewer of it, one more would fit.
        least = left // sizes[i] if i == len(sizes) - 1 else 0
        for n in range(left // sizes[i], least - 1, -1):
            counts[i] = n
            cut(i + 1, left - n * sizes[i])
        counts[i] = 0

    if sizes and room >= sizes[-1]:
        cut(0, room)
    found.sort(key=lambda way: (way[0], way[1]))
    kept = tuple(way for _, way in found[:MOST_PATTERNS])
    return Patterns(kept, len(found) <= MOST_PATTERNS)


def covering(ways: tuple[Pattern, ...], shares: Pattern) -> int | None:
    """The first pattern these shares are part of."""
    for p, way in enumerate(ways):
        if all(n <= m for n, m in zip(shares, way, strict=True)):
            return p
    return None


def extended(sizes: tuple[int, ...], room: int, shares: Pattern) -> Pattern:
    """These shares and as many more, biggest first, as the room holds."""
    left = room - sum(n * size for n, size in zip(shares, sizes, strict=True))
    counts = list(shares)
    for i, size in enumerate(sizes):
        counts[i] += left // size
        left %= size
    return tuple(counts)
