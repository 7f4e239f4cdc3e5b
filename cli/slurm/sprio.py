"""sprio: what the priorities of waiting jobs are made of."""

from __future__ import annotations

import os
import sys

from packhorse.cli.slurm.fields_priority import LETTERS, PRIORITY_COLUMNS, TERMS, WEIGHTS
from packhorse.cli.slurm.formats import parse_letters, render
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
from packhorse.cli.slurm.table import Table, fetch
from packhorse.cli.transport import call, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROG = "sprio"

TABLE: dict[str, tuple[str, int, str]] = {
    "clusters": ("M", REQUIRED, USED),
    "federation": ("", NONE, HARMLESS),
    "format": ("o", REQUIRED, USED),
    "help": ("", NONE, USED),
    "jobs": ("j", OPTIONAL, USED),
    "local": ("", NONE, HARMLESS),
    "long": ("l", NONE, USED),
    "noheader": ("h", NONE, USED),
    "norm": ("n", NONE, USED),
    "partition": ("p", REQUIRED, USED),
    "server": ("", REQUIRED, USED),
    "sibling": ("", NONE, HARMLESS),
    "sort": ("S", REQUIRED, USED),
    "usage": ("", NONE, USED),
    "user": ("u", REQUIRED, USED),
    "verbose": ("v", NONE, HARMLESS),
    "version": ("V", NONE, USED),
    "weights": ("w", NONE, USED),
}

PARSER = Parser(PROG, TABLE)

VARIABLES = {"SLURM_CLUSTERS": "clusters", "SPRIO_FORMAT": "format"}

_SHOWN = (
    ("A", "age"),
    ("B", "assoc"),
    ("F", "fairshare"),
    ("J", "job_size"),
    ("P", "partition"),
    ("Q", "qos"),
)
"""Letters of terms in the order of the line; by default those that have a weight."""

_HIGHEST = 0xFFFFFFFF
"""Slurm's highest priority: 1 when normalised."""


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `sprio WORDS`."""
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
    options = {name: os.environ[variable] for variable, name in VARIABLES.items() if variable in os.environ}
    options.update(found)
    if "jobs" in options and not options["jobs"] and arguments:
        options["jobs"] = arguments.pop(0)
    if arguments:
        raise CommandError(f"{PROG}: error: Unrecognized option: {arguments[0]}")
    if options.get("clusters"):
        from packhorse.cli.slurm.clusters import checked

        checked(PROG, options["clusters"])
    config = {one["key"]: field(one, "value", "") for one in field(call("GetConfig", {}), "settings", [])}
    kind = config.get("PriorityType", "priority/basic")
    if kind != "priority/multifactor":
        raise CommandError(
            f"You are not running a supported priority plugin\n({kind}).\n"
            "Only 'priority/multifactor' is supported."
        )
    weights = {name: int(config[key]) for name, key in WEIGHTS.items()}
    has_tres = config.get("PriorityWeightTRES", "(null)") != "(null)"
    prefix, pieces, bad = parse_letters(_format(options, weights, has_tres), _fields())
    for letter in bad:
        sys.stderr.write(f"{PROG}: error: Invalid job format specification: {letter}\n")
    header = "noheader" not in options
    if "weights" in options:
        sys.stdout.write(render(prefix, pieces, _weights_row(weights), header))
        return 0
    table = fetch("ListPriorities", {"fields": list(PRIORITY_COLUMNS), **_selection(options)})
    if options.get("jobs") and not table.n:
        sys.stdout.write("Unable to find jobs matching user/id(s) specified\n")
        return 0
    _sort(table, options.get("sort", "i"))
    sys.stdout.write(render(prefix, pieces, _texts(table, config.get("ClusterName", "")), header))
    return 0


def _format(options: dict[str, str], weights: dict[str, int], has_tres: bool) -> str:
    given = options.get("format")
    if given:
        return given
    everything, norm = "long" in options, "norm" in options
    line = "%.15i %9r"
    if everything or options.get("user"):
        line += " %.8u"
    line += " %10y" if norm else " %.10Y"
    if everything or not norm:
        line += " %10S" if norm else " %.10S"
    for letter, term in _SHOWN:
        if everything or weights[term]:
            line += f" %10{letter.lower()}" if norm else f" %.10{letter}"
    if everything and not norm:
        line += " %.11N"
    if everything or has_tres:
        line += " %20t" if norm else " %.20T"
    return line


def _fields() -> dict[str, Any]:
    def column(name: str) -> Any:
        return lambda table: table.columns[name]

    return {letter: (header, column(name)) for letter, (header, name) in LETTERS.items()}


def _selection(options: dict[str, str]) -> dict[str, Any]:
    from packhorse.cli.slurm.users import known_name

    request: dict[str, Any] = {}
    if options.get("jobs"):
        try:
            request["jobs"] = [job_ref(part) for part in split_ids(options["jobs"])]
        except JobIdError:
            raise CommandError(f"{PROG}: error: Invalid job id: {options['jobs']}") from None
    narrowed: dict[str, list[str]] = {}
    if options.get("user"):
        names = [(part, known_name(part)) for part in options["user"].split(",") if part]
        for part, name in names:
            if not name:
                sys.stderr.write(f"{PROG}: error: Invalid user: {part}\n")
        narrowed["users"] = [name or part for part, name in names]
    if options.get("partition"):
        narrowed["partitions"] = [part for part in options["partition"].split(",") if part]
    if narrowed:
        request["filter"] = narrowed
    return request


def _sort(table: Table, text: str) -> None:
    """In place; the last key first, so that earlier ones decide."""
    rows = list(range(table.n))
    for part in reversed(text.split(",")):
        letter = part.strip().lstrip("+-")
        if letter not in LETTERS:
            raise CommandError(f"{PROG}: error: Invalid sort specification: {part.strip()}")
        name = {"normalized": "priority", "cluster": "job_id"}.get(LETTERS[letter][1], LETTERS[letter][1])
        values = table.columns[name]
        rows.sort(key=values.__getitem__, reverse=part.strip().startswith("-"))
    table.keep(rows)


def _texts(table: Table, cluster: str) -> Table:
    """Every column as it is printed."""
    columns: dict[str, list[str]] = {}
    for name, values in table.columns.items():
        if name.endswith("_factor"):
            columns[name] = [f"{float(value):.7f}" for value in values]
        else:
            columns[name] = [str(value) for value in values]
    columns["tres_factors"] = [_short(text) for text in columns["tres_factors"]]
    columns["normalized"] = [f"{value / _HIGHEST:.14f}" for value in table.ints("priority")]
    columns["cluster"] = [cluster] * table.n
    return _table(columns)


def _short(text: str) -> str:
    """Two decimals of each of `cpu=0.187500000,…`."""
    pairs = [part.partition("=") for part in text.split(",") if part]
    return ",".join([f"{name}={float(value):.2f}" for name, _, value in pairs])


def _weights_row(weights: dict[str, int]) -> Table:
    """What every factor is multiplied by, as if it were a job."""
    columns = {name: [""] for _, name in LETTERS.values()}
    columns |= {"job_id": ["Weights"], "site": ["1"]}
    for name in TERMS:
        columns[f"{name}_term"] = columns[f"{name}_factor"] = [str(weights[name])]
    return _table(columns)


def _table(columns: dict[str, list[str]]) -> Table:
    n = len(next(iter(columns.values())))
    named = [{"name": name, "texts": values} for name, values in columns.items()]
    return Table({"columns": named, "nRows": n})


if __name__ == "__main__":
    sys.exit(main())
