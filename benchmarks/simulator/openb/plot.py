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
        published = any(row.published for row in rows)
        _allocation(left, rows, colors, openb.published_curves(data, variant) if published else {})
        _fragmentation(
            right,
            rows,
            colors,
            openb.published_means(data, variant, "frag_pct_of_capacity") if published else {},
        )
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


def _allocation(
    panel: Any, rows: list[Row], colors: dict[str, str], published: dict[str, list[openb.Curve]]
) -> None:
    _ours(panel, rows, colors, "alloc_pct", FROM_PERCENT)
    for policy in dict.fromkeys([*(row.policy for row in rows), *REFERENCES]):
        curves = published.get(policy, [])
        xs = sorted({x for curve in curves for x in curve.mean if x >= FROM_PERCENT})
        if not xs:
            continue
        ys = [_mean([curve.mean[x] for curve in curves if x in curve.mean]) for x in xs]
        panel.plot(
            xs, ys, color=colors[policy], ls=(0, (4, 3)), lw=1.2, label=f"{policy}, published (2 seeds)"
        )
    heights = [y for line in panel.lines for x, y in zip(*line.get_data(), strict=True) if x >= 100]
    if heights:
        panel.set_ylim(max(0.0, min(heights) - BELOW), min(100.0, max(heights) + 0.6))
    panel.axvline(100, color="0.85", lw=0.8, zorder=0)
    panel.set_xlim(FROM_PERCENT, 130)
    panel.set_ylabel("% of all devices")
    _finish(panel)


def _fragmentation(
    panel: Any, rows: list[Row], colors: dict[str, str], published: dict[str, openb.Curve]
) -> None:
    _ours(panel, rows, colors, "frag_pct_of_capacity", 0)
    for policy in dict.fromkeys([*(row.policy for row in rows), *REFERENCES]):
        if policy in published:
            points = sorted(published[policy].mean.items())
            panel.plot(
                *zip(*points, strict=True), color=colors[policy], ls=(0, (4, 3)), lw=1.2, marker="o", ms=3
            )
    panel.axvline(100, color="0.85", lw=0.8, zorder=0)
    panel.set_xlim(0, 130)
    panel.set_ylim(bottom=0)
    panel.set_ylabel("free but of no use to typical jobs, % of all devices")
    _finish(panel)


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
    panel.set_xlabel("devices asked for so far, % of all devices")
    panel.grid(color="0.92", lw=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
