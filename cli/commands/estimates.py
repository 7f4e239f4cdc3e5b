"""`packhorse estimates`: how right the estimates of starts were that waiting jobs were told."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from packhorse.cli.transport import call, field, int_field
from packhorse.scheduler.model.units import format_clock

Row = dict[str, Any]

_SUM = ("n", "n_inside", "median_error_s", "median_wait_s", "median_interval_s")
_DAY = ("day_us", "n", "n_inside", "error_s", "wait_s")
_SCORED = ("job_id", "told_at_us", "low_at_us", "median_at_us", "high_at_us", "start_at_us", "nth")

_TITLES = {
    "partition": "by partition",
    "size": "by share of the partition",
    "wait": "by estimated wait",
}

DAYS = 14
"""Shown by default, the last ones."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much is shown."""
    parser.add_argument(
        "--days", type=int, default=DAYS, metavar="N", help=f"last days shown (default {DAYS})"
    )
    parser.add_argument("--latest", type=int, default=0, metavar="N", help="the last N estimates, one by one")


def run(args: argparse.Namespace) -> int:
    found = fetch(max(args.latest, 0))
    if args.json:
        print(json.dumps(found))
    else:
        print("\n".join(lines(found, max(args.days, 0))))
    return 0


def fetch(latest: int) -> Row:
    """The scheduler's answer with every figure in place."""
    reply = call("ListEstimates", {"latest": latest})
    return {
        "n_scored": int_field(reply, "n_scored"),
        "n_inside": int_field(reply, "n_inside"),
        "n_told": int_field(reply, "n_told"),
        "sums": [
            {
                "by": field(row, "by", ""),
                "key": field(row, "key", ""),
                **{name: int_field(row, name) for name in _SUM},
            }
            for row in field(reply, "sums", [])
        ],
        "days": [{name: int_field(row, name) for name in _DAY} for row in field(reply, "days", [])],
        "latest": [
            {
                **{name: int_field(row, name) for name in _SCORED},
                "last": field(row, "last", False),
                "partition": field(row, "partition", ""),
            }
            for row in field(reply, "latest", [])
        ],
    }


def lines(found: Row, days: int) -> list[str]:
    """The figures as text."""
    waiting = f"{found['n_told']} waiting jobs have an estimate"
    if not found["n_scored"]:
        return [f"no job that was told an estimate has started yet; {waiting}"]
    share = _percent(found["n_inside"], found["n_scored"])
    text = [
        f"{found['n_scored']} estimates scored, {share} of the starts inside the 80 % interval; {waiting}",
        "",
        f"{'':<26} {'JOBS':>6} {'INSIDE':>7} {'ERROR':>12} {'WAIT':>12} {'INTERVAL':>12}",
    ]
    by = ""
    for row in found["sums"]:
        if row["by"] != by and row["by"] in _TITLES:
            text.append(_TITLES[row["by"]])
        by = row["by"]
        text.append(_sum_line(_label(row), row))
    text += ["", "ERROR, WAIT and INTERVAL are medians, of the last 2000 estimates of either kind."]
    if days and found["days"]:
        text += ["", f"{'DAY':<12} {'JOBS':>6} {'INSIDE':>7} {'MEAN ERROR':>12} {'MEAN WAIT':>12}"]
        text += [_day_line(row) for row in found["days"][-days:]]
    if found["latest"]:
        text += ["", f"{'JOB':<12} {'TOLD':<19} {'FROM':<19} {'MEDIAN':<19} {'TO':<19} {'START':<19} INSIDE"]
        text += [_scored_line(row) for row in found["latest"]]
    return text


def _label(row: Row) -> str:
    match row["by"]:
        case "all":
            return "first estimates"
        case "again":
            return "later estimates"
        case "size":
            return f"  {row['key']} % and more"
        case "wait":
            return f"  {format_clock(int(row['key']))} and more"
        case _:
            return f"  {row['key']}"


def _sum_line(label: str, row: Row) -> str:
    error, wait, interval = (
        format_clock(row[name]) for name in ("median_error_s", "median_wait_s", "median_interval_s")
    )
    inside = _percent(row["n_inside"], row["n"])
    return f"{label:<26} {row['n']:>6} {inside:>7} {error:>12} {wait:>12} {interval:>12}"


def _day_line(row: Row) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime(row["day_us"] // 1_000_000))
    error, wait = (format_clock(row[name] // max(row["n"], 1)) for name in ("error_s", "wait_s"))
    inside = _percent(row["n_inside"], row["n"])
    return f"{day:<12} {row['n']:>6} {inside:>7} {error:>12} {wait:>12}"


def _scored_line(row: Row) -> str:
    times = " ".join(
        time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(row[name] // 1_000_000))
        for name in ("told_at_us", "low_at_us", "median_at_us", "high_at_us", "start_at_us")
    )
    tolerance = 1_000_000
    inside = row["low_at_us"] - tolerance <= row["start_at_us"] <= row["high_at_us"] + tolerance
    name = f"{row['job_id']}{' (last)' if row['last'] else ''}"
    return f"{name:<12} {times} {'yes' if inside else 'no'}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "-"
