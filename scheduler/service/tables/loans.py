"""The table of loans, as `packhorse loans` asks for it."""

from __future__ import annotations

from typing import NamedTuple

from packhorse.scheduler.model.accounting import LoanRow
from packhorse.scheduler.service.tables.table import Catalogue, Field, ints, texts


class LoanView(NamedTuple):
    """Loans; of those that are not over, until is now and outcome is empty."""

    rows: list[LoanRow]


def _text(name: str) -> Field[LoanView]:
    return texts(lambda view: [getattr(row, name) for row in view.rows])


def _int(name: str) -> Field[LoanView]:
    return ints(lambda view: [getattr(row, name) for row in view.rows])


LOANS: Catalogue[LoanView] = {
    "node": _text("node"),
    "lender": _int("lender"),
    "lender_user": _text("lender_user"),
    "lender_account": _text("lender_account"),
    "borrower": _int("borrower"),
    "borrower_attempt": _int("borrower_attempt"),
    "borrower_user": _text("borrower_user"),
    "borrower_account": _text("borrower_account"),
    "mem_mib": _int("mem_mib"),
    "since_at": _int("since"),
    "until_at": ints(lambda view: [row.until if row.outcome else 0 for row in view.rows]),
    "mib_seconds": ints(
        lambda view: [row.mem_mib * (row.until - row.since) // 1_000_000 for row in view.rows]
    ),
    "outcome": _text("outcome"),
}
