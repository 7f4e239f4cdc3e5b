"""Axes of time: durations with ticks that people say, and instants as time since the beginning."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from packhorse.simulator.metrics.columns import US
from packhorse.simulator.metrics.usage import Window

DURATIONS: Final = (
    (1, "1 s"), (10, "10 s"), (60, "1 min"), (600, "10 min"), (3600, "1 h"), (6 * 3600, "6 h"),
    (86400, "1 d"), (7 * 86400, "1 wk"), (30 * 86400, "30 d"), (365 * 86400, "1 y"),
)  # fmt: skip
"""Ticks of a logarithmic axis."""

ROOM_ACROSS: Final = 10
"""Ticks beside each other."""

ROOM_UP: Final = 7
"""Ticks above each other on one side of 0."""

UNITS: Final = ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


def duration(seconds: float) -> str:
    """For people, three digits: 12.3 s, 4.56 min, 7.89 h, 1.23 d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def logarithmic(axis: Any, longest_s: float) -> None:
    """An x axis of durations from a second on."""
    axis.set_xscale("log")
    top = max(longest_s, 60) * 1.15
    ticks = _apart([(at, name) for at, name in DURATIONS if at <= top], top, ROOM_ACROSS)
    axis.set_xticks([at for at, _ in ticks], [f"≤ {name}" if at == 1 else name for at, name in ticks])
    axis.minorticks_off()
    axis.set_xlim(1, top)


def signed(axis: Any, farthest_s: float) -> None:
    """A y axis of changes of a duration, linear within a minute of 0 and logarithmic beyond."""
    axis.set_yscale("symlog", linthresh=60, linscale=0.5)
    near = [(at, name) for at, name in DURATIONS if 60 <= at <= max(farthest_s, 60) * 1.15]
    ticks = _apart(near, max(farthest_s, 60) / 60, ROOM_UP)
    axis.set_yticks(
        [*(-at for at, _ in ticks[::-1]), 0, *(at for at, _ in ticks)],
        [*(f"−{name}" for _, name in ticks[::-1]), "0", *(f"+{name}" for _, name in ticks)],
    )
    axis.minorticks_off()
    axis.set_ylim(-max(farthest_s, 60) * 1.3, max(farthest_s, 60) * 1.3)


def _apart(ticks: list[tuple[int, str]], range_: float, room: int) -> list[tuple[int, str]]:
    """Without those that are too near to the one before. range_: greatest / least of the axis."""
    kept: list[tuple[int, str]] = []
    for at, name in ticks:
        if not kept or math.log(at / kept[-1][0]) >= math.log(max(range_, 2)) / room:
            kept.append((at, name))
    return kept


def unit(within: Window) -> tuple[float, str]:
    """Microseconds of the largest unit of which the window has at least three, and its name."""
    for seconds, name in UNITS:
        if within.length_us >= 3 * seconds * US:
            return seconds * US, name
    return US, "seconds"


def since(us: np.ndarray, origin_us: int, size: float) -> np.ndarray:
    """Instants as time since the origin, in units of that size."""
    return np.asarray((us - origin_us) / size)
