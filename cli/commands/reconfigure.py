"""`packhorse reconfigure`: have the scheduler read its configuration file again."""

from __future__ import annotations

import argparse
import json
import sys

from packhorse.cli.reconfiguring import lines, read_again


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only say what would change, or do it."""
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")


def run(args: argparse.Namespace) -> int:
    answer = read_again(dry_run=args.dry_run)
    problems = answer.get("problems", [])
    if args.json:
        print(json.dumps(answer))
    elif not problems:
        print("\n".join(lines(answer)))
    for problem in problems:
        print(f"packhorse reconfigure: {problem}", file=sys.stderr)
    return 1 if problems else 0
