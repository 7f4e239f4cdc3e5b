"""Applying events to loans and estimates, and what the start and end of jobs mean for them."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.active import ends_by
from packhorse.scheduler.core.running_columns import NEVER
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.transitions import require
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.errors import InvalidTransition
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.job import Active, Job
from packhorse.scheduler.model.loan import Loan
from packhorse.scheduler.model.resources import Placement


def memory_estimated(state: State, event: ev.MemoryEstimated) -> None:
    for id, estimate in event.jobs:
        job, active = _active(state, event, id)
        known = active.estimated or tuple(p.mem_mib for p in active.placements)
        pairs = zip(active.placements, known, strict=True)
        estimated = tuple(estimate if p.node == event.node else n for p, n in pairs)
        if not any(p.node == event.node for p in active.placements) or estimate < 0:
            raise InvalidTransition(event, f"job {id} does not run there")
        state.jobs[id] = replace(job, phase=replace(active, estimated=estimated))
    state.reclaim.change(event.node)


def loans_changed(state: State, event: ev.LoansChanged) -> None:
    job, active = _active(state, event, event.job)
    if active.attempt != event.attempt:
        raise InvalidTransition(event, f"the current attempt is {active.attempt}")
    change_loans(state, job, active, event.loans)


def reclaim_switched(state: State, event: ev.ReclaimSwitched) -> None:
    state.lending_off = event.off
    suspect_all(state)


def usage_learned(state: State, event: ev.UsageLearned) -> None:
    state.learned = event


def suspect_all(state: State) -> None:
    """Rules have changed: everything about lending has to be looked at anew."""
    for name in state.nodes:
        state.reclaim.change(name)
    state.reclaim.suspects.update(dict.fromkeys(state.reclaim.borrowers))


def suspect(state: State, active: Active) -> None:
    """What the job may lend has changed."""
    for placement in active.placements:
        state.reclaim.change(placement.node)
        if placement.node in state.reclaim.borrowers:
            state.reclaim.suspects[placement.node] = None


def begin_loans(state: State, id: JobId, active: Active) -> None:
    """The attempt holds its allocation, some of it lent."""
    state.reclaim.lend(id, active.loans)
    _expect_releases(state, id, active)


def end_loans(state: State, job: Job, active: Active) -> None:
    """The attempt holds nothing any more: what it had is returned, what it lent is its borrowers' own.

    There is room for that: it was the lender's, and nobody was given it since. What others have lent may be
    too much without its spare, of which not all was lent (`share`, `margin`).
    """
    book = state.reclaim
    if active.loans:
        book.drop(job.id, active.loans)
        _expect_lenders(state, active.loans)
    for borrower in list(book.borrowers_of.get(job.id, ())):
        other = state.jobs[borrower]
        phase = other.phase
        assert isinstance(phase, Active)
        change_loans(state, other, phase, tuple(loan for loan in phase.loans if loan.lender != job.id))
    if active.estimated:
        suspect(state, active)
    book.forget(job, tuple(p.node for p in active.placements))


def change_loans(state: State, job: Job, active: Active, loans: tuple[Loan, ...]) -> None:
    """The attempt has these loans from now on; the rest of its memory is its own."""
    book = state.reclaim
    placements = with_lent(active.placements, loans)
    new = replace(active, placements=placements, loans=loans)
    state.jobs[job.id] = replace(job, phase=new)
    book.drop(job.id, active.loans)
    book.lend(job.id, loans)
    state.node_columns.lend(job.id, placements)
    _expect_releases(state, job.id, new)
    _expect_lenders(state, active.loans)


def with_lent(placements: tuple[Placement, ...], loans: tuple[Loan, ...]) -> tuple[Placement, ...]:
    """The placements, each with what these loans make of its memory."""
    lent: dict[NodeName, int] = {}
    for loan in loans:
        lent[loan.node] = lent.get(loan.node, 0) + loan.mem_mib
    return tuple(
        p if p.lent_mib == lent.get(p.node, 0) else replace(p, lent_mib=lent.get(p.node, 0))
        for p in placements
    )


def expect_again(state: State, id: JobId, active: Active) -> None:
    """The attempt will end at another time than was thought."""
    if active.loans:
        _expect_releases(state, id, active)
    for borrower in state.reclaim.borrowers_of.get(id, ()):
        phase = state.jobs[borrower].phase
        assert isinstance(phase, Active)
        _expect_releases(state, borrower, phase)


def _expect_lenders(state: State, loans: tuple[Loan, ...]) -> None:
    for lender in dict.fromkeys(loan.lender for loan in loans):
        phase = state.jobs[lender].phase
        if isinstance(phase, Active) and lender in state.running_columns:
            state.running_columns.hold(lender, phase.placements, _shift(state, lender, phase))


def _expect_releases(state: State, id: JobId, active: Active) -> None:
    """What becomes free when the borrower and its lenders end: lent memory when both have."""
    state.running_columns.hold(id, active.placements, _shift(state, id, active))
    _expect_lenders(state, active.loans)


def _shift(state: State, id: JobId, active: Active) -> dict[NodeName, int]:
    """How much more (or less) memory than it holds becomes free on each node when the job ends."""
    out: dict[NodeName, int] = {}
    for loan in active.loans:
        lender = state.jobs[loan.lender].phase
        if isinstance(lender, Active) and _end(active) >= _end(lender):
            out[loan.node] = out.get(loan.node, 0) + loan.mem_mib
    for borrower in state.reclaim.borrowers_of.get(id, ()):
        phase = state.jobs[borrower].phase
        assert isinstance(phase, Active)
        if _end(phase) >= _end(active):
            for loan in phase.loans:
                if loan.lender == id:
                    out[loan.node] = out.get(loan.node, 0) - loan.mem_mib
    return out


def _end(active: Active) -> int:
    return ends_by(active) or NEVER


def _active(state: State, event: ev.MemoryEstimated | ev.LoansChanged, id: JobId) -> tuple[Job, Active]:
    job = state.jobs.get(id)
    if job is None:
        raise InvalidTransition(event, f"no job {id}")
    require(event, job)
    assert isinstance(job.phase, Active)
    return job, job.phase
