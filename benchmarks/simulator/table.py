"""Runs of several policies side by side as plain text: a row a policy, mean ± deviation over the seeds."""

from __future__ import annotations

from collections.abc import Sequence

from packhorse.simulator.figures import Figure, shown, value, written
from packhorse.simulator.summary import Summary


def table(summaries: Sequence[Summary]) -> str:
    """One block of columns after another for each trace; policies in order of first appearance."""
    blocks = []
    for trace in dict.fromkeys(run.trace for run in summaries):
        runs = [run for run in summaries if run.trace == trace]
        columns = shown(runs)
        title = f"{trace}: {_seeds(runs)}, {runs[0].jobs:,} jobs"
        groups = dict.fromkeys(figure.group for figure in columns)
        blocks.append(
            "\n\n".join(
                [title, *(_block(runs, [f for f in columns if f.group == group]) for group in groups)]
            )
        )
    return "\n\n\n".join(blocks) + "\n" if blocks else ""


def by_policy(runs: Sequence[Summary]) -> dict[str, list[Summary]]:
    """In order of first appearance; the seeds of a policy in order."""
    found: dict[str, list[Summary]] = {}
    for run in runs:
        found.setdefault(run.policy, []).append(run)
    return {policy: sorted(mine, key=lambda run: run.seed) for policy, mine in found.items()}


def _seeds(runs: Sequence[Summary]) -> str:
    seeds = sorted({run.seed for run in runs})
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"mean ± deviation of {len(seeds)} seeds"


def _block(runs: Sequence[Summary], columns: Sequence[Figure]) -> str:
    """Aligned; names to the left, numbers to the right."""
    head = [columns[0].group, *(f"{c.name}, {c.unit}" if c.unit else c.name for c in columns)]
    rows = [
        [policy, *(written(column, value(column, mine)) for column in columns)]
        for policy, mine in by_policy(runs).items()
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in [head, *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)
