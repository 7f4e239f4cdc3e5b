"""`packhorse agent`: one node's agent, in the foreground."""

from __future__ import annotations

import argparse
import os
import platform

from packhorse.cli import daemons
from packhorse.cli.home import Home
from packhorse.cli.invitation import Invitation

PROGRAMS = ("prolog", "epilog", "prolog-timeout", "health-check", "health-interval")
"""The site's own, which `packhorse up` has under the same names."""

DECLARATIONS = (
    "cpus",
    "mem",
    "gres",
    "gpu-mem",
    "gpu-link-groups",
    "gpu-layouts",
    "gpu-peak-gflops",
    "topology",
    "features",
    "weight",
    *PROGRAMS,
    "bind",
    "pids",
    "cgroups",
)
"""What can be said of a node and its programs; the agent's process takes the same options."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which node, and what it declares; whatever is not declared is found."""
    parser.add_argument(
        "--node", default=None, metavar="NAME", help="(default: as invited, else the host name)"
    )
    parser.add_argument("--cpus", metavar="N", help="declare N CPUs instead of those found")
    parser.add_argument("--mem", metavar="MIB", help="declare memory in MiB, or with a unit as in 64G")
    parser.add_argument("--gres", metavar="LIST", help="declare devices, as in gpu:h200:4,fpga:1")
    parser.add_argument("--gpu-mem", metavar="SIZE", help="memory of each declared GPU, as in 141G")
    parser.add_argument(
        "--gpu-link-groups",
        metavar="N",
        help="the declared GPUs are N equal groups, with fast links (NVLink) and a NUMA node for each",
    )
    parser.add_argument(
        "--gpu-layouts",
        metavar="LIST",
        help="ways to cut each declared GPU into slices, as in 7x1g.18gb|1x4g.71gb+1x3g.71gb",
    )
    parser.add_argument(
        "--gpu-peak-gflops",
        metavar="LIST",
        help="what the GPUs can compute at best, where the table is wrong: 989400, or h200=989400,l4=121000",
    )
    parser.add_argument(
        "--topology", metavar="PATH", help="where the node stands, from the top down, as in rack1/switch2"
    )
    parser.add_argument("--features", metavar="LIST", help="features that jobs can ask for with --constraint")
    parser.add_argument("--weight", metavar="W", help="nodes of lower weight are filled first (default: 1)")
    add_programs(parser)
    parser.add_argument(
        "--bind",
        choices=("none", "cores"),
        help="cores (default): every job runs on processors of its own, unless more are declared than found",
    )
    parser.add_argument(
        "--pids",
        metavar="N",
        help="processes and threads a job may have, 0: no limit (default: 2048, or 512 per CPU)",
    )
    parser.add_argument(
        "--cgroups",
        choices=("auto", "v2", "v1", "none"),
        help="use this version of control groups only, or none (default: auto)",
    )
    parser.add_argument("--join", metavar="INVITATION", help="join the cluster that packhorse invite named")
    parser.add_argument("--inventory", action="store_true", help="print what was found and exit")


def add_programs(parser: argparse.ArgumentParser) -> None:
    """A site's own programs. For what is not given the environment speaks, PACKHORSE_PROLOG and so on."""
    for name, metavar, what in (
        ("prolog", "FILE", "run before a job's first process, as the agent's user"),
        ("epilog", "FILE", "run when nothing of a job is left, as the agent's user"),
        ("prolog-timeout", "TIME", "end either after this long, as in 90s (default: 5m)"),
        ("health-check", "FILE", "take new work only while this succeeds"),
        ("health-interval", "TIME", "how often it runs (default: 60s)"),
    ):
        parser.add_argument(f"--{name}", metavar=metavar, help=what)


def accept(home: Home, text: str) -> str:
    """Keep an invitation in this home; the node's name in it. Raises BadValue for one that is cut."""
    invitation = Invitation.read(text)
    home.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.run.mkdir(exist_ok=True)
    invitation.keep(home)
    return invitation.node


def _only_joined(home: Home) -> str:
    """The node as which this home has joined a cluster, "" if it has not, or as several."""
    joined = [path.stem.removeprefix("joined-") for path in home.run.glob("joined-*.json")]
    return joined[0] if len(joined) == 1 else ""


def _host() -> str:
    return platform.node().split(".")[0]


def run(args: argparse.Namespace) -> int:
    home: Home = args.home
    node = accept(home, args.join) if args.join else args.node or _only_joined(home) or _host()
    options = [
        word
        for name in DECLARATIONS
        if (value := getattr(args, name.replace("-", "_"))) is not None
        for word in (f"--{name}", value)
    ]
    if args.inventory:
        options.append("--inventory")
    if args.json:
        options.append("--json")
    command = daemons.agent_command(home, node, options)
    os.execv(command[0], command)
