"""docs/slurm.md, made from the tables that the commands parse with and from what the manual pages list."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from packhorse.cli.importing import parameters, parts
from packhorse.cli.importing.report import Known
from packhorse.cli.slurm.compat.notes import EVERYWHERE, OURS, OWN, SPECIAL, UNUSED
from packhorse.cli.slurm.options import HARMLESS, NONE, NOT_YET, OPTIONAL, REQUIRED, USED, WARNED

Table = Mapping[str, tuple[str, int, str]]

MEANINGS = {
    USED: "supported",
    HARMLESS: "accepted, no effect",
    WARNED: "accepted with a warning, no effect",
    NOT_YET: "refused by name",
}
UNKNOWN = "not known"
SEFF = """\
## seff

A script that comes with Slurm, without a manual page: `seff [-h|--help] [-v] JOBID`, all supported.
`--server=…` is ours.

"""
HERE = Path(__file__).parent


class Listed(NamedTuple):
    """What the manual page of a command lists. options: (letter, long name), either may be ""."""

    options: list[tuple[str, str]]
    variables: list[str]


def listed() -> tuple[dict[str, Listed], dict[str, dict[str, list[str]]]]:
    """By command, and the parameters by file and section."""
    data = json.loads((HERE / "slurm_22_05.json").read_text())
    commands = {
        name: Listed([(letter, long) for letter, long in body["options"]], body["variables"])
        for name, body in data["commands"].items()
    }
    return commands, data["files"]


def table_of(command: str) -> Table | None:
    """The options as the command parses them; None: there is no such command."""
    for module in (f"packhorse.cli.slurm.{command}_options", f"packhorse.cli.slurm.{command}"):
        if importlib.util.find_spec(module) is not None:
            found: Table | None = getattr(importlib.import_module(module), "TABLE", None)
            if found is not None:
                return found
    return None


def variable_options(command: str) -> Callable[[str], str]:
    """Which option a variable stands for, "" for none, as the command reads it."""
    options = f"packhorse.cli.slurm.{command}_options"
    if importlib.util.find_spec(options) is not None:
        read = importlib.import_module(options).from_environment
        more = ("",) if command == "srun" else ()
        table = table_of(command) or {}

        def by_reading(variable: str) -> str:
            found = read({variable: "1"}, *more)
            if not found and more:  # what only means something to steps of a job
                found = read({variable: "1", "SLURM_JOB_ID": "1"}, "1")
            return next((name for name, _ in found if name in table), "")

        return by_reading
    module = f"packhorse.cli.slurm.{command}"
    known: Mapping[str, str] = (
        getattr(importlib.import_module(module), "VARIABLES", {}) if importlib.util.find_spec(module) else {}
    )
    return lambda variable: known.get(variable, "")


def remark(command: str, name: str, what: str) -> str:
    own = OWN.get(command, {})
    if name in own:
        return own[name]
    refused: Mapping[str, tuple[str, str]] = (
        importlib.import_module("packhorse.cli.slurm.strigger").NOT_HERE if command == "strigger" else {}
    )
    if name in refused:
        return refused[name][1]
    if name in OURS:
        return "ours"
    if name == "clusters" or what != USED or name == "server":
        return EVERYWHERE.get(name, "")
    return ""


def page() -> str:
    """The whole text."""
    commands, files = listed()
    out = [(HERE / "head.md").read_text()]
    out += [f"- [{name}](#{name})\n" for name in commands]
    out.append("- [seff](#seff)\n- [Configuration files](#configuration-files)\n\n")
    for name, lists in commands.items():
        out += _command(name, lists)
    out.append(SEFF)
    out += _configuration(files)
    return "".join(out)


def _command(name: str, lists: Listed) -> Iterable[str]:
    yield f"## {name}\n\n"
    table = table_of(name)
    if table is None:
        yield "There is no such command.\n\n"
        return
    yield "| option | here | remark |\n|---|---|---|\n"
    letters = {letter: long for long, (letter, _, _) in table.items() if letter}
    for letter, long in lists.options:
        known = long or letters.get(letter, "")
        if known not in table:
            yield f"| {_spelled(letter, long, NONE)} | {UNKNOWN} | |\n"
            continue
        _, takes, what = table[known]
        yield f"| {_spelled(letter, long, takes)} | {MEANINGS[what]} | {remark(name, known, what)} |\n"
    said = {long for _, long in lists.options} | {letters.get(letter, "") for letter, _ in lists.options}
    more = {long: option for long, option in table.items() if long not in said}
    if more:
        yield "\nNot in that manual page:\n\n| option | here | remark |\n|---|---|---|\n"
        for long, (letter, takes, what) in more.items():
            yield f"| {_spelled(letter, long, takes)} | {MEANINGS[what]} | {remark(name, long, what)} |\n"
    yield "\n"
    if lists.variables:
        yield "| variable | here |\n|---|---|\n"
        stands_for = variable_options(name)
        for variable in lists.variables:
            yield f"| `{variable}` | {variable_means(name, variable, stands_for(variable), table)} |\n"
        yield "\n"


def _spelled(letter: str, long: str, takes: int) -> str:
    value = {NONE: "", REQUIRED: "=…", OPTIONAL: "[=…]"}[takes]
    short = f"`-{letter}`" if letter else ""
    whole = f"`--{long}{value}`" if long else ""
    return ", ".join(part for part in (short, whole) if part)


def variable_means(command: str, variable: str, option: str, table: Table) -> str:
    """What a variable does. option: the one that it stands for, "" for none."""
    if option:
        what = table[option][2]
        return f"`--{option}`" + ("" if what == USED else f": {MEANINGS[what]}")
    if variable in SPECIAL.get(command, {}):
        return SPECIAL[command][variable]
    if variable in UNUSED:
        return f"no effect: {UNUSED[variable]}"
    if variable.endswith(("_LOCAL", "_FEDERATION", "_SIBLING", "_CLUSTER", "_CLUSTERS")):
        return "no effect: one cluster"
    if variable.endswith("_ALL"):
        return "no effect: nothing is hidden"
    return "no effect"


_TABLES: dict[tuple[str, str], Mapping[str, Known]] = {
    ("slurm.conf", "PARAMETERS"): parameters.PARAMETERS,
    ("slurm.conf", "NODE CONFIGURATION"): parts.NODE,
    ("slurm.conf", "DOWN NODE CONFIGURATION"): parts.DOWN,
    ("slurm.conf", "FRONTEND NODE CONFIGURATION"): parts.FRONTEND,
    ("slurm.conf", "NODESET CONFIGURATION"): parts.NODESET,
    ("slurm.conf", "PARTITION CONFIGURATION"): parts.PARTITION,
    ("gres.conf", "DESCRIPTION"): parts.GRES,
    ("cgroup.conf", "DESCRIPTION"): parts.CGROUP,
    ("cgroup.conf", "TASK/CGROUP PLUGIN"): parts.CGROUP,
    ("topology.conf", "DESCRIPTION"): parts.TOPOLOGY,
}


def known_parameters(file: str, section: str) -> Mapping[str, Known]:
    """The table that `packhorse import` goes by."""
    return _TABLES[file, section]


def _configuration(files: Mapping[str, Mapping[str, list[str]]]) -> Iterable[str]:
    yield (HERE / "files.md").read_text()
    for file, sections in files.items():
        yield f"### {file}\n\n"
        for section, names in sections.items():
            if len(sections) > 1:
                yield f"**{section.capitalize()}**\n\n"
            yield "| parameter | here | remark |\n|---|---|---|\n"
            table = known_parameters(file, section)
            for name in sorted(names, key=str.lower):
                known = table[name]
                yield f"| `{name}` | {known.fate.value} | {known.remark.replace('|', '&#124;')} |\n"
            yield "\n"
    yield "### SchedulerParameters\n\n| option | here | remark |\n|---|---|---|\n"
    for name, known in parameters.SCHEDULER_PARAMETERS.items():
        yield f"| `{name}` | {known.fate.value} | {known.remark} |\n"
    yield "| others | not supported | no counterpart |\n\n"
    yield "### PriorityFlags\n\n| flag | here | remark |\n|---|---|---|\n"
    for name, known in parameters.PRIORITY_FLAGS.items():
        yield f"| `{name}` | {known.fate.value} | {known.remark} |\n"
