"""`packhorse quota [NAME …]`: limits, budgets and quotas of accounts, users and QOS, and what is used of
them."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from packhorse.cli.slurm import table
from packhorse.scheduler.model.tres import format_amount
from packhorse.scheduler.model.units import format_elapsed

Row = dict[str, Any]

FIELDS = (
    "kind",
    "name",
    "user",
    "partition",
    "title",
    "tres",
    "limit",
    "used",
    "in_time",
    "borrowed",
    "lent",
)
NOT_SUMMED = -1
"""Of what each job or user has for itself nothing is added up."""
ENDLESS = 1 << 61
"""Used by something that has no time limit."""
MINUTE_S = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="an account, a user or a QOS; none: all")


def run(args: argparse.Namespace) -> int:
    found = table.fetch("ListQuotas", {"fields": list(FIELDS), "names": args.names})
    if found.unknown:
        names = ", ".join(f'"{name}"' for name in found.unknown)
        where = "no account, user or QOS; `packhorse accounts show` lists them"
        print(f"packhorse quota: {names}: {where}", file=sys.stderr)
        return 1
    rows = found.rows()
    if args.json:
        print(json.dumps({"limits": rows}))
    else:
        print("\n".join(lines(rows, args.names)))
    return 0


def lines(rows: list[Row], names: list[str]) -> list[str]:
    """A line for each limit, under a head."""
    if not rows:
        return ["no limits" + (f" of {', '.join(names)}" if names else "")]
    head = ("WHOSE", "LIMIT", "RESOURCE", "ALLOWED", "USED", "FREE", "BORROWED", "LENT")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    texts = (0, 1, 2)
    return [
        "  ".join(
            cell.ljust(width) if i in texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]


def _cells(row: Row) -> tuple[str, ...]:
    limit, used = row["limit"], row["used"]
    summed = used != NOT_SUMMED
    quota = row["title"] == "Quota"
    return (
        _whose(row),
        row["title"],
        _resource(row),
        _amount(row, limit),
        _amount(row, used) if summed else "-",
        _amount(row, max(limit - used, 0)) if summed else "-",
        _amount(row, row["borrowed"]) if quota else "-",
        _amount(row, row["lent"]) if quota else "-",
    )


def _whose(row: Row) -> str:
    """`chem`, `ann@chem`, `qos normal`."""
    if row["kind"] == "qos":
        return f"qos {row['name']}"
    partition = f"/{row['partition']}" if row["partition"] else ""
    return f"{row['user']}@{row['name']}{partition}" if row["user"] else str(row["name"])


def _resource(row: Row) -> str:
    """`jobs`, `cpu`, `cpu minutes`, `time`."""
    name = str(row["tres"])
    if name == "wall":
        return "time"
    return f"{name} minutes" if row["in_time"] else name or "jobs"


def _amount(row: Row, amount: int) -> str:
    name = str(row["tres"])
    if amount >= ENDLESS:
        return "endless"
    if name == "wall":
        return format_elapsed(amount)
    if not name:
        return str(amount)
    return format_amount(name, amount // MINUTE_S if row["in_time"] else amount)
