"""What sbatch, salloc and srun have in common around a submission: one value for every option, what they say
of a request before it is sent, and of the answer.
"""

from __future__ import annotations

import os
import sys

from packhorse.cli.slurm.options import WARNED
from packhorse.cli.slurm.process import CommandError, program
from packhorse.cli.slurm.sbatch_request import failed
from packhorse.cli.transport import CallError, field, int_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from packhorse.cli.slurm.options import Option, Parser

_RIVALS = {
    "mem": ("mem-per-cpu", "mem-per-gpu"),
    "mem-per-cpu": ("mem", "mem-per-gpu"),
    "mem-per-gpu": ("mem", "mem-per-cpu"),
    "cpus-per-task": ("cpus-per-gpu",),
    "cpus-per-gpu": ("cpus-per-task",),
    "hops": ("switches",),
    "switches": ("hops",),
    "requeue": ("no-requeue",),
    "no-requeue": ("requeue",),
    "overlap": ("exact", "exclusive"),
    "exact": ("overlap",),
    "exclusive": ("overlap",),
    "bell": ("no-bell",),
    "no-bell": ("bell",),
}
"""Options of which a stronger source's one displaces the other."""


def merged(parser: Parser, *sources: list[tuple[str, str]]) -> dict[str, str]:
    """One value for every option; later sources, and later options of one source, decide."""
    options: dict[str, str] = {}
    for source in sources:
        parser.refuse_unsupported(source)
        for name, _ in source:
            for rival in _RIVALS.get(name, ()):
                options.pop(rival, None)
        for name, value in source:
            name = "ntasks-per-node" if name == "tasks-per-node" else name
            before = options.pop(name, "")
            if name == "mail-type" and before:  # the only one that adds up
                value = f"{before},{value}"
            options[name] = value
    if "requeue" in options and "no-requeue" in options:  # of one source: the later one decides
        order = list(options)
        del options["requeue" if order.index("requeue") < order.index("no-requeue") else "no-requeue"]
    return options


def tell_no_effect(table: Mapping[str, Option], options: Mapping[str, str]) -> None:
    """A line for each option that has no effect although somebody may count on it."""
    for name in options:
        if table[name][2] == WARNED:
            sys.stderr.write(f"{program()}: warning: option --{name} has no effect\n")


def warn_of_too_many_nodes(ask: dict[str, Any]) -> None:
    """Fewer tasks than nodes: as many nodes as tasks, and a warning."""
    n_tasks = ask.get("nTasks", 0)
    if n_tasks and ask.get("minNodes", 0) > n_tasks:
        sys.stderr.write(
            f"{program()}: Warning: can't run {n_tasks} processes on {ask['minNodes']} nodes, "
            f"setting nnodes to {n_tasks}\n"
        )
        ask["minNodes"] = n_tasks
        ask["maxNodes"] = n_tasks


def list_options(options: dict[str, str]) -> None:
    """What --verbose prints."""
    prog = program()
    rule = f"{prog}: -------------------- --------------------"
    lines = [f"{prog}: defined options", rule]
    lines += [f"{prog}: {name:<20}: {value or 'set'}" for name, value in sorted(options.items())]
    lines += [rule, f"{prog}: end of defined options"]
    sys.stderr.write("\n".join(lines) + "\n")


def refused(error: CallError, test_only: bool) -> CommandError:
    """Our sentence, which names the thing, the limit and the way out, then Slurm's phrase, which programs
    look for.
    """
    prog = program()
    head = "allocation failure" if test_only else f"{prog}: error: {failed(prog)}"
    lines = f"{head}: {error.slurm or error.message}"
    if error.slurm and error.message and error.message != error.slurm:
        lines = f"{prog}: error: {error.message}\n{lines}"
    return CommandError(lines, 1)


def tell_estimate(reply: dict[str, Any], job_id: int) -> None:
    """What --test-only prints."""
    estimate = str(field(reply, "estimate", ""))
    if not estimate:
        planned_us = int_field(reply, "planned_start_us")
        if planned_us:
            from packhorse.cli.slurm.times import stamp

            estimate = f"Job {job_id} to start at {stamp(planned_us // 1_000_000)}"
        else:
            estimate = f"Job {job_id}: accepted, no start can be planned yet"
    sys.stderr.write(f"{program()}: {estimate}\n")


def error_code(code: int) -> int:
    """SLURM_EXIT_ERROR replaces the status of a command that failed by itself."""
    given = os.environ.get("SLURM_EXIT_ERROR", "")
    return int(given) if given.isdecimal() and code else code
