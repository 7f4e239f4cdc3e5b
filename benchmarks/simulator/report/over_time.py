"""Plots of the cluster over time: a line of means within a band that has every extreme."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.report import axes, colors, style
from packhorse.simulator.report.curves import MEANS, intervals
from packhorse.simulator.report.material import Material


def utilisation(of: Material) -> Figure:
    """A panel a policy: the allocated share."""
    figure = style.figure(0.75 + 1.05 * len(of.policies))
    panels = figure.subplots(len(of.policies), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for i, (panel, policy, outcome) in enumerate(zip(panels, of.policies, of.outcomes, strict=True)):
        if of.gpus:
            allocated, capacity = of.curves[i].gpu_milli, outcome.capacity_gpus * WHOLE
        else:
            allocated, capacity = of.curves[i].cpu_milli, outcome.capacity_milli
        _band(panel, of, i, allocated * 100 / max(capacity, 1))
        panel.set_title(policy, color=colors.color(i), fontsize=8.5)
        panel.set_ylim(0, 104)
        panel.set_yticks([0, 50, 100])
        panel.yaxis.set_major_formatter("{x:g} %")
    _time(panels[-1], of)
    figure.supylabel(f"{'GPUs' if of.gpus else 'CPUs'} allocated", fontsize=8.5, color=colors.MUTED)
    return figure


def queue(of: Material) -> Figure:
    """The waiting jobs of all policies."""
    figure = style.figure(3.3)
    panel = figure.subplots()
    most = max(_band(panel, of, i, curve.waiting) for i, curve in enumerate(of.curves))
    if most > 30:
        panel.set_yscale("symlog", linthresh=10, linscale=0.7)
        ticks = [0, 10, *(10**k * f for k in range(1, 8) for f in (3, 10) if 10**k * f <= most * 1.2)]
        panel.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
        panel.minorticks_off()
    panel.set_ylim(0, max(most, 1.0) * 1.15)
    panel.set_ylabel("jobs")
    panel.set_title("Waiting jobs")
    _time(panel, of)
    style.legend(figure, panel)
    return figure


def _band(panel: Any, of: Material, position: int, values: np.ndarray) -> float:
    """The line and the band of one policy; values: by point of its curve. Returns the greatest."""
    size, _ = axes.unit(of.within)
    at_us = of.curves[position].at_us
    band, line = intervals(at_us, values, of.within), intervals(at_us, values, of.within, MEANS)
    x, x_line = (axes.since(each.bounds_us, of.within.start_us, size) for each in (band, line))
    color = colors.color(position)
    panel.stairs(band.high, x, baseline=band.low, fill=True, color=color, alpha=0.2, linewidth=0)
    panel.stairs(
        line.mean,
        x_line,
        baseline=None,
        color=color,
        linestyle=style.line(position),
        linewidth=1.3,
        label=of.policies[position],
    )
    return float(band.high.max())


def _time(panel: Any, of: Material) -> None:
    size, unit = axes.unit(of.within)
    panel.set_xlim(0, of.within.length_us / size)
    panel.set_xlabel(f"{unit} since the first submission")
