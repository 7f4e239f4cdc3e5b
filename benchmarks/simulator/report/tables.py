"""The tables of the page: figures, who gains and who loses, classes, the longest waits."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np

from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.figures import Better, Figure, shown, value, written
from packhorse.simulator.metrics.fairness import Change, Party
from packhorse.simulator.metrics.slowdown import Spread, bounded_slowdown
from packhorse.simulator.report import html
from packhorse.simulator.report.axes import duration
from packhorse.simulator.report.html import Cell, Head
from packhorse.simulator.report.material import Material
from packhorse.simulator.summary import ClassOfJobs

LONGEST: Final = 20
"""Waits."""

AS_GOOD: Final = 1e-9
"""Relative; figures so close are equally good."""


def figures(of: Material) -> str:
    """A row for each figure, a column for each policy; the best is marked where there is more than one."""
    runs = [run for mine in of.runs.values() for run in mine]
    rows: list[list[Cell]] = []
    group = ""
    for figure in shown(runs):
        if figure.group != group:
            group = figure.group
            rows.append([Cell(group.capitalize())])
        name = f"{figure.name}, {figure.unit}" if figure.unit else figure.name
        rows.append([Cell(name, hint=figure.hint), *_values(of, figure)])
    return html.table(
        [Head(""), *(Head(policy, color=i) for i, policy in enumerate(of.runs))], rows, sortable=False
    )


def _values(of: Material, figure: Figure) -> list[Cell]:
    found = [value(figure, mine) for mine in of.runs.values()]
    means = [each.mean for each in found if each is not None]
    best = None
    if figure.better is not Better.NEITHER and len(means) > 1 and max(means) > min(means):
        best = min(means) if figure.better is Better.LOWER else max(means)
    return [
        Cell(
            written(figure, each),
            each.mean,
            best is not None and abs(each.mean - best) <= AS_GOOD * abs(best),
        )
        if each is not None
        else Cell("–")
        for each in found
    ]


def changes(of: Material) -> str:
    """Of each policy against the first."""
    heads = [
        Head("policy"),
        Head("jobs better off"),
        Head("worse off"),
        Head("as before"),
        Head("gained", "job-h", "sum over the jobs that end sooner"),
        Head("lost", "job-h", "sum over the jobs that end later"),
        Head("users who gain", "", "whose jobs take less long in all"),
        Head("users who lose", "", "whose jobs take longer in all"),
    ]
    rows = [
        [
            Cell(policy, color=i),
            *(Cell(f"{n:,}", n) for n in (found.better, found.worse, found.same)),
            *(Cell(f"{h:,.1f}", h) for h in (found.gained_h, found.lost_h)),
            *(Cell(f"{n:,}", n) for n in (found.users_better, found.users_worse)),
        ]
        for i, (policy, found) in enumerate(zip(of.policies[1:], of.changes, strict=True), 1)
    ]
    return html.table(heads, rows)


def people(of: Material) -> str:
    """Of each policy who loses and who gains most."""
    return html.folds(
        html.folded(
            f"{html.policy(policy, i)}: who loses and who gains most",
            f'<div class="two"><div><h4>lose</h4>{_parties(found.losers)}</div>'
            f"<div><h4>gain</h4>{_parties(found.gainers)}</div></div>",
        )
        for i, (policy, found) in enumerate(zip(of.policies[1:], of.changes, strict=True), 1)
        if _named(found)
    )


def _named(found: Change) -> bool:
    return any(party.name for party in (*found.losers, *found.gainers))


def _parties(parties: Sequence[Party]) -> str:
    if not parties:
        return '<p class="note">nobody</p>'
    heads = [Head("user"), Head("jobs"), Head("in all", "h"), Head("mean of a job", "h")]
    return html.table(
        heads,
        [
            [
                Cell(party.name or "(no name)"),
                Cell(f"{party.n:,}", party.n),
                Cell(_signed(party.sum_h), party.sum_h),
                Cell(_signed(party.mean_h), party.mean_h),
            ]
            for party in parties
        ],
    )


def _signed(hours: float) -> str:
    return f"{hours:+,.2f}".replace("-", "−")


def classes(of: Material) -> str:
    """Of each policy, of its first seed."""
    return html.folds(
        html.folded(html.policy(policy, i), _classes([*run.by_size, *run.by_run, *run.by_user]))
        for i, (policy, mine) in enumerate(of.runs.items())
        for run in mine[:1]
    )


def _classes(found: Sequence[ClassOfJobs]) -> str:
    heads = [Head("jobs"), Head("how many")]
    heads += [Head(f"wait {part}") for part in ("mean", "median", "p95", "max")]
    heads += [Head(f"slowdown {part}") for part in ("mean", "p95", "max")]
    return html.table(
        heads,
        [
            [
                Cell(each.name),
                Cell(f"{each.n:,}", each.n),
                *_parts(each.wait_s, ("mean", "median", "p95", "max"), seconds=True),
                *_parts(each.slowdown, ("mean", "p95", "max"), seconds=False),
            ]
            for each in found
        ],
    )


def _parts(found: Spread | None, parts: Sequence[str], *, seconds: bool) -> list[Cell]:
    if found is None:
        return [Cell("–") for _ in parts]
    numbers = [float(getattr(found, part)) for part in parts]
    return [Cell(duration(n) if seconds else f"{n:,.2f}", n) for n in numbers]


def longest_waits(of: Material) -> str:
    """Of each policy the jobs that waited longest, and those that never began first of all."""
    return html.folds(
        html.folded(
            f"{html.policy(policy, i)}{_longest(of, i)}",
            _waits(of, i),
        )
        for i, policy in enumerate(of.policies)
    )


def _order(of: Material, position: int) -> np.ndarray:
    wait = np.where(np.isnan(of.spent[position].wait), np.inf, of.spent[position].wait)
    return np.argsort(-wait, kind="stable")[:LONGEST]


def _longest(of: Material, position: int) -> str:
    waits = of.spent[position].wait
    known = waits[~np.isnan(waits)]
    never = int(np.isnan(waits).sum())
    text = f"longest wait {duration(float(known.max()))}" if known.size else ""
    text += f"{', ' if text else ''}{never:,} never started" if never else ""
    return f' <span class="note">{escape(text)}</span>'


def _waits(of: Material, position: int) -> str:
    slow = bounded_slowdown(of.spent[position])
    jobs = of.outcomes[position].jobs
    unit = "GPUs" if of.gpus else "CPUs"
    size = of.of.gpu_milli if of.gpus else of.of.cpu_milli
    heads = [
        Head("job"),
        Head("user"),
        Head(unit),
        Head("submitted", "h"),
        Head("ran"),
        Head("waited"),
        Head("slowdown"),
    ]
    rows = []
    for i in _order(of, position).tolist():
        spent = [float(values[i]) for values in (of.spent[position].run, of.spent[position].wait, slow)]
        submitted = (int(of.of.submit_us[i]) - of.within.start_us) / 3.6e9
        rows.append(
            [
                Cell(jobs[i].id),
                Cell(jobs[i].user or "(no name)"),
                Cell(f"{size[i] / WHOLE:g}", float(size[i])),
                Cell(f"{submitted:,.2f}", submitted),
                *(Cell(duration(s), s) if s == s else Cell("never") for s in spent[:2]),
                Cell(f"{spent[2]:,.2f}", spent[2]) if spent[2] == spent[2] else Cell("–"),
            ]
        )
    return html.table(heads, rows)
