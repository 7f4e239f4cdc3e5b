"""`packhorse waste`: what jobs were given and did not use, and what to do about it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, NamedTuple

from packhorse.cli import transport
from packhorse.cli.transport import field, int_field
from packhorse.scheduler.model.errors import BadValue

LOOK_AT = 5
"""Jobs that the report ends with."""

UNITS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


class Resource(NamedTuple):
    """One kind of waste: its fields begin with `name`; so many of the message's units make an hour of it."""

    name: str
    title: str
    unit: str
    hour: int
    counted: str


RESOURCES = (
    Resource("mem", "MEMORY", "GiB-h", 1024 * 3600, "n_mem"),
    Resource("cpu", "CPUS", "CPU-h", 3_600_000, "n_runs"),
    Resource("gpu", "GPUS", "GPU-h", 3_600_000, "n_gpu"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which runs, put together how."""
    parser.add_argument("--since", default="7d", metavar="WHEN", help="12h, 7d, 4w, or a date (default: 7d)")
    parser.add_argument("--by", default="user", choices=("user", "account", "job-name"))
    parser.add_argument(
        "--sort", default="mem", choices=("mem", "cpu", "gpu"), help="whose waste comes first"
    )
    parser.add_argument(
        "--user", default="", metavar="USER,…", help="runs of these (others': administrators)"
    )
    parser.add_argument("--account", default="", metavar="ACCOUNT,…")
    parser.add_argument("--partition", default="", metavar="PARTITION,…")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="most rows (default: 20)")
    parser.add_argument("--csv", action="store_true", help="print the rows as CSV")


def run(args: argparse.Namespace) -> int:
    if args.json and args.csv:
        raise BadValue("--json and --csv exclude each other; give one of them")
    if not 1 <= args.limit <= 10_000:
        raise BadValue(f"--limit {args.limit}: from 1 to 10000")
    request = {
        "sinceUs": since_s(args.since, int(time.time())) * 1_000_000,
        "by": args.by,
        "sort": args.sort,
        "filter": {
            "users": _names(args.user),
            "accounts": _names(args.account),
            "partitions": _names(args.partition),
        },
        "limit": args.limit,
        "jobs": 0 if args.csv else LOOK_AT,
    }
    answer = transport.call("ListWaste", request)
    if args.csv:
        write_csv(args.by, answer)
    else:
        print(json.dumps(answer) if args.json else render(args.by, args.sort, answer))
    return 0


def since_s(text: str, now_s: int) -> int:
    """Seconds since the epoch of `7d` (ago) or of a date as sacct takes it. Raises BadValue."""
    number, unit = text[:-1], text[-1:]
    if number.isdecimal() and number.isascii() and unit in UNITS:
        return max(1, now_s - int(number) * UNITS[unit])
    from packhorse.cli.slurm.when import WhenError, parse_when_s

    try:
        return parse_when_s(text, now_s, past=True)
    except WhenError:
        raise BadValue(
            f'--since "{text}": a number with h, d or w as in 7d, or a date as in 2026-11-21'
        ) from None


def render(by: str, sort: str, answer: dict[str, Any]) -> str:
    """The report for people."""
    total = field(answer, "total", {})
    n_runs = int_field(total, "n_runs")
    whose = field(answer, "user", "")
    window = f"{_when(answer, 'since_us')} to {_when(answer, 'until_us')}"
    lines = [f"ended from {window}: {_n(n_runs, 'run')} of {whose or 'everybody'}"]
    if not n_runs:
        return lines[0]
    shown = [one for one in RESOURCES if one.name != "gpu" or int_field(total, "n_gpu")]
    lines += ["", *_table(by, shown, field(answer, "rows", []), total), ""]
    lines += _unmeasured(shown, total)
    jobs = field(answer, "jobs", [])
    if jobs:
        lines += ["", "to look at first:"]
    for job in jobs:
        lines += _job(sort, job)
    return "\n".join(lines).rstrip("\n")


def write_csv(by: str, answer: dict[str, Any]) -> None:
    """The rows and the total, hours with six digits after the point."""
    import csv

    counts = ("n_runs", "n_wide", "n_mem", "n_mem_measured", "n_cpu_measured", "n_gpu", "n_gpu_measured")
    amounts = [(one, kind) for one in RESOURCES for kind in ("given", "wasted", "unmeasured")]
    head = [f"{one.name}_{kind}_{'gib_h' if one.name == 'mem' else 'h'}" for one, kind in amounts]
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([by.replace("-", "_"), *counts, *head])
    rows = [(field(row, "key", ""), row) for row in field(answer, "rows", [])]
    for key, row in [*rows, ("TOTAL", field(answer, "total", {}))]:
        hours = [f"{int_field(row, f'{one.name}_{kind}') / one.hour:.6f}" for one, kind in amounts]
        out.writerow([key, *[int_field(row, count) for count in counts], *hours])


def _table(by: str, shown: list[Resource], rows: list[dict[str, Any]], total: dict[str, Any]) -> list[str]:
    title = by.replace("-", " ").upper()
    width = max(len(title), 5, *[len(field(row, "key", "") or "(none)") for row in rows])
    head = f"{'':<{width}} {'':>6}" + "".join([f"  {f'{one.title} ({one.unit})':<31}" for one in shown])
    names = f"{title:<{width}} {'RUNS':>6}" + "".join(
        [f"  {'given':>10} {'wasted':>10} {'':>4} {'share':>5}" for _ in shown]
    )
    lines = [head.rstrip(), names]
    lines += [_row(field(row, "key", "") or "(none)", width, shown, row, total) for row in rows]
    lines.append(_row("TOTAL", width, shown, total, total))
    return lines


def _row(key: str, width: int, shown: list[Resource], row: dict[str, Any], total: dict[str, Any]) -> str:
    """wasted is followed by its part of what was given, share is the row's part of all waste."""
    text = f"{key:<{width}} {int_field(row, 'n_runs'):>6}"
    for one in shown:
        digits = _digits(int_field(total, f"{one.name}_given") / one.hour)
        given, wasted = int_field(row, f"{one.name}_given"), int_field(row, f"{one.name}_wasted")
        all_of_it = int_field(total, f"{one.name}_wasted")
        text += (
            f"  {given / one.hour:>10.{digits}f} {wasted / one.hour:>10.{digits}f} {_part(wasted, given):>4} "
            f"{_part(wasted, all_of_it):>5}"
        )
    return text


def _digits(hours: float) -> int:
    """After the point: a small cluster's hours are worth more of them."""
    return 1 if hours >= 100 else 3


def _unmeasured(shown: list[Resource], total: dict[str, Any]) -> list[str]:
    """What the sums do not know of."""
    lines = []
    for one in shown:
        n = int_field(total, one.counted)
        missing = n - int_field(total, f"n_{one.name}_measured")
        if missing:
            hours = int_field(total, f"{one.name}_unmeasured") / one.hour
            lines.append(
                f"{one.title}: {missing} of {_n(n, 'run')} {'was' if missing == 1 else 'were'} not measured "
                f"({hours:.{_digits(hours)}f} {one.unit}, in no column above)"
            )
    wide = int_field(total, "n_wide")
    if wide:
        lines.append(
            f"{_n(wide, 'run')} had several nodes: only the first of each is measured, and counted here"
        )
    if not lines:
        lines.append("all runs were measured")
    return lines


def _job(sort: str, job: dict[str, Any]) -> list[str]:
    one = next(resource for resource in RESOURCES if resource.name == sort)
    sums = field(job, "sum", {})
    hours = int_field(sums, f"{sort}_wasted") / one.hour
    wasted = f"{hours:.{_digits(hours)}f} {one.unit}"
    runs = f"{_n(int_field(sums, 'n_runs'), 'run')}, the last one job {int_field(sums, 'last_job')}"
    lines = [f'  "{field(job, "name", "")}" of {field(job, "user", "")}: {wasted} in {runs}']
    if field(job, "text", ""):
        lines.append(f"    {field(job, 'text', '')}")
    options = field(job, "options", "")
    if options:
        lines.append(f"    sbatch {options}")
    else:
        lines.append("    past runs suggest nothing that is sure enough (packhorse suggest says why)")
    return lines


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _part(some: int, whole: int) -> str:
    return f"{some * 100 / whole:.0f}%" if whole else "-"


def _n(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _when(answer: dict[str, Any], name: str) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(int_field(answer, name) // 1_000_000))
