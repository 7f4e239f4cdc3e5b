"""Ranges of job numbers as one integer each, so that one plain index finds every range holding a job.

A range whose ends differ by less than 2**level lies in one or two neighbouring blocks of that size; its span
is the level and the number of its first block. A job is then looked up in two blocks per level. A single job
is a range of level 0 and its own block.
"""

from __future__ import annotations

LEVEL_SHIFT = 44
"""Job numbers stay below 2**44."""

LEVELS = 32
"""No range has 2**31 jobs or more."""


def span_of(first: int, last: int) -> int:
    """The range first..last as a span; 0 for no job at all."""
    if first <= 0:
        return 0
    level = (last - first).bit_length()
    return level << LEVEL_SHIFT | first >> level


def spans_holding(job: int) -> list[int]:
    """Every span that a range holding the job can have. Such a span may also belong to ranges that do not."""
    spans = [job]
    for level in range(1, LEVELS):
        block = job >> level
        spans.append(level << LEVEL_SHIFT | block)
        if block:
            spans.append(level << LEVEL_SHIFT | block - 1)
    return spans
