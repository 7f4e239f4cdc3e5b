"""What the page says of one trace: tables and plots in the order in which questions come up."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

from matplotlib.figure import Figure

from packhorse.simulator.outcome import Outcome
from packhorse.simulator.report import gantt_plot, html, over_time, plots, style, tables
from packhorse.simulator.report.curves import INTERVALS, MEANS
from packhorse.simulator.report.material import Material, material
from packhorse.simulator.summary import Summary

BAND: Final = (
    f"Line: mean of each of {MEANS} intervals. Band: from the least to the greatest value in each of "
    f"{INTERVALS}, so that no moment is hidden."
)


class Section(NamedTuple):
    """links: id and name of its parts. pictures: PNG by name."""

    html: str
    links: list[tuple[str, str]]
    pictures: dict[str, bytes]


def section(trace: str, summaries: Sequence[Summary], outcomes: Sequence[Outcome], prefix: str) -> Section:
    """prefix: of its ids and pictures, where the page has several traces; else empty."""
    of = material(trace, summaries, outcomes)
    made = _Maker(of, prefix)
    with style.settings():
        made.heading("results", "Results", _lead(of))
        made.add(tables.figures(of))
        made.heading("waits", "Waiting", "")
        made.plot(
            "waits",
            plots.waits(of),
            "Left: what part of the jobs waits at most so long. Right: what part "
            "waits longer, so that the few that wait longest can be told apart.",
        )
        made.add(f"<h3>Longest waits</h3>{tables.longest_waits(of)}")
        made.add(f"<h3>By class of job</h3>{tables.classes(of)}")
        if len(of.runs) > 1:
            _against(made, of)
        made.heading("cluster", "The cluster over time", "")
        made.plot("utilisation", over_time.utilisation(of), BAND)
        made.plot("queue", over_time.queue(of), BAND)
        made.plot(
            "gantt",
            gantt_plot.plot(of),
            f"Around the longest queue under {of.policies[0]}. A bar is a job, "
            "as high as the job is wide; its colour tells how much longer than its run it took.",
        )
    return Section("\n".join(made.parts), made.links, made.pictures)


class _Maker:
    """The parts of a section as they come."""

    def __init__(self, of: Material, prefix: str) -> None:
        self._prefix = f"{prefix}-" if prefix else ""
        self._of = of
        self.parts: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.pictures: dict[str, bytes] = {}

    def heading(self, name: str, text: str, lead: str) -> None:
        trace = f" · {escape(self._of.trace)}" if self._prefix else ""
        self.parts.append(f'<h2 id="{self._prefix}{name}">{escape(text)}{trace}</h2>{lead}')
        self.links.append((f"{self._prefix}{name}", f"{text}, {self._of.trace}" if trace else text))

    def add(self, part: str) -> None:
        self.parts.append(part)

    def plot(self, name: str, figure: Figure | None, caption: str) -> None:
        if figure is None:
            return
        label = f"{name} of {', '.join(self._of.policies)} on {self._of.trace}"
        style.arrange(figure)
        inline = style.inline(figure, f"{self._prefix}{name}")
        self.parts.append(html.plot(inline, caption, label))
        self.pictures[f"{self._prefix}{name}"] = style.picture(figure)


def _lead(of: Material) -> str:
    runs = [run for mine in of.runs.values() for run in mine]
    seeds = sorted({run.seed for run in runs})
    outcome = of.outcomes[0]
    said = f"{len(outcome.jobs):,} jobs, {outcome.capacity_milli / 1000:,g} CPUs"
    said += f", {outcome.capacity_gpus:,} GPUs" if outcome.capacity_gpus else ""
    if len(seeds) > 1:
        said += f"; mean ± standard deviation over {len(seeds)} seeds, plots are of seed {outcome.seed}"
    else:
        said += f"; seed {outcome.seed}"
    how = "The best of a row is shaded. Elsewhere a click on the head of a column sorts."
    return f'<p class="note">{escape(said)}. {how}</p>'


def _against(made: _Maker, of: Material) -> None:
    base = of.policies[0]
    made.heading(
        "against",
        f"Against {base}",
        f'<p class="note">{escape(f"Turnaround of each job compared with its turnaround under {base}.")}</p>',
    )
    if of.changes:
        made.add(tables.changes(of))
    made.plot(
        "gains",
        plots.gains(of),
        "Where a line crosses 0, the jobs to the left end sooner, those to the right "
        "end later; the axis is linear within a minute of 0 and logarithmic beyond.",
    )
    made.add(tables.people(of))
    made.plot(
        "classes",
        plots.by_class(of),
        "Blue: shorter, orange: longer, full colour from a factor of four. "
        "Heavy users ask for the first half of all work, light ones for the last tenth.",
    )
