"""What ran where around the longest queue, under the first policies, coloured by how long it had waited."""

from __future__ import annotations

import itertools
from typing import Any, Final

from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure

from packhorse.simulator.metrics.slowdown import bounded_slowdown
from packhorse.simulator.report import axes, colors, style
from packhorse.simulator.report.gantt import Chart, charts, window
from packhorse.simulator.report.material import Material

PANELS: Final = 4
"""The first policies."""

MOST_BARS: Final = 1200
"""More are drawn as a picture within the page, which is smaller."""

SLIM: Final = 0.003
"""A bar of a smaller part of the window has no edge, which would cover it."""

TOP: Final = 100.0
"""Bounded slowdown from which on the colour is the same."""

COLORS: Final = LinearSegmentedColormap.from_list("waited", ["#7fb0d8", "#f0c75e", "#c2410c"])


def gantt(of: Material) -> Figure:
    """A panel a policy, all of the same window and the same rows."""
    outcomes = of.outcomes[:PANELS]
    within = window(outcomes, of.within)
    drawn = charts(outcomes, of.of, within)
    figure = style.figure(0.9 + 2.3 * len(outcomes))
    panels = figure.subplots(len(outcomes), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    size, unit = axes.unit(within)
    shown: Any = None
    for i, (panel, chart) in enumerate(zip(panels, drawn, strict=True)):
        slow = bounded_slowdown(of.spent[i])
        shown = _bars(panel, chart, slow, of.within.start_us, size, within.length_us)
        left_out = f" ({chart.left_out} interrupted jobs are not drawn)" if chart.left_out else ""
        panel.set_title(f"{of.policies[i]}{left_out}", color=colors.color(i), fontsize=8.5)
        _rows(panel, chart, of)
    begin, end = ((at - of.within.start_us) / size for at in within)
    panels[-1].set_xlim(begin, end)
    panels[-1].set_xlabel(f"{unit} since the first submission")
    bar = figure.colorbar(
        shown, ax=list(panels), location="top", aspect=60, shrink=0.5, pad=0.02, extend="max"
    )
    bar.set_label("bounded slowdown of the job", fontsize=8.5)
    bar.set_ticks([1, 2, 5, 10, 20, 50, 100], labels=["1", "2", "5", "10", "20", "50", "100"])
    bar.minorticks_off()
    bar.outline.set_visible(False)
    return figure


def _bars(panel: Any, chart: Chart, slow: Any, origin_us: int, size: float, window_us: int) -> Any:
    corners = []
    for bar in chart.bars:
        left, right = ((at - origin_us) / size for at in (bar.start_us, bar.end_us))
        top = bar.row + bar.rows
        corners.append([(left, bar.row), (right, bar.row), (right, top), (left, top)])
    many = len(corners) > MOST_BARS
    shown = PolyCollection(
        corners,
        array=[
            min(max(slow[bar.job], 1.0), TOP) if slow[bar.job] == slow[bar.job] else 1.0 for bar in chart.bars
        ],
        cmap=COLORS,
        norm=LogNorm(1, TOP),
        edgecolors="none" if many else colors.PAPER,
        linewidths=[0.35 if bar.end_us - bar.start_us > window_us * SLIM else 0.0 for bar in chart.bars],
        rasterized=many,
    )
    panel.add_collection(shown)
    return shown


def _rows(panel: Any, chart: Chart, of: Material) -> None:
    """Names where there is room for them, else how many there are."""
    panel.set_ylim(max(chart.rows, 1), 0)
    panel.grid(axis="y", visible=False)
    names = list(chart.by_node.items())
    unit = "GPUs" if of.gpus else "CPUs"
    if names and len(names) <= 24:
        bounds = [row for _, row in names] + [chart.rows]
        middles = [(a + b) / 2 for a, b in itertools.pairwise(bounds)]
        panel.set_yticks(middles, [name for name, _ in names], fontsize=7)
        for row in bounds[1:-1]:
            panel.axhline(row, color=colors.GRID, linewidth=0.5)
    else:
        panel.set_ylabel(f"{unit} of {len(names)} nodes" if names else unit)
