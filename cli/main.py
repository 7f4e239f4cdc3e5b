"""`packhorse COMMAND`: finds the command's module and hands over; loads nothing else."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from packhorse.cli.home import Home, default_home
from packhorse.scheduler.model.errors import PackhorseError

COMMANDS = {
    "up": "start a cluster on this machine, or start again what is missing of it",
    "down": "stop the cluster's daemons; running jobs go on unless --kill-jobs",
    "status": "the cluster in one screen",
    "demo": "a whole cluster in a temporary directory: submit, watch, collect, stop",
    "events": "a job's whole story from the log",
    "accounts": "accounts, users and QOS as one file: apply it, or print what there is",
    "loans": "memory lent and borrowed: who, how much, and what came of it",
    "quota": "limits, budgets and quotas of accounts, users and QOS, and what is used of them",
    "reclaim": "switch the lending of unused memory on or off",
    "shadow": "what another configuration would have decided, on the live cluster",
    "estimates": "how right estimates of starts were",
    "reconfigure": "have the scheduler read its configuration file again",
    "usage": "what a job used over time: a chart, or CSV",
    "wait": "wait for jobs to end, with progress",
    "why": "why a job waits and what would start it, or why it runs where it runs",
    "compare": "which of two waiting jobs is ahead, and why",
    "suggest": "what a job should ask for, by what its past runs used",
    "waste": "what jobs were given and did not use, by user, account or job name",
    "import": "a Slurm configuration as one of Packhorse, with what could not be taken over",
    "invite": "the command with which another machine joins this cluster",
    "token": "a token for calls over TCP",
    "simulate": "traces under scheduling policies, in the scheduler's own code",
    "whatif": "what another configuration would have done to the jobs of the past",
    "replay": "run a recorded scheduler again: it must give the same event log",
    "bench": "measure the scheduler's core on published traces and generated work",
    "doctor": "check this machine and this cluster, say what is missing",
    "scheduler": "run the scheduler in the foreground",
    "agent": "run a node's agent in the foreground",
    "version": "print the version",
}

_MODULES = {"import": "import_slurm"}
"""Commands whose module cannot be called as they are."""


def parser() -> argparse.ArgumentParser:
    """The parser of the whole program, without the commands' own options."""
    top = argparse.ArgumentParser(
        prog="packhorse",
        description="A cluster resource scheduler. Jobs are submitted with sbatch, watched with squeue.",
        epilog="commands:\n" + "\n".join(f"  {name:<11}{what}" for name, what in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    top.add_argument("rest", nargs=argparse.REMAINDER, metavar="…", help="see packhorse COMMAND --help")
    return top


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command with the options that all commands have."""
    own = argparse.ArgumentParser(prog=f"packhorse {name}", description=COMMANDS[name])
    own.add_argument(
        "--home",
        type=Path,
        default=None,
        metavar="DIR",
        help="the cluster's home (default: $PACKHORSE_HOME, else ~/.packhorse)",
    )
    own.add_argument(
        "--server",
        default=None,
        metavar="HOST:PORT",
        help="a scheduler reached over TCP instead of the home's socket (default: $PACKHORSE_SERVER)",
    )
    own.add_argument("--json", action="store_true", help="print JSON for programs instead of text for people")
    return own


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 it went wrong (one line on stderr), 2 wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["--version"], ["-V"]):
        words[:1] = ["version"]
    name = parser().parse_args(words[:1] or ["--help"]).command
    module = importlib.import_module(f"packhorse.cli.commands.{_MODULES.get(name, name)}")
    if hasattr(module, "hand_over"):
        try:
            return int(module.hand_over(words[1:]))
        except PackhorseError as error:  # the libraries it needs are not there
            print(f"packhorse {name}: {error}", file=sys.stderr)
            return 1
    own = command_parser(name)
    module.add_arguments(own)
    args = own.parse_args(words[1:])
    args.home = Home((args.home or default_home()).expanduser().absolute())
    # The client below the commands finds its cluster by the environment, like the Slurm-style commands do.
    os.environ["PACKHORSE_HOME"] = str(args.home.root)
    if args.server:
        os.environ["PACKHORSE_SERVER"] = args.server
    from packhorse.cli.transport import CallError, TransportError

    try:
        return int(module.run(args) or 0)
    except (PackhorseError, TransportError, CallError) as error:
        print(f"packhorse {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except OSError as error:  # a home that is not one's own, a disk that is full
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"packhorse {name}: {place}{error.strerror or error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
