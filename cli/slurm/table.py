"""Rows that the scheduler sent as columns."""

from __future__ import annotations

from _operator import itemgetter  # `operator` itself takes longer to load

from packhorse.cli.transport import call, field, int_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class Table:
    """The columns of one reply. n rows; now_s: the scheduler's time; unknown: what was asked for and is not
    there.
    """

    def __init__(self, reply: dict[str, Any]) -> None:
        self.columns: dict[str, list[Any]] = {}
        self.n = int_field(reply, "n_rows")
        self.now_us = int_field(reply, "now_us")
        self.now_s = self.now_us // 1_000_000
        self.unknown: list[str] = field(reply, "unknown", [])
        for column in field(reply, "columns", []):
            values = column.get("ints")
            if values is None:
                values = column.get("texts", [])
            elif values and isinstance(values[0], str):  # plain proto3 JSON writes 64-bit integers as texts
                values = [int(value) for value in values]
            self.columns[column["name"]] = values
            if not self.n:
                self.n = len(values)

    def ints(self, name: str) -> list[int]:
        """A column of numbers."""
        return self.columns[name]

    def texts(self, name: str) -> list[str]:
        """A column of texts."""
        return self.columns[name]

    def seconds(self, name: str) -> list[int]:
        """A column of instants, in seconds."""
        return [value // 1_000_000 for value in self.columns[name]]

    def keep(self, rows: Iterable[int]) -> None:
        """Only these rows, in this order."""
        kept = list(rows)
        if len(kept) > 1:
            pick = itemgetter(*kept)
            self.columns = {name: list(pick(values)) for name, values in self.columns.items()}
        else:
            self.columns = {name: [values[row] for row in kept] for name, values in self.columns.items()}
        self.n = len(kept)

    def rows(self) -> list[dict[str, Any]]:
        """Every row by itself, for what is shown one at a time."""
        names = list(self.columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]


def fetch(method: str, request: dict[str, Any]) -> Table:
    """The table that `method` answers with."""
    return Table(call(method, request))
