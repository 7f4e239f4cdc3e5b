"""The colours of the report: the same for a policy throughout, on a light and on a dark page."""

from __future__ import annotations

from typing import Final

INK: Final = "#1a1f24"
MUTED: Final = "#5b6672"
GRID: Final = "#dfe3e8"
PAPER: Final = "#fdfdfc"
"""Of pictures and, as values of the page's light scheme, of the page."""

POLICIES: Final = ("#0072b2", "#d55e00", "#009e73", "#c0569b", "#b98300", "#45a5dc", "#6a4c93", "#707070")
"""After Okabe and Ito's palette, which the colour-blind can tell apart; light ones darker, for thin lines."""


VARIABLES: Final = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper"} | {
    color: f"--p{i}" for i, color in enumerate(POLICIES)
}

ON_DARK: Final = {
    "--ink": "#e6eaee",
    "--muted": "#9aa5b1",
    "--grid": "#333b44",
    "--paper": "#12161a",
    "--p0": "#4aa8e0",
    "--p1": "#f58b45",
    "--p2": "#2fc79a",
    "--p3": "#e293c3",
    "--p4": "#e8b740",
    "--p5": "#8fd0f5",
    "--p6": "#b294e0",
    "--p7": "#b8b8b8",
}
"""The same variables on a dark page."""


def color(position: int) -> str:
    """Of the policy at that position, on light."""
    return POLICIES[position % len(POLICIES)]


def variable(position: int) -> str:
    """Of the policy at that position, as the page's CSS has it."""
    return f"var(--p{position % len(POLICIES)})"


def scheme(dark: bool) -> str:
    """The variables as CSS."""
    light = {name: color for color, name in VARIABLES.items()}
    return "  ".join(f"{name}: {color};" for name, color in (ON_DARK if dark else light).items())
