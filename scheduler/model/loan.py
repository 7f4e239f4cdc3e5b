"""Loans: memory that one job has asked for and does not use, lent to another job on the same node."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from packhorse.scheduler.model.ids import Instant, JobId, NodeName


class Loan(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """So much of the lender's memory on the node, since then. The borrower is the job that has it."""

    lender: JobId
    node: NodeName
    mem_mib: int
    since: Instant


class LoanEnd(StrEnum):
    """What became of a loan, or of a part of one."""

    RETURNED = "returned"  # the borrower ended
    REPAID = "repaid"  # it became ordinary memory of the borrower: the lender ended, or some was free
    MOVED = "moved"  # another job of the node lends that much instead
    TAKEN_BACK = "taken_back"  # the borrower was stopped for it


class EndedLoan(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A loan that is over, or the part of one that is."""

    loan: Loan
    end: LoanEnd


class Switch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Lending is switched off: everywhere (kind ""), or for the jobs of one "partition" or "account".

    recall: what they have lent is taken back as well.
    """

    kind: str = ""
    name: str = ""
    recall: bool = False
