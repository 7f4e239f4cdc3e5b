"""Which job ran where and when in a window of time, as bars: rows are CPUs or devices, grouped by node."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.metrics.columns import Columns
from packhorse.simulator.metrics.usage import Window
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
    """bars: of the window. rows: in all. by_node: first row of each node by name, if there is more than one.
    left_out: jobs of the window that were interrupted, of which is not known where they ran before.
    """

    bars: list[Bar]
    rows: int
    by_node: dict[str, int]
    left_out: int


def window(outcomes: Sequence[Outcome], within: Window) -> Window:
    """Around the longest queue of the first policy, as long as no policy runs too many jobs in it to be told
    apart.
    """
    samples = outcomes[0].samples
    peak = int(samples.at_us[int(np.argmax(samples.waiting))]) if samples.at_us.size else within.start_us
    length = within.length_us
    while length > 1:
        start = max(within.start_us, min(peak - length // 2, within.end_us - length))
        found = Window(start, start + length)
        if all(_inside(outcome, found).size <= MOST_JOBS for outcome in outcomes):
            return found
        length = length * 3 // 4
    return Window(peak, peak + 1)


def charts(outcomes: Sequence[Outcome], of: Columns, within: Window) -> list[Chart]:
    """One a policy, with the same rows in all. An outcome does not say how a job of several nodes is split
    over them; where an equal split does not fit, rows are those of the whole cluster, without nodes.
    """
    units = -(-(of.gpu_milli if of.gpu_milli.any() else of.cpu_milli) // WHOLE)
    has = outcomes[0].capacity_gpus or outcomes[0].capacity_milli // WHOLE
    inside = [_inside(outcome, within) for outcome in outcomes]
    whole = [jobs[outcome.restarts[jobs] == 0] for outcome, jobs in zip(outcomes, inside, strict=True)]
    places = [
        [(int(i), outcome.nodes[i]) for i in jobs] for outcome, jobs in zip(outcomes, whole, strict=True)
    ]
    room = _room(outcomes, has)
    found = _placed(outcomes, places, units, room)
    several = any(len(nodes) > 1 for jobs in places for _, nodes in jobs)
    if several and any(height[name] > room[name] for _, height in found for name in room):
        room = {"": has}
        found = _placed(outcomes, [[(i, ("",)) for i, _ in jobs] for jobs in places], units, room)
    first, rows = {}, 0
    for name in room:
        first[name] = rows
        rows += max(height[name] for _, height in found)
    return [
        Chart(
            _bars(outcome, lanes, first, within),
            rows,
            first if len(first) > 1 else {},
            every.size - mine.size,
        )
        for outcome, every, mine, (lanes, _) in zip(outcomes, inside, whole, found, strict=True)
    ]


def _room(outcomes: Sequence[Outcome], has: int) -> dict[str, int]:
    """Rows of each node that is drawn, as if nodes were equal; has: of all."""
    names = sorted({name for each in outcomes for name in set().union(*set(each.nodes))}, key=_natural)
    drawn = names[: MOST_NODES if len(names) > ALL_NODES else ALL_NODES]
    return dict.fromkeys(drawn, -(-has // max(len(names), 1)))


_Lanes = dict[int, list[tuple[str, int]]]
"""By job: node and row within it."""

_Places = list[tuple[int, tuple[str, ...]]]
"""Jobs in order of their start, and their nodes."""


def _placed(
    outcomes: Sequence[Outcome], places: Sequence[_Places], units: np.ndarray, room: dict[str, int]
) -> list[tuple[_Lanes, dict[str, int]]]:
    return [_lanes(outcome, jobs, units, room) for outcome, jobs in zip(outcomes, places, strict=True)]


def _inside(outcome: Outcome, within: Window) -> np.ndarray:
    """Jobs that ran in the window, an end that never came counting as later, in order of their start."""
    end = np.where(outcome.end_us == NOT_YET, within.end_us + 1, outcome.end_us)
    runs = (outcome.start_us != NOT_YET) & (outcome.start_us < within.end_us) & (end > within.start_us)
    jobs = np.flatnonzero(runs & (end > outcome.start_us))
    return jobs[np.argsort(outcome.start_us[jobs], kind="stable")]


def _lanes(
    outcome: Outcome, jobs: _Places, units: np.ndarray, room: dict[str, int]
) -> tuple[_Lanes, dict[str, int]]:
    """Each job takes the lowest rows that are free on its nodes; and how many rows each node has. room: those
    that it has at least, which are all of them where nodes are equal.
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
