"""sinfo: nodes and partitions, equal ones on one line."""

from __future__ import annotations

import os
import sys
from time import localtime, sleep, strftime

from packhorse.cli.slurm import sinfo_fields
from packhorse.cli.slurm.fields_nodes import NODE_COLUMNS
from packhorse.cli.slurm.formats import Piece, parse_letters, parse_names
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
from packhorse.cli.slurm.sinfo_fields import LETTERS, Field, Group, partition_name, state_rank
from packhorse.cli.slurm.table import fetch
from packhorse.scheduler.model.hostlist import HostlistError, expand, natural_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]

PROG = "sinfo"

TABLE: dict[str, tuple[str, int, str]] = {
    "all": ("a", NONE, HARMLESS),
    "clusters": ("M", REQUIRED, USED),
    "dead": ("d", NONE, USED),
    "exact": ("e", NONE, USED),
    "federation": ("", NONE, HARMLESS),
    "format": ("o", REQUIRED, USED),
    "Format": ("O", REQUIRED, USED),
    "help": ("", NONE, USED),
    "hide": ("", NONE, HARMLESS),
    "iterate": ("i", REQUIRED, USED),
    "json": ("", OPTIONAL, USED),
    "list-reasons": ("R", NONE, USED),
    "local": ("", NONE, HARMLESS),
    "long": ("l", NONE, USED),
    "noconvert": ("", NONE, HARMLESS),
    "Node": ("N", NONE, USED),
    "nodes": ("n", REQUIRED, USED),
    "noheader": ("h", NONE, USED),
    "partition": ("p", REQUIRED, USED),
    "reservation": ("T", NONE, USED),
    "responding": ("r", NONE, USED),
    "server": ("", REQUIRED, USED),
    "sort": ("S", REQUIRED, USED),
    "states": ("t", REQUIRED, USED),
    "summarize": ("s", NONE, USED),
    "usage": ("", NONE, USED),
    "verbose": ("v", NONE, HARMLESS),
    "version": ("V", NONE, USED),
    "yaml": ("", OPTIONAL, USED),
}

PARSER = Parser(PROG, TABLE)

VARIABLES = {
    "SINFO_FORMAT": "format",
    "SINFO_PARTITION": "partition",
    "SINFO_SORT": "sort",
    "SLURM_CLUSTERS": "clusters",
}

MIN_NAME_WIDTH = 9
"""Names of nodes and partitions get at least so much room in the built-in formats, more where they are
longer.
"""

STATE_FILTERS = {
    "alloc": ("ALLOCATED",),
    "allocated": ("ALLOCATED",),
    "mix": ("MIXED",),
    "mixed": ("MIXED",),
    "idle": ("IDLE",),
    "down": ("DOWN",),
    "drain": ("DRAINED", "DRAINING"),
    "drained": ("DRAINED",),
    "drng": ("DRAINING",),
    "draining": ("DRAINING",),
    "unk": ("UNKNOWN",),
    "unknown": ("UNKNOWN",),
}
RESERVED_FILTERS = {"maint": "MAINT", "reserved": "RESERVED", "resv": "RESERVED"}

# fmt: off
NO_NODE_IS = (
    "blocked", "cloud", "comp", "completing", "fail", "failg", "failing", "future", "perfctrs",
    "planned", "pow_dn", "pow_up", "power_down", "powered_down", "powering_down", "powering_up",
    "reboot", "reboot_issued", "reboot_requested", "?",
)
# fmt: on
"""States of Slurm's that no node is in here; asking for them is no mistake."""


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `sinfo WORDS`."""
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
    for variable, name in VARIABLES.items():
        if os.environ.get(variable) and not (name == "format" and options.keys() & {"Format", "long"}):
            options.setdefault(name, os.environ[variable])
    if arguments:
        raise CommandError(f"{PROG}: error: Unrecognized option: {arguments[0]}")
    cluster = ""
    if options.get("clusters"):
        from packhorse.cli.slurm.clusters import checked

        cluster = f"CLUSTER: {checked(PROG, options['clusters'])}\n"
    if "reservation" in options:
        return _reservations(options)
    pause = options.get("iterate", "")
    if "iterate" in options and (not pause.isdecimal() or not int(pause)):
        raise CommandError(f"{PROG}: error: Error: invalid entry for --iterate={pause}")
    while True:
        sys.stdout.write(cluster + listing(options))
        if "iterate" not in options:
            return 0
        sys.stdout.write("\n")
        sys.stdout.flush()
        sleep(int(pause))


def _reservations(options: dict[str, str]) -> int:
    from packhorse.cli.slurm.fields_nodes import RESERVATION_COLUMNS
    from packhorse.cli.slurm.show_reservation import reservation_table

    table = fetch("ListReservations", {"fields": list(RESERVATION_COLUMNS)})
    if "json" in options or "yaml" in options:
        from packhorse.cli.slurm import structured
        from packhorse.scheduler.model.shapes.reservations import RESERVATION

        rows = table.rows()
        sys.stdout.write(structured.listing(PROG, options, "reservations", RESERVATION, rows, table.now_s))
    elif not table.n:
        sys.stdout.write("No reservations in the system\n")
    else:
        sys.stdout.write(reservation_table(table.rows(), "noheader" not in options))
    return 0


def listing(options: dict[str, str]) -> str:
    """Everything that one run prints."""
    structured = "json" in options or "yaml" in options
    columns = [name for name in NODE_COLUMNS if name != "devices" or structured]
    node_table = fetch("ListNodes", {"fields": columns})
    partitions = fetch("ListPartitions", {"fields": []}).rows()
    nodes = _chosen_nodes(node_table.rows(), options)
    if options.get("partition"):
        wanted = options["partition"].split(",")
        partitions = [partition for partition in partitions if partition["name"] in wanted]
    for position, partition in enumerate(partitions):
        partition["position"] = position
    if structured:
        from packhorse.cli.slurm.structured import listing as structured_listing
        from packhorse.scheduler.model.shapes.nodes import NODE

        return structured_listing(PROG, options, "nodes", NODE, nodes, node_table.now_s)
    prefix, pieces = _pieces(options)
    _widen(pieces, nodes, partitions, options)
    groups = _groups(nodes, partitions, pieces, options)
    _sort(groups, options)
    header = "noheader" not in options
    lines = []
    if header and ("long" in options or "iterate" in options):
        lines.append(strftime("%a %b %d %H:%M:%S %Y\n", localtime(node_table.now_s)))
    template = prefix.replace("%", "%%") + "".join([piece.template() for piece in pieces]) + "\n"
    if header:
        lines.append(template % tuple([piece.field.header for piece in pieces]))
    lines += [template % tuple([piece.field.text(group) for piece in pieces]) for group in groups]
    return "".join(lines)


def _chosen_nodes(nodes: list[Row], options: dict[str, str]) -> list[Row]:
    if options.get("nodes"):
        try:
            wanted = set(expand(options["nodes"]))
        except HostlistError as error:
            raise CommandError(f"{PROG}: error: {error}") from None
        nodes = [node for node in nodes if node["name"] in wanted]
    if "list-reasons" in options:
        nodes = [node for node in nodes if node["reason"]]
    if "dead" in options:
        nodes = [node for node in nodes if node["not_responding"]]
    if "responding" in options:
        nodes = [node for node in nodes if not node["not_responding"]]
    if options.get("states"):
        states: set[str] = set()
        for word in options["states"].lower().split(","):
            if word == "all":
                return nodes
            if word in ("no_respond", "no_resp"):
                states.add("")
            elif word in RESERVED_FILTERS:
                states.add(RESERVED_FILTERS[word])
            elif word in STATE_FILTERS:
                states.update(STATE_FILTERS[word])
            elif word not in NO_NODE_IS:
                valid = ",".join([*STATE_FILTERS, *RESERVED_FILTERS, "no_respond", *NO_NODE_IS])
                raise CommandError(
                    f'{PROG}: error: Bad state string: "{word}"\n{PROG}: error: valid states: {valid}'
                )
        nodes = [
            node
            for node in nodes
            if node["state"] in states
            or ("" in states and node["not_responding"])
            or ("RESERVED" in states and node["reservation"])
            or ("MAINT" in states and node["in_maint"])
        ]
    return nodes


def _pieces(options: dict[str, str]) -> tuple[str, list[Piece]]:
    bad: list[str]
    if "Format" in options:
        prefix = ""
        pieces, bad = parse_names(options["Format"], sinfo_fields.names())
    else:
        prefix, pieces, bad = parse_letters(options.get("format") or _built_in(options), LETTERS)
    for name in bad:
        sys.stderr.write(f"Invalid node format specification: {name}\n")
    return prefix, pieces


def _built_in(options: dict[str, str]) -> str:
    long = "long" in options
    if "list-reasons" in options:
        return "%20E %12U %19H %6t %N" if long else "%20E %9u %19H %N"
    if "Node" in options:
        return "%9N %.6D %.9P %.11T %4c %.8z %.6m %.8d %.6w %.8f %20E" if long else "%9N %.6D %.9P %6t"
    if "summarize" in options:
        return "%9P %.5a %.10l %.16F %N"
    if long:
        return "%9P %.5a %.10l %.10s %.4r %.8h %.10g %.6D %.11T %N"
    return "%9P %.5a %.10l %.6D %.6t %N"


def _widen(pieces: list[Piece], nodes: list[Row], partitions: list[Row], options: dict[str, str]) -> None:
    """Makes room for long names in the built-in formats, so that no name is ever cut there."""
    if options.keys() & {"format", "Format"}:
        return
    for piece in pieces:
        if piece.width != MIN_NAME_WIDTH:
            continue
        if piece.field is LETTERS["P"]:
            longest = max([len(partition_name(partition)) for partition in partitions], default=0)
            piece.width = max(MIN_NAME_WIDTH, longest)
        elif piece.field is LETTERS["N"]:
            piece.width = max(MIN_NAME_WIDTH, max([len(node["name"]) for node in nodes], default=0))


def _groups(
    nodes: list[Row], partitions: list[Row], pieces: list[Piece], options: dict[str, str]
) -> list[Group]:
    """The lines: nodes that agree in every field shown, by partition where a field of partitions is shown."""
    fields: list[Field] = [piece.field for piece in pieces]
    of_partition = [field for field in fields if field.about == "partition"]
    about = ("node", "size") if "exact" in options else ("node",)
    keys = [field.key for field in fields if field.about in about and field.key]
    if "Node" in options:
        keys.append(lambda node: node["name"])
    by_partition = bool(of_partition) or "Node" in options or "partition" in options
    found: dict[tuple[object, ...], Group] = {}
    if not by_partition:
        for node in nodes:
            key = tuple([make(node) for make in keys])
            found.setdefault(key, Group(None, [])).nodes.append(node)
        return list(found.values())
    shown: dict[tuple[object, ...], set[str]] = {}
    for partition in partitions:
        place = Group(partition, [])
        head = tuple([field.text(place) for field in of_partition])
        if "Node" in options:
            head = (*head, partition["name"])
        here = [node for node in nodes if partition["name"] in node["partitions"].split(",")]
        for node in here:
            key = (*head, *[make(node) for make in keys])
            group = found.setdefault(key, Group(partition, []))
            names = shown.setdefault(key, set())
            if node["name"] not in names:
                names.add(node["name"])
                group.nodes.append(node)
        if not here and of_partition and "Node" not in options and "list-reasons" not in options:
            found.setdefault((*head, "no nodes"), place)
    return list(found.values())


def _sort(groups: list[Group], options: dict[str, str]) -> None:
    text = options.get("sort") or ("N,P" if "Node" in options else "#P,-t")
    for part in reversed(text.split(",")):
        letter = part.lstrip("#+-")
        if letter not in LETTERS:
            if part:
                raise CommandError(f"{PROG}: error: Invalid sort specification: {letter[:1] or part}")
            continue
        descending = "-" in part[: len(part) - len(letter)]
        groups.sort(key=_sort_key(letter, "#" in part), reverse=descending)


def _sort_key(letter: str, by_position: bool) -> Any:
    if letter in "PR":
        if by_position:
            return lambda group: group.partition["position"] if group.partition else -1
        return lambda group: group.partition["name"] if group.partition else ""
    if letter in "tT":
        return lambda group: max([state_rank(node) for node in group.nodes], default=-1)
    if letter == "D":
        return lambda group: len(group.nodes)
    field = LETTERS[letter]
    return lambda group: natural_key(field.text(group))


if __name__ == "__main__":
    sys.exit(main())
