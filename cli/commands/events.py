"""`packhorse events JOB`: what happened to a job, event by event, from the log."""

from __future__ import annotations

import argparse
import json
import time

from packhorse.cli import transport
from packhorse.cli.jobrefs import parse_job_ref
from packhorse.cli.transport import field, int_field


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which job."""
    parser.add_argument("job", metavar="JOB", help="a job id, as in 17, or an array task, as in 17_3")


def run(args: argparse.Namespace) -> int:
    answer = transport.call("ListJobEvents", {"job": parse_job_ref(args.job)})
    events = field(answer, "events", [])
    if args.json:
        print(json.dumps(events))
        return 0
    for event in events:
        at = int_field(event, "at_us")
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at // 1_000_000))
        print(
            f"{clock}.{at % 1_000_000 // 1000:03}  {field(event, 'kind', ''):<20} {field(event, 'text', '')}"
        )
    return 0
