"""`packhorse invite NODE`: the one command with which another machine joins this cluster."""

from __future__ import annotations

import argparse
import json
import socket

from packhorse.cli import transport
from packhorse.cli.home import Home
from packhorse.cli.invitation import Invitation
from packhorse.cli.transport import field
from packhorse.scheduler.model.errors import PackhorseError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which node."""
    parser.add_argument("node", metavar="NODE", help="the name the other machine will have here")
    parser.add_argument(
        "--address", default=None, metavar="HOST", help="how it reaches this one (default: as found)"
    )


def run(args: argparse.Namespace) -> int:
    home: Home = args.home
    addresses = json.loads((home.run / "scheduler.addr").read_text()) if home.scheduler_pid() else None
    if addresses is None:
        raise PackhorseError(f"no scheduler runs in {home.root}: packhorse up --listen ADDRESS first")
    host, _, port = str(addresses["grpc"]).rpartition(":")
    if not home.ca.exists():
        raise PackhorseError(
            f"this scheduler listens on {host} only: packhorse down, then packhorse up --listen ADDRESS "
            "with an address that other machines reach"
        )
    if args.address or host in ("0.0.0.0", "[::]"):
        host = args.address or socket.getfqdn()
    token = field(transport.call("AdmitNode", {"node": args.node}), "token")
    invitation = Invitation(args.node, f"{host}:{port}", token, home.ca.read_text())
    if args.json:
        print(json.dumps({"node": args.node, "grpc": invitation.grpc, "invitation": invitation.text()}))
        return 0
    print(f"on the other machine (whoever has this line can join as {args.node}):\n")
    print(f"  packhorse agent --join {invitation.text()}")
    return 0
