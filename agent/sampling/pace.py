"""How often an attempt is looked at: often while something moves, seldom while nothing does.

The pause after a look at memory doubles while nothing changes, up to the interval of reports. It is short
again once the memory moved, or is near its limit; it is never longer than a quarter of the attempt's age; and
where memory on the node is lent, all memory is looked at several times a second: whoever lent it must get it
back at once.
"""

from __future__ import annotations

FAST_S = 1.0
LENT_S = 0.24
"""Between looks at memory while some of it is lent."""

MOVED = 32
"""Memory that changed by more than one in so many parts of its limit has moved."""

GROWN = 16
"""Memory of a node with loans that grew by more than one in so many parts of its limit is told at once."""

UNLIMITED_KIB = 1 << 20
"""Stands for the limit of an attempt that has none."""

SHARE = 0.01
"""Of a processor that sampling may take per hundred attempts (and in all, where there are fewer)."""


def look_again_s(before_s: float, age_s: float, slow_s: float, *, moved: bool, near: bool) -> float:
    """Pause until the next look at one attempt's memory.

    before_s: the last such pause, 0 for none. slow_s: the longest. moved: its memory has since the last look.
    near: it is close to its limit.
    """
    if moved or near:
        return min(FAST_S, slow_s)
    return min(max(FAST_S, 2 * before_s), max(FAST_S, age_s / 4), max(slow_s, FAST_S))


def look_at_all_s(age_s: float, slow_s: float) -> float:
    """Pause until the next look at everything that an attempt uses: memory is what is urgent."""
    return min(max(FAST_S, age_s / 4), max(slow_s, FAST_S))


def rest_s(cost_s: float, n_attempts: int) -> float:
    """The least pause after looks that took so much processor time, for sampling to keep to its SHARE."""
    return cost_s / (SHARE * max(1.0, n_attempts / 100))


def moved(before_kib: int, now_kib: int, limit_kib: int, part: int) -> bool:
    """Whether memory changed by more than one in `part` parts of its limit (0: none)."""
    return abs(now_kib - before_kib) * part > (limit_kib or UNLIMITED_KIB)


def near(now_kib: int, limit_kib: int) -> bool:
    """Whether memory is in the last eighth below its limit."""
    return bool(limit_kib) and now_kib * 8 >= limit_kib * 7
