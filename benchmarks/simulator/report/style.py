"""How plots look: one colour for each policy throughout, on a light and on a dark page, and as pictures."""

from __future__ import annotations

import io
import re
from typing import Any, Final

import matplotlib
from matplotlib.figure import Figure

from packhorse.simulator.report import colors

LINES: Final = ("-", (0, (5, 1.5)), (0, (1.2, 1)), (0, (5, 1, 1.2, 1)))
"""The policies after the eighth have the colours again in another line."""

WIDTH: Final = 9.6
"""Of a plot, inches."""

_SETTINGS: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "svg.hashsalt": "packhorse",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": colors.INK,
    "axes.labelcolor": colors.MUTED,
    "axes.edgecolor": colors.MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "grid.color": colors.GRID,
    "grid.linewidth": 0.6,
    "text.color": colors.INK,
    "xtick.color": colors.MUTED,
    "ytick.color": colors.MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.visible": False,
    "ytick.minor.visible": False,
    "legend.frameon": False,
    "figure.facecolor": colors.PAPER,
    "savefig.facecolor": colors.PAPER,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "butt",
}


def settings() -> Any:
    """A context within which plots are made and saved."""
    matplotlib.use("Agg")
    return matplotlib.rc_context(_SETTINGS)  # type: ignore[arg-type]


def figure(height: float) -> Figure:
    """An empty one of the page's width."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def line(position: int) -> Any:
    """Of the policy at that position, as matplotlib says it."""
    return LINES[position // len(colors.POLICIES) % len(LINES)]


def legend(of: Figure, panel: Any) -> None:
    """Above the panels, so that it covers nothing."""
    handles, labels = panel.get_legend_handles_labels()
    of.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=len(labels) if len(labels) <= 6 else -(-len(labels) // 2),
        fontsize=8.5,
        handlelength=2.4,
    )


def arrange(of: Figure) -> None:
    """Once, since that takes as long as saving it."""
    engine = of.get_layout_engine()
    if engine is not None:
        engine.execute(of)
        of.set_layout_engine("none")


def picture(of: Figure) -> bytes:
    """As PNG, the same bytes for the same plot."""
    out = io.BytesIO()
    of.savefig(out, format="png", dpi=150, metadata={"Software": None})
    return out.getvalue()


def inline(of: Figure, name: str) -> str:
    """As SVG for a page: its colours are the page's variables, its font is the page's. name: letters, unlike
    that of any other plot of the page, since ids are prefixed with it.
    """
    out = io.StringIO()
    of.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:xmlns(?::\w+)?|version)="[^"]*"', "", text)
    text = re.sub(r'^<svg [^>]*?(viewBox="[^"]*")[^>]*>', r'<svg class="plot" role="img" \1>', text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text).replace("xlink:href", "href")
    text = text.replace("font-family: 'DejaVu Sans'", "font-family: var(--font)")
    text = re.sub(r'\bd="([^"]*)"', _short, text)
    text = re.sub(r"\n\s*", "\n", text)
    return re.sub(r"#[0-9a-f]{6}\b", _variable, text)


def _short(match: re.Match[str]) -> str:
    """A path with hundredths of a point, and without spaces that say nothing."""
    numbers = re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), match[1])
    path = re.sub(r"\s?([A-Za-z])\s?", r"\1", numbers.replace("\n", ""))
    return f'd="{path}"'


def _variable(match: re.Match[str]) -> str:
    name = colors.VARIABLES.get(match[0])
    return f"var({name})" if name else match[0]
