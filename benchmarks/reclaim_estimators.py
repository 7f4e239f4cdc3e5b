"""`make bench-reclaim`: estimates against usage over time, slack against overruns, from past samples only.

Every estimator is swept over its safety knob: margin_milli of `borg` and `window` with several windows and
half-lives, overrun_days of `packhorse`. CSV on standard output; scores as in benchmarks/simulator/limits.py.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.reclaim.estimators import Settings
from packhorse.simulator.limits import Samples, Score, estimated, samples, score
from packhorse.simulator.traces import usage
from packhorse.simulator.traces.broken import Skipped, TraceBroken

DATA: Final = Path(__file__).parent / "data" / "usage"
SHARED: Final = Path(__file__).parent.parent.parent / "shared" / "traces" / "usage"
BAR: Final = 0.01
"""Share of VM-days with an overrun that an administrator is taken to accept."""

MARGINS: Final = (250, 500, 900, 1000, 1100, 1500, 2500, 4000, 9000)
OVERRUN_DAYS: Final = (1, 2, 4, 8, 10, 12, 16, 25, 40, 60, 100, 200, 400, 1000)
HOUR: Final = 3600
DAY: Final = 24 * HOUR
WINDOWS: Final[dict[str, tuple[str, Settings]]] = {
    "borg 1 h": ("borg", Settings(window_s=HOUR, half_life_s=HOUR)),
    "borg 6 h": ("borg", Settings(window_s=6 * HOUR, half_life_s=HOUR)),
    "borg 1 d": ("borg", Settings(window_s=DAY, half_life_s=HOUR)),
    "borg 7 d": ("borg", Settings(window_s=7 * DAY, half_life_s=HOUR)),
    "borg 7 d, slow": ("borg", Settings(window_s=7 * DAY, half_life_s=6 * HOUR)),
    "window peak 6 h": ("window", Settings(window_s=6 * HOUR)),
    "window peak 1 d": ("window", Settings(window_s=DAY)),
    "window peak 7 d": ("window", Settings(window_s=7 * DAY)),
    "window p98 2 d": ("window", Settings(window_s=2 * DAY, percentile_milli=980)),
}
OURS: Final = "packhorse"


class Row(NamedTuple):
    """One estimator at one setting on one set. half: which half of the samples was judged."""

    data: str
    estimator: str
    knob: int
    half: str
    score: Score


def settings() -> Iterator[tuple[str, str, int, Settings]]:
    """What is swept: label, name, knob, settings."""
    for label, (name, base) in WINDOWS.items():
        for margin in MARGINS:
            yield label, name, margin, with_margin(base, margin)
    for days in OVERRUN_DAYS:
        yield OURS, OURS, days, Settings(overrun_days=days)


def with_margin(base: Settings, margin_milli: int) -> Settings:
    """One of WINDOWS with this margin."""
    return Settings(
        margin_milli=margin_milli,
        half_life_s=base.half_life_s,
        window_s=base.window_s,
        percentile_milli=base.percentile_milli,
    )


def halves(told: Samples) -> dict[str, np.ndarray]:
    """Which samples belong to each half: VMs in turn, and whole days before and after the middle."""
    middle = (told.at_us[0] + told.at_us[-1]) // 2
    early = told.at_us < middle
    odd = told.vm % 2 == 0
    return {
        "all": np.ones(len(odd), dtype=np.bool_),
        "odd": odd,
        "even": ~odd,
        "early": early,
        "late": ~early,
    }


def sweep(data: str, told: Samples, only: str) -> Iterator[Row]:
    """Every setting whose label contains `only`, on every half."""
    parts = halves(told)
    for label, name, knob, chosen in settings():
        if only in label:
            found = estimated(told, name, chosen)
            for half, which in parts.items():
                yield Row(data, label, knob, half, score(told, found, which))


def slack_at(rows: Sequence[Row], share: float = BAR) -> Row | None:
    """The row with least slack among those with no more than this share of VM-days with overruns."""
    fit = [row for row in rows if row.score.days_overrun <= share]
    return min(fit, key=lambda row: row.score.slack, default=None)


def judged(rows: Sequence[Row], family: str, fit: str, judge: str) -> tuple[Row, Row] | None:
    """A family's setting with least slack at BAR on one half, and the same setting on the other half."""
    mine = [row for row in rows if row.estimator.startswith(family)]
    best = slack_at([row for row in mine if row.half == fit])
    if best is None:
        return None
    same = (row for row in mine if row.half == judge and (row.estimator, row.knob) == best[1:3])
    return best, next(same)


def files(folder: Path | None) -> list[Path]:
    """Those of the folder, else whole ones where there are, else the slices that come with the sources."""
    places = [folder] if folder else [SHARED, DATA]
    return next((found for place in places if (found := sorted(place.glob("*.csv.gz")))), [])


def main(words: Sequence[str] | None = None) -> int:
    """2 if there is no data, or data that cannot be read."""
    own = argparse.ArgumentParser(
        prog="benchmarks.reclaim_estimators", description=(__doc__ or "").partition("\n")[0]
    )
    own.add_argument(
        "--data", type=Path, help="folder with *.csv.gz (default: ../shared, or what comes along)"
    )
    own.add_argument("--only", default="", help="estimators whose label contains this")
    own.add_argument("--out", type=Path, help="write the rows there, as JSON")
    own.add_argument("--plot", type=Path, help="draw slack against overruns there, as PNG")
    args = own.parse_args(words)
    paths = files(args.data)
    if not paths:
        print(
            f"{args.data or DATA}: no *.csv.gz with usage over time; name a folder by --data", file=sys.stderr
        )
        return 2
    out, rows = csv.writer(sys.stdout), list[Row]()
    out.writerow(("data", "estimator", "knob", *Score._fields))
    for path in paths:
        try:
            told = samples(usage.read(path, Skipped()))
        except TraceBroken as broken:
            print(broken, file=sys.stderr)
            return 2
        for row in sweep(path.name.partition("_")[0], told, args.only):
            rows.append(row)
            if row.half == "all":
                numbers = (round(value, 5) for value in row.score)
                out.writerow((row.data, row.estimator, row.knob, *numbers))
                sys.stdout.flush()
    _summary(rows)
    if args.out:
        _write(rows, paths, args.out)
    if args.plot:
        _plot(rows, args.plot)
    return 0


def _write(rows: Sequence[Row], paths: Sequence[Path], to: Path) -> None:
    """A row a line, under the names of its columns."""
    head = {
        "command": "python -m benchmarks.reclaim_estimators",
        "files": [path.name for path in paths],
        "columns": [*Row._fields[:-1], *Score._fields],
    }
    lines = [json.dumps([*row[:-1], *(round(value, 6) for value in row.score)]) for row in rows]
    to.write_text(json.dumps(head)[:-1] + ', "rows": [\n' + ",\n".join(lines) + "\n]}\n")


def _summary(rows: Sequence[Row]) -> None:
    """The least slack at the bar, and how settings that were chosen on one half do on the other."""
    for data in dict.fromkeys(row.data for row in rows):
        here = [row for row in rows if row.data == data]
        print(f"\n{data}: least slack with at most {BAR:.1%} of VM-days overrun")
        for label in dict.fromkeys(row.estimator for row in here):
            best = slack_at([row for row in here if row.estimator == label and row.half == "all"])
            text = f"knob {best.knob:>5}  {_shown(best.score)}" if best else "none"
            print(f"  {label:<18} {text}")
        print(f"{data}: chosen on one half so, judged on the other")
        for family in ("borg", "window", OURS):
            for fit, judge in (("odd", "even"), ("even", "odd"), ("early", "late")):
                pair = judged(here, family, fit, judge)
                text = (
                    f"{pair[0].estimator}, knob {pair[0].knob}: {_shown(pair[1].score)}" if pair else "none"
                )
                print(f"  {family:<10} {fit:>5} -> {judge:<5} {text}")


def _shown(score: Score) -> str:
    return f"slack {score.slack:.3f}  VM-days {score.days_overrun:.2%}  reclaimed {score.reclaimed:.3f}"


def _plot(rows: Sequence[Row], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    sets = list(dict.fromkeys(row.data for row in rows))
    figure = Figure(figsize=(6.5 * len(sets), 5), layout="constrained")
    for axes, data in zip(np.atleast_1d(figure.subplots(1, len(sets))), sets, strict=True):
        least = 0.5 / next(row.score.n_days for row in rows if row.data == data and row.half == "all")
        for i, label in enumerate(dict.fromkeys(row.estimator for row in rows)):
            mine = [row.score for row in rows if row[:2] == (data, label) and row.half == "all"]
            axes.plot(
                [max(score.days_overrun, least) for score in mine],
                [score.slack for score in mine],
                marker="o" if label == OURS else ".",
                linewidth=2.5 if label == OURS else 1,
                color="black" if label == OURS else f"C{i}",
                linestyle="--" if label.startswith("window") else "-",
                label=label,
            )
        axes.axvline(BAR, color="grey", linewidth=0.8)
        axes.set(xscale="log", title=data, xlabel="VM-days with an overrun", ylabel="slack")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
