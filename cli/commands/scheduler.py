"""`packhorse scheduler`: the scheduler itself, in the foreground."""

from __future__ import annotations

import argparse
import os

from packhorse.cli import daemons
from packhorse.cli.home import Home


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Run, or only check the configuration."""
    parser.add_argument(
        "--config", default=None, metavar="FILE", help="(default: packhorse.toml in the home)"
    )
    parser.add_argument("--check-config", action="store_true", help="check the configuration and exit")


def run(args: argparse.Namespace) -> int:
    home: Home = args.home
    daemons.require_scheduler()
    command = daemons.scheduler_command(home)
    if args.config:
        command += ["--config", args.config]
    if args.check_config:
        command += ["--check-config"]
    if args.json:
        command += ["--json"]
    os.execv(command[0], command)
