"""sreport: what was used, by whom and by what, over a time.

`sreport [OPTIONS] TYPE REPORT [CONDITIONS]`; words may be shortened as in Slurm. Unlike there, what runs now
and what ended a moment ago is in it: an end in the future is now.
"""

from __future__ import annotations

import os
import sys
import time

from packhorse.cli.slurm.options import HARMLESS, NONE, REQUIRED, USED, Parser, print_version, take_server
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.slurm.sreport_table import Layout, Unit, unit_named
from packhorse.cli.slurm.when import WhenError, parse_when_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from packhorse.cli.slurm.sreport_reports import Report

PROG = "sreport"

TABLE: dict[str, tuple[str, int, str]] = {
    "all_clusters": ("a", NONE, HARMLESS),
    "cluster": ("M", REQUIRED, HARMLESS),
    "federation": ("", NONE, HARMLESS),
    "help": ("h", NONE, USED),
    "local": ("", NONE, HARMLESS),
    "noheader": ("n", NONE, USED),
    "parsable": ("p", NONE, USED),
    "parsable2": ("P", NONE, USED),
    "quiet": ("Q", NONE, HARMLESS),
    "server": ("", REQUIRED, USED),
    "time": ("t", REQUIRED, USED),
    "tres": ("T", REQUIRED, USED),
    "usage": ("", NONE, USED),
    "verbose": ("v", NONE, HARMLESS),
    "version": ("V", NONE, USED),
}

PARSER = Parser(PROG, TABLE, hint=False)

FLAGS = ("acctasparent", "all_clusters", "flatview", "group", "printjobcount", "tree")
LISTS = (
    "accounts", "clusters", "format", "gid", "grouping", "jobs", "names", "nodes", "partitions", "users",
    "wckeys",
)  # fmt: skip
SINGLE = ("end", "start", "topcount")
WORDS = (*FLAGS, *LISTS, *SINGLE)
NOT_HERE = ("gid", "jobs")
"""Conditions of Slurm's that this command refuses by name."""


class Conditions:
    """What follows the name of a report. flags, values: by their whole names in small letters."""

    def __init__(self, words: Sequence[str], now_s: int) -> None:
        """Raises CommandError for a word that is none."""
        self.flags: set[str] = set()
        self.values: dict[str, list[str]] = {}
        today = time.localtime(now_s)
        midnight_s = int(time.mktime((*today[:3], 0, 0, 0, 0, 0, -1)))
        self.since_s = int(time.mktime((*today[:2], today.tm_mday - 1, 0, 0, 0, 0, 0, -1)))
        self.until_s = midnight_s
        self.top = 10
        given: set[str] = set()
        index = 0
        while index < len(words):
            word = words[index]
            index += 1
            name, equals, value = word.partition("=")
            whole = _completed(name.lower(), word)
            if whole in FLAGS:
                self.flags.add(whole)
                continue
            if not equals:
                raise CommandError(f" Unknown condition: {word}\nUse keyword set to modify value")
            given.add(whole)
            self._take(whole, value.strip("\"'"), now_s)
        self.since_s -= self.since_s % 3600
        if self.until_s <= self.since_s and "end" not in given:
            self.until_s = self.since_s + 3600  # as Slurm does for `start=today`
        if self.until_s <= self.since_s:
            raise CommandError(f"{PROG}: error: the end is not after the start")

    def _take(self, name: str, value: str, now_s: int) -> None:
        if name in NOT_HERE:
            raise CommandError(f"{PROG}: error: {name}= is not supported by Packhorse")
        if name == "topcount":
            if not value.isdecimal() or not int(value):
                raise CommandError(f"{PROG}: error: topcount={value}: not a number of users")
            self.top = int(value)
        elif name in SINGLE:
            try:
                instant = parse_when_s(value, now_s, past=True)
            except WhenError as error:
                raise CommandError(str(error)) from None
            if name == "start":
                self.since_s = instant
            else:
                self.until_s = instant
        else:
            self.values.setdefault(name, []).extend(part for part in value.split(",") if part)

    def list(self, name: str) -> list[str]:
        """The values of a condition, none if it was not given."""
        return self.values.get(name, [])


def _completed(name: str, word: str) -> str:
    if name == "grouping" or name == "group":
        return name
    known = [one for one in WORDS if one.startswith(name)] if name else []
    if name in ("acct", "acc", "account") or (len(known) > 1 and "accounts" in known):
        return "accounts"
    if not known:
        raise CommandError(f" Unknown condition: {word}\nUse keyword set to modify value")
    return known[0]


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `sreport WORDS`."""
    found, arguments = PARSER.parse(words)
    unit, header, separator, end = _unit("minutes"), True, "", ""
    tres = [name for name in os.environ.get("SREPORT_TRES", "").split(",") if name]
    for name, value in found:
        if name == "version":
            print_version()
            return 0
        if name in ("help", "usage"):
            from packhorse.cli.slurm import usage

            usage.show(PROG, name)
            return 0
        if name == "time":
            unit = _unit(value)
        elif name == "tres":
            tres = [part.strip() for part in value.split(",") if part.strip()]
        elif name == "noheader":
            header = False
        elif name in ("parsable", "parsable2"):
            separator, end = "|", "|" if name == "parsable" else ""
    take_server(found)
    if not arguments:
        raise CommandError(f'{PROG}: error: which report? Try "{PROG} --help"')
    report = _report(arguments)
    conditions = Conditions(arguments[2:], int(time.time()))
    text = report(conditions, Layout(unit, header, separator, end), tres)
    sys.stdout.write(text)
    return 0


def _unit(name: str) -> Unit:
    unit = unit_named(name)
    if unit is None:
        raise CommandError(f"unknown time format {name}")
    return unit


def _report(arguments: Sequence[str]) -> Report:
    """The report that the first two words name."""
    from packhorse.cli.slurm.sreport_reports import REPORTS

    kind = next((name for name in REPORTS if name.startswith(arguments[0].lower())), None)
    if kind is None:
        raise CommandError(f"invalid keyword: {arguments[0]}")
    if len(arguments) < 2:
        raise CommandError(f"too few arguments for keyword:{arguments[0]}")
    known = REPORTS[kind]
    wanted = arguments[1].lower()
    names = [name for name in known if name.lower().startswith(wanted)]
    if not names:
        *others, last = (f'"{name}"' for name in known)
        listed = f"{', '.join(others)}, and {last}" if others else last
        raise CommandError(f"Not valid report {arguments[1]}\nValid {kind} reports are, {listed}")
    return known[names[0]]


if __name__ == "__main__":
    sys.exit(main())
