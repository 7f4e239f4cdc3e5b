"""`packhorse loans`: memory that is lent and was, by loan or summed up by user or account."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from packhorse.cli.slurm import table
from packhorse.scheduler.model.units import format_mem_mib

Row = dict[str, Any]

GIB_HOUR = 1024 * 3600
"""In MiB seconds."""

SUMS = ("node", "user", "account")

_WHOSE = {
    "job": "loans of this job, to it or from it",
    "user": "of jobs of this user",
    "account": "of jobs of this account",
    "node": "on this node",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which loans, and how they are shown."""
    parser.add_argument("--live", action="store_true", help="only what is lent now")
    parser.add_argument(
        "--since", metavar="TIME", help="not over before then: 2026-11-28T13:00, today, now-2hours"
    )
    for name, meaning in _WHOSE.items():
        kind = int if name == "job" else str
        parser.add_argument(f"--{name}", type=kind, action="append", default=[], metavar="X", help=meaning)
    parser.add_argument("--by", choices=SUMS, help="sums instead of loans")


def run(args: argparse.Namespace) -> int:
    from packhorse.cli.slurm.when import WhenError

    try:
        rows = fetch(args)
    except WhenError as error:
        print(f"packhorse loans: --since {args.since}: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps({"loans": rows, "sums": sums(rows, args.by) if args.by else []}))
    elif args.by:
        print("\n".join(sum_lines(sums(rows, args.by), args.by)))
    else:
        print("\n".join(loan_lines(rows)))
    return 0


def fetch(args: argparse.Namespace) -> list[Row]:
    """The loans that are wanted, in order of their beginnings."""
    request: Row = {
        "jobs": [{"jobId": id} for id in args.job],
        "users": args.user,
        "accounts": args.account,
        "nodes": args.node,
        "liveOnly": args.live,
    }
    if args.since:
        from packhorse.cli.slurm.when import parse_when_s

        request["sinceUs"] = parse_when_s(args.since, int(time.time())) * 1_000_000
    return table.fetch("ListLoans", request).rows()


def loan_lines(rows: list[Row]) -> list[str]:
    """A line for each loan."""
    if not rows:
        return ["no loans"]
    head = f"{'NODE':<12} {'LENDER':>8} {'OF':<10} {'BORROWER':>8} {'OF':<10} {'MEMORY':>8} {'SINCE':<19}"
    lines = [f"{head} {'GIB-HOURS':>9}  END"]
    for row in rows:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["since_at"] // 1_000_000))
        lines.append(
            f"{row['node']:<12} {row['lender']:>8} {row['lender_user']:<10} {row['borrower']:>8} "
            f"{row['borrower_user']:<10} {format_mem_mib(row['mem_mib']):>8} {since:<19} "
            f"{_gib_hours(row['mib_seconds']):>9}  {row['outcome'] or 'lent now'}"
        )
    return lines


def sums(rows: list[Row], by: str) -> list[Row]:
    """What each lent and borrowed in all, and how often a job of it was stopped for that; by name."""
    found: dict[str, Row] = {}
    victims: dict[str, set[tuple[int, int]]] = {}
    for row in rows:
        names = (row["node"],) * 2 if by == "node" else (row[f"lender_{by}"], row[f"borrower_{by}"])
        for name, what in zip(names, ("lent", "borrowed"), strict=True):
            total = found.setdefault(name, {by: name, "lent": 0, "borrowed": 0, "victims": 0})
            total[what] += row["mib_seconds"]
        if row["outcome"] == "taken_back":
            victims.setdefault(names[1], set()).add((row["borrower"], row["borrower_attempt"]))
    for name, jobs in victims.items():
        found[name]["victims"] = len(jobs)
    return [found[name] for name in sorted(found)]


def sum_lines(rows: list[Row], by: str) -> list[str]:
    """The sums as a table."""
    if not rows:
        return ["no loans"]
    lines = [f"{by.upper():<16} {'LENT GIB-H':>12} {'BORROWED GIB-H':>15} {'STOPPED JOBS':>13}"]
    for row in rows:
        lent, borrowed = _gib_hours(row["lent"]), _gib_hours(row["borrowed"])
        lines.append(f"{row[by] or '-':<16} {lent:>12} {borrowed:>15} {row['victims']:>13}")
    return lines


def _gib_hours(mib_seconds: int) -> str:
    return f"{mib_seconds / GIB_HOUR:.2f}"
