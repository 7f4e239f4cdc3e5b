"""Ended steps in the SQLite store: rows in and out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import astuple

from packhorse.scheduler.model.accounting import StepRow
from packhorse.scheduler.model.resources import Usage
from packhorse.scheduler.store.row_insert import RowInsert, SqlValue
from packhorse.scheduler.store.schema import STEP_COLUMNS, USAGE_COLUMNS

STEPS = RowInsert("steps", STEP_COLUMNS)
_N_PLAIN = len(STEP_COLUMNS) - len(USAGE_COLUMNS)
_COLUMNS = ", ".join(f'"{name}"' for name in STEP_COLUMNS)


def to_values(row: StepRow) -> tuple[SqlValue, ...]:
    """The row as the values of STEPS."""
    *plain, usage = astuple(row)
    return (*plain, *astuple(usage))


def from_values(values: Sequence[Any]) -> StepRow:
    """The row as it was before `to_values`."""
    plain: Sequence[Any] = [*values[:_N_PLAIN], Usage(*values[_N_PLAIN:])]
    return StepRow(*plain)


def select(jobs: Iterable[int]) -> tuple[str, list[SqlValue]]:
    """The steps of these jobs as a SELECT of STEP_COLUMNS, with its parameters."""
    statement = (
        f"SELECT {_COLUMNS} FROM steps WHERE job IN (SELECT value FROM json_each(?)) "
        "ORDER BY job, attempt, step, id"
    )
    return statement, [json.dumps(sorted(jobs))]
