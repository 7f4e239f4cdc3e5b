"""CSV files with a header, plain or gzipped, read with errors that name file, line and column."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from packhorse.scheduler.model.errors import PackhorseError


class TraceBroken(PackhorseError):
    """A trace cannot be read: file, line, column, and what was expected there."""


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
        value = int(text)
        if value > most:
            self.wrong(column, f"at most {most}")
        return value

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
            f'{self.path}, line {self.line}, column {field} ({column}): "{self.text(column)}", '
            f"expected {expected}"
        )


def records(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    """The lines of a file below its header. columns: those that it must have; others may follow.

    Raises TraceBroken where the file cannot be read, lacks a column, or has a line of another length.
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    except FileNotFoundError:
        raise TraceBroken(f"{path}: there is no such file") from None
    except (OSError, EOFError, zlib.error) as why:
        raise TraceBroken(f"{path}: cannot be read: {getattr(why, 'strerror', None) or why}") from why
    except UnicodeDecodeError as why:
        raise TraceBroken(f"{path}: is no text: byte {why.start} is not UTF-8") from why
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        place = {name: i for i, name in enumerate(header)}
        for name in columns:
            if name not in place:
                raise TraceBroken(
                    f'{path}, line 1: column "{name}" is missing; expected a header with {", ".join(columns)}'
                )
        for values in reader:
            if len(values) != len(header):
                raise TraceBroken(
                    f"{path}, line {reader.line_num}, column {min(len(values), len(header)) + 1}: "
                    f"{len(values)} fields, expected {len(header)}"
                )
            yield Record(path, reader.line_num, place, values)
    except csv.Error as why:
        raise TraceBroken(f"{path}, line {reader.line_num}: {why}") from why
