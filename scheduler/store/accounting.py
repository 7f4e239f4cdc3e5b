"""Accounting queries: which rows of `attempts` an AttemptQuery means, in SQL.

Rows have no key of their own: several may tell of one array's cancelled indices. "Newest" means that no later
attempt of the same job is in the table; cancelled indices have no other attempts. The index to use is chosen
here, not by SQLite, which has no statistics: numbers before times (a unary plus keeps times from being
considered), and times for users too, whose names are in that index.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from msgspec.structs import astuple

from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.arrayspec import ArraySpecError, parse_array
from packhorse.scheduler.model.hostlist import HostlistError, expand
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.resources import Usage
from packhorse.scheduler.store.protocol import AttemptQuery, Attempts
from packhorse.scheduler.store.row_insert import RowInsert
from packhorse.scheduler.store.schema import ATTEMPT_COLUMNS, USAGE_COLUMNS

SqlValue = int | str

_N_PLAIN = len(ATTEMPT_COLUMNS) - len(USAGE_COLUMNS)
_COLUMNS = ", ".join(f'"{name}"' for name in ATTEMPT_COLUMNS)
ROWS = RowInsert("attempts", ATTEMPT_COLUMNS)

_NEWEST = (
    "(array_indices <> '' OR NOT EXISTS (SELECT 1 FROM attempts AS later "
    "WHERE later.job = attempts.job AND later.attempt > attempts.attempt))"
)


def to_values(row: AttemptRow) -> tuple[SqlValue, ...]:
    """The row as the values of ROWS."""
    *plain, usage = astuple(row)
    return (*plain, *astuple(usage))


def from_values(values: Sequence[SqlValue]) -> AttemptRow:
    """The row as it was before `to_values`."""
    plain: Sequence[Any] = values[:_N_PLAIN]
    usage: Sequence[Any] = values[_N_PLAIN:]
    return AttemptRow(*plain, Usage(*usage))  # type: ignore[call-arg]


def select(query: AttemptQuery) -> tuple[str, list[SqlValue]]:
    """The query as a SELECT of ATTEMPT_COLUMNS, with its parameters."""
    where, values = _where(query)
    if query.attempts is Attempts.NEWEST:
        where.append(_NEWEST)
    condition = f" WHERE {' AND '.join(where)}" if where else ""
    if query.limit is not None:
        condition = (
            f" WHERE id IN (SELECT id FROM attempts{condition} ORDER BY ended_at DESC, id DESC LIMIT ?)"
        )
        values.append(query.limit)
    return f"SELECT {_COLUMNS} FROM attempts{condition} ORDER BY +job, attempt, id", values


def add_functions(connection: sqlite3.Connection) -> None:
    """Teach the connection the two functions that `select` uses."""
    connection.create_function("ran_on", 2, ran_on, deterministic=True)
    connection.create_function("holds_index", 2, holds_index, deterministic=True)


def ran_on(nodes: str, wanted: str) -> bool:
    """One of the wanted nodes (joined by commas) is in the hostlist."""
    return not _names(nodes).isdisjoint(wanted.split(","))


def holds_index(indices: str, wanted: str) -> bool:
    """One of the wanted indices (joined by commas) is in the text of array indices."""
    return any(
        first <= index <= last and (index - first) % step == 0
        for index in map(int, wanted.split(","))
        for first, last, step in _ranges(indices)
    )


@lru_cache(maxsize=4096)
def _names(nodes: str) -> frozenset[str]:
    try:
        return frozenset(expand(nodes))
    except HostlistError:  # e.g. "None assigned": no node's name
        return frozenset()


@lru_cache(maxsize=4096)
def _ranges(indices: str) -> tuple[tuple[int, int, int], ...]:
    try:
        return parse_array(indices.strip("[]"))[0]
    except ArraySpecError:
        return ()


def _where(query: AttemptQuery) -> tuple[list[str], list[SqlValue]]:
    """Conditions without the choice of attempts."""
    where: list[str] = []
    values: list[SqlValue] = []
    numbered = bool(query.jobs or query.tasks)
    if numbered:
        lookups, found = _by_number(query)
        where.append(f"id IN ({lookups})")
        values += found
    since = query.since
    if since is None and query.users and not numbered:
        since = Instant(-(1 << 63))
    for column, wanted in (
        ("user", query.users),
        ("uid", query.uids),
        ("account", query.accounts),
        ("partition", query.partitions),
        ("qos", query.qos),
        ("state", query.states),
        ("name", query.names),
        ("command", query.commands),
    ):
        if wanted:
            where.append(f"{column} IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(wanted))
    if since is not None:
        where.append("+ended_at >= ?" if numbered else "ended_at >= ?")
        values.append(since)
    if query.until is not None:
        where.append("submitted_at <= ?")
        values.append(query.until)
    if query.nodes:
        where.append("ran_on(nodes, ?)")
        values.append(",".join(query.nodes))
    return where, values


def _by_number(query: AttemptQuery) -> tuple[str, list[SqlValue]]:
    """Row ids of the jobs, arrays and array tasks asked for."""
    parts: list[str] = []
    values: list[SqlValue] = []
    if query.jobs:
        numbers = json.dumps(query.jobs)
        parts.append("SELECT id FROM attempts WHERE job IN (SELECT value FROM json_each(?))")
        parts.append(
            "SELECT id FROM attempts WHERE array_id > 0 AND array_id IN (SELECT value FROM json_each(?))"
        )
        values += (numbers, numbers)
    for array, indices in _by_array(query.tasks).items():
        parts.append(
            "SELECT id FROM attempts WHERE array_id > 0 AND array_id = ? AND "
            '("index" IN (SELECT value FROM json_each(?)) '
            "OR array_indices <> '' AND holds_index(array_indices, ?))"
        )
        values += (array, json.dumps(indices), ",".join(map(str, indices)))
    return " UNION ".join(parts), values


def _by_array(tasks: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    indices: dict[int, list[int]] = defaultdict(list)
    for array, index in tasks:
        indices[array].append(index)
    return indices
