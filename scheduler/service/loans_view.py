"""The ledger as it stands now: loans that are over, from the store, and those that are not, from the state.

The state is read first and the store after everything in it is durable; a loan that ended in between is in
the store, and comes off its row from the state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from packhorse.scheduler.core.reclaim.ledger import loan_row
from packhorse.scheduler.model.accounting import LoanRow
from packhorse.scheduler.model.ids import Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.service import messages
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.tables.loans import LOANS, LoanView
from packhorse.scheduler.service.tables.table import check_fields, make_table
from packhorse.scheduler.store.loans import fits
from packhorse.scheduler.store.protocol import LoanQuery, Store


async def list_loans(engine: Engine, request: messages.ListLoansRequest) -> messages.Table:
    """The table that a ListLoansRequest asks for, in order of the loans' beginnings."""
    fields = check_fields(LOANS, request.fields)
    now = engine.clock.now()
    query = LoanQuery(
        jobs=tuple(ref.job_id for ref in request.jobs),
        users=tuple(request.users),
        accounts=tuple(request.accounts),
        nodes=tuple(request.nodes),
        since=Instant(request.since_us),
        until=Instant(request.until_us) if request.until_us else None,
    )
    live = live_loans(engine, query, now)
    await engine.barrier()
    if request.live_only:
        return _table(live, [], fields, now)
    return await engine.ask(lambda store: _from_store(store, query, live, fields, now))


def live_loans(engine: Engine, query: LoanQuery, now: Instant) -> list[LoanRow]:
    """Loans that are not over, as rows that end now."""
    state = engine.state
    borrowers = {id for jobs in state.reclaim.borrowers.values() for id in jobs}
    rows = []
    for id in sorted(borrowers):
        job = state.jobs[id]
        assert isinstance(job.phase, Active)
        rows += [loan_row(state, job, job.phase, loan, now, None) for loan in job.phase.loans]
    return [row for row in rows if fits(row, query)]


def _from_store(
    store: Store, query: LoanQuery, live: Sequence[LoanRow], fields: Sequence[str], now: Instant
) -> messages.Table:
    return _table(live, store.loans(query), fields, now)


def _table(
    live: Sequence[LoanRow], ended: Sequence[LoanRow], fields: Sequence[str], now: Instant
) -> messages.Table:
    since: Counter[Key] = Counter()
    for row in ended:
        if row.until > now:
            since[_key(row)] += row.mem_mib
    left = [replace(row, mem_mib=row.mem_mib - since[_key(row)]) for row in live]
    rows = [*ended, *(row for row in left if row.mem_mib > 0)]
    rows.sort(key=lambda row: (row.since, row.until, row.borrower, row.lender))
    return make_table(LOANS, LoanView(rows), fields, n_rows=len(rows), now=now)


Key = tuple[NodeName, JobId, JobId, int, Instant]
"""Tells loans apart; parts of one that ended have the same."""


def _key(row: LoanRow) -> Key:
    return row.node, row.lender, row.borrower, row.borrower_attempt, row.since
