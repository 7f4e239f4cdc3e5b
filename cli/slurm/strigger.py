"""strigger: programs that are run when something happens to a job or a node."""

from __future__ import annotations

import os
import sys

from packhorse.cli.slurm.options import (
    HARMLESS,
    NONE,
    NOT_YET,
    OPTIONAL,
    REQUIRED,
    USED,
    Parser,
    print_version,
    take_server,
)
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.transport import CallError, call, field, int_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Found = list[tuple[str, str]]

PROG = "strigger"

NOT_HERE = {
    "backup_slurmctld_assumed_control": ("C", "there is one scheduler, without a backup"),
    "backup_slurmctld_failure": ("B", "there is one scheduler, without a backup"),
    "backup_slurmctld_resumed_operation": ("c", "there is one scheduler, without a backup"),
    "burst_buffer": ("", "there are no burst buffers"),
    "fail": ("F", "nodes have no state FAIL here: use --down or --drained"),
    "front_end": ("", "there are no front end nodes"),
    "idle": ("I", "nodes are not watched for idleness: ask sinfo -t idle from cron"),
    "primary_database_failure": ("h", "the accounting is in the scheduler's own store"),
    "primary_database_resumed_operation": ("H", "the accounting is in the scheduler's own store"),
    "primary_slurmctld_acct_buffer_full": ("e", "the accounting is in the scheduler's own store"),
    "primary_slurmctld_failure": ("a", "a scheduler that is gone runs no programs: watch its service"),
    "primary_slurmctld_resumed_control": ("b", "there is one scheduler, without a backup"),
    "primary_slurmctld_resumed_operation": ("A", "watch the scheduler's service"),
    "primary_slurmdbd_failure": ("g", "there is no slurmdbd"),
    "primary_slurmdbd_resumed_operation": ("G", "there is no slurmdbd"),
    "reconfig": ("r", "readings of the configuration are in the scheduler's log"),
}
"""Slurm's other events: short option, and why they are refused."""

TABLE: dict[str, tuple[str, int, str]] = {
    "clear": ("", NONE, USED),
    "clusters": ("M", REQUIRED, USED),
    "down": ("d", NONE, USED),
    "drained": ("D", NONE, USED),
    "fini": ("f", NONE, USED),
    "flags": ("", REQUIRED, USED),
    "get": ("", NONE, USED),
    "help": ("", NONE, USED),
    "id": ("i", REQUIRED, USED),
    "jobid": ("j", REQUIRED, USED),
    "node": ("n", OPTIONAL, USED),
    "noheader": ("N", NONE, USED),
    "offset": ("o", REQUIRED, USED),
    "program": ("p", REQUIRED, USED),
    "quiet": ("Q", NONE, USED),
    "server": ("", REQUIRED, USED),
    "set": ("", NONE, USED),
    "time": ("t", NONE, USED),
    "up": ("u", NONE, USED),
    "usage": ("", NONE, USED),
    "user": ("", REQUIRED, USED),
    "verbose": ("v", NONE, HARMLESS),
    "version": ("V", NONE, USED),
    **{name: (letter, NONE, NOT_YET) for name, (letter, _) in NOT_HERE.items()},
}

PARSER = Parser(PROG, TABLE)

EVENTS = ("fini", "time", "up", "down", "drained")


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `strigger WORDS`."""
    found, arguments = PARSER.parse(words)
    options = dict(found)
    if "version" in options:
        print_version()
        return 0
    for name in ("help", "usage"):
        if name in options:
            from packhorse.cli.slurm import usage

            usage.show(PROG, name)
            return 0
    take_server(found)
    for name, _ in found:
        if name in NOT_HERE:
            raise _error(f"--{name} is not supported by Packhorse: {NOT_HERE[name][1]}")
    if arguments:
        raise _error(f"Unrecognized option: {arguments[0]}")
    if options.get("clusters"):
        from packhorse.cli.slurm.clusters import checked

        checked(PROG, options["clusters"])
    modes = [name for name in ("set", "get", "clear") if name in options]
    if len(modes) != 1:
        raise _error("You must use one of the options --set, --get and --clear")
    return {"set": _set, "get": _get, "clear": _clear}[modes[0]](options)


def _error(text: str) -> CommandError:
    return CommandError(f"{PROG}: error: {text}")


def _number(options: dict[str, str], name: str, low: int = 1) -> int:
    """An option's number, 0 where it is not given."""
    text = options.get(name)
    if text is None:
        return 0
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 19) or int(text) < low:
        raise _error(f"Invalid {name}: {text}")
    return int(text)


def _nodes(options: dict[str, str]) -> list[str]:
    from packhorse.scheduler.model.hostlist import HostlistError, expand

    text = options.get("node", "")
    if text in ("", "*"):
        return []
    try:
        return expand(text)
    except HostlistError as error:
        raise _error(str(error)) from None


def _set(options: dict[str, str]) -> int:
    events = [name for name in EVENTS if name in options]
    job = _number(options, "jobid")
    if not events:
        raise _error("You must specify a trigger (--down, --drained, --fini, --time or --up)")
    if "jobid" in options and "node" in options:
        raise _error("You can not use both the --node and --jobid option")
    if not options.get("program", "").startswith("/"):
        raise _error("You must specify a fully qualified program name (--program=/PATH)")
    flags = [flag.upper() for flag in options.get("flags", "").split(",") if flag]
    if any(flag != "PERM" for flag in flags):
        raise _error(f"Unrecognized flags option: {options['flags']}")
    for event in events:
        request: dict[str, Any] = {
            "event": event,
            "jobId": job,
            "nodes": _nodes(options),
            "offsetS": _number(options, "offset", -(1 << 31)),
            "program": options["program"],
            "permanent": bool(flags),
            "idempotencyKey": os.urandom(16).hex(),
        }
        try:
            call("SetTrigger", request)
        except CallError as error:
            raise CommandError(f"{PROG}: error: slurm_set_trigger: {_said(error)}") from None
    return 0


def _said(error: CallError) -> str:
    """Slurm's phrase, and what is meant."""
    return f"{error.slurm}: {error.message}" if error.slurm else error.message


def _clear(options: dict[str, str]) -> int:
    request = {
        "id": _number(options, "id"),
        "jobId": _number(options, "jobid"),
        "user": options.get("user", ""),
        "idempotencyKey": os.urandom(16).hex(),
    }
    if not (request["id"] or request["jobId"] or request["user"]):
        raise _error("You must specify a --id, --jobid, or --user to clear")
    try:
        call("ClearTriggers", request)
    except CallError as error:
        if "quiet" in options and error.code == "not_found":
            return 0
        raise CommandError(f"{PROG}: error: slurm_clear_trigger: {_said(error)}") from None
    return 0


def _get(options: dict[str, str]) -> int:
    rows = [one for one in field(call("ListTriggers", {}), "triggers", []) if _wanted(one, options)]
    if "noheader" not in options:
        sys.stdout.write(
            "TRIG_ID RES_TYPE  RES_ID                                TYPE OFFSET USER     FLAGS PROGRAM\n"
        )
    for one in rows:
        job = int_field(one, "job_id")
        flags = "PERM" if field(one, "permanent", False) else ""
        sys.stdout.write(
            f"{int_field(one, 'id'):>7} {'job' if job else 'node':>9} {_what(one):>7} {one['event']:>35} "
            f"{int_field(one, 'offset_s'):>6} {field(one, 'user', ''):<8} {flags:<5} {one['program']}\n"
        )
    return 0


def _what(one: dict[str, Any]) -> str:
    """The job, the nodes, or * for any."""
    from packhorse.scheduler.model.hostlist import compress

    job = int_field(one, "job_id")
    return str(job) if job else compress(field(one, "nodes", [])) or "*"


def _wanted(one: dict[str, Any], options: dict[str, str]) -> bool:
    kinds = [name for name in EVENTS if name in options]
    number, job, user = _number(options, "id"), _number(options, "jobid"), options.get("user", "")
    nodes = _nodes(options)
    return (
        (not kinds or one["event"] in kinds)
        and (not number or int_field(one, "id") == number)
        and (not job or int_field(one, "job_id") == job)
        and (not user or user in (field(one, "user", ""), str(int_field(one, "uid"))))
        and (not nodes or bool(set(nodes).intersection(field(one, "nodes", []))))
        and ("node" not in options or not int_field(one, "job_id"))
    )


if __name__ == "__main__":
    sys.exit(main())
