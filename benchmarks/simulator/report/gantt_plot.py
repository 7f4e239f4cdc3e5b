"""What ran where around the longest queue, under the first policies, coloured by how long it had waited."""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure

from packhorse.simulator.metrics.columns import US, Metric
from packhorse.simulator.metrics.slowdown import bounded_slowdown
from packhorse.simulator.metrics.usage import Window
from packhorse.simulator.report import axes, colors, style
from packhorse.simulator.report.gantt import Chart, Gantt, gantt
from packhorse.simulator.report.material import Material

PANELS: Final = 4
"""The first policies."""

MOST_BARS: Final = 1200
"""More are drawn as a picture within the page, which is smaller."""

SLIM: Final = 0.003
"""A bar of a smaller part of the window has no edge, which would cover it."""

TOP: Final = 100.0
"""Bounded slowdown from which on the colour is the same."""

COLORS: Final = LinearSegmentedColormap.from_list("waited", ["#7fb0d8", "#f0c75e", "#c2410c"]).with_extremes(
    bad="#9aa0a6"
)
"""Grey: a job that did not end."""

MOST_NAMES: Final = 24
"""Of nodes beside the rows."""


def plot(of: Material) -> Figure:
    """A panel a policy, all of the same window and the same rows."""
    found = gantt(of.outcomes[:PANELS], of.of, of.within)
    figure = style.figure(0.9 + 2.3 * len(found.charts))
    panels = figure.subplots(len(found.charts), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    size, unit = axes.unit(found.within)
    shown: Any = None
    for i, (panel, chart) in enumerate(zip(panels, found.charts, strict=True)):
        shown = _bars(panel, chart, bounded_slowdown(of.spent[i]), found.within, size)
        left_out = f" ({chart.left_out} interrupted jobs are not drawn)" if chart.left_out else ""
        panel.set_title(f"{of.policies[i]}{left_out}", color=colors.color(i), fontsize=8.5)
        _rows(panel, found, of)
    panels[-1].set_xlim(0, found.within.length_us / size)
    after = axes.duration((found.within.start_us - of.within.start_us) / US)
    panels[-1].set_xlabel(f"{unit} from {after} after the first submission on")
    bar = figure.colorbar(
        shown, ax=list(panels), location="top", aspect=60, shrink=0.5, pad=0.02, extend="max"
    )
    bar.set_label("bounded slowdown of the job", fontsize=8.5)
    bar.set_ticks([1, 2, 5, 10, 20, 50, 100], labels=["1", "2", "5", "10", "20", "50", "100"])
    bar.minorticks_off()
    bar.outline.set_visible(False)
    return figure


def _bars(panel: Any, chart: Chart, slow: Metric, within: Window, size: float) -> Any:
    corners = []
    for bar in chart.bars:
        left, right = ((at - within.start_us) / size for at in (bar.start_us, bar.end_us))
        top = bar.row + bar.rows
        corners.append([(left, bar.row), (right, bar.row), (right, top), (left, top)])
    many = len(corners) > MOST_BARS
    slim = within.length_us * SLIM
    shown = PolyCollection(
        corners,
        array=np.ma.masked_invalid(np.minimum(slow[[bar.job for bar in chart.bars]], TOP)),
        cmap=COLORS,
        norm=LogNorm(1, TOP),
        edgecolors="none" if many else colors.PAPER,
        linewidths=[0.35 if bar.end_us - bar.start_us > slim else 0.0 for bar in chart.bars],
        rasterized=many,
    )
    panel.add_collection(shown)
    return shown


def _rows(panel: Any, of: Gantt, material: Material) -> None:
    """Names where there is room for them, else how many there are."""
    panel.set_ylim(max(of.rows, 1), 0)
    panel.grid(axis="y", visible=False)
    unit = "GPUs" if material.gpus else "CPUs"
    if 1 < len(of.by_node) <= MOST_NAMES:
        bounds = [*of.by_node.values(), of.rows]
        middles = [(a + b) / 2 for a, b in itertools.pairwise(bounds)]
        panel.set_yticks(middles, list(of.by_node), fontsize=7)
        for row in bounds[1:-1]:
            panel.axhline(row, color=colors.GRID, linewidth=0.5)
    elif 1 < len(of.by_node) < of.nodes:
        panel.set_ylabel(f"{unit} of {len(of.by_node)} of {of.nodes:,} nodes")
    else:
        panel.set_ylabel(unit)
