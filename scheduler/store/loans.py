"""The ledger of loans in the SQLite store: rows in and out, and which rows a LoanQuery means."""

from __future__ import annotations

import json

from msgspec.structs import astuple

from packhorse.scheduler.model.accounting import LoanRow
from packhorse.scheduler.store.protocol import LoanQuery
from packhorse.scheduler.store.row_insert import RowInsert, SqlValue

_NAMES = LoanRow.__struct_fields__
_COLUMNS = ", ".join(f'"{name}"' for name in _NAMES)
LOANS = RowInsert("loans", _NAMES)


def to_values(row: LoanRow) -> tuple[SqlValue, ...]:
    """The row as the values of LOANS."""
    return astuple(row)


def from_values(values: tuple[SqlValue, ...]) -> LoanRow:
    """The row as it was before `to_values`."""
    return LoanRow(*values)  # type: ignore[arg-type]


def select(query: LoanQuery) -> tuple[str, list[SqlValue]]:
    """The query as a SELECT, with its parameters; rows in the order in which they ended."""
    where = ["until >= ?"]
    values: list[SqlValue] = [query.since]
    if query.until is not None:
        where.append("since <= ?")
        values.append(query.until)
    for columns, wanted in (
        (("lender", "borrower"), query.jobs),
        (("lender_user", "borrower_user"), query.users),
        (("lender_account", "borrower_account"), query.accounts),
        (("node",), query.nodes),
    ):
        if wanted:
            where.append("(" + " OR ".join(f"{c} IN (SELECT value FROM json_each(?))" for c in columns) + ")")
            values += [json.dumps(wanted)] * len(columns)
    return f"SELECT {_COLUMNS} FROM loans WHERE {' AND '.join(where)} ORDER BY until, id", values


def fits(row: LoanRow, query: LoanQuery) -> bool:
    """Whether the query means this row."""
    return (
        row.until >= query.since
        and (query.until is None or row.since <= query.until)
        and (not query.jobs or row.lender in query.jobs or row.borrower in query.jobs)
        and (not query.users or row.lender_user in query.users or row.borrower_user in query.users)
        and (
            not query.accounts
            or row.lender_account in query.accounts
            or row.borrower_account in query.accounts
        )
        and (not query.nodes or row.node in query.nodes)
    )
