"""What an event ends of loans, as rows for the ledger. Called with the state as it was before the event.

Every MiB of every loan is in one row at last, with the time for which it was lent: the sum of the rows is the
memory that was lent, over time.
"""

from __future__ import annotations

from collections.abc import Iterator

from packhorse.scheduler.core.reclaim.lending import taken_back
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounting import LoanRow
from packhorse.scheduler.model.event import Event, JobEnded, JobRequeued, LoansChanged
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.job import Active, Job
from packhorse.scheduler.model.loan import Loan, LoanEnd


def loan_rows(state: State, event: Event) -> tuple[LoanRow, ...]:
    """Loans that this event ends. Most events end none."""
    kind = type(event)
    if kind is LoansChanged:
        job, active = _active(state, event.job)  # type: ignore[union-attr]
        ended = event.ended  # type: ignore[union-attr]
        return tuple(loan_row(state, job, active, e.loan, event.at, e.end) for e in ended)
    if (kind is JobEnded or kind is JobRequeued) and state.reclaim.borrowers_of:
        job_id = event.job  # type: ignore[union-attr]
        if isinstance(state.jobs[job_id].phase, Active):
            return tuple(_ended(state, job_id, event.at))
    return ()


def _ended(state: State, id: JobId, at: Instant) -> Iterator[LoanRow]:
    """The job runs no more: what it had is returned, what it gave is its borrowers' own."""
    job, active = _active(state, id)
    how = LoanEnd.TAKEN_BACK if taken_back(active) else LoanEnd.RETURNED
    for loan in active.loans:
        yield loan_row(state, job, active, loan, at, how)
    for borrower in state.reclaim.borrowers_of.get(id, ()):
        other, phase = _active(state, borrower)
        for loan in phase.loans:
            if loan.lender == id:
                yield loan_row(state, other, phase, loan, at, LoanEnd.REPAID)


def loan_row(
    state: State, borrower: Job, active: Active, loan: Loan, until: Instant, outcome: LoanEnd | None
) -> LoanRow:
    """The loan as a row. outcome None: it is not over."""
    lender = state.jobs[loan.lender]
    return LoanRow(
        loan.node,
        loan.lender,
        lender.owner.user,
        lender.spec.account,
        borrower.id,
        active.attempt.number,
        borrower.owner.user,
        borrower.spec.account,
        loan.mem_mib,
        loan.since,
        until,
        outcome.value if outcome is not None else "",
    )


def _active(state: State, id: JobId) -> tuple[Job, Active]:
    job = state.jobs[id]
    assert isinstance(job.phase, Active)
    return job, job.phase
