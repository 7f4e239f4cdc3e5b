"""Which job ran where and when in a window of time, as bars: rows are CPUs or devices, grouped by node."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.metrics.columns import Columns
from packhorse.simulator.metrics.usage import Window, curve
from packhorse.simulator.outcome import NOT_YET, Outcome

MOST_JOBS: Final = 350
"""Of one policy: more are no longer told apart."""

MOST_NODES: Final = 64
"""Of a larger cluster the first so many are drawn."""

ALL_NODES: Final = 300
"""Of a cluster of up to so many all are drawn."""


class Bar(NamedTuple):
    """A job, an index, on adjacent rows from `row` on, in microseconds."""

    job: int
    row: int
    rows: int
    start_us: int
    end_us: int


class Chart(NamedTuple):
    """Of one policy. left_out: jobs of the window that were interrupted, of which is not known where they ran
    before.
    """

    bars: list[Bar]
    left_out: int


class Gantt(NamedTuple):
    """The same window and rows for all policies. by_node: first row of each node that is drawn, by name;
    empty where rows are those of the whole cluster. nodes: in all.
    """

    within: Window
    charts: list[Chart]
    rows: int
    by_node: dict[str, int]
    nodes: int


def gantt(outcomes: Sequence[Outcome], of: Columns, whole: Window) -> Gantt:
    """Around the longest queue of the first policy, as long as no policy runs too many jobs in it to be told
    apart. An outcome does not say how a job of several nodes is split over them; where an equal split does
    not fit, rows are those of the whole cluster, without nodes.
    """
    units = -(-(of.gpu_milli if of.gpu_milli.any() else of.cpu_milli) // WHOLE)
    has = outcomes[0].capacity_gpus or outcomes[0].capacity_milli // WHOLE
    queue = curve(outcomes[0], of)
    peak = int(queue.at_us[int(np.argmax(queue.waiting))]) if queue.at_us.size else whole.start_us
    names = sorted({name for each in outcomes for name in set().union(*set(each.nodes))}, key=_natural)
    drawn = names[: MOST_NODES if len(names) > ALL_NODES else ALL_NODES]
    on = [_on(outcome, set(drawn)) for outcome in outcomes] if len(drawn) < len(names) else None
    room = dict.fromkeys(drawn, -(-has // max(len(names), 1)))
    found = _drawn(outcomes, units, _window(outcomes, on, whole, peak), on, room)
    if _fits(outcomes, found, room):
        return _gantt(outcomes, found, len(names))
    pooled = _drawn(outcomes, units, _window(outcomes, None, whole, peak), None, {"": has})
    return _gantt(outcomes, pooled, len(names))


_Lanes = dict[int, list[tuple[str, int]]]
"""By job: node and row within it."""


class _Drawn(NamedTuple):
    """By policy: rows of jobs and of nodes, and what is left out."""

    within: Window
    lanes: list[_Lanes]
    heights: list[dict[str, int]]
    left_out: list[int]


def _on(outcome: Outcome, names: set[str]) -> np.ndarray:
    """Jobs that have one of these nodes, `[n]`."""
    return np.fromiter((not names.isdisjoint(nodes) for nodes in outcome.nodes), bool, len(outcome.nodes))


def _window(outcomes: Sequence[Outcome], on: list[np.ndarray] | None, whole: Window, peak: int) -> Window:
    """As long as no policy runs too many jobs in it. peak: instant within."""
    length = whole.length_us
    while length > 1:
        start = max(whole.start_us, min(peak - length // 2, whole.end_us - length))
        found = Window(start, start + length)
        if all(jobs.size <= MOST_JOBS for jobs in _inside(outcomes, found, on)):
            return found
        length = length * 3 // 4
    return Window(peak, peak + 1)


def _inside(outcomes: Sequence[Outcome], within: Window, on: list[np.ndarray] | None) -> Iterator[np.ndarray]:
    """Jobs that ran in the window, in order of their start; an end that never came counts as a later one."""
    for k, outcome in enumerate(outcomes):
        end = np.where(outcome.end_us == NOT_YET, within.end_us + 1, outcome.end_us)
        runs = (outcome.start_us != NOT_YET) & (outcome.start_us < within.end_us) & (end > within.start_us)
        runs &= end > outcome.start_us
        jobs = np.flatnonzero(runs if on is None else runs & on[k])
        yield jobs[np.argsort(outcome.start_us[jobs], kind="stable")]


def _drawn(
    outcomes: Sequence[Outcome],
    units: np.ndarray,
    within: Window,
    on: list[np.ndarray] | None,
    room: dict[str, int],
) -> _Drawn:
    lanes, heights, left_out = [], [], []
    pooled = "" in room
    for outcome, jobs in zip(outcomes, _inside(outcomes, within, on), strict=True):
        whole = jobs[outcome.restarts[jobs] == 0].tolist()
        places = [(i, ("",) if pooled else outcome.nodes[i]) for i in whole]
        mine, height = _lanes(outcome, places, units, room)
        lanes.append(mine)
        heights.append(height)
        left_out.append(jobs.size - len(whole))
    return _Drawn(within, lanes, heights, left_out)


def _fits(outcomes: Sequence[Outcome], found: _Drawn, room: dict[str, int]) -> bool:
    """Unless a job has several nodes, it is known where all of it is, and nodes may well be unequal."""
    several = any(
        len(outcome.nodes[i]) > 1 for outcome, jobs in zip(outcomes, found.lanes, strict=True) for i in jobs
    )
    return not several or all(height[name] <= room[name] for height in found.heights for name in room)


def _gantt(outcomes: Sequence[Outcome], found: _Drawn, nodes: int) -> Gantt:
    first, rows = {}, 0
    for name in found.heights[0]:
        first[name] = rows
        rows += max(height[name] for height in found.heights)
    charts = [
        Chart(_bars(outcome, lanes, first, found.within), left_out)
        for outcome, lanes, left_out in zip(outcomes, found.lanes, found.left_out, strict=True)
    ]
    return Gantt(found.within, charts, rows, {} if "" in first else first, nodes)


def _lanes(
    outcome: Outcome, jobs: Sequence[tuple[int, tuple[str, ...]]], units: np.ndarray, room: dict[str, int]
) -> tuple[_Lanes, dict[str, int]]:
    """Each job takes the lowest rows that are free on its nodes; and how many rows each node has. jobs: in
    order of their start, with their nodes. room: rows that a node has at least, all where nodes are equal.
    """
    free_at = {name: [0] * n for name, n in room.items()}
    found: _Lanes = {}
    for i, on in jobs:
        start, end = int(outcome.start_us[i]), int(outcome.end_us[i])
        nodes = [name for name in on if name in free_at]
        free = {name: [lane for lane, at in enumerate(free_at[name]) if at <= start] for name in nodes}
        takes = _split(-(-int(units[i]) * len(nodes) // max(len(on), 1)), free)
        for name, n in takes.items():
            if n == 0:
                continue
            lanes = free_at[name]
            more = max(n - len(free[name]), 0)
            mine = [*free[name][:n], *range(len(lanes), len(lanes) + more)]
            lanes += [0] * more
            for lane in mine:
                lanes[lane] = end if end != NOT_YET else 1 << 62
            found.setdefault(i, []).extend((name, lane) for lane in mine)
    return found, {name: len(lanes) for name, lanes in free_at.items()}


def _split(units: int, free: dict[str, list[int]]) -> dict[str, int]:
    """How many units of a job lie on each of its nodes: as equally as free rows allow, and where they do not
    suffice, equally beyond them.
    """
    found = dict.fromkeys(free, 0)
    for limited in (True, False):
        while units:
            able = [name for name in free if not limited or found[name] < len(free[name])]
            if not able:
                break
            each = max(units // len(able), 1)
            for name in able:
                n = min(each, units, len(free[name]) - found[name] if limited else each)
                found[name] += n
                units -= n
    return found


def _bars(outcome: Outcome, lanes: _Lanes, first: dict[str, int], within: Window) -> list[Bar]:
    """Adjacent rows of a job as one."""
    bars = []
    for job, places in lanes.items():
        start = max(int(outcome.start_us[job]), within.start_us)
        end = int(outcome.end_us[job])
        end = within.end_us if end == NOT_YET else min(end, within.end_us)
        rows = sorted(first[name] + lane for name, lane in places)
        cuts = [i for i in range(1, len(rows)) if rows[i] != rows[i - 1] + 1]
        bars += [
            Bar(job, rows[a], b - a, start, end) for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)
        ]
    return bars


def _natural(name: str) -> tuple[list[int | str], str]:
    """n2 before n10."""
    parts: list[int | str] = [
        int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", name))
    ]
    return parts, name
