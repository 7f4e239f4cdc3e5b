"""`packhorse accounts`: the accounts, users and QOS as one file, applied with its plan shown first."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from packhorse.cli import transport
from packhorse.cli.slurm.table import fetch
from packhorse.cli.transport import field
from packhorse.scheduler.model.accounts_change import AccountChange, Verb
from packhorse.scheduler.model.accounts_file import MAX_BYTES, read, write
from packhorse.scheduler.model.errors import BadValue


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and how sure."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="apply|show")
    apply = commands.add_parser("apply", help="make the cluster's accounts as a file says")
    apply.add_argument("file", metavar="FILE", help='TOML, see docs/policy/accounts.md; "-": standard input')
    apply.add_argument("--prune", action="store_true", help="remove what the file does not name")
    apply.add_argument("--dry-run", action="store_true", help="only show what would change")
    apply.add_argument("--yes", action="store_true", help="do not ask")
    commands.add_parser("show", help="print what there is, as such a file")


def run(args: argparse.Namespace) -> int:
    return _show(args) if args.what == "show" else _apply(args)


def _show(args: argparse.Namespace) -> int:
    kinds = ("accounts", "users", "associations", "qos")
    rows = {kind: fetch("ListAccounts", {"kind": kind}).rows() for kind in kinds}
    print(
        json.dumps(rows) if args.json else write(*(rows[kind] for kind in kinds)),
        end="\n" if args.json else "",
    )
    return 0


def _apply(args: argparse.Namespace) -> int:
    changes = [_wire(change) for change in read(_content(args.file), args.file)]
    if args.prune:
        changes.append({"verb": Verb.PRUNE.value})
    plan = field(transport.call("ChangeAccounts", {"changes": changes, "dryRun": True}), "lines", [])
    if args.json:
        if plan and not args.dry_run:
            _need_yes(args)
            _change(changes)
        print(json.dumps({"changes": plan, "applied": bool(plan) and not args.dry_run}))
        return 0
    for line in plan:
        print(line)
    print(_summary(plan))
    if not plan or args.dry_run:
        return 0
    if not args.yes and not _agreed(args.file):
        print("nothing was changed")
        return 1
    done = _change(changes)
    if done != plan:
        print("somebody changed accounts meanwhile; what was done is:")
        for line in done:
            print(line)
    print("done")
    return 0


def _change(changes: list[dict[str, object]]) -> list[str]:
    request = {"changes": changes, "idempotencyKey": os.urandom(16).hex()}
    lines: list[str] = field(transport.call("ChangeAccounts", request), "lines", [])
    return lines


def _content(name: str) -> str:
    """What the file says. Raises BadValue, OSError."""
    if name == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with Path(name).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise BadValue(f"{name}: more than {MAX_BYTES >> 20} MiB; split it into several files")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadValue(f"{name}: not UTF-8: {error.reason} at byte {error.start}") from error


def _wire(change: AccountChange) -> dict[str, object]:
    texts = {name: getattr(change, name) for name in ("name", "account", "user", "partition")}
    return {
        "verb": change.verb.value,
        "thing": change.thing.value,
        **{name: text for name, text in texts.items() if text},
        "edits": [{"name": edit.name, "text": edit.text} for edit in change.edits],
    }


def _summary(plan: list[str]) -> str:
    n = {mark: sum(line.startswith(mark) for line in plan) for mark in "+~-"}
    if not plan:
        return "nothing to change"
    return f"{n['+']} to add, {n['~']} to change, {n['-']} to remove"


def _need_yes(args: argparse.Namespace) -> None:
    if not args.yes:
        raise BadValue("--json cannot ask; add --yes, or --dry-run to see the plan")


def _agreed(file: str) -> bool:
    if file == "-":
        raise BadValue("the file came from standard input, where nobody can answer; add --yes")
    print("Make it so? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
