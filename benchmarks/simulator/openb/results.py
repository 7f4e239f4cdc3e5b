"""What runs came to: means over seeds beside the published ones, as a table, JSON and files of placements."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from packhorse.simulator.openb.run import Manner, Outcome, Placed
from packhorse.simulator.traces import openb

if TYPE_CHECKING:
    from packhorse.simulator.openb.plan import Job

POINTS = (100, 130)
"""Arrived percents that the table shows."""

METRICS = ("alloc_pct", "frag_pct_of_capacity", "frag_pct_of_idle")


class Row(NamedTuple):
    """The runs of one policy on one variant in one manner, by seed.

    published: of this policy, by metric; fgd: of FGD, by metric. Empty where the nodes are not the published.
    """

    variant: str
    policy: str
    manner: Manner
    runs: dict[int, Outcome]
    published: dict[str, openb.Curve]
    fgd: dict[str, openb.Curve]

    def mean(self, metric: str, x: int) -> float | None:
        """Over the seeds."""
        values = self.values(metric, x)
        return statistics.fmean(values) if values else None

    def sd(self, metric: str, x: int) -> float | None:
        """Sample deviation; None of a single seed."""
        values = self.values(metric, x)
        return statistics.stdev(values) if len(values) > 1 else None

    def values(self, metric: str, x: int) -> list[float]:
        """Of the seeds that have one."""
        curves: list[dict[int, float]] = [getattr(run, metric) for run in self.runs.values()]
        return [curve[x] for curve in curves if x in curve]


def rows(done: list[tuple[Job, Outcome]], data: Path) -> list[Row]:
    """In the order in which the jobs were asked for."""
    grouped: dict[tuple[str, str, Manner], dict[int, Outcome]] = {}
    published: dict[tuple[str, str], dict[str, openb.Curve]] = {}
    for job, outcome in done:
        grouped.setdefault((job.variant, job.policy, job.manner), {})[job.seed] = outcome
        if job.nodes is None and (job.variant, job.policy) not in published:
            curves = {m: openb.published_means(data, job.variant, m) for m in METRICS}
            for policy in (job.policy, "fgd"):
                found = {m: by_policy[policy] for m, by_policy in curves.items() if policy in by_policy}
                published[job.variant, policy] = found
    return [
        Row(*key, runs, published.get(key[:2], {}), published.get((key[0], "fgd"), {}))
        for key, runs in grouped.items()
    ]


# ---------------------------------------------------------------------------------------------- for people


def table(found: list[Row]) -> str:
    """One line for each row; means ± deviation over the seeds.

    diff, vs FGD: from what was published of the same policy, and of FGD.
    """
    head = ["variant", "policy", "manner", "seeds"]
    for x in POINTS:
        head += [f"alloc % at {x}", "published", "diff", "vs FGD"]
    head += ["frag %", "published", "GPUs left", "waiting", "decisions/s"]
    lines = [head, *(_cells(row) for row in found)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    left = 3
    out = []
    for line in lines:
        cells = [
            c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ]
        out.append("  ".join(cells).rstrip())
    out.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(out)


def _cells(row: Row) -> list[str]:
    cells = [row.variant, row.policy, row.manner.label, str(len(row.runs))]
    for x in POINTS:
        mean, published = row.mean("alloc_pct", x), _at(row.published, "alloc_pct", x)
        differences = [
            _number(None if mean is None or other is None else mean - other, sign=True)
            for other in (published, _at(row.fgd, "alloc_pct", x))
        ]
        cells += [_plus_minus(mean, row.sd("alloc_pct", x)), _number(published), *differences]
    last = POINTS[-1]
    cells += [
        _number(row.mean("frag_pct_of_capacity", last)),
        _number(_at(row.published, "frag_pct_of_capacity", last)),
    ]
    cells.append(f"{statistics.fmean(run.unallocated_devices for run in row.runs.values()):.0f}")
    waiting = statistics.fmean(run.n_waiting for run in row.runs.values())
    cells.append(f"{waiting:.0f}" if row.manner.queue else "")
    cells.append(f"{statistics.median(run.decisions_per_s for run in row.runs.values()):,.0f}")
    return cells


def _at(curves: dict[str, openb.Curve], metric: str, x: int) -> float | None:
    return curves[metric].mean.get(x) if metric in curves else None


def _plus_minus(mean: float | None, sd: float | None) -> str:
    return _number(mean) + ("" if sd is None else f" ± {sd:.2f}")


def _number(value: float | None, *, sign: bool = False) -> str:
    return "" if value is None else f"{value:+.2f}" if sign else f"{value:.2f}"


# --------------------------------------------------------------------------------------------- for programs


def as_json(found: list[Row], about: dict[str, Any]) -> str:
    """Everything, curves included. about: command, versions and what else belongs to the whole."""
    return json.dumps(about | {"rows": [_row(row) for row in found]}, indent=1) + "\n"


def _row(row: Row) -> dict[str, Any]:
    return {
        "variant": row.variant,
        "policy": row.policy,
        "mode": "queue" if row.manner.queue else "online",
        "mix": "seen" if row.manner.seen else "known",
        "every": row.manner.every,
        "hold": row.manner.hold._asdict() if row.manner.hold else None,
        "mean": {m: _by_x(row, m) for m in METRICS},
        "published_mean": {
            m: {str(x): y for x, y in curve.mean.items()} for m, curve in row.published.items()
        },
        "runs": [{"seed": seed} | _run(run) for seed, run in row.runs.items()],
    }


def _by_x(row: Row, metric: str) -> dict[str, dict[str, float | None]]:
    both = {str(x): (row.mean(metric, x), row.sd(metric, x)) for x in POINTS}
    return {x: {"mean": mean, "sd": sd} for x, (mean, sd) in both.items()}


def _run(run: Outcome) -> dict[str, Any]:
    fields = run._asdict()
    del fields["placed"]
    for metric in METRICS:
        fields[metric] = {str(x): round(y, 4) for x, y in fields[metric].items()}
    fields["decisions_per_s"] = round(run.decisions_per_s)
    return fields


def write_placements(folder: Path, job: Job, placed: list[Placed]) -> None:
    """One line for each placed pod, in the order of placing."""
    folder.mkdir(parents=True, exist_ok=True)
    with placements_file(folder, job).open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["pos", "row", "node", "devices"])
        for pod in placed:
            writer.writerow([pod.position, pod.row, pod.node, ";".join(map(str, pod.devices))])


def placements_file(folder: Path, job: Job) -> Path:
    """`VARIANT_POLICY_MANNER_sSEED.csv`; the manner is left out where it is online with a known mix."""
    words = [] if job.manner == Manner() else [job.manner.label.replace(", ", "-").replace(" ", "-")]
    return folder / f"{'_'.join([job.variant, job.policy, *words])}_s{job.seed}.csv"
