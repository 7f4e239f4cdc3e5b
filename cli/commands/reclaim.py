"""`packhorse reclaim on|off`: the lending of unused memory, everywhere or for one partition or account."""

from __future__ import annotations

import argparse
import json
import os
import sys

from packhorse.cli import transport
from packhorse.cli.transport import field


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """On or off, and for whom."""
    parser.add_argument("switch", choices=("on", "off"), help="off: nothing new is lent")
    whom = parser.add_mutually_exclusive_group()
    whom.add_argument("--partition", default="", metavar="NAME", help="only for jobs in this partition")
    whom.add_argument("--account", default="", metavar="NAME", help="only for jobs of this account")
    parser.add_argument(
        "--recall", action="store_true", help="with off: take back what is lent now, with grace"
    )


def run(args: argparse.Namespace) -> int:
    if args.recall and args.switch == "on":
        print("packhorse reclaim: --recall goes with off: it takes back what is lent", file=sys.stderr)
        return 2
    request = {
        "on": args.switch == "on",
        "partition": args.partition,
        "account": args.account,
        "recall": args.recall,
        "idempotencyKey": os.urandom(16).hex(),
    }
    outcomes = field(transport.call("SwitchReclaim", request), "outcomes", [])
    if args.json:
        print(json.dumps(outcomes))
        return 0
    whom = "all"
    if args.partition or args.account:
        whom = f"partition {args.partition}" if args.partition else f"account {args.account}"
    print(f"lending of unused memory is {args.switch} for {whom}")
    return 0
