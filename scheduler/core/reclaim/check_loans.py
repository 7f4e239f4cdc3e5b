"""Every invariant of lending, as a part of core/check.py."""

from __future__ import annotations

from collections import Counter

from packhorse.scheduler.core.reclaim.lending import lendable_mib, refresh, slack_mib, spares
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.job import Active, Job


def check_loans(state: State) -> None:
    """Raises InvariantBroken with the first contradiction found."""
    borrowers: dict[NodeName, set[JobId]] = {}
    borrowers_of: dict[JobId, set[JobId]] = {}
    lent: Counter[tuple[NodeName, JobId]] = Counter()
    for job in state.jobs.values():
        if not isinstance(job.phase, Active):
            continue
        _job(state, job, job.phase)
        for loan in job.phase.loans:
            borrowers.setdefault(loan.node, set()).add(job.id)
            borrowers_of.setdefault(loan.lender, set()).add(job.id)
            if job.phase.ending is None:
                lent[loan.node, loan.lender] += loan.mem_mib
    book = state.reclaim
    found = {name: set(jobs) for name, jobs in book.borrowers.items()}
    _require(found == borrowers, f"borrowers {found}, expected {borrowers}")
    of = {lender: set(jobs) for lender, jobs in book.borrowers_of.items()}
    _require(of == borrowers_of, f"borrowers by lender {of}, expected {borrowers_of}")
    for name in borrowers:
        if name not in book.suspects:  # else a Tick is due that settles it
            _covered(state, name, lent)
    refresh(state)
    for name, row in state.node_columns.row_of.items():
        expected = lendable_mib(state, name) if row < book.lendable.size else (0, 0)
        known = (int(book.lendable[row]), int(book.lent[row])) if row < book.lendable.size else (0, 0)
        _require(known == expected, f"node {name}: {known} may be and is lent, expected {expected}")


def _job(state: State, job: Job, active: Active) -> None:
    """Its loans make up what is lent of its memory, and come from jobs that hold that much there."""
    name = f"job {job.id}"
    lent: Counter[NodeName] = Counter()
    for loan in active.loans:
        lent[loan.node] += loan.mem_mib
        lender = state.jobs.get(loan.lender)
        _require(loan.mem_mib > 0 and loan.lender != job.id, f"{name} has the loan {loan}")
        _require(
            lender is not None and isinstance(lender.phase, Active), f"{name}: lender {loan.lender} is gone"
        )
        on_node = state.node_columns.jobs_on(loan.node).get(loan.lender)
        _require(on_node is not None, f"{name}: lender {loan.lender} is not on {loan.node}")
        assert on_node is not None
        _require(loan.mem_mib <= on_node.mem_mib, f"{name}: {loan} of {on_node.mem_mib} MiB")
    for placement in active.placements:
        expected = lent.pop(placement.node, 0)
        _require(placement.lent_mib == expected, f"{name}: {placement} with {expected} MiB of loans")
        _require(0 <= placement.lent_mib <= placement.mem_mib, f"{name}: {placement}")
    _require(not lent, f"{name} has loans on {dict(lent)}, and does not run there")
    if active.estimated:
        pairs = list(zip(active.placements, active.estimated, strict=True))
        _require(all(0 <= n <= p.mem_mib for p, n in pairs), f"{name} is expected to use {active.estimated}")


def _covered(state: State, name: NodeName, lent: Counter[tuple[NodeName, JobId]]) -> None:
    """What is lent to jobs that are not being stopped is there to be lent, in all and by each."""
    spare = spares(state, name)
    slack = slack_mib(state.config.reclaim, spare)
    here = {lender: n for (node, lender), n in lent.items() if node == name}
    _require(sum(here.values()) <= slack, f"node {name}: {sum(here.values())} MiB are lent, slack is {slack}")
    for lender, n in here.items():
        _require(n <= spare.get(lender, 0), f"node {name}: job {lender} lends {n} of {spare.get(lender, 0)}")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InvariantBroken(message)
