"""What running attempts use over time: kept here while they run, with their accounting row when they end.

A part is written to the store from time to time (more and more seldom, as the attempt grows old) and when the
scheduler stops. A scheduler that was started again goes on from the part: a kill -9 costs the points since
then, a stop in good order none. None of it is ever an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, NodeName
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.resources import joined_usage
from packhorse.scheduler.model.usage_series import Point, Series, decode
from packhorse.scheduler.service.convert_agents import AttemptSample, NodeUsage
from packhorse.scheduler.store.protocol import UsageSeries

log = structlog.get_logger()

FIRST_PART_S = 600
"""A part is written that long after the attempt's first measurement, and again when it is older by an eighth
(at least by as much as this)."""

Name = tuple[int, int]
"""Job and number of the attempt."""


class _Kept:
    """One attempt's series. Times in seconds since the epoch. parted_s: up to when it was last written, 0:
    never."""

    __slots__ = ("began_s", "parted_s", "series")

    def __init__(self, at_s: int) -> None:
        self.series = Series()
        self.began_s = at_s
        self.parted_s = 0


class _Steps:
    """Of an attempt with steps, the processor time of what was last measured, and of what is over since."""

    __slots__ = ("ended_ms", "last_ms")

    def __init__(self) -> None:
        self.last_ms: dict[AttemptKey, int] = {}
        self.ended_ms = 0

    def saw(self, mine: Sequence[tuple[AttemptKey, AttemptSample]]) -> int:
        """These are measured now; returns what the others had used when they were last."""
        now_ms = {key: _cpu_ms(sample) for key, sample in mine}
        self.ended_ms += sum(ms for key, ms in self.last_ms.items() if key not in now_ms)
        self.last_ms = now_ms
        return self.ended_ms


class Together:
    """Of attempts with steps, the most memory that all that ran of one on a node had there at once.

    The parts' own highest values, of which an accounting row has the highest, were not all reached at the
    same time; what the samples saw at once was.
    """

    def __init__(self) -> None:
        self._most_kib: dict[Name, int] = {}

    def heard(self, state: State, said: NodeUsage) -> None:
        """A node measured its attempts."""
        sums: dict[Name, int] = {}
        for key, sample in said.attempts.items():
            steps = state.steps.get(key.job)
            job = state.jobs.get(key.job)
            if steps is None or job is None or not isinstance(job.phase, Active):
                continue
            if key.whole == job.phase.attempt:
                name: Name = (key.job, key.number)
                sums[name] = sums.get(name, 0) + max(sample.rss_kib, 0)
        for seen, kib in sums.items():
            self._most_kib[seen] = max(self._most_kib.get(seen, 0), kib)

    def ended(self, rows: Sequence[AttemptRow]) -> tuple[AttemptRow, ...]:
        """These attempts are over: their rows with what was seen, where that is more."""
        return tuple([self._with(row) for row in rows])

    def _with(self, row: AttemptRow) -> AttemptRow:
        most_kib = self._most_kib.pop((row.job, row.attempt), 0)
        if most_kib <= row.usage.max_rss_kib:
            return row
        return replace(row, usage=replace(row.usage, max_rss_kib=most_kib))

    def clear(self) -> None:
        self._most_kib.clear()


class Late(NamedTuple):
    """An attempt that ended before what an earlier scheduler kept of it was read."""

    name: Name
    series: Series


class SeriesBook:
    """The series of all running attempts. For the event loop's thread."""

    def __init__(self) -> None:
        self._kept: dict[Name, _Kept] = {}
        self._steps: dict[Name, _Steps] = {}
        self._since = Instant(0)
        self._unread: dict[Name, None] = {}
        self._late: list[Late] = []

    def begin(self, now: Instant) -> None:
        """A state was recovered: of attempts that began before now there may be something in the store."""
        self.clear()
        self._since = now

    def clear(self) -> None:
        """Forget everything: the store failed, and goes on with what it has."""
        self._kept.clear()
        self._steps.clear()
        self._unread.clear()
        self._late.clear()

    def heard(self, state: State, node: NodeName, said: NodeUsage, now: Instant) -> None:
        """A node measured its attempts. What is not running there by the state is left out.

        No clock of a node is believed to be ahead of now: what came after its point would all fall into it.
        """
        at_s = min(said.at, now) // US
        for key, sample, ended_ms, began in self._whole(state, node, said):
            name = (key.job, key.number)
            kept = self._kept.get(name)
            if kept is None:
                kept = self._kept[name] = _Kept(at_s)
                if began < self._since:
                    self._unread[name] = None
            kept.series.add(_point(at_s, sample, ended_ms))

    def _whole(
        self, state: State, node: NodeName, said: NodeUsage
    ) -> list[tuple[AttemptKey, AttemptSample, int, Instant]]:
        """Attempts with all that runs of them there, their steps too, and the processor time of steps that
        were measured before and are over, in milliseconds; and when they were granted."""
        parts: dict[AttemptKey, list[tuple[AttemptKey, AttemptSample]]] = {}
        for key, sample in said.attempts.items():
            parts.setdefault(key if key.step < 0 else key.whole, []).append((key, sample))
        found = []
        for whole, mine in parts.items():
            began = _began(state, node, whole)
            if began is None:
                continue
            steps = self._steps.get((whole.job, whole.number))
            if steps is None and mine[0][0] == whole and len(mine) == 1:
                found.append((whole, mine[0][1], 0, began))
                continue
            if steps is None:
                steps = self._steps[whole.job, whole.number] = _Steps()
            together = _together([sample for _, sample in mine])
            found.append((whole, together, steps.saw(mine), began))
        return found

    def series(self, name: Name) -> Series | None:
        """Of a running attempt, without what is still unread."""
        kept = self._kept.get(name)
        return None if kept is None else kept.series

    def is_unread(self, name: Name) -> bool:
        """The store may hold an earlier part of it."""
        return name in self._unread

    def ended(self, rows: Sequence[AttemptRow]) -> list[UsageSeries]:
        """These attempts are over: their series, to be written with their rows."""
        found = []
        for row in rows:
            name = (row.job, row.attempt)
            kept = self._kept.pop(name, None)
            self._steps.pop(name, None)
            if kept is None:
                continue
            if name in self._unread:
                del self._unread[name]
                self._late.append(Late(name, kept.series))
            else:
                found.append(packed(name, kept.series))
        return found

    def unread(self, most: int) -> list[Name]:
        """Attempts of which the store may hold an earlier part, to be told to `read`."""
        return list(self._unread)[:most]

    def read(self, name: Name, earlier: Series | None) -> None:
        """What the store holds of it, None for nothing."""
        if name not in self._unread:
            return
        del self._unread[name]
        kept = self._kept.get(name)
        if kept is not None and earlier is not None:
            kept.began_s = next(iter(earlier)).at_s if len(earlier) else kept.began_s
            kept.series = joined(earlier, kept.series)

    def late(self) -> list[Late]:
        """Attempts that ended too early, once."""
        late, self._late = self._late, []
        return late

    def parts(self, most: int | None = None) -> list[UsageSeries]:
        """Series of which a part should be written now (most None: all that have grown since their last)."""
        found = []
        for name, kept in self._kept.items():
            last_s = kept.series.last_s
            pause_s = max(FIRST_PART_S, (last_s - kept.began_s) // 8)
            if name in self._unread or last_s <= kept.parted_s:
                continue
            if most is None or last_s - max(kept.parted_s, kept.began_s) >= pause_s:
                kept.parted_s = last_s
                found.append(packed(name, kept.series))
                if most is not None and len(found) >= most:
                    break
        return found


def packed(name: Name, series: Series) -> UsageSeries:
    """As the store takes it."""
    return UsageSeries(*name, Instant(series.last_s * US), series.encode())


def joined(earlier: Series, later: Series) -> Series:
    """The one with the points of the other behind its own."""
    for point in later:
        earlier.add(point)
    return earlier


def unpacked(stored: UsageSeries | None) -> Series | None:
    """The series; None for none, and for one that is damaged, which is logged."""
    if stored is None:
        return None
    try:
        return decode(stored.data)
    except ValueError as error:
        log.error("series.damaged", job=stored.job, attempt=stored.attempt, why=str(error))
        return None


def _began(state: State, node: NodeName, key: AttemptKey) -> Instant | None:
    """When the attempt was granted, None if it is not what its job does now, or this is not its first node:
    the series is of that one."""
    job = state.jobs.get(key.job)
    if job is None or not isinstance(job.phase, Active) or job.phase.attempt != key:
        return None
    if job.phase.placements[0].node != node:
        return None
    return job.phase.granted_at


def _together(samples: Sequence[AttemptSample]) -> AttemptSample:
    """What runs of one attempt on a node, as one sample."""
    usage = joined_usage(sample.usage for sample in samples)
    devices = tuple({(d.kind, d.index): d for sample in samples for d in sample.devices}.values())
    rss_kib, cache_kib = sum(s.rss_kib for s in samples), sum(s.cache_kib for s in samples)
    return AttemptSample(usage, rss_kib, cache_kib, devices)


def _cpu_ms(sample: AttemptSample) -> int:
    return (sample.usage.user_cpu_us + sample.usage.system_cpu_us) // 1000


def _point(at_s: int, sample: AttemptSample, ended_ms: int) -> Point:
    devices = sample.devices
    busy = [device.busy_milli for device in devices if device.busy_milli is not None]
    flops = [device.flops_milli for device in devices if device.flops_milli is not None]
    memory = [device.mem_mib for device in devices if device.mem_mib is not None]
    return Point(
        at_s,
        _cpu_ms(sample) + ended_ms,
        max(sample.rss_kib, 0),
        max(sample.cache_kib, 0),
        sum(busy) // len(busy) if busy else -1,
        sum(memory) if memory else -1,
        sum(flops) // len(flops) if flops else -1,
    )
