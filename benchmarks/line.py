"""One line of the table of numbers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Line:
    """A measured figure against what is wanted. better: "more" or "less"; samples: how many measurements."""

    what: str
    value: float
    unit: str
    better: str
    bar: float
    goal: float
    samples: int = 1
    note: str = ""
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """ "goal", "bar" or "below"."""
        if self._reaches(self.goal):
            return "goal"
        return "bar" if self._reaches(self.bar) else "below"

    def _reaches(self, wanted: float) -> bool:
        return self.value >= wanted if self.better == "more" else self.value <= wanted

    def row(self) -> str:
        """As a row of a Markdown table."""
        sign = "≥" if self.better == "more" else "≤"
        return (
            f"| {self.what} | {_figure(self.value)} {self.unit} | {sign} {_figure(self.bar)} | "
            f"{sign} {_figure(self.goal)} | {self.verdict} | {self.note} |"
        )


def _figure(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
