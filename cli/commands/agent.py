"""`packhorse agent`: one node's agent, in the foreground."""

from __future__ import annotations

import argparse
import os
import platform

from packhorse.cli import daemons
from packhorse.cli.home import Home


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which node, and what it declares; whatever is not declared is found."""
    parser.add_argument("--node", default=None, metavar="NAME", help="(default: this machine's host name)")
    parser.add_argument("--cpus", metavar="N", help="declare N CPUs instead of those found")
    parser.add_argument("--mem", metavar="MIB", help="declare memory in MiB, or with a unit as in 64G")
    parser.add_argument("--gres", metavar="LIST", help="declare devices, as in gpu:h200:4,fpga:1")
    parser.add_argument("--features", metavar="LIST", help="features that jobs can ask for with --constraint")
    parser.add_argument("--weight", metavar="W", help="nodes of lower weight are filled first (default: 1)")
    parser.add_argument("--inventory", action="store_true", help="print what was found and exit")


def run(args: argparse.Namespace) -> int:
    home: Home = args.home
    node = args.node or platform.node().split(".")[0]
    options = [
        word
        for name in ("cpus", "mem", "gres", "features", "weight")
        if (value := getattr(args, name)) is not None
        for word in (f"--{name}", value)
    ]
    if args.inventory:
        options.append("--inventory")
    if args.json:
        options.append("--json")
    command = daemons.agent_command(home, node, options)
    os.execv(command[0], command)
