"""`packhorse bench NAME …`: hands over to one of the benchmarks, which are programs of the simulator."""

from __future__ import annotations

import argparse
import os

from packhorse.cli import daemons

BENCHES = {
    "openb": (
        "packhorse.simulator.openb",
        "packing on Alibaba's openb traces, beside the published policies",
    ),
    "cycle": (
        "packhorse.simulator.cycle_bench",
        "scheduling passes over a large queue with all constraints on",
    ),
    "improver": (
        "packhorse.simulator.improver_bench",
        "the CP-SAT improver on contended clusters and on the openb queue",
    ),
}
"""By name: the module that is the program, and what it measures."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which one; all that follows is for it."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "benchmarks:\n" + "\n".join(f"  {name:<11}{what}" for name, (_, what) in BENCHES.items())
    parser.add_argument("bench", choices=BENCHES, metavar="NAME")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="…", help="see packhorse bench NAME --help")


def run(args: argparse.Namespace) -> int:
    daemons.require_scheduler()
    module, _ = BENCHES[args.bench]
    # Rates are those of one core, and what runs in several processes must not start threads in each.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    command = [*daemons.PYTHON, "-m", module, *args.rest]
    os.execv(command[0], command)  # so that terminal, exit status and Ctrl-C are the program's own
