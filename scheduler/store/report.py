"""What ended runs had within a time, for reports: added up, in SQL for a store with a million rows, and row
by row for one in memory; and the times of nodes and reservations. Both do the same arithmetic.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from msgspec.structs import astuple

from packhorse.scheduler.model.accounting import AttemptRow, NodeRow, ReservationRow
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.store.accounting import ran_on
from packhorse.scheduler.store.protocol import Lifetime, RunSum, SumQuery
from packhorse.scheduler.store.row_insert import RowInsert, SqlValue

NODE_TIMES = RowInsert("node_times", NodeRow.__struct_fields__)
RESERVATION_TIMES = RowInsert("reservation_times", ReservationRow.__struct_fields__)

_WORDS = ("account", "user", "wckey", "reservation", "alloc_tres")


def sums(query: SumQuery) -> tuple[str, list[SqlValue]]:
    """The query as a SELECT of RunSum's fields, with its parameters."""
    where, values = _where(query)
    words = ", ".join(f'"{word}"' for word in _WORDS)
    statement = (
        f"SELECT {words}, sum(part - CASE WHEN suspended_us = 0 OR whole = 0 THEN 0 "
        "ELSE CAST(suspended_us * 1.0 * part / whole AS INTEGER) END), count(*) FROM ("
        f"SELECT {words}, suspended_us, ended_at - started_at AS whole, "
        "min(ended_at, ?) - max(started_at, ?) AS part "
        f"FROM attempts WHERE started_at > 0 AND started_at < ? AND {where}) "
        f"WHERE part >= 0 GROUP BY {words} ORDER BY {words}"
    )
    return statement, [query.until, query.since, query.until, *values]


def lifetimes(query: SumQuery) -> tuple[str, list[SqlValue]]:
    """The query as a SELECT of Lifetime's fields, with its parameters."""
    where, values = _where(query)
    statement = (
        "SELECT eligible_at, started_at, ended_at, "
        "CASE WHEN alloc_tres <> '' THEN alloc_tres ELSE req_tres END FROM attempts "
        f"WHERE eligible_at > 0 AND eligible_at < ? AND {where} ORDER BY job, attempt, id"
    )
    return statement, [query.until, *values]


def times(table: str, columns: Sequence[str], name: str) -> str:
    """A SELECT of what reaches into a time; parameters: since, until."""
    listed = ", ".join(f'"{column}"' for column in columns)
    return f'SELECT {listed} FROM {table} WHERE until > ? AND since < ? ORDER BY "{name}", since, id'


def sums_of(rows: Iterable[AttemptRow], query: SumQuery) -> list[RunSum]:
    """`sums` of these rows."""
    found: dict[tuple[str, str, str, str, str], tuple[int, int]] = {}
    for row in rows:
        if not 0 < row.started_at < query.until or not _fits(row, query):
            continue
        part = part_us(row.started_at, row.ended_at, row.suspended_us, query.since, query.until)
        if part is None:
            continue
        key = (row.account, row.user, row.wckey, row.reservation, row.alloc_tres)
        us, n = found.get(key, (0, 0))
        found[key] = us + part, n + 1
    return [RunSum(*key, us, n) for key, (us, n) in sorted(found.items())]


def part_us(started: int, ended: int, suspended_us: int, since: int, until: int) -> int | None:
    """How long a run ran within the time, less its share of what it was suspended; None if it did not."""
    part = min(ended, until) - max(started, since)
    if part < 0:
        return None
    whole = ended - started
    return part - (int(suspended_us * 1.0 * part / whole) if suspended_us and whole else 0)


def lifetimes_of(rows: Iterable[AttemptRow], query: SumQuery) -> list[Lifetime]:
    """`lifetimes` of these rows."""
    kept = [row for row in rows if 0 < row.eligible_at < query.until and _fits(row, query)]
    kept.sort(key=lambda row: (row.job, row.attempt))
    return [
        Lifetime(row.eligible_at, row.started_at, row.ended_at, row.alloc_tres or row.req_tres)
        for row in kept
    ]


def to_values(row: NodeRow | ReservationRow) -> tuple[SqlValue, ...]:
    """The row as the values of its table."""
    return astuple(row)


def _where(query: SumQuery) -> tuple[str, list[SqlValue]]:
    where, values = ["ended_at >= ?"], list[SqlValue]([query.since])
    for column, wanted in (
        ("user", query.users),
        ("account", query.accounts),
        ("wckey", query.wckeys),
        ("partition", query.partitions),
        ("qos", query.qos),
    ):
        if wanted:
            where.append(f'"{column}" IN (SELECT value FROM json_each(?))')
            values.append(json.dumps(wanted))
    if query.nodes:
        where.append("ran_on(nodes, ?)")
        values.append(",".join(query.nodes))
    if query.but_for:
        where.append(
            "NOT (job IN (SELECT value FROM json_each(?)) "
            "AND job || ':' || attempt IN (SELECT value FROM json_each(?)))"
        )
        values.append(json.dumps([job for job, _ in query.but_for]))
        values.append(json.dumps([f"{job}:{attempt}" for job, attempt in query.but_for]))
    return " AND ".join(where), values


def _fits(row: AttemptRow, query: SumQuery) -> bool:
    return (
        row.ended_at >= query.since
        and (not query.users or row.user in query.users)
        and (not query.accounts or row.account in query.accounts)
        and (not query.wckeys or row.wckey in query.wckeys)
        and (not query.partitions or row.partition in query.partitions)
        and (not query.qos or row.qos in query.qos)
        and (not query.nodes or ran_on(row.nodes, ",".join(query.nodes)))
        and (row.job, row.attempt) not in query.but_for
    )


def node_row(values: Sequence[SqlValue]) -> NodeRow:
    """The row as it was before `to_values`."""
    return NodeRow(*values)  # type: ignore[arg-type]


def reservation_row(values: Sequence[SqlValue]) -> ReservationRow:
    """The row as it was before `to_values`."""
    return ReservationRow(*values)  # type: ignore[arg-type]


def reaches(row: NodeRow | ReservationRow, since: Instant, until: Instant) -> bool:
    """Whether the row is about some of that time."""
    return row.until > since and row.since < until
