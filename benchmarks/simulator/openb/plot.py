"""Allocation and fragmentation against arrivals as a picture, each variant beside its published curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.figure import Figure

from packhorse.simulator.openb.results import Row
from packhorse.simulator.traces import openb

REFERENCES: Final = ("best-fit", "fgd")
"""Published policies that are drawn whether or not they were run."""

COLORS: Final = {
    "packhorse": "#d62728",
    "fgd": "#1f77b4",
    "best-fit": "#2ca02c",
    "gpu-packing": "#9467bd",
    "gpu-clustering": "#8c564b",
    "dot-product": "#e377c2",
    "random": "#7f7f7f",
}
OTHERS: Final = ("#ff7f0e", "#17becf", "#bcbd22", "#393b79", "#637939", "#843c39")
DASHED: Final = (0, (4, 3))
STYLES: Final = ("-", "-.", (0, (1, 1)), (0, (6, 2)))
"""Of the manners of one policy."""

FROM_PERCENT: Final = 80
"""The allocation of all policies is a straight line below."""

BELOW: Final = 2.0
"""So many percent below the worst curve at 100 % the panel of the allocation begins."""


def draw(found: list[Row], data: Path, path: Path) -> None:
    """Write a PNG (or what the ending says), one line of two panels for each variant."""
    matplotlib.use("Agg")
    variants = list(dict.fromkeys(row.variant for row in found))
    figure = Figure(figsize=(12, 0.9 + 4.1 * len(variants)), layout="constrained")
    panels = figure.subplots(len(variants), 2, squeeze=False)
    colors = _colors([row.policy for row in found])
    for variant, (left, right) in zip(variants, panels, strict=True):
        rows = [row for row in found if row.variant == variant]
        _allocation(left, rows, colors, data)
        _fragmentation(right, rows, colors, data)
        left.set_title(f"{variant}: allocated", loc="left", fontsize=11, fontweight="bold")
        right.set_title(f"{variant}: fragmented", loc="left", fontsize=11, fontweight="bold")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(len(labels), 5), frameon=False, fontsize=9.5
    )
    seeds = max(len(row.runs) for row in found)
    figure.suptitle(
        f"openb, {seeds} seed{'s' if seeds > 1 else ''}: mean, and range from the least to the greatest seed",
        fontsize=12,
    )
    figure.savefig(path, dpi=130)


def _colors(policies: list[str]) -> dict[str, str]:
    others = iter(OTHERS * len(policies))
    return {name: COLORS.get(name) or next(others) for name in dict.fromkeys([*policies, *REFERENCES])}


def _allocation(panel: Any, rows: list[Row], colors: dict[str, str], data: Path) -> None:
    """data: where the published results are: whole curves of two seeds, means of ten at some points."""
    _ours(panel, rows, colors, "alloc_pct", FROM_PERCENT)
    variant, as_published = rows[0].variant, any(row.published for row in rows)
    curves = openb.published_curves(data, variant) if as_published else {}
    means = openb.published_means(data, variant, "alloc_pct") if as_published else {}
    for policy in _drawn(rows):
        xs = sorted({x for curve in curves.get(policy, []) for x in curve.mean if x >= FROM_PERCENT})
        ys = [_mean([curve.mean[x] for curve in curves[policy] if x in curve.mean]) for x in xs]
        if xs:
            panel.plot(xs, ys, color=colors[policy], ls=DASHED, lw=1.2, label=f"{policy}, published, 2 seeds")
        if policy in means:
            points = {x: y for x, y in means[policy].mean.items() if x >= FROM_PERCENT}
            name = f"{policy}, published, mean of 10"
            panel.plot(points.keys(), points.values(), "o", ms=4, mfc="white", mec=colors[policy], label=name)
    heights = [y for line in panel.lines for x, y in zip(*line.get_data(), strict=True) if x >= 100]
    if heights:
        panel.set_ylim(max(0.0, min(heights) - BELOW), min(100.0, max(heights) + 0.6))
    panel.set_xlim(FROM_PERCENT, 130.4)
    panel.set_ylabel("% of all devices")
    _finish(panel)


def _fragmentation(panel: Any, rows: list[Row], colors: dict[str, str], data: Path) -> None:
    _ours(panel, rows, colors, "frag_pct_of_capacity", 0)
    as_published = any(row.published for row in rows)
    means = openb.published_means(data, rows[0].variant, "frag_pct_of_capacity") if as_published else {}
    for policy in _drawn(rows):
        if policy in means:
            xs, ys = means[policy].mean.keys(), means[policy].mean.values()
            panel.plot(xs, ys, "o", ms=4, mfc="white", mec=colors[policy])
            panel.plot(xs, ys, color=colors[policy], ls=DASHED, lw=1.2, zorder=1)
    panel.set_xlim(0, 131)
    panel.set_ylim(bottom=0)
    panel.set_ylabel("free but of no use to typical jobs,\n% of all devices")
    _finish(panel)


def _drawn(rows: list[Row]) -> list[str]:
    """Policies whose published results are drawn."""
    return list(dict.fromkeys([*(row.policy for row in rows), *REFERENCES]))


def _ours(panel: Any, rows: list[Row], colors: dict[str, str], metric: str, from_percent: int) -> None:
    """Mean over the seeds as a line, their range as a band."""
    seen: dict[str, int] = {}
    several = len({row.manner for row in rows}) > 1
    for row in rows:
        style = STYLES[seen.setdefault(row.policy, 0) % len(STYLES)]
        seen[row.policy] += 1
        xs = [x for x in range(from_percent, 131) if row.values(metric, x)]
        values = [row.values(metric, x) for x in xs]
        name = f"{row.policy}, {row.manner.label}" if several else row.policy
        panel.plot(xs, [_mean(v) for v in values], color=colors[row.policy], ls=style, lw=2, label=name)
        panel.fill_between(
            xs, [min(v) for v in values], [max(v) for v in values], color=colors[row.policy], alpha=0.15, lw=0
        )


def _finish(panel: Any) -> None:
    panel.axvline(100, color="0.85", lw=0.8, zorder=0)
    panel.set_xlabel("devices asked for so far, % of all devices")
    panel.grid(color="0.92", lw=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
