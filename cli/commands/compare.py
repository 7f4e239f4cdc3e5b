"""`packhorse compare A B`: which of two waiting jobs is ahead, and why."""

from __future__ import annotations

import argparse
import json

from packhorse.cli import transport
from packhorse.cli.jobrefs import parse_job_ref
from packhorse.cli.transport import field


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which two."""
    parser.add_argument("first", metavar="A", help="a job that waits, as in 17")
    parser.add_argument("second", metavar="B", help="another one")


def run(args: argparse.Namespace) -> int:
    """One sentence; with --json every term by itself."""
    request = {"first": parse_job_ref(args.first), "second": parse_job_ref(args.second)}
    answer = transport.call("CompareJobs", request)
    print(json.dumps(answer) if args.json else field(answer, "sentence", ""))
    return 0
