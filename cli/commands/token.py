"""`packhorse token`: a short-lived token for calls over TCP, given to whoever the kernel says is asking."""

from __future__ import annotations

import argparse
import json

from packhorse.cli import transport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How long it is to be good for."""
    parser.add_argument("--valid", type=int, default=0, metavar="SECONDS", help="(default: the scheduler's)")


def run(args: argparse.Namespace) -> int:
    answer = transport.call("IssueToken", {"validS": args.valid})
    print(json.dumps(answer) if args.json else answer["token"])
    return 0
