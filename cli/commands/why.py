"""`packhorse why JOB`: why it waits and what would start it; why it is where it is; how it ended."""

from __future__ import annotations

import argparse
import json

from packhorse.cli import transport
from packhorse.cli.jobrefs import parse_job_ref
from packhorse.cli.slurm import why_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which job."""
    parser.add_argument("job", metavar="JOB", help="a job id, as in 17, or an array task, as in 17_3")


def run(args: argparse.Namespace) -> int:
    answer = transport.call("ExplainJob", {"job": parse_job_ref(args.job)})
    print(json.dumps(answer) if args.json else "\n".join(why_text.lines(answer)))
    return 0
