"""scancel: end jobs, or send them signals."""

from __future__ import annotations

import os
import sys

from packhorse.cli.slurm.jobids import JobIdError, job_ref, split_ids, split_step
from packhorse.cli.slurm.options import (
    HARMLESS,
    NONE,
    NOT_YET,
    REQUIRED,
    USED,
    Parser,
    print_version,
    take_server,
)
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.transport import call, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROG = "scancel"

TABLE: dict[str, tuple[str, int, str]] = {
    "account": ("A", REQUIRED, USED),
    "batch": ("b", NONE, USED),
    "clusters": ("M", REQUIRED, USED),
    "cron": ("c", NONE, HARMLESS),
    "ctld": ("", NONE, HARMLESS),
    "full": ("f", NONE, USED),
    "help": ("", NONE, USED),
    "hurry": ("H", NONE, HARMLESS),
    "interactive": ("i", NONE, USED),
    "jobname": ("n", REQUIRED, USED),
    "me": ("", NONE, USED),
    "name": ("n", REQUIRED, USED),
    "nodelist": ("w", REQUIRED, USED),
    "partition": ("p", REQUIRED, USED),
    "qos": ("q", REQUIRED, USED),
    "quiet": ("Q", NONE, USED),
    "reservation": ("R", REQUIRED, USED),
    "server": ("", REQUIRED, USED),
    "sibling": ("", REQUIRED, NOT_YET),
    "signal": ("s", REQUIRED, USED),
    "state": ("t", REQUIRED, USED),
    "usage": ("", NONE, USED),
    "user": ("u", REQUIRED, USED),
    "verbose": ("v", NONE, USED),
    "version": ("V", NONE, USED),
    "wckey": ("", REQUIRED, USED),
}

PARSER = Parser(PROG, TABLE)

VARIABLES = {
    "SLURM_CLUSTERS": "clusters",
    "SCANCEL_ACCOUNT": "account",
    "SCANCEL_BATCH": "batch",
    "SCANCEL_FULL": "full",
    "SCANCEL_INTERACTIVE": "interactive",
    "SCANCEL_NAME": "name",
    "SCANCEL_PARTITION": "partition",
    "SCANCEL_QOS": "qos",
    "SCANCEL_STATE": "state",
    "SCANCEL_USER": "user",
    "SCANCEL_VERBOSE": "verbose",
    "SCANCEL_WCKEY": "wckey",
}

KILL = 9
DENIED_STATUS = 210
"""Exit status for somebody else's job, as Slurm's (its error number 2002, of which the shell sees one
byte).
"""

_SHOWN_FILTERS = (
    ("account", "account"),
    ("name", "job_name"),
    ("partition", "partition"),
    ("qos", "qos"),
    ("reservation", "reservation"),
    ("state", "state"),
    ("user", "user_name"),
    ("nodelist", "nodelist"),
    ("wckey", "wckey"),
)


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `scancel WORDS`."""
    found, arguments = PARSER.parse(words)
    for name, _ in found:
        if name == "version":
            print_version()
            return 0
        if name in ("help", "usage"):
            from packhorse.cli.slurm import usage

            usage.show(PROG, name)
            return 0
    PARSER.refuse_unsupported(found)
    take_server(found)
    options = dict(found)
    if "jobname" in options:
        options["name"] = options.pop("jobname")
    for variable, name in VARIABLES.items():
        if variable in os.environ:
            options.setdefault(name, os.environ[variable])
    signal = _signal(options)
    jobs = _jobs(arguments)
    filters = _filters(options)
    wckey = options.get("wckey", "")
    if not jobs and not filters and not wckey:
        raise CommandError(f"{PROG}: error: No job identification provided")
    if options.get("clusters"):
        from packhorse.cli.slurm.clusters import checked

        checked(PROG, options["clusters"])
    if "interactive" in options or wckey:
        jobs = _chosen(jobs, filters, wckey, ask="interactive" in options)
        filters = {}
        if not jobs:
            return _report([], options, signal) if wckey else 0
    request: dict[str, Any] = {"idempotencyKey": os.urandom(16).hex()}
    if jobs:
        request["jobs"] = jobs
    if filters:
        request["filter"] = filters
    if signal:
        request["signal"] = signal
        request["scope"] = (
            "SIGNAL_SCOPE_ALL"
            if "full" in options
            else "SIGNAL_SCOPE_BATCH"
            if "batch" in options
            else "SIGNAL_SCOPE_STEPS"
        )
    outcomes = field(call("CancelJobs", request), "outcomes", [])
    return _report(outcomes, options, signal)


def _signal(options: dict[str, str]) -> int:
    """The signal to send, 0 to end the jobs. KILL without --batch ends them too, as in Slurm."""
    if "signal" not in options:
        return KILL if "batch" in options and "full" not in options else 0
    from packhorse.scheduler.model.signalspec import SignalError, parse_signal

    try:
        number = parse_signal(options["signal"])
    except SignalError:
        raise CommandError(f"Unknown job signal: {options['signal']}") from None
    return 0 if number == KILL and "batch" not in options else number


def _jobs(arguments: list[str]) -> list[dict[str, Any]]:
    jobs = []
    for argument in arguments:
        parts = split_ids(argument)
        if not parts:
            raise CommandError(f"{PROG}: error: Invalid job id {argument}")
        for part in parts:
            job, step = split_step(part)
            try:
                ref = job_ref(job)
            except JobIdError:
                raise CommandError(f"{PROG}: error: Invalid job id {part}") from None
            if step.isdecimal() and step.isascii() and len(step) < 10:
                ref |= {"step": int(step), "text": part}
            elif "." in part:
                raise CommandError(f"{PROG}: error: Invalid job id {part}")
            jobs.append(ref)
    return jobs


def _filters(options: dict[str, str]) -> dict[str, list[str]]:
    """The JobFilter that the options amount to."""
    filters: dict[str, list[str]] = {}
    for option, key in (
        ("account", "accounts"),
        ("name", "names"),
        ("partition", "partitions"),
        ("qos", "qos"),
        ("reservation", "reservations"),
    ):
        if options.get(option):
            filters[key] = options[option].split(",")
    if "state" in options:
        from packhorse.cli.slurm.states import long_state

        filters["states"] = []
        for part in options["state"].split(","):
            state = long_state(part)
            if state not in ("PENDING", "RUNNING", "SUSPENDED"):
                raise CommandError(
                    f"Invalid job state specified: {part}\n"
                    "Valid job states are PENDING, RUNNING, and SUSPENDED"
                )
            filters["states"].append(state)
    if "me" in options:
        from packhorse.cli.slurm.users import own_name

        filters["users"] = [own_name()]
    elif "user" in options:
        from packhorse.cli.slurm.users import known_name

        name = known_name(options["user"])
        if not name:
            raise CommandError(f"{PROG}: error: Invalid user name: {options['user']}")
        filters["users"] = [name]
    if options.get("nodelist"):
        from packhorse.scheduler.model.hostlist import HostlistError, expand

        try:
            filters["nodes"] = expand(options["nodelist"])
        except HostlistError as error:
            raise CommandError(f"{PROG}: error: {error}") from None
    return filters


def _chosen(
    jobs: list[dict[str, Any]], filters: dict[str, list[str]], wckey: str, *, ask: bool
) -> list[dict[str, Any]]:
    """The jobs of that wckey ("": of any) that, if asked one at a time, the user says yes to."""
    from packhorse.cli.slurm.fields_jobs import ARRAY_COLUMNS, job_ids
    from packhorse.cli.slurm.table import fetch

    request: dict[str, Any] = {"fields": [*ARRAY_COLUMNS, "name", "partition", "wckey"]}
    if jobs:
        request["jobs"] = jobs
    if filters:
        request["filter"] = filters
    table = fetch("ListJobs", request)
    if wckey:
        wanted = {name.strip() for name in wckey.split(",")}
        table.keep(row for row, text in enumerate(table.texts("wckey")) if text.removeprefix("*") in wanted)
    chosen = []
    for shown, pending, array_id, name, partition in zip(
        job_ids(table),
        table.texts("array_pending"),
        table.ints("array_job_id"),
        table.texts("name"),
        table.texts("partition"),
        strict=True,
    ):
        if ask:
            sys.stdout.write(f"Cancel job_id={shown} name={name} partition={partition} [y/n]? ")
            sys.stdout.flush()
        if not ask or sys.stdin.readline()[:1] in ("y", "Y"):
            # What waits of an array is named in full: the text shown may be cut short.
            chosen.append(job_ref(f"{array_id}_[{pending.partition('%')[0]}]" if pending else shown))
    return chosen


def _report(outcomes: list[dict[str, Any]], options: dict[str, str], signal: int) -> int:
    """Prints what is worth saying of each target; the exit code.

    An unknown or ended job is no failure unless a signal was asked for; it is told with --verbose.
    """
    verbose = "verbose" in options and "quiet" not in options
    code = 0
    lines: list[str] = []
    if verbose and not outcomes:
        given = [(name, options[option]) for option, name in _SHOWN_FILTERS if option in options]
        shown = "".join([f"{name}={value} " for name, value in given])
        lines.append(f"{PROG}: error: No active jobs match ALL job filters, including: {shown}")
    if verbose:
        doing = f"Signal {signal} to job" if signal else "Terminating job"
        lines.extend([f"{PROG}: {doing} {field(outcome, 'ref', '')}" for outcome in outcomes])
    for outcome in outcomes:
        what = field(outcome, "code", "")
        if not what:
            continue
        harmless = what in ("not_found", "wrong_state") and not signal
        if not harmless:
            code = max(code, DENIED_STATUS if what == "denied" else 1)
        if verbose or not (harmless or "quiet" in options):
            why = field(outcome, "slurm", "") or field(outcome, "message", "") or what
            lines.append(f"{PROG}: error: Kill job error on job id {field(outcome, 'ref', '')}: {why}")
    if lines:
        sys.stderr.write("\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
