"""`packhorse suggest JOB` or `--name N`: what a job should ask for, by what its past runs used."""

from __future__ import annotations

import argparse
import json
from typing import Any

from packhorse.cli import transport
from packhorse.cli.jobrefs import parse_job_ref
from packhorse.cli.transport import field, int_field
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.units import format_mem_mib, format_time_limit

TITLES = {"mem": "memory", "time": "time limit", "cpus": "CPUs", "gpus": "GPUs"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose past."""
    parser.add_argument("job", metavar="JOB", nargs="?", help="a job id, as in 17, also of one long over")
    parser.add_argument("--name", default="", metavar="NAME", help="runs of this job name instead")
    parser.add_argument("--command", default="", metavar="COMMAND", help="of this script and arguments only")
    parser.add_argument("--user", default="", metavar="USER", help="whose runs (default: yours)")


def run(args: argparse.Namespace) -> int:
    if bool(args.job) == bool(args.name):
        raise BadValue(
            "give a job, as in packhorse suggest 17, or a name, as in packhorse suggest --name train"
        )
    if args.job and (args.command or args.user):
        raise BadValue("--command and --user go with --name: a job has its own")
    request: dict[str, Any] = (
        {"job": parse_job_ref(args.job)}
        if args.job
        else {"name": args.name, "command": args.command, "user": args.user}
    )
    answer = transport.call("SuggestAsk", request)
    print(json.dumps(answer) if args.json else render(answer))
    return 0


def render(answer: dict[str, Any]) -> str:
    """The answer for people."""
    command = field(answer, "command", "")
    shown = f", {command}" if command and not command.startswith("script:") else ""
    n = int_field(answer, "n_runs")
    lines = [
        f'"{field(answer, "name", "")}" of {field(answer, "user", "")}{shown}: {n} past run{"s" * (n != 1)}'
    ]
    if field(answer, "any_arguments", False):
        lines.append("(too few with these arguments: runs of the script with any)")
    advice = field(answer, "advice", [])
    if not advice:
        return "\n".join([*lines, field(answer, "note", "")])
    head = [f"{title:>11}" for title in ("asked", "suggested", "median", "most used")]
    lines += ["", f"{'on each node':<12} {' '.join(head)} {'fits':>10} {'chance':>7}"]
    lines += [_line(one) for one in advice]
    doubts = [one for one in advice if not field(one, "sure", False)]
    lines += ["", *[f"{TITLES[field(one, 'resource', '')]}: {field(one, 'text', '')}" for one in doubts]]
    lines += [""] * bool(doubts)
    options = field(answer, "options", "")
    lines.append(f"sbatch {options}" if options else "nothing that is sure enough to be changed")
    return "\n".join(lines)


def _line(one: dict[str, Any]) -> str:
    resource = field(one, "resource", "")
    present = int_field(one, "present")
    cells = (
        _asked(resource, present) if present else "none",
        _asked(resource, int_field(one, "suggested")),
        _used(resource, int_field(one, "median")),
        _used(resource, int_field(one, "most")),
    )
    fits = f"{int_field(one, 'n_fit')} of {int_field(one, 'n_runs')}"
    chance = int_field(one, "chance_milli") // 10
    amounts = " ".join([f"{cell:>11}" for cell in cells])
    return f"{TITLES[resource]:<12} {amounts} {fits:>10} {chance:>5} %"


def _asked(resource: str, amount: int) -> str:
    """An amount as it is asked for."""
    if resource == "mem":
        return format_mem_mib(amount)
    return format_time_limit(amount) if resource == "time" else str(amount)


def _used(resource: str, amount: int) -> str:
    """An amount that was used; CPUs and GPUs in thousandths."""
    if resource == "mem":
        return f"{amount}M" if amount < 1024 else f"{amount / 1024:.1f}G"
    return format_time_limit(amount) if resource == "time" else f"{amount / 1000:.1f}"
