"""sshare: shares of accounts and users, and what they used of them."""

from __future__ import annotations

import sys

from packhorse.cli.slurm.fields_priority import SHARE_COLUMNS, SHARE_FIELDS
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
from packhorse.cli.slurm.sacct import help_text, printed
from packhorse.cli.slurm.table import fetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROG = "sshare"

TABLE: dict[str, tuple[str, int, str]] = {
    "accounts": ("A", REQUIRED, USED),
    "all": ("a", NONE, USED),
    "clusters": ("M", REQUIRED, USED),
    "format": ("o", REQUIRED, USED),
    "help": ("", NONE, USED),
    "helpformat": ("e", NONE, USED),
    "json": ("", OPTIONAL, USED),
    "long": ("l", NONE, USED),
    "noheader": ("n", NONE, USED),
    "parsable": ("p", NONE, USED),
    "parsable2": ("P", NONE, USED),
    "partition": ("m", NONE, USED),
    "server": ("", REQUIRED, USED),
    "usage": ("", NONE, USED),
    "users": ("u", REQUIRED, USED),
    "Users": ("U", NONE, USED),
    "verbose": ("v", NONE, HARMLESS),
    "version": ("V", NONE, USED),
    "yaml": ("", OPTIONAL, USED),
}

PARSER = Parser(PROG, TABLE)

_PARENT = -1
"""Instead of shares: fairshare=parent."""


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `sshare WORDS`."""
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
            sys.stdout.write(help_text(dict.fromkeys(SHARE_FIELDS, (0, _nothing))))
            return 0
    PARSER.refuse_unsupported(found)
    take_server(found)
    options = dict(found)
    if arguments:
        raise CommandError(f"{PROG}: error: Unrecognized option: {arguments[0]}")
    cluster = ""
    if options.get("clusters"):
        from packhorse.cli.slurm.clusters import checked

        cluster = checked(PROG, options["clusters"])
    columns = _columns(options)
    request: dict[str, Any] = {"fields": list(SHARE_COLUMNS)}
    if options.get("accounts"):
        request["accounts"] = _list(options["accounts"])
    if "all" not in options:
        request["users"] = _users(options)
    table = fetch("ListShares", request)
    if any(name == "Cluster" for name, _ in columns) and not cluster:
        from packhorse.cli.transport import call, field

        cluster = field(call("Ping", {}), "cluster", "")
    if "json" in options or "yaml" in options:
        from packhorse.cli.slurm.structured import document
        from packhorse.scheduler.model.shapes import shares

        answer = shares.answer(table.rows(), cluster, users_only="Users" in options)
        sys.stdout.write(document(PROG, options, {"shares": answer}))
        return 0
    top = min(table.ints("depth"), default=0)
    texts = []
    for number, row in enumerate(table.rows(), 1):
        if "Users" in options and not row["user"]:
            continue
        indent = "" if "Users" in options else " " * (row["depth"] - top)
        shown = _shown(row, indent) | {"cluster": cluster, "id": str(number)}
        texts.append([shown[SHARE_FIELDS[name][1]] for name, _ in columns])
    sys.stdout.write(printed(columns, texts, options))
    return 0


def _nothing(row: Any, units: Any) -> str:
    return ""


def _shown(row: dict[str, Any], indent: str) -> dict[str, str]:
    """Every column of a row as it is printed."""
    shown = {name: str(row[name]) for name in SHARE_COLUMNS}
    for name in ("norm_shares", "norm_usage", "effective_usage", "fairshare", "level_fs"):
        text = row[name]
        shown[name] = text if text in ("", "inf") else f"{float(text):.6f}"
    shown["account"] = indent + row["account"]
    if row["shares"] == _PARENT:
        shown["shares"] = "parent"
    if not row["depth"]:  # root has nobody to compare it with
        shown["shares"] = shown["norm_usage"] = ""
    return shown


def _columns(options: dict[str, str]) -> list[tuple[str, int]]:
    """[(name, width, negative where it stands to the left)]."""
    text = options.get("format")
    if not text:
        partition = "Partition," if "partition" in options else ""
        if "long" in options:
            text = (
                f"Account,User,{partition}RawShares,NormShares,RawUsage,NormUsage,EffectvUsage,FairShare,LevelFS,"
                "GrpTRESMins,TRESRunMins"
            )
        else:
            text = f"Account,User,{partition}RawShares,NormShares,RawUsage,EffectvUsage,FairShare"
    columns = []
    for part in text.split(","):
        given, percent, width_text = part.strip().partition("%")
        if not given:
            continue
        name = next((name for name in SHARE_FIELDS if name.lower().startswith(given.lower())), "")
        if not name:
            raise CommandError(f'{PROG}: error: Invalid field requested: "{given}"')
        width = SHARE_FIELDS[name][0]
        if percent:
            try:
                width = int(width_text)
            except ValueError:
                raise CommandError(f"{PROG}: error: {part.strip()}: a width is a number") from None
        columns.append((name, width))
    return columns


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _users(options: dict[str, str]) -> list[str]:
    """Those named, else the caller."""
    from packhorse.cli.slurm.users import known_name, own_name

    if not options.get("users"):
        return [own_name()]
    return [known_name(part) or part for part in _list(options["users"])]


if __name__ == "__main__":
    sys.exit(main())
