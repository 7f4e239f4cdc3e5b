"""sacct: jobs of the past and the present, and their steps."""

from __future__ import annotations

import os
import sys
from time import time

from packhorse.cli.slurm.fields_accounting import (
    ACCOUNTING_COLUMNS,
    BRIEF,
    DEFAULT,
    FIELDS,
    LONG,
    Units,
    is_step,
)
from packhorse.cli.slurm.jobids import JobIdError, job_ref, split_ids, split_step
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
from packhorse.cli.slurm.table import fetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from packhorse.cli.slurm.fields_accounting import Value

    Row = dict[str, Any]

PROG = "sacct"

TABLE: dict[str, tuple[str, int, str]] = {
    "accounts": ("A", REQUIRED, USED),
    "allclusters": ("L", NONE, HARMLESS),
    "allocations": ("X", NONE, USED),
    "allusers": ("a", NONE, USED),
    "array": ("", NONE, HARMLESS),
    "associations": ("x", REQUIRED, NOT_YET),
    "batch-script": ("B", NONE, USED),
    "brief": ("b", NONE, USED),
    "cluster": ("M", REQUIRED, USED),
    "clusters": ("M", REQUIRED, USED),
    "completion": ("c", NONE, NOT_YET),
    "constraints": ("C", REQUIRED, USED),
    "delimiter": ("", REQUIRED, USED),
    "duplicates": ("D", NONE, USED),
    "endtime": ("E", REQUIRED, USED),
    "env-vars": ("", NONE, NOT_YET),
    "expand-patterns": ("", NONE, HARMLESS),
    "federation": ("", NONE, HARMLESS),
    "file": ("f", REQUIRED, NOT_YET),
    "flags": ("F", REQUIRED, NOT_YET),
    "format": ("o", REQUIRED, USED),
    "gid": ("g", REQUIRED, USED),
    "group": ("g", REQUIRED, USED),
    "help": ("h", NONE, USED),
    "helpformat": ("e", NONE, USED),
    "jobs": ("j", REQUIRED, USED),
    "json": ("", OPTIONAL, USED),
    "local": ("", NONE, HARMLESS),
    "long": ("l", NONE, USED),
    "name": ("", REQUIRED, USED),
    "ncpus": ("I", REQUIRED, USED),
    "nnodes": ("i", REQUIRED, USED),
    "noconvert": ("", NONE, USED),
    "nodelist": ("N", REQUIRED, USED),
    "noheader": ("n", NONE, USED),
    "parsable": ("p", NONE, USED),
    "parsable2": ("P", NONE, USED),
    "partition": ("r", REQUIRED, USED),
    "qos": ("q", REQUIRED, USED),
    "reason": ("R", REQUIRED, USED),
    "server": ("", REQUIRED, USED),
    "starttime": ("S", REQUIRED, USED),
    "state": ("s", REQUIRED, USED),
    "timelimit-max": ("K", REQUIRED, USED),
    "timelimit-min": ("k", REQUIRED, USED),
    "truncate": ("T", NONE, USED),
    "uid": ("u", REQUIRED, USED),
    "units": ("", REQUIRED, USED),
    "usage": ("", NONE, USED),
    "use-local-uid": ("", NONE, HARMLESS),
    "user": ("u", REQUIRED, USED),
    "verbose": ("v", NONE, HARMLESS),
    "version": ("V", NONE, USED),
    "wckeys": ("W", REQUIRED, USED),
    "whole-hetjob": ("", OPTIONAL, HARMLESS),
    "yaml": ("", OPTIONAL, USED),
}

PARSER = Parser(PROG, TABLE, hint=False)

_LISTS = (
    "accounts",
    "clusters",
    "constraints",
    "group",
    "jobs",
    "name",
    "nodelist",
    "partition",
    "qos",
    "state",
    "user",
)
"""Options whose values add up when given several times."""

_NARROWING = frozenset(("constraints", "ncpus", "nnodes", "reason", "timelimit-min", "truncate", "wckeys"))
"""Options that need a module of their own."""

_OTHER_NAMES = {"uid": "user", "gid": "group", "cluster": "clusters"}


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `sacct WORDS`."""
    found, arguments = PARSER.parse(words)
    for name, _ in found:
        if name == "version":
            print_version()
            return 0
        if name in ("help", "usage"):
            from packhorse.cli.slurm import usage

            usage.show(PROG, name)
            return 0
        if name == "helpformat":
            sys.stdout.write(help_text(FIELDS))
            return 0
    PARSER.refuse_unsupported(found)
    take_server(found)
    options = _combined(found)
    if arguments:
        raise CommandError(f"{PROG}: error: Unrecognized option: {arguments[0]}")
    if options.get("clusters"):
        from packhorse.cli.slurm.clusters import checked

        checked(PROG, options["clusters"])
    if "batch-script" in options:
        return _scripts(options)
    structured = "json" in options or "yaml" in options
    columns = [] if structured else chosen(options)
    request, steps, groups = selection(options, int(time()))
    table = fetch("ListAccounting", request)
    rows = [row for row in table.rows() if _wanted(row, steps, groups)]
    if not _NARROWING.isdisjoint(options):
        from packhorse.cli.slurm import sacct_narrow

        rows = sacct_narrow.narrowed(rows, options)
        if "truncate" in options:
            sacct_narrow.truncated(rows, request.get("sinceUs", 0), request.get("untilUs", table.now_us))
    if structured:
        from packhorse.cli.slurm.structured import listing
        from packhorse.scheduler.model.shapes import accounting

        jobs = accounting.jobs(rows, table.now_us)
        sys.stdout.write(listing(PROG, options, "jobs", accounting.JOB, jobs))
        return 0
    units = _units(options, table.now_us)
    texts = [[FIELDS[name][1](row, units) for name, _ in columns] for row in rows]
    sys.stdout.write(printed(columns, texts, options))
    return 0


def _combined(found: list[tuple[str, str]]) -> dict[str, str]:
    """One value for every option; lists given in pieces become one."""
    options: dict[str, str] = {}
    for name, value in found:
        name = _OTHER_NAMES.get(name, name)
        if name in _LISTS and options.get(name):
            value = f"{options[name]},{value}"
        options[name] = value
    return options


def help_text(fields: Mapping[str, tuple[int, Value]]) -> str:
    """The names of all fields, four on a line."""
    names = list(fields)
    lines = [names[start : start + 4] for start in range(0, len(names), 4)]
    return "".join([" ".join([f"{name:<19}" for name in line]) + "\n" for line in lines])


def chosen(options: dict[str, str]) -> list[tuple[str, int]]:
    """[(field, width, negative where it stands to the left)]."""
    text = options.get("format") or ""
    if not text:
        if "long" in options:
            text = LONG
        elif "brief" in options:
            text = BRIEF
        else:
            text = os.environ.get("SACCT_FORMAT") or DEFAULT
    return chosen_fields(PROG, text, FIELDS)


def chosen_fields(prog: str, text: str, fields: Mapping[str, tuple[int, Value]]) -> list[tuple[str, int]]:
    """The columns that a format names: `JobID,MaxRSS%12,State%-20`. As `chosen`."""
    columns: list[tuple[str, int]] = []
    for part in text.split(","):
        given, percent, width_text = part.strip().partition("%")
        if not given:
            continue
        if given.lower() == "all":
            columns += [(name, width) for name, (width, _) in fields.items()]
            continue
        name = _field_name(given, fields)
        if not name:
            raise CommandError(f'{prog}: error: Invalid field requested: "{given}"')
        width = fields[name][0]
        if percent:
            digits = width_text.removeprefix("-")
            if not digits.isdecimal():
                raise CommandError(f'{prog}: error: Invalid field requested: "{part.strip()}"')
            width = -int(digits) if width_text.startswith("-") else int(digits)
            if width_text[:1] != "-" and fields[name][0] < 0:
                width = -width  # JobID stays on the left unless it is asked to change sides
        columns.append((name, width))
    return columns


def _field_name(given: str, fields: Mapping[str, tuple[int, Value]]) -> str:
    """The field's own spelling for any case; the first one that begins so, as Slurm does."""
    lowered = given.lower()
    for name in fields:
        if name.lower() == lowered:
            return name
    for name in fields:
        if name.lower().startswith(lowered):
            return name
    return ""


def selection(options: dict[str, str], now_s: int) -> tuple[dict[str, Any], set[tuple[str, str]], set[str]]:
    """(the request, steps asked for as (job, step), groups asked for)."""
    request: dict[str, Any] = {"fields": list(ACCOUNTING_COLUMNS)}
    steps: set[tuple[str, str]] = set()
    refs: dict[str, dict[str, Any]] = {}
    for part in split_ids(options.get("jobs", "")):
        job, step = split_step(part)
        try:
            refs.setdefault(job, job_ref(job))
        except JobIdError:
            raise CommandError(f"{PROG}: fatal: Bad job/step specified: {part}") from None
        steps.add((job, step))
    if refs:
        request["jobs"] = list(refs.values())
    if all(step == "" for _, step in steps):
        steps.clear()
    since_s, until_s = _window(options, now_s)
    if since_s:
        request["sinceUs"] = since_s * 1_000_000
    if until_s != now_s:
        request["untilUs"] = until_s * 1_000_000
    if "allocations" in options:
        request["allocationsOnly"] = True
    if "duplicates" in options:
        request["duplicates"] = True
    narrowed = _filters(options)
    if narrowed:
        request["filter"] = narrowed
    groups = {part for part in options.get("group", "").split(",") if part}
    return request, steps, groups


def _window(options: dict[str, str], now_s: int) -> tuple[int, int]:
    """From when to when, in seconds (0: the beginning), by the rules of sacct's manual page."""
    from packhorse.cli.slurm.when import WhenError, parse_when_s

    times: dict[str, int] = {}
    for name in ("starttime", "endtime"):
        if options.get(name):
            try:
                times[name] = parse_when_s(options[name], now_s, past=True)
            except WhenError as error:
                raise CommandError(str(error)) from None
    if "starttime" in times:
        start = times["starttime"]
    elif options.get("jobs"):
        start = 0
    elif options.get("state"):
        start = now_s
    else:
        start = parse_when_s("midnight", now_s, past=True)
    end = times.get("endtime", now_s)
    if options.get("state") and "endtime" not in times and "starttime" in times and not options.get("jobs"):
        end = now_s
    if end < start:
        if "starttime" in times:
            raise CommandError(f"{PROG}: fatal: Start time requested is after end time.")
        start = end
    return start, end


def _filters(options: dict[str, str]) -> dict[str, list[str]]:
    from packhorse.cli.slurm.states import long_state

    narrowed: dict[str, list[str]] = {}
    for option, key in (
        ("accounts", "accounts"),
        ("name", "names"),
        ("partition", "partitions"),
        ("qos", "qos"),
    ):
        if options.get(option):
            narrowed[key] = options[option].split(",")
    if options.get("state"):
        narrowed["states"] = []
        for part in options["state"].split(","):
            state = long_state(part)
            if not state:
                raise CommandError(f"{PROG}: fatal: unrecognized job state value '{part}'")
            narrowed["states"].append(state)
    if options.get("nodelist"):
        from packhorse.scheduler.model.hostlist import HostlistError, expand

        try:
            narrowed["nodes"] = expand(options["nodelist"])
        except HostlistError as error:
            raise CommandError(f"{PROG}: error: {error}") from None
    if options.get("user"):
        from packhorse.cli.slurm.users import known_name

        narrowed["users"] = []
        for part in options["user"].split(","):
            name = known_name(part)
            if not name:
                raise CommandError(f"{PROG}: error: Invalid user id: {part}")
            narrowed["users"].append(name)
    elif "allusers" not in options and not options.get("jobs") and os.getuid():
        from packhorse.cli.slurm.users import own_name

        narrowed["users"] = [own_name()]
    return narrowed


def _wanted(row: Row, steps: set[tuple[str, str]], groups: set[str]) -> bool:
    """Whether the row is among the steps and groups asked for."""
    if groups and row["group"] not in groups and str(row["gid"]) not in groups:
        return False
    if not steps:
        return True
    names = [str(row["job_id"])]
    if row["array_task_id"] >= 0:
        names += [f"{row['array_job_id']}_{row['array_task_id']}", str(row["array_job_id"])]
    if not is_step(row):
        return any((name, "") in steps for name in names)
    return any((name, step) in steps for name in names for step in ("", row["step"]))


def _units(options: dict[str, str], now_us: int) -> Units:
    unit = options.get("units", "")
    if unit and (len(unit) != 1 or unit.upper() not in "KMGTP"):
        raise CommandError(
            f"{PROG}: error: Invalid unit type '{unit}'. Possible options are 'KMGTP'\n"
            f"{PROG}: fatal: Invalid unit type"
        )
    return Units(now_us, unit.upper(), "noconvert" not in options)


def printed(columns: list[tuple[str, int]], texts: list[list[str]], options: dict[str, str]) -> str:
    """All lines, parsable or in columns."""
    header = "noheader" not in options
    if "parsable" in options or "parsable2" in options:
        delimiter = options.get("delimiter", "|")
        end = "\n" if "parsable2" in options else delimiter + "\n"
        rows = [[name for name, _ in columns], *texts] if header else texts
        return "".join([delimiter.join(row) + end for row in rows])
    lines = []
    if header:
        lines.append("".join([_cell(name[: abs(width)], width) for name, width in columns]))
        lines.append("".join(["-" * abs(width) + " " for _, width in columns]))
    lines += [
        "".join([_cell(text, width) for text, (_, width) in zip(row, columns, strict=True)]) for row in texts
    ]
    return "".join([line + "\n" for line in lines])


def _cell(text: str, width: int) -> str:
    """The text in its column; what is too long ends in +."""
    room = abs(width)
    if room and len(text) > room:
        text = text[: room - 1] + "+"
    return (text.ljust(room) if width < 0 else text.rjust(room)) + " "


def _scripts(options: dict[str, str]) -> int:
    """`--batch-script`: the scripts of the jobs named."""
    from packhorse.cli.slurm.scripts import batch_script

    parts = split_ids(options.get("jobs", ""))
    if not parts:
        raise CommandError(f"{PROG}: error: --batch-script needs --jobs")
    for part in parts:
        try:
            text = batch_script(job_ref(part))
        except JobIdError:
            raise CommandError(f"{PROG}: fatal: Bad job/step specified: {part}") from None
        sys.stdout.write(f"Batch Script for {part}\n{'-' * 80}\n{text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
