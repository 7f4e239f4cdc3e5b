"""Accounting rows as CSV or JSON, straight from the file, row by row, beside a scheduler that is at work."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from packhorse.scheduler.store.accounting import add_functions, select
from packhorse.scheduler.store.protocol import AttemptQuery
from packhorse.scheduler.store.schema import ATTEMPT_COLUMNS


class ExportForm(StrEnum):
    CSV = "csv"
    JSON = "json"
    LINES = "lines"  # one JSON object a line


def export_attempts(store: Path, query: AttemptQuery, out: TextIO, form: ExportForm) -> int:
    """Write the rows the query means; returns how many. Columns are named as the fields of AttemptRow."""
    from sqlite_utils import Database

    n = 0

    def counted(rows: Iterator[dict[str, object]]) -> Iterator[dict[str, object]]:
        nonlocal n
        for row in rows:
            n += 1
            yield row

    connection = sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    with closing(connection):
        add_functions(connection)
        statement, values = select(query)
        _WRITERS[form](counted(Database(connection).query(statement, values)), out)
    return n


def _write_csv(rows: Iterator[dict[str, object]], out: TextIO) -> None:
    writer = csv.DictWriter(out, ATTEMPT_COLUMNS)
    writer.writeheader()
    writer.writerows(rows)


def _write_json(rows: Iterator[dict[str, object]], out: TextIO) -> None:
    separator = "["
    for row in rows:
        out.write(separator + json.dumps(row))
        separator = ",\n "
    out.write("]\n" if separator != "[" else "[]\n")


def _write_lines(rows: Iterator[dict[str, object]], out: TextIO) -> None:
    out.writelines(json.dumps(row) + "\n" for row in rows)


_WRITERS = {ExportForm.CSV: _write_csv, ExportForm.JSON: _write_json, ExportForm.LINES: _write_lines}
