"""Sets of array indices as ascending, disjoint ranges: a million indices are one row.

Every function takes and returns canonical sets: ranges ascending by start, no index twice, no gap
that a range could have closed. A set of n ranges costs O(n), whatever its number of indices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from packhorse.scheduler.model.job import IndexRange

Ranges = tuple[IndexRange, ...]

NONE: Ranges = ()

_FEW = 64
"""Indices of a set that are quicker to name one by one."""


def size(ranges: Ranges) -> int:
    """How many indices."""
    n = 0
    for start, stop, step in ranges:
        n += (stop - start) // step + 1
    return n


def each(ranges: Ranges) -> Iterator[int]:
    """The indices, range by range."""
    for start, stop, step in ranges:
        yield from range(start, stop + 1, step)


def contains(ranges: Ranges, index: int) -> bool:
    """Whether the set has this index."""
    return any(start <= index <= stop and (index - start) % step == 0 for start, stop, step in ranges)


def is_canonical(ranges: Ranges) -> bool:
    """Whether every range is well-formed, ends on one of its own indices, and no index comes twice."""
    last = -1
    for start, stop, step in ranges:
        if step < 1 or start < 0 or stop < start or (stop - start) % step or start <= last:
            return False
        last = stop
    return True


def remove(ranges: Ranges, index: int) -> Ranges:
    """The set without this index; unchanged if it is not there. O(1) for the first index of all."""
    for i, (start, stop, step) in enumerate(ranges):
        if index < start:
            break
        if index > stop or (index - start) % step:
            continue
        parts: list[IndexRange] = []
        if index > start:
            parts.append(_range(start, index - step, step))
        if index < stop:
            parts.append(_range(index + step, stop, step))
        return (*ranges[:i], *parts, *ranges[i + 1 :])
    return ranges


def add(ranges: Ranges, index: int) -> Ranges:
    """The set with this index, joined to a neighbour of equal step where there is one."""
    if contains(ranges, index):
        return ranges
    return from_sorted(sorted((*each_near(ranges, index), index)), ranges, index)


def each_near(ranges: Ranges, index: int) -> Iterator[int]:
    """The indices of ranges that span this index (interleaved with it): they must be split around it."""
    for found in ranges:
        if found.start < index < found.stop:
            yield from each((found,))


def from_sorted(near: list[int], ranges: Ranges, index: int) -> Ranges:
    """Ranges with those that span `index` replaced by the indices `near`, neighbours joined."""
    before = [r for r in ranges if r.stop < index]
    after = [r for r in ranges if r.start > index]
    return join([*before, *of(near), *after])


def of(indices: list[int]) -> Ranges:
    """The set of these ascending, distinct indices."""
    found: list[IndexRange] = []
    start = previous = step = -1
    for index in indices:
        if start < 0:
            start = previous = index
        elif step < 0:
            step, previous = index - start, index
        elif index - previous == step:
            previous = index
        elif previous - start == step and step > 1:
            # Two indices with a gap are no range worth keeping: the second may begin a denser one.
            found.append(IndexRange(start, start, 1))
            start, step, previous = previous, index - previous, index
        else:
            found.append(_range(start, previous, step))
            start, step, previous = index, -1, index
    if start >= 0:
        found.append(_range(start, previous, max(step, 1)))
    return tuple(found)


def join(ranges: list[IndexRange]) -> Ranges:
    """Neighbouring ranges of one step, or single indices beside a range, made one."""
    found: list[IndexRange] = []
    for item in ranges:
        if found:
            last = found[-1]
            step = item.step if item.start < item.stop else last.step
            last_step = last.step if last.start < last.stop else step
            if step == last_step and item.start - last.stop == step:
                found[-1] = _range(last.start, item.stop, step)
                continue
        found.append(item)
    return tuple(found)


def subtract(ranges: Ranges, others: Ranges) -> Ranges:
    """The indices of `ranges` that are not in `others`."""
    if not others or not ranges:
        return ranges
    found: list[IndexRange] = []
    for item in ranges:
        found.extend(_partition(item, others)[1])
    return tuple(found)


def intersect(ranges: Ranges, others: Ranges) -> Ranges:
    """The indices that are in both sets."""
    if not others:
        return NONE
    low, high = others[0].start, max([other.stop for other in others])
    found: list[IndexRange] = []
    for item in ranges:
        if item[1] >= low and item[0] <= high:  # one task is looked up among thousands of ranges
            found.extend(_partition(item, others)[0])
    return tuple(found)


def union(ranges: Ranges, others: Ranges) -> Ranges:
    """The indices that are in either set."""
    extra = subtract(others, ranges)
    if not extra:
        return ranges
    if not ranges:
        return extra
    merged = sorted((*ranges, *extra))
    if all(a.stop < b.start for a, b in pairwise(merged)):
        return join(merged)
    return of(sorted((*each(ranges), *each(extra))))


def union_all(sets: Sequence[Ranges]) -> Ranges:
    """The indices that are in any of the sets. However many sets of a few indices each cost little."""
    few = [ranges for ranges in sets if size(ranges) <= _FEW]
    found = of(sorted({index for ranges in few for index in each(ranges)}))
    for ranges in sets:
        if size(ranges) > _FEW:
            found = union(found, ranges)
    return found


def first(ranges: Ranges, n: int) -> list[int]:
    """The n lowest indices, or all if there are fewer."""
    found: list[int] = []
    for index in each(ranges):
        if len(found) >= n:
            break
        found.append(index)
    return found


def text(ranges: Ranges, limit: int = 0) -> str:
    """As `--array` takes them: `1,3-7,10-20:5%4`. A step that leaves two indices is written as two."""
    parts = []
    for start, stop, step in ranges:
        if start == stop:
            parts.append(str(start))
        elif step == 1:
            parts.append(f"{start}-{stop}")
        elif stop - start == step:
            parts.append(f"{start},{stop}")
        else:
            parts.append(f"{start}-{stop}:{step}")
    joined = ",".join(parts)
    return f"{joined}%{limit}" if limit else joined


def _range(start: int, stop: int, step: int) -> IndexRange:
    return IndexRange(start, stop, step if stop > start else 1)


def _partition(item: IndexRange, others: Ranges) -> tuple[list[IndexRange], list[IndexRange]]:
    """(indices of item that are in others, those that are not), both ascending."""
    inside: list[IndexRange] = []
    outside: list[IndexRange] = []
    start, stop, step = item
    dense: list[IndexRange] = []
    for other in others:
        if other.stop < start or other.start > stop:
            continue
        if other.step != 1 and other.step != step and other.start != other.stop:
            # Two different steps: rare, and answered index by index.
            found = [(i, contains(others, i)) for i in range(start, stop + 1, step)]
            return list(of([i for i, hit in found if hit])), list(of([i for i, hit in found if not hit]))
        dense.append(other)
    at = start
    for other in dense:
        low = max(at, start + -(-(max(other.start, start) - start) // step) * step)
        if other.step == step and step > 1 and other.start != other.stop and (other.start - start) % step:
            continue
        if other.start == other.stop and (other.start - start) % step:
            continue
        high = start + (min(other.stop, stop) - start) // step * step
        if low > high:
            continue
        if low > at:
            outside.append(_range(at, low - step, step))
        inside.append(_range(low, high, step))
        at = high + step
    if at <= stop:
        outside.append(_range(at, stop, step))
    return inside, outside
