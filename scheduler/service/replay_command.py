"""`packhorse replay`: a recorded run of the scheduler again, compared with the event log in the store."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from packhorse.scheduler.config import file as config
from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.service.recording import RECORDING
from packhorse.scheduler.service.replaying import Comparison, Difference, Replayed, compare, replay
from packhorse.scheduler.store.codec import decode
from packhorse.scheduler.store.protocol import LogRecord
from packhorse.scheduler.store.reading import StoreReader

PROG: Final = "packhorse replay"
SHOWN: Final = 600
"""Characters of an event that are printed around the first difference."""


class _Where(NamedTuple):
    log: Path
    store: Path


def parser() -> argparse.ArgumentParser:
    """Its options."""
    own = argparse.ArgumentParser(
        prog=PROG,
        description="Run a recording of a scheduler again and compare the events with those in its store, "
        "byte for byte. Exit status 0: the same, 1: a difference, or it could not be told.",
    )
    own.add_argument(
        "log", nargs="?", type=Path, metavar="LOG", help=f"the recording (default: {RECORDING} in the home)"
    )
    own.add_argument(
        "--home",
        type=Path,
        default=None,
        metavar="DIR",
        help="the cluster's home (default: $PACKHORSE_HOME, else ~/.packhorse)",
    )
    own.add_argument(
        "--store", type=Path, metavar="PATH", help="the store (default: that of the home LOG lies in)"
    )
    own.add_argument(
        "--out", type=Path, metavar="FILE", help="write the events that it leads to, one JSON a line"
    )
    own.add_argument("--until", type=int, metavar="N", help="no event after number N")
    return own


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 the same events, 1 not, or an error in one line on stderr."""
    args = parser().parse_args(argv)
    try:
        return _run(args)
    except (PackhorseError, OSError) as error:
        print(f"{PROG}: {error}", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace) -> int:
    where = _where(args)
    with StoreReader(where.store) as store:  # first: what the recording has beyond it came later
        found = replay(where.log)
        if args.out is not None:
            _write(args.out, found, args.until)
        against = compare(found.log, store.read_log(), args.until)
        missing = store.first_seq() - 1
    for line in _said(where, found, against, missing):
        print(line)
    if found.trouble:
        print(f"{PROG}: {found.trouble}", file=sys.stderr)
    if against.difference is None and against.n_same == 0:
        print(f"{PROG}: no event is in both: is {where.store} the store of this recording?", file=sys.stderr)
        return 1
    return 1 if against.difference is not None else 0


def _where(args: argparse.Namespace) -> _Where:
    home = (args.home or Path(os.environ.get("PACKHORSE_HOME") or Path.home() / ".packhorse")).absolute()
    log: Path = args.log or home / RECORDING
    if args.store is not None:
        return _Where(log, args.store)
    if args.log is not None and args.home is None and log.absolute().parent.name == "log":
        home = log.absolute().parent.parent
    configured = config.load(home / "packhorse.toml", owner_uid=os.geteuid())
    return _Where(log, home / configured.service.store_path)


def _said(where: _Where, found: Replayed, against: Comparison, missing: int) -> list[str]:
    lines = [
        f"recording  {where.log}: {found.n_inputs:,} inputs, {_times(found.n_lives)} begun",
        f"store      {where.store}",
        f"same       {against.n_same:,} events, byte for byte",
    ]
    if against.only_recorded:
        lines.append(f"unknown    {against.only_recorded:,} events of the store are not in the recording")
    if against.only_replayed:
        why = f"; the store's log begins with {missing + 1:,}" if missing else ""
        lines.append(
            f"beyond     {against.only_replayed:,} events of the recording are not in the store{why}"
        )
    if against.difference is None:
        return [*lines, "difference none"]
    return [*lines, *_difference(against.difference)]


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def _difference(of: Difference) -> list[str]:
    return [
        f"difference at event {of.recorded.seq:,}",
        *(f"  before    {_shown(record)}" for record in of.before),
        f"  recorded  {_shown(of.recorded)}",
        f"  replayed  {_shown(of.replayed)}",
    ]


def _shown(record: LogRecord) -> str:
    text = repr(decode(record))
    return f"{record.seq} {text if len(text) <= SHOWN else text[: SHOWN - 1] + '…'}"


def _write(path: Path, found: Replayed, until: int | None) -> None:
    with path.open("wb") as out:
        for seq, record in sorted(found.log.items()):
            if until is None or seq <= until:
                out.write(msgspec.json.encode(_line(record)) + b"\n")


def _line(record: LogRecord) -> dict[str, object]:
    """at: seconds since 1970. event: its kind, then its fields in order."""
    return {"seq": record.seq, "at": _seconds(record.at), "kind": record.kind, "event": decode(record)}


def _seconds(at: Instant) -> float:
    return at / US


if __name__ == "__main__":
    sys.exit(main())
