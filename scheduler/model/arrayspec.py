"""Job array indexes: `0-15:4`, `1,3,7-9%2`, kept as ranges however many elements they stand for.

Standard library only and no imports: the Slurm-style commands load this file.
"""

from __future__ import annotations

IndexRange = tuple[int, int, int]
"""(first, last, step): first, first + step, ... up to and with last; last is an element."""

MAX_INDEX = 1 << 30
"""Largest index that is read. The site's own limit (MaxArraySize) is lower and checked by the scheduler."""

_MAX_MIXED = 1 << 17  # elements of overlapping stepped ranges that may be spelled out to merge them


class ArraySpecError(ValueError):
    """An array specification that cannot be read; the text says which part and why."""


def parse_array(text: str) -> tuple[tuple[IndexRange, ...], int]:
    """Ranges (ascending, no index twice) and how many elements may run at once (0: all)."""
    body, percent, limit_text = text.partition("%")
    limit = 0
    if percent:
        if not _is_index(limit_text) or int(limit_text) == 0:
            raise ArraySpecError(f'array "{text}": the number after % must be 1 or more')
        limit = int(limit_text)
    ranges = [_parse_range(part, text) for part in body.split(",")]
    ranges.sort()
    return tuple(_merge(ranges, text)), limit


def format_array(ranges: tuple[IndexRange, ...], limit: int = 0) -> str:
    """The text of ranges: `4-7%2`, `0-12:4`, `1,3,7`."""
    parts = []
    for first, last, step in ranges:
        if first == last:
            parts.append(str(first))
        elif step == 1:
            parts.append(f"{first}-{last}")
        else:
            parts.append(f"{first}-{last}:{step}")
    return ",".join(parts) + (f"%{limit}" if limit else "")


def array_size(ranges: tuple[IndexRange, ...]) -> int:
    """How many elements the ranges stand for."""
    return sum((last - first) // step + 1 for first, last, step in ranges)


def array_indexes(ranges: tuple[IndexRange, ...]) -> list[int]:
    """Every index, ascending: the expansion the ranges avoid, for few elements only."""
    return [index for first, last, step in ranges for index in range(first, last + 1, step)]


def _parse_range(part: str, text: str) -> IndexRange:
    span, colon, step_text = part.partition(":")
    first_text, dash, last_text = span.partition("-")
    if not _is_index(first_text) or (dash and not _is_index(last_text)):
        raise ArraySpecError(f'array "{text}": "{part}" is neither an index nor a range like 0-15:4')
    if colon and (not dash or not _is_index(step_text) or int(step_text) == 0):
        raise ArraySpecError(f'array "{text}": "{part}" needs a range and a step of 1 or more')
    first = int(first_text)
    last = int(last_text) if dash else first
    step = int(step_text) if colon else 1
    if last < first:
        raise ArraySpecError(f'array "{text}": range "{part}" runs backwards')
    if last > MAX_INDEX:
        raise ArraySpecError(f'array "{text}": index {last} is over {MAX_INDEX}')
    last = first + (last - first) // step * step
    return (first, last, step if last > first else 1)


def _merge(ranges: list[IndexRange], text: str) -> list[IndexRange]:
    """Sorted ranges without overlaps; neighbours with step 1 become one."""
    merged: list[IndexRange] = []
    start = 0
    n = len(ranges)
    while start < n:
        last = ranges[start][1]
        end = start + 1
        while end < n and ranges[end][0] <= last:
            last = max(last, ranges[end][1])
            end += 1
        group = ranges[start:end]
        if len(group) > 1 and any(step > 1 for _, _, step in group):
            group = _spelled_out(group, text)
        elif len(group) > 1:
            group = [(group[0][0], last, 1)]
        for item in group:
            if merged and merged[-1][2] == item[2] == 1 and merged[-1][1] + 1 == item[0]:
                merged[-1] = (merged[-1][0], item[1], 1)
            else:
                merged.append(item)
        start = end
    return merged


def _spelled_out(group: list[IndexRange], text: str) -> list[IndexRange]:
    """Overlapping ranges, some with steps, as ranges of one index."""
    if array_size(tuple(group)) > _MAX_MIXED:
        raise ArraySpecError(f'array "{text}": overlapping ranges with steps')
    return [(index, index, 1) for index in sorted(set(array_indexes(tuple(group))))]


def _is_index(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 10
