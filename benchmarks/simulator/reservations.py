"""Reservations of a simulated cluster, from a TOML file: one table `[[reservations]]` for each.

[[reservations]]
name = "maint"
at = 0                    # second of the trace at which it is made; default 0
start = 86400             # seconds of the trace
duration = 14400
nodes = "ALL"             # or a host list; or node_count = 4, or cores = 12
flags = ["MAINT"]         # as for scontrol, DAILY and the like among them
users = ["root"]          # or accounts
partition = "gpu"
features = "ib"
licenses = "matlab:2"
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from msgspec.structs import replace

from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.hostlist import HostlistError, expand
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.reservation import ListChange, ReservationWish

TABLE: Final = "reservations"
_NUMBERS: Final = ("at", "start", "duration", "node_count", "cores")
_LISTS: Final = ("flags", "users", "accounts")
_TEXTS: Final = ("name", "nodes", "partition", "features", "licenses")
LONGEST_S: Final = 100 * 366 * 86_400


class ReservationFileError(PackhorseError):
    """A file of reservations: the file, the table, the key, and what was expected."""


class Made(NamedTuple):
    """A reservation that is made then, in microseconds of the trace. wish: its instants are of the trace as
    well; see `wish_from`."""

    at_us: int
    wish: ReservationWish

    def wish_from(self, origin: Instant) -> ReservationWish:
        """As the scheduler is asked, where the trace begins at this instant."""
        return replace(self.wish, start_at=Instant(origin + (self.wish.start_at or 0)))


def read(path: Path) -> tuple[Made, ...]:
    """The reservations of a file, by the time at which they are made. Raises ReservationFileError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReservationFileError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as why:
        raise ReservationFileError(f"{path}: cannot be read: {why}") from why
    tables = document.pop(TABLE, None)
    if document or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ReservationFileError(f"{path}: expected tables [[{TABLE}]] and nothing else")
    found = [_Table(path, i, table).made() for i, table in enumerate(tables, 1)]
    return tuple(sorted(found, key=lambda made: made.at_us))


class _Table(NamedTuple):
    path: Path
    number: int
    values: dict[str, object]

    def made(self) -> Made:
        for key in self.values:
            if key not in (*_NUMBERS, *_LISTS, *_TEXTS):
                self.wrong(key, f"one of {', '.join((*_NUMBERS, *_LISTS, *_TEXTS))}")
        node_count, cores = self.number_of("node_count"), self.number_of("cores")
        return Made(
            round(self.number_of("at") * US),
            ReservationWish(
                self.text("name"),
                Instant(round(self.number_of("start", needed=True) * US)),
                duration_s=round(self.number_of("duration", needed=True)),
                nodes=self.nodes(),
                node_counts=(round(node_count),) if node_count else (),
                core_counts=(round(cores),) if cores else (),
                partition=self.text("partition") or None,
                features=self.text("features") or None,
                licenses=self.text("licenses") or None,
                users=self.names("users"),
                accounts=self.names("accounts"),
                flags=self.names("flags"),
            ),
        )

    def number_of(self, key: str, needed: bool = False) -> float:
        value = self.values.get(key, None if needed else 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
            self.wrong(key, f"a number from 0 to {LONGEST_S}")
        return value

    def text(self, key: str) -> str:
        value = self.values.get(key, "")
        if not isinstance(value, str):
            self.wrong(key, "a text in quotes")
        return value

    def names(self, key: str) -> ListChange | None:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            self.wrong(key, "a list of names in quotes")
        return ListChange(tuple(value)) if value else None

    def nodes(self) -> ListChange | None:
        text = self.text("nodes")
        if text.upper() == "ALL":
            return ListChange(("ALL",))
        try:
            names = tuple(expand(text))
        except HostlistError as why:
            self.wrong("nodes", f'"ALL" or a host list ({why})')
        return ListChange(names) if names else None

    def wrong(self, key: str, expected: str) -> NoReturn:
        found = f"{self.values[key]!r}" if key in self.values else "missing"
        raise ReservationFileError(
            f"{self.path} ({TABLE} {self.number}, {key}): {found}; expected {expected}"
        )
