"""sacctmgr: accounts, users, associations and QOS, looked at and changed."""

from __future__ import annotations

import sys

from packhorse.cli.slurm.options import (
    HARMLESS,
    NONE,
    OPTIONAL,
    REQUIRED,
    USED,
    Parser,
    UsageError,
    print_version,
    take_server,
)
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.slurm.sacctmgr_session import Session
from packhorse.cli.slurm.sacctmgr_show import LIST_ENTITIES, Style, show
from packhorse.cli.slurm.sacctmgr_words import entity_of
from packhorse.cli.transport import CallError, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROG = "sacctmgr"

TABLE: dict[str, tuple[str, int, str]] = {
    "associations": ("s", NONE, USED),
    "help": ("h", NONE, USED),
    "immediate": ("i", NONE, USED),
    "json": ("", OPTIONAL, USED),
    "noheader": ("n", NONE, USED),
    "oneliner": ("o", NONE, HARMLESS),
    "parsable": ("p", NONE, USED),
    "parsable2": ("P", NONE, USED),
    "quiet": ("Q", NONE, USED),
    "readonly": ("r", NONE, USED),
    "server": ("", REQUIRED, USED),
    "usage": ("", NONE, USED),
    "verbose": ("v", NONE, HARMLESS),
    "version": ("V", NONE, USED),
    "yaml": ("", OPTIONAL, USED),
}

PARSER = Parser(PROG, TABLE)

COMMANDS = {
    "add": "add",
    "create": "add",
    "delete": "delete",
    "remove": "delete",
    "dump": "dump",
    "help": "help",
    "list": "show",
    "show": "show",
    "load": "load",
    "modify": "modify",
    "update": "modify",
    "version": "version",
}
_NOT_YET = ("archive", "clear", "ping", "reconfigure", "rollup", "shutdown")

HELP = """\
Usage: sacctmgr [OPTIONS] [COMMAND]
  -i, --immediate      commit changes without asking
  -n, --noheader       no heading above tables
  -p, --parsable       columns ended by |
  -P, --parsable2      columns separated by |
  -s, --associations   with show user and show account: their associations
  -r, --readonly       refuse commands that change something
  -Q, --quiet          print only errors
      --json, --yaml   in the shape of Slurm 24.11's data parser v0.0.42
      --server=HOST:PORT  a scheduler reached over TCP
  -V, --version        the Slurm whose commands these follow
  -o, --oneliner, -v, --verbose have no effect

Commands (without one: a prompt that takes them, until exit):
  add|create ENTITY SPECS             account, coordinator, qos, user
  modify|update ENTITY [where] SPECS set SPECS   account, cluster, qos, user
  delete|remove ENTITY [where] SPECS  account, coordinator, qos, user
  list|show ENTITY [SPECS]            account, association, cluster, configuration, coordinator, qos,
                                      runawayjobs, stats, tres, user, wckey
  dump [CLUSTER] [file=NAME]          accounts and users as Slurm's flat file
  load FILE [clean] [cluster=NAME]    such a file; clean: what it lacks goes

Specs: NAME=VALUE (lists also += and -=), names alone, format=FIELD[%WIDTH],..., tree, withassoc, withcoord,
withsubaccounts, wolimits, wopinfo, woplimits, onlydefaults. docs/policy/accounts.md has all settings.
"""


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `sacctmgr WORDS`."""
    found, arguments = PARSER.parse(words)
    take_server(found)
    names = {name for name, _ in found}
    if names & {"help", "usage"}:
        sys.stdout.write(HELP)
        return 0
    if "version" in names:
        print_version()
        return 0
    session, style = Session(), Style()
    session.immediate = "immediate" in names
    session.quiet = "quiet" in names
    session.readonly = "readonly" in names
    style.header = "noheader" not in names
    style.associations = "associations" in names
    style.structured = {name: value for name, value in found if name in ("json", "yaml")}
    style.form = "parsable2" if "parsable2" in names else "parsable" if "parsable" in names else ""
    if arguments:
        return _one(arguments, session, style)
    return _prompt(session, style)


def _one(words: Sequence[str], session: Session, style: Style) -> int:
    """One command. Raises CommandError."""
    word = words[0].lower()
    verb = COMMANDS.get(word) or next(
        (to for name, to in COMMANDS.items() if len(word) >= 3 and name.startswith(word)), ""
    )
    rest = words[1:]
    if not verb:
        if word in _NOT_YET:
            raise CommandError(f"sacctmgr: error: {word} is not supported by Packhorse")
        raise CommandError(f"invalid keyword: {words[0]}")
    if verb == "help":
        sys.stdout.write(HELP)
        return 0
    if verb == "version":
        print_version()
        return 0
    if verb == "show":
        entity = entity_of(rest[0]) if rest else ""
        if not entity:
            raise CommandError(LIST_ENTITIES)
        return show(entity, rest[1:], style)
    if verb == "dump":
        from packhorse.cli.slurm.sacctmgr_file import dump

        return dump(rest)
    if session.readonly:
        raise CommandError("Can't run this command in readonly mode.")
    return _changing(verb, rest, session)


def _changing(verb: str, rest: Sequence[str], session: Session) -> int:
    if verb == "load":
        from packhorse.cli.slurm.sacctmgr_file import load

        return load(rest, session)
    from packhorse.cli.slurm.sacctmgr_add import add
    from packhorse.cli.slurm.sacctmgr_edit import delete, modify

    work = {"add": add, "modify": modify, "delete": delete}[verb]
    return work(entity_of(rest[0]) if rest else "", rest[1:], session)


def _prompt(session: Session, style: Style) -> int:
    """Commands from standard input, one a line; the exit code of the last that failed."""
    import shlex

    code, before = 0, ""
    while True:
        sys.stdout.write("sacctmgr: ")
        sys.stdout.flush()
        line = sys.stdin.readline()
        text = line.strip()
        if not line or text.lower() in ("exit", "quit"):
            if not line:
                sys.stdout.write("\n")
            return code
        if text == "!!":
            text = before
        before = text
        if text.lower() in ("quiet", "verbose"):
            session.quiet = text.lower() == "quiet"
            continue
        try:
            words = shlex.split(text)
            code = _one(words, session, style) if words else code
        except (CommandError, UsageError) as error:
            code = error.code
            sys.stderr.write(f"{error}\n")
        except (CallError, TransportError, ValueError) as error:
            code = 1
            sys.stderr.write(f"{PROG}: error: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
