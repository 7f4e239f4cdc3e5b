"""`python -m benchmarks.batch_tradeoff RESULTS OUT.png`: what the order "packhorse" buys with longer waits.

One panel for each set: mean bounded slowdown against the longest wait, a dot for each setting, the larger the
later jobs age; and what no other setting beats in both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from packhorse.simulator.report import colors, style


class Row(msgspec.Struct, frozen=True):
    """One setting on one set. times_easy: the longest wait, in those of EASY."""

    set: str
    ageing_s: int
    power: float
    slowdown: float
    times_easy: float
    by: str


class Rows(msgspec.Struct, frozen=True):
    """The file."""

    rows: list[Row]


class Panel(msgspec.Struct, frozen=True):
    """One set. bar: the mean asked for."""

    set: str
    title: str
    bar: float


PANELS: Final = (
    Panel("ten", "Lublin, ten windows", 30.0),
    Panel("others", "Lublin, ten others", 23.2),
    Panel("kth", "KTH-SP2-filtered", 43.0),
)
MOST_WAIT: Final = 1.5
POWERS: Final = (16.0, 28.0)
SHORTEST_S: Final = 216_000
"""Of ageing."""

POINTS: Final = {(280_000, 28.0): ("1", -42), (380_000, 16.0): ("2", -22)}
"""The default, and the one that meets every bar of the mean; how far above them their labels are."""


def drawn(rows: Sequence[Row]) -> bytes:
    """The plot as PNG."""
    with style.settings():
        figure = style.figure(3.4)
        axes = figure.subplots(1, len(PANELS))
        for axis, panel in zip(axes, PANELS, strict=True):
            _draw(axis, panel, [row for row in rows if row.set == panel.set])
        axes[0].set_ylabel("mean bounded slowdown")
        style.legend(figure, axes[0])
        style.arrange(figure)
        return style.picture(figure)


def _draw(axis: Any, panel: Panel, rows: Sequence[Row]) -> None:
    axis.axhline(panel.bar, color=colors.MUTED, linewidth=0.8, linestyle=(0, (4, 2)), label="asked for")
    axis.axvline(MOST_WAIT, color=colors.MUTED, linewidth=0.8, linestyle=(0, (4, 2)))
    for position, power in enumerate(POWERS):
        some = [row for row in rows if row.power == power]
        axis.scatter(
            [row.times_easy for row in some],
            [row.slowdown for row in some],
            s=[16 + (row.ageing_s - SHORTEST_S) / 8_000 for row in some],
            color=colors.color(position),
            alpha=0.75,
            linewidths=0,
            label=f"power {power:g}",
        )
    front = _front(rows)
    axis.step(*zip(*front, strict=True), where="post", color=colors.INK, linewidth=0.8, label="best found")
    for row in rows:
        name, above = POINTS.get((row.ageing_s, row.power), ("", 0))
        if name:
            axis.annotate(
                f"{name}: {row.slowdown:.1f} at {row.times_easy:.2f}",
                (row.times_easy, row.slowdown),
                xytext=(-4, above),
                textcoords="offset points",
                fontweight="bold",
                arrowprops={"arrowstyle": "-", "linewidth": 0.6, "color": colors.INK},
            )
    axis.set_title(panel.title)
    axis.set_xlabel("longest wait / EASY's")
    axis.set_ylim(10, 58)


def _front(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Longest wait and mean of the settings that no other beats in both."""
    found: list[tuple[float, float]] = []
    for wait, mean in sorted((row.times_easy, row.slowdown) for row in rows):
        if not found or mean < found[-1][1]:
            found.append((wait, mean))
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Reads the rows, writes the picture."""
    own = argparse.ArgumentParser(
        prog="benchmarks.batch_tradeoff", description=(__doc__ or "").split("\n")[0]
    )
    own.add_argument("results", type=Path)
    own.add_argument("out", type=Path)
    args = own.parse_args(words)
    rows = msgspec.json.decode(args.results.read_bytes(), type=Rows).rows
    args.out.write_bytes(drawn(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
