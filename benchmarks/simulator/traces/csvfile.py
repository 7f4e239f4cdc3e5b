"""CSV files with a header, plain or gzipped, read with errors that name file, line and column."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NoReturn

from packhorse.simulator.traces.broken import Skipped, shown
from packhorse.simulator.traces.broken import TraceBroken as TraceBroken
from packhorse.simulator.traces.textfile import lines

MOST_DIGITS: Final = 30
"""Of a number; int() refuses to read some thousands."""


class Record:
    """One line of a file; its fields by name."""

    __slots__ = ("_columns", "_values", "line", "path")

    def __init__(self, path: Path, line: int, columns: dict[str, int], values: list[str]) -> None:
        self.path = path
        self.line = line
        self._columns = columns
        self._values = values

    @property
    def names(self) -> list[str]:
        """All columns of the file, from left to right."""
        return list(self._columns)

    def has(self, column: str) -> bool:
        """Whether the file has such a column."""
        return column in self._columns

    def text(self, column: str) -> str:
        """The field as it stands there."""
        return self._values[self._columns[column]]

    def whole(self, column: str, most: int = 1 << 62) -> int:
        """A whole number from 0 to most."""
        text = self.text(column)
        if not (text.isascii() and text.isdigit()):
            self.wrong(column, "a whole number from 0 on")
        if len(text) > MOST_DIGITS or int(text) > most:
            self.wrong(column, f"at most {most}")
        return int(text)

    def number(self, column: str) -> float:
        """A finite decimal number."""
        try:
            value = float(self.text(column))
        except ValueError:
            self.wrong(column, "a number")
        if not abs(value) < float("inf"):
            self.wrong(column, "a finite number")
        return value

    def wrong(self, column: str, expected: str) -> NoReturn:
        """Raises TraceBroken about this field."""
        field = self._columns[column] + 1
        raise TraceBroken(
            f"{self.path}, line {self.line}, column {field} ({column}): {shown(self.text(column))}, "
            f"expected {expected}"
        )


def records(path: Path, columns: Sequence[str], skipped: Skipped | None = None) -> Iterator[Record]:
    """The lines of a file below its header, read as they are needed. columns: those that it must have;
    others may follow. skipped: what to do about lines of another length; None: stop.

    Raises TraceBroken where the file cannot be read, lacks a column, or has a line of another length.
    """
    skipped = skipped or Skipped()
    reader = csv.reader(lines(path), strict=True)
    place = _header(path, reader, columns)
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as why:
            skipped.line_broken(TraceBroken(f"{path}, line {reader.line_num}: {why}"))
            continue
        if len(values) == len(place):
            yield Record(path, reader.line_num, place, values)
        else:
            skipped.line_broken(
                TraceBroken(
                    f"{path}, line {reader.line_num}, column {min(len(values), len(place)) + 1}: "
                    f"{len(values)} fields, expected {len(place)}"
                )
            )


def _header(path: Path, reader: Iterator[list[str]], columns: Sequence[str]) -> dict[str, int]:
    """Where each column stands."""
    try:
        header = next(reader, [])
    except csv.Error as why:
        raise TraceBroken(f"{path}, line 1: {why}") from why
    place = {name: i for i, name in enumerate(header)}
    if len(place) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise TraceBroken(f'{path}, line 1: column "{twice}" is there twice')
    for name in columns:
        if name not in place:
            raise TraceBroken(
                f'{path}, line 1: column "{name}" is missing; expected a header with {", ".join(columns)}'
            )
    return place
