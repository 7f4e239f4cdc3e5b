"""What an attempt used over time, in few points and few bytes.

A series has at most MAX_POINTS points. When it is full, neighbours are merged and the time that a point
covers grows to twice what it was, so that a job of a minute and one of a month take the same room and both
show their whole length. A merged point keeps the higher memory, the later processor time, and of the devices
the mean.

On disk a series is a header and then one column after the other: differences (of the times: differences of
differences), each as a zigzag number in base 128, the whole compressed where that helps. Measured on real
jobs: see docs/usage.md.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MAX_POINTS = 240
"""Three for each column of a terminal."""

VERSION = 1
_PACKED = 1
_DEVICES = 2
_UNKNOWN = -1


class Point(NamedTuple):
    """One stretch of time, named by its end: at_s in seconds since the epoch.

    cpu_ms: processor time since the attempt's start. mem_kib: the most that counted against its limit;
    cache_kib: page cache beside that. busy_milli, gpu_mem_mib, flops_milli: of its GPUs together (the mean,
    the sum, the mean); -1: not known.
    """

    at_s: int
    cpu_ms: int
    mem_kib: int
    cache_kib: int = 0
    busy_milli: int = _UNKNOWN
    gpu_mem_mib: int = _UNKNOWN
    flops_milli: int = _UNKNOWN


_N_PLAIN = 4
_N_COLUMNS = len(Point._fields)


class Series:
    """The points of one attempt, oldest first. step_s: how long a stretch of time one of them stands for."""

    __slots__ = ("_columns", "_merged", "_opened_s", "step_s")

    def __init__(self) -> None:
        self.step_s = 1
        self._columns = [array("q") for _ in range(_N_PLAIN)]  # those of devices come with the first of them
        self._opened_s = 0
        self._merged = 0  # measurements in the newest point

    def __len__(self) -> int:
        return len(self._columns[0])

    def __iter__(self) -> Iterator[Point]:
        return (self._at(row) for row in range(len(self)))

    @property
    def last_s(self) -> int:
        """The time of the newest point, 0 without any."""
        return self._columns[0][-1] if len(self) else 0

    def add(self, point: Point) -> None:
        """Take in a measurement. One that is older than the newest (a clock was set back) counts as now."""
        if len(self._columns) == _N_PLAIN and max(point[_N_PLAIN:]) > _UNKNOWN:
            blank = [_UNKNOWN] * len(self)
            self._columns += [array("q", blank) for _ in range(_N_PLAIN, _N_COLUMNS)]
        if len(self):
            last = self._at(len(self) - 1)
            point = point._replace(at_s=max(point.at_s, last.at_s), cpu_ms=max(point.cpu_ms, last.cpu_ms))
            if point.at_s - self._opened_s < self.step_s:
                self._put(len(self) - 1, _merged(last, point, self._merged, 1))
                self._merged += 1
                return
        if len(self) == MAX_POINTS:
            self._halve()
        self._opened_s = point.at_s
        self._merged = 1
        for column, value in zip(self._columns, point, strict=False):
            column.append(value)

    def _at(self, row: int) -> Point:
        return Point(*[column[row] for column in self._columns])

    def _put(self, row: int, point: Point) -> None:
        for column, value in zip(self._columns, point, strict=False):
            column[row] = value

    def _halve(self) -> None:
        """Cut the points down to about half of MAX_POINTS, each of the same length of time."""
        points = list(self)
        span_s = points[-1].at_s - points[0].at_s
        self.step_s = max(self.step_s * 2, -(-span_s // (MAX_POINTS // 2)))
        for column in self._columns:
            del column[:]
        for point in points:
            self.add(point)

    def encode(self) -> bytes:
        """The series as it is stored."""
        flags = _DEVICES if len(self._columns) > _N_PLAIN else 0
        body = bytearray()
        _write(body, len(self))
        _write(body, self.step_s)
        for index, column in enumerate(self._columns):
            deltas = _deltas(column)
            for value in _deltas(deltas) if index == 0 else deltas:
                _write(body, value << 1 if value >= 0 else (~value << 1) | 1)
        packed = zlib.compress(bytes(body), 6)
        if len(packed) < len(body):
            return bytes((VERSION, flags | _PACKED)) + packed
        return bytes((VERSION, flags)) + bytes(body)


def decode(data: bytes) -> Series:
    """The series that `encode` made these bytes of; it may be added to. Raises ValueError for others."""
    if len(data) < 2 or data[0] != VERSION:
        raise ValueError("not a series of usage, or one of a newer release")
    try:
        body = zlib.decompress(data[2:]) if data[1] & _PACKED else data[2:]
    except zlib.error as error:
        raise ValueError(f"a damaged series of usage: {error}") from error
    numbers = list(_read(body))
    n_columns = _N_COLUMNS if data[1] & _DEVICES else _N_PLAIN
    if len(numbers) < 2 or len(numbers) != 2 + numbers[0] * n_columns:
        raise ValueError("a damaged series of usage: it does not have the length that it says")
    n, step_s = numbers[:2]
    series = Series()
    series.step_s = step_s
    columns = []
    for index in range(n_columns):
        signed = [value >> 1 if not value & 1 else ~(value >> 1) for value in numbers[2 + index * n :][:n]]
        deltas = _sums(signed) if index == 0 else signed
        try:
            columns.append(array("q", _sums(deltas)))
        except OverflowError:
            raise ValueError("a damaged series of usage: it has numbers without end") from None
    series._columns = columns
    series._opened_s = series.last_s
    series._merged = 1
    return series


def _merged(first: Point, second: Point, n_first: int, n_second: int) -> Point:
    """Two neighbours as one; n: how many measurements each stands for."""

    def mean(a: int, b: int) -> int:
        if a < 0 or b < 0:
            return max(a, b)
        return (a * n_first + b * n_second) // (n_first + n_second)

    return Point(
        second.at_s,
        second.cpu_ms,
        max(first.mem_kib, second.mem_kib),
        max(first.cache_kib, second.cache_kib),
        mean(first.busy_milli, second.busy_milli),
        max(first.gpu_mem_mib, second.gpu_mem_mib),
        mean(first.flops_milli, second.flops_milli),
    )


def _deltas(values: Sequence[int]) -> list[int]:
    before = 0
    found = []
    for value in values:
        found.append(value - before)
        before = value
    return found


def _sums(deltas: Sequence[int]) -> list[int]:
    total = 0
    found = []
    for delta in deltas:
        total += delta
        found.append(total)
    return found


def _write(out: bytearray, value: int) -> None:
    """A number that is not negative, seven bits a byte, the lowest first."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _read(data: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0
    if shift:
        raise ValueError("a damaged series of usage: it ends in the middle of a number")
