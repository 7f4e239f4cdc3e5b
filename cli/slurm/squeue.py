"""squeue: the jobs that wait and run."""

from __future__ import annotations

import os
import sys
from time import localtime, sleep, strftime

from packhorse.cli.slurm.formats import Piece, parse_letters, parse_names, render
from packhorse.cli.slurm.jobids import JobIdError, job_ref, split_ids
from packhorse.cli.slurm.options import (
    HARMLESS,
    NONE,
    OPTIONAL,
    REQUIRED,
    USED,
    Parser,
    print_version,
    take_server,
)
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.slurm.states import COMPACT, ENDED, HERE, long_state
from packhorse.cli.slurm.table import Table, fetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROG = "squeue"

TABLE: dict[str, tuple[str, int, str]] = {
    "account": ("A", REQUIRED, USED),
    "all": ("a", NONE, HARMLESS),
    "array": ("r", NONE, USED),
    "array-unique": ("", NONE, HARMLESS),
    "clusters": ("M", REQUIRED, USED),
    "federation": ("", NONE, HARMLESS),
    "format": ("o", REQUIRED, USED),
    "Format": ("O", REQUIRED, USED),
    "help": ("", NONE, USED),
    "hide": ("", NONE, HARMLESS),
    "iterate": ("i", REQUIRED, USED),
    "jobs": ("j", OPTIONAL, USED),
    "json": ("", OPTIONAL, USED),
    "licenses": ("L", REQUIRED, USED),
    "local": ("", NONE, HARMLESS),
    "long": ("l", NONE, USED),
    "me": ("", NONE, USED),
    "name": ("n", REQUIRED, USED),
    "noconvert": ("", NONE, HARMLESS),
    "nodelist": ("w", REQUIRED, USED),
    "noheader": ("h", NONE, USED),
    "only-job-state": ("", NONE, HARMLESS),
    "partition": ("p", REQUIRED, USED),
    "priority": ("P", NONE, HARMLESS),
    "qos": ("q", REQUIRED, USED),
    "reservation": ("R", REQUIRED, USED),
    "server": ("", REQUIRED, USED),
    "sibling": ("", NONE, HARMLESS),
    "sort": ("S", REQUIRED, USED),
    "start": ("", NONE, USED),
    "states": ("t", REQUIRED, USED),
    "steps": ("s", OPTIONAL, USED),
    "usage": ("", NONE, USED),
    "user": ("u", REQUIRED, USED),
    "verbose": ("v", NONE, HARMLESS),
    "version": ("V", NONE, USED),
    "yaml": ("", OPTIONAL, USED),
}

PARSER = Parser(PROG, TABLE)

VARIABLES = {
    "SLURM_CLUSTERS": "clusters",
    "SQUEUE_ACCOUNT": "account",
    "SQUEUE_ALL": "all",
    "SQUEUE_ARRAY": "array",
    "SQUEUE_LICENSES": "licenses",
    "SQUEUE_NAMES": "name",
    "SQUEUE_PARTITION": "partition",
    "SQUEUE_PRIORITY": "priority",
    "SQUEUE_QOS": "qos",
    "SQUEUE_SORT": "sort",
    "SQUEUE_STATES": "states",
    "SQUEUE_USERS": "user",
}

FORMAT = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
LONG_FORMAT = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R"
START_FORMAT = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R"

_FILTERS = (("account", "accounts"), ("name", "names"), ("partition", "partitions"), ("qos", "qos"))
_IDS = ("job_id", "array_job_id", "array_task_id", "array_pending")
_LAST = 1 << 62  # after every instant and index


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `squeue WORDS`."""
    found, arguments = PARSER.parse(words)
    for name, _ in found:
        if name in ("help", "usage", "version"):
            _tell(name)
            return 0
    PARSER.refuse_unsupported(found)
    take_server(found)
    options = _with_variables(dict(found))
    # The value of -j and -s is optional, so that one written apart arrives as an argument.
    for name in ("jobs", "steps"):
        if name in options and not options[name] and arguments:
            options[name] = arguments.pop(0)
    if arguments:
        from packhorse.cli.slurm import usage

        sys.stderr.write(f"{PROG}: error: Unrecognized option: {arguments[0]}\n")
        usage.show(PROG, "usage")
        return 1
    cluster = ""
    if options.get("clusters"):
        from packhorse.cli.slurm.clusters import checked

        cluster = f"CLUSTER: {checked(PROG, options['clusters'])}\n"
    if "iterate" not in options:
        return _once(options, cluster)
    pause = options["iterate"]
    if not pause.isdecimal() or not int(pause):
        raise CommandError(f"{PROG}: error: --iterate={pause}")
    while True:
        code = _once(options, cluster)
        if code:
            return code
        sys.stdout.write("\n")
        sys.stdout.flush()
        sleep(int(pause))


def _tell(name: str) -> None:
    if name == "version":
        print_version()
        return
    from packhorse.cli.slurm import usage

    usage.show(PROG, name)


def _with_variables(options: dict[str, str]) -> dict[str, str]:
    """The options, with those that SQUEUE_* variables stand for where the command line has none."""
    for variable, name in VARIABLES.items():
        if variable in os.environ:
            options.setdefault(name, os.environ[variable])
    if not options.keys() & {"format", "Format", "long", "start", "steps", "json", "yaml"}:
        if os.environ.get("SQUEUE_FORMAT"):
            options["format"] = os.environ["SQUEUE_FORMAT"]
        elif os.environ.get("SQUEUE_FORMAT2"):
            options["Format"] = os.environ["SQUEUE_FORMAT2"]
    return options


def _once(options: dict[str, str], cluster: str) -> int:
    if "steps" in options:
        from packhorse.cli.slurm import squeue_steps

        sys.stdout.write(cluster + squeue_steps.listing(options))
        return 0
    request = selection(options)
    if "json" in options or "yaml" in options:
        from packhorse.cli.slurm.structured import listing
        from packhorse.scheduler.model.shapes import jobs

        request["fields"] = list(jobs.COLUMNS)
        table = fetch("ListJobs", request)
        check_known(table, request)
        _keep_licensed(table, options)
        sys.stdout.write(listing(PROG, options, "jobs", jobs.JOB, table.rows(), table.now_s))
        return 0
    prefix, pieces = _pieces(options)
    sort = options.get("sort") or ("S" if "start" in options else "P,t,-p")
    keys = _sort_keys(sort)
    needed = dict.fromkeys(_IDS)
    for piece in pieces:
        needed.update(dict.fromkeys(piece.field[2]))
    for _, needs in keys:
        needed.update(dict.fromkeys(needs))
    if options.get("licenses"):
        needed["licenses"] = None
    request["fields"] = list(needed)
    table = fetch("ListJobs", request)
    check_known(table, request)
    _keep_licensed(table, options)
    _sort(table, keys)
    from packhorse.cli.slurm.fields_jobs import NEVER_CUT

    header = "noheader" not in options
    date = ""
    if header and ("long" in options or "iterate" in options):
        date = strftime("%a %b %d %H:%M:%S %Y\n", localtime(table.now_s))
    sys.stdout.write(cluster + date + render(prefix, pieces, table, header, NEVER_CUT))
    return 0


def selection(options: dict[str, str]) -> dict[str, Any]:
    """The ListJobs request that the filters amount to, without its fields."""
    request: dict[str, Any] = {}
    if options.get("jobs"):
        request["jobs"] = _job_refs(options["jobs"])
    narrowed: dict[str, list[str]] = {}
    for option, key in (
        ("account", "accounts"),
        ("name", "names"),
        ("partition", "partitions"),
        ("qos", "qos"),
        ("reservation", "reservations"),
    ):
        if options.get(option):
            narrowed[key] = [part for part in options[option].split(",") if part]
    users = _users(options)
    if users is not None:
        narrowed["users"] = users
    if options.get("nodelist"):
        narrowed["nodes"] = _nodes(options["nodelist"])
    states = _states(options.get("states") or "")
    if "start" in options:
        narrowed["states"] = ["PENDING"]
    elif options.get("states"):
        if states:
            # Slurm has states that no job is ever in here; asked for alone, they match nothing.
            narrowed["states"] = [state for state in states if state in HERE] or ["SUSPENDED"]
        if not states or not ENDED.isdisjoint(states):
            request["includeEnded"] = True
    if narrowed:
        request["filter"] = narrowed
    if "array" in options:
        request["expandArrays"] = True
    return request


def check_known(table: Table, request: dict[str, Any]) -> None:
    """One job asked for by its number that is not there is an error; of several, those missing are left
    out.
    """
    if table.unknown and len(request.get("jobs", ())) == 1:
        raise CommandError("slurm_load_jobs error: Invalid job id specified")


def _keep_licensed(table: Table, options: dict[str, str]) -> None:
    """`--licenses`: only jobs that asked for one of them."""
    wanted = {name.strip() for name in options.get("licenses", "").split(",") if name.strip()}
    if wanted:
        asked = [
            {part.partition(":")[0] for part in text.split(",")} if text else set()
            for text in table.texts("licenses")
        ]
        table.keep(row for row, names in enumerate(asked) if names & wanted)


def _job_refs(text: str) -> list[dict[str, Any]]:
    refs = []
    for part in split_ids(text):
        try:
            refs.append(job_ref(part))
        except JobIdError:
            raise CommandError(f"{PROG}: error: Invalid job id: {part}") from None
    return refs


def _users(options: dict[str, str]) -> list[str] | None:
    """Names of the users asked for, None for everybody's jobs."""
    from packhorse.cli.slurm.users import known_name, own_name

    if "me" in options:
        return [own_name()]
    if not options.get("user"):
        return None
    users = []
    for part in options["user"].split(","):
        name = known_name(part)
        if not name:
            sys.stderr.write(f"{PROG}: error: Invalid user: {part}\n\n")
        users.append(name or part)
    return users


def _nodes(text: str) -> list[str]:
    from packhorse.scheduler.model.hostlist import HostlistError, expand

    try:
        names = expand(text)
    except HostlistError as error:
        raise CommandError(f"{PROG}: error: {error}") from None
    known = set(fetch("ListNodes", {"fields": ["name"]}).texts("name"))
    for name in names:
        if name not in known:
            raise CommandError(f"{PROG}: error: Invalid node name {name}")
    return names


def _states(text: str) -> list[str]:
    """The long words of a list of states, [] for all of them."""
    states = []
    for part in text.split(","):
        if part.lower() == "all":
            return []
        if not part:
            continue
        state = long_state(part)
        if not state:
            raise CommandError(
                f"{PROG}: error: Invalid job state specified: {part}\n"
                f"{PROG}: error: Valid job states include: {','.join(COMPACT)}\n"
            )
        states.append(state)
    return states


def _pieces(options: dict[str, str]) -> tuple[str, list[Piece]]:
    from packhorse.cli.slurm import fields_jobs

    if "Format" in options:
        if "format" in options:
            raise CommandError(f"{PROG}: error: -O (--Format) is incompatible with -o (--format)")
        pieces, bad = parse_names(options["Format"], fields_jobs.names())
        prefix = ""
    else:
        text = START_FORMAT if "start" in options else LONG_FORMAT if "long" in options else FORMAT
        if "format" in options:
            if "long" in options:
                raise CommandError(
                    f"{PROG}: fatal: Options -o(--format) and -l(--long) are mutually exclusive. "
                    "Please remove one and retry."
                )
            text = options["format"]
        prefix, pieces, bad = parse_letters(text, fields_jobs.LETTERS)
    for name in bad:
        sys.stderr.write(f"{PROG}: error: Invalid job format specification: {name}\n")
    return prefix, pieces


def _sort_keys(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """[(letter, with - before it for descending order; raw columns needed)]."""
    from packhorse.cli.slurm.fields_jobs import LETTERS

    keys = []
    for part in text.split(","):
        descending = part[:1] == "-"
        letter = part.lstrip("+-")
        if len(letter) != 1 or letter not in LETTERS:
            if part:
                raise CommandError(f"{PROG}: error: Invalid sort specification: {letter[:1] or part}")
            continue
        keys.append((("-" if descending else "") + letter, LETTERS[letter][2]))
    return keys


def _sort(table: Table, keys: list[tuple[str, tuple[str, ...]]]) -> None:
    """Orders the rows; equal ones by id, an array's elements before what waits of it."""
    if table.n < 2:
        return
    ids = table.ints("job_id")
    order = list(range(table.n))
    arrays = table.ints("array_job_id")
    if any(arrays):
        indexes = table.ints("array_task_id")
        by_id: list[Any] = [
            (array or job_id, index if index >= 0 else _LAST)
            for job_id, array, index in zip(ids, arrays, indexes, strict=True)
        ]
    else:
        by_id = ids
    order.sort(key=by_id.__getitem__)
    for key, _ in reversed(keys):
        values = by_id if key[-1] == "i" else _sort_values(table, key[-1])
        if values.count(values[0]) == table.n:
            continue  # all in one partition, all of one priority: nothing to sort by
        order.sort(key=values.__getitem__, reverse=key[0] == "-")
    if order != list(range(table.n)):
        table.keep(order)


def _sort_values(table: Table, letter: str) -> list[Any]:
    from packhorse.cli.slurm import fields_jobs

    if letter == "M":
        return fields_jobs.used_seconds(table)
    if letter == "S":
        return [value or _LAST for value in fields_jobs.start_seconds(table)]
    if letter == "e":
        return [value or _LAST for value in fields_jobs.end_seconds(table)]
    if letter in "lL":
        return [value or _LAST for value in table.ints("time_limit_s")]
    _, column, needs = fields_jobs.LETTERS[letter]
    if len(needs) == 1 and table.n and isinstance(table.columns[needs[0]][0], int):
        return table.ints(needs[0])
    return list(column(table))


if __name__ == "__main__":
    sys.exit(main())
