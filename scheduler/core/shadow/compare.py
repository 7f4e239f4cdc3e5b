"""What two passes on the same state decided differently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.node_columns import NodeColumns
from packhorse.scheduler.core.packing.board import CPU
from packhorse.scheduler.core.reasons import REASONS
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.event import ArrayTaskSplit, Event, JobEnding, JobGranted
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.resources import Placement

SHIFT_US: Final = US
"""Planned starts that are nearer to each other are the same."""


class Kind(StrEnum):
    """How a decision differs."""

    STARTS_NOW = "starts_now"  # in the shadow alone
    WAITS = "waits"  # in the shadow, while the live one has started it
    ELSEWHERE = "elsewhere"  # started by both, on other nodes
    STOPS = "stops"  # in the shadow alone: makes room for another
    RUNS_ON = "runs_on"  # in the shadow, while the live one stops it
    REASON = "reason"
    EARLIER = "earlier"  # the planned start
    LATER = "later"


class Difference(NamedTuple):
    """Of one job: what the live pass says and what the shadow does. shift_us: of planned starts."""

    job: JobId
    kind: Kind
    live: str
    shadow: str
    shift_us: int = 0


class Outcome(NamedTuple):
    """What a pass led to. starts: nodes of every job, or task of an array, by the id that waited. stops: who
    makes room for whom. ids, reasons, planned: of all that went on waiting, ids ascending. cpu_milli: what
    the started jobs take."""

    starts: dict[JobId, list[str]]
    stops: dict[JobId, JobId]
    ids: np.ndarray
    reasons: np.ndarray
    planned: np.ndarray
    cpu_milli: int


def outcome(state: State, events: Iterable[Event]) -> Outcome:
    """Of a pass that decided these events; the columns are those after it."""
    arrays: dict[JobId, JobId] = {}
    starts: dict[JobId, list[str]] = {}
    stops: dict[JobId, JobId] = {}
    cpu_milli = 0
    for event in events:
        if isinstance(event, ArrayTaskSplit):
            arrays[event.job] = event.array
        elif isinstance(event, JobGranted):
            id = arrays.get(event.job, event.job)
            starts.setdefault(id, []).append(_nodes(event.placements))
            cpu_milli += sum(placement.cpu_milli for placement in event.placements)
        elif isinstance(event, JobEnding):
            stops[event.job] = event.for_job
    pending = state.pending_columns
    slots = np.flatnonzero(pending.ready)
    slots = slots[np.argsort(pending.id[slots])]
    return Outcome(
        starts, stops, pending.id[slots], pending.reason_code[slots], pending.planned_at[slots], cpu_milli
    )


def _nodes(placements: tuple[Placement, ...]) -> str:
    return compress_sorted([placement.node for placement in placements])


def cpus(columns: NodeColumns) -> tuple[int, int]:
    """Thousandths of CPUs that jobs hold, and that there are."""
    return int(columns.used[CPU].sum()), int(columns.capacity[CPU].sum())


def differences(live: Outcome, shadow: Outcome) -> Iterator[Difference]:
    """Starts first, then what would make room, then reasons and planned starts; each by id."""
    for id in sorted({*live.starts, *shadow.starts}):
        yield from _starts(id, live.starts.get(id, []), shadow.starts.get(id, []))
    for id in sorted(live.stops.keys() ^ shadow.stops.keys()):
        if id in shadow.stops:
            yield Difference(id, Kind.STOPS, "", _for(shadow.stops[id]))
        else:
            yield Difference(id, Kind.RUNS_ON, _for(live.stops[id]), "")
    started = np.array([*live.starts, *shadow.starts], dtype=np.int64)
    ids, mine, theirs = np.intersect1d(live.ids, shadow.ids, assume_unique=True, return_indices=True)
    waits = ~np.isin(ids, started)
    ids, mine, theirs = ids[waits], mine[waits], theirs[waits]
    other = np.flatnonzero(live.reasons[mine] != shadow.reasons[theirs])
    for i in other.tolist():
        words = REASONS[live.reasons[mine[i]]].value, REASONS[shadow.reasons[theirs[i]]].value
        yield Difference(JobId(int(ids[i])), Kind.REASON, *words)
    yield from _planned(ids, live.planned[mine], shadow.planned[theirs])


def _starts(id: JobId, live: list[str], shadow: list[str]) -> Iterator[Difference]:
    both = min(len(live), len(shadow))
    if len(shadow) > both:
        yield Difference(id, Kind.STARTS_NOW, "", _several(shadow[both:]))
    elif len(live) > both:
        yield Difference(id, Kind.WAITS, _several(live[both:]), "")
    if live[:both] != shadow[:both]:
        yield Difference(id, Kind.ELSEWHERE, _several(live[:both]), _several(shadow[:both]))


def _several(nodes: list[str]) -> str:
    """Of one job its nodes, of several tasks those of the first ones."""
    return " ".join(nodes[:3]) + (f" and {len(nodes) - 3} more" if len(nodes) > 3 else "")


def _for(job: JobId) -> str:
    return f"for job {job}" if job else "stopped"


def _planned(ids: np.ndarray, live: np.ndarray, shadow: np.ndarray) -> Iterator[Difference]:
    """A planned start that only one of them has is no difference: it looks less far ahead."""
    apart = (live > 0) & (shadow > 0) & (np.abs(live - shadow) >= SHIFT_US)
    for i in np.flatnonzero(apart).tolist():
        mine, other = Instant(int(live[i])), Instant(int(shadow[i]))
        kind = Kind.EARLIER if other < mine else Kind.LATER
        yield Difference(JobId(int(ids[i])), kind, str(mine), str(other), other - mine)
