"""Plots of waits, and of what changes against the first policy."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from packhorse.simulator.metrics.slowdown import Spread
from packhorse.simulator.report import axes, colors, style
from packhorse.simulator.report.curves import ranked
from packhorse.simulator.report.material import Material
from packhorse.simulator.summary import ClassOfJobs, Summary

BETTER: Final = "#0072b2"
WORSE: Final = "#d55e00"
"""A class of jobs against the first policy; the full colour at a factor of four."""

FULL: Final = 4.0


def waits(of: Material) -> Figure:
    """How many jobs wait at most so long, and, on a logarithmic axis, how many wait longer."""
    figure = style.figure(3.6)
    left, right = figure.subplots(1, 2)
    longest, least = 1.0, 1.0
    for i, (policy, spent) in enumerate(zip(of.policies, of.spent, strict=True)):
        found = ranked(spent.wait)
        if not found.n:
            continue
        x = np.maximum(found.value, 1.0)
        longest, least = max(longest, float(x[-1])), min(least, 1 / found.n)
        looks: dict[str, Any] = {"color": colors.color(i), "linestyle": style.line(i), "label": policy}
        left.step(x, 100 * found.part, where="post", **looks)
        longer = np.append(1 - found.part[:-1], 1 / found.n)
        right.step(x, 100 * longer, where="post", **looks)
    for panel in (left, right):
        axes.logarithmic(panel, longest)
        panel.set_xlabel("wait")
    left.set_title("Jobs that wait at most so long")
    left.set_ylim(0, 101)
    left.yaxis.set_major_formatter("{x:g} %")
    right.set_title("Jobs that wait longer")
    right.set_yscale("log")
    right.set_ylim(least * 80, 110)
    right.yaxis.set_major_formatter(_percent)
    right.minorticks_off()
    style.legend(figure, left)
    return figure


def _percent(value: float, _: object) -> str:
    return f"{value:g} %"


def gains(of: Material) -> Figure | None:
    """The change of each job's turnaround against the first policy, in order; None of a single policy."""
    if len(of.policies) < 2:
        return None
    figure = style.figure(3.5)
    panel = figure.subplots()
    base = of.spent[0].turnaround
    farthest = 60.0
    for i, (policy, spent) in enumerate(zip(of.policies, of.spent, strict=True)):
        found = ranked(spent.turnaround - base)
        if i == 0 or not found.n:
            continue
        farthest = max(farthest, float(np.abs(found.value).max()))
        panel.step(
            100 * found.part,
            found.value,
            where="pre",
            color=colors.color(i),
            linestyle=style.line(i),
            label=policy,
        )
    panel.axhline(0, color=colors.INK, linewidth=0.8)
    axes.signed(panel, farthest)
    panel.set_xlim(0, 100)
    panel.xaxis.set_major_formatter("{x:g} %")
    panel.set_xlabel("jobs, from those who gain most to those who lose most")
    panel.set_ylabel("turnaround")
    panel.set_title(
        f"Change of each job against {of.policies[0]}: below 0 it ends sooner, above it ends later"
    )
    style.legend(figure, panel)
    return figure


def by_class(of: Material) -> Figure | None:
    """Mean wait and mean bounded slowdown of each class of jobs against the first policy, over all seeds."""
    cut = _classes(of)
    base_name, *others = of.runs
    if not others or not cut:
        return None
    rows = len(others)
    figure = style.figure(1.25 + 0.62 * rows)
    panels = figure.subplots(2, 1, sharex=True)
    measures: list[tuple[str, Callable[[ClassOfJobs], Spread | None]]] = [
        ("mean wait", lambda each: each.wait_s),
        ("mean bounded slowdown", lambda each: each.slowdown),
    ]
    for panel, (name, measure) in zip(panels, measures, strict=True):
        base = _means(of.runs[base_name], measure)
        for y, policy in enumerate(others):
            mine = _means(of.runs[policy], measure)
            for x, label in enumerate(cut):
                _cell(panel, x, y, mine.get(label), base.get(label))
        panel.set_title(f"{name.capitalize()} against {base_name}")
        panel.set_yticks(range(rows), others)
        panel.set_ylim(rows - 0.5, -0.5)
        panel.set_xlim(-0.5, len(cut) - 0.5)
        panel.grid(False)
        panel.tick_params(length=0)
        for side in panel.spines.values():
            side.set_visible(False)
    panels[1].set_xticks(range(len(cut)), [_narrow(label) for label in cut], fontsize=7.5)
    return figure


def _cell(panel: Any, x: int, y: int, mine: float | None, base: float | None) -> None:
    factor = _factor(mine, base)
    if factor is not None:
        strength = min(abs(math.log(factor)) / math.log(FULL), 1.0) if factor else 1.0
        colour = WORSE if factor > 1 else BETTER
        where: dict[str, Any] = {"xy": (x - 0.48, y - 0.46), "width": 0.96, "height": 0.92}
        panel.add_patch(Rectangle(**where, facecolor=colour, alpha=0.08 + 0.62 * strength, edgecolor="none"))
    panel.text(x, y, _change(factor), ha="center", va="center", fontsize=8)


def _factor(mine: float | None, base: float | None) -> float | None:
    """None where one is unknown or nothing can be compared with; 1 where nobody waits under either."""
    if mine is None or base is None:
        return None
    if base == 0:
        return 1.0 if mine == 0 else math.inf
    return mine / base


def _change(factor: float | None) -> str:
    if factor is None:
        return "–"
    if factor == math.inf:
        return "from 0"
    if factor >= 3:
        return f"× {factor:.3g}"
    if factor <= 1 / 3:
        return f"÷ {1 / factor:.3g}" if factor else "to 0"
    percent = round(100 * (factor - 1))
    return f"{percent:+d} %".replace("-", "−") if percent else "0 %"


def _classes(of: Material) -> list[str]:
    """Of all kinds, in order."""
    found: dict[str, None] = {}
    for kind in ("by_size", "by_run", "by_user"):
        for runs in of.runs.values():
            found.update(dict.fromkeys(each.name for run in runs for each in getattr(run, kind)))
    return list(found)


def _means(runs: Sequence[Summary], measure: Callable[[ClassOfJobs], Spread | None]) -> dict[str, float]:
    """By class, over the seeds."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for each in (*run.by_size, *run.by_run, *run.by_user):
            value = measure(each)
            if value is not None:
                found.setdefault(each.name, []).append(value.mean)
    return {name: statistics.fmean(values) for name, values in found.items()}


def _narrow(label: str) -> str:
    """In two lines: 2 to 4 / CPUs, runs / to 8 h."""
    first, _, last = label.partition(" ") if label.startswith("runs") else label.rpartition(" ")
    return f"{first}\n{last}"
