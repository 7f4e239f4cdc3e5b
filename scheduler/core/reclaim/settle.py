"""When more is lent on a node than should be: paid back with ordinary memory, lent by another, or taken back.

In this order. Ordinary memory is used only while no guaranteed job waits. Those are stopped who lose least
work (run time x CPUs, the newest first where that is equal), as few as will do, each with the signal that it
asked for as a warning (--signal), TERM if none. Nobody but borrowers of that node is ever touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from packhorse.scheduler.core.active import ran_us
from packhorse.scheduler.core.decision import Draft
from packhorse.scheduler.core.lifecycle import NO_JOB, terminate
from packhorse.scheduler.core.names import name_in
from packhorse.scheduler.core.packing.board import MEM
from packhorse.scheduler.core.reclaim.lending import NO_ESTIMATES, loans_on, slack_mib, spares
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.event import JobEnding, LoansChanged
from packhorse.scheduler.model.ids import Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active, EndCause, Job
from packhorse.scheduler.model.loan import EndedLoan, Loan, LoanEnd


class Holder(NamedTuple):
    """A borrower that may be stopped. mem_mib: what that would bring."""

    job: Job
    active: Active
    mem_mib: int

    def lost(self, now: Instant) -> tuple[int, int, int]:
        """What orders victims: thousandths of CPU seconds done, then the newest, then by id."""
        active = self.active
        cpu_milli = sum(p.cpu_milli for p in active.placements)
        return ran_us(active, now) * cpu_milli, -active.granted_at, -self.job.id


def victims(holders: Sequence[Holder], need_mib: int, now: Instant) -> list[Holder]:
    """Whom to stop for so much memory: those that lose least, and none of them in vain."""
    chosen: list[Holder] = []
    found = 0
    for holder in sorted(holders, key=lambda h: h.lost(now)):
        if found >= need_mib:
            break
        chosen.append(holder)
        found += holder.mem_mib
    for holder in sorted(chosen, key=lambda h: h.lost(now), reverse=True):
        if found - holder.mem_mib >= need_mib:
            chosen.remove(holder)
            found -= holder.mem_mib
    return chosen


def stop(draft: Draft, holder: Holder, why: str, for_job: JobId = NO_JOB) -> None:
    """Its memory is taken back."""
    draft.events.append(
        JobEnding(
            draft.now, holder.job.id, holder.active.attempt, EndCause.PREEMPTED, for_job=for_job, why=why
        )
    )
    terminate(draft, holder.active, EndCause.PREEMPTED, lent=True)


def settle(
    draft: Draft, name: NodeName, estimates: Mapping[JobId, int] = NO_ESTIMATES, grown: JobId = NO_JOB
) -> set[JobId]:
    """Brings what is lent on the node within bounds. Returns who is stopped for it.

    estimates: newer than those of the state. grown: the job whose use has grown, 0 if none has.
    """
    found = _Settlement(draft, name, estimates)
    if not found.held:
        return set()
    found.pay_back()
    stopped = found.take_back(grown)
    found.move()
    found.tell()
    return stopped


class _Settlement:
    """One node. held: the loans of each borrower there; spare: by lender."""

    def __init__(self, draft: Draft, name: NodeName, estimates: Mapping[JobId, int]) -> None:
        self.draft, self.name = draft, name
        self.state: State = draft.state
        self.borrowers: dict[JobId, tuple[Job, Active]] = {}
        self.held: dict[JobId, list[Loan]] = {}
        # By id: the book's order is another one after a restart.
        for job, active, loan in sorted(loans_on(self.state, name), key=lambda found: found[0].id):
            if active.ending is None:
                self.borrowers[job.id] = job, active
                self.held.setdefault(job.id, []).append(loan)
        self.ended: dict[JobId, list[EndedLoan]] = {}
        self.spare = spares(self.state, name, estimates)
        self.slack = slack_mib(self.state.config.reclaim, self.spare)

    @property
    def excess(self) -> int:
        """How much more is lent than may be."""
        return sum(loan.mem_mib for loans in self.held.values() for loan in loans) - self.slack

    def out(self) -> dict[JobId, int]:
        """What each lender has lent, and to whom it has lent too much first."""
        out: dict[JobId, int] = {}
        for loans in self.held.values():
            for loan in loans:
                out[loan.lender] = out.get(loan.lender, 0) + loan.mem_mib
        return out

    def pay_back(self) -> None:
        """With memory that is free and that no guaranteed job waits for; who has done most work first."""
        columns = self.state.node_columns
        free = int(columns.free[MEM, columns.row_of[self.name]])
        if self.excess <= 0 or free <= 0 or guaranteed_wait(self.state):
            return
        holders = [Holder(*self.borrowers[id], 0) for id in self.held]
        for holder in sorted(holders, key=lambda h: h.lost(self.draft.now), reverse=True):
            for loan in list(self.held[holder.job.id]):
                n = min(loan.mem_mib, free, self.excess)
                if n > 0:
                    self._end(holder.job.id, loan, n, LoanEnd.REPAID)
                    free -= n

    def take_back(self, grown: JobId) -> set[JobId]:
        """Stops borrowers until what is lent is within bounds."""
        excess = self.excess
        if excess <= 0:
            return set()
        over = {id: n - self.spare.get(id, 0) for id, n in self.out().items()}
        if not grown:
            grown = max(over, key=lambda id: (over[id], -id))
        holders = [
            Holder(*self.borrowers[id], sum(loan.mem_mib for loan in loans))
            for id, loans in self.held.items()
        ]
        stopped = set()
        for holder in victims(holders, excess, self.draft.now):
            stop(
                self.draft, holder, f"lent memory taken back by job {name_in(self.draft.state, grown)}", grown
            )
            del self.held[holder.job.id]
            stopped.add(holder.job.id)
        return stopped

    def move(self) -> None:
        """No lender has lent more than it has to spare; others of the node have enough for the rest."""
        out = self.out()
        over = {id: n - self.spare.get(id, 0) for id, n in out.items() if n > self.spare.get(id, 0)}
        if not over:
            return
        left = {id: n - out.get(id, 0) for id, n in self.spare.items() if n > out.get(id, 0)}
        for borrower, loans in self.held.items():
            for loan in list(loans):
                n = min(over.get(loan.lender, 0), loan.mem_mib)
                if n > 0:
                    over[loan.lender] -= n
                    self._end(borrower, loan, n, LoanEnd.MOVED)
                    self._lend(borrower, n, left)

    def tell(self) -> None:
        """What has become of the loans, as events."""
        for id, ended in self.ended.items():
            if id not in self.held:
                continue  # it is being stopped, and has what it has until it is gone
            _, active = self.borrowers[id]
            elsewhere = [loan for loan in active.loans if loan.node != self.name]
            loans = (*elsewhere, *(loan for loan in self.held[id] if loan.mem_mib))
            self.draft.events.append(LoansChanged(self.draft.now, id, active.attempt, loans, tuple(ended)))

    def _end(self, borrower: JobId, loan: Loan, n: int, how: LoanEnd) -> None:
        """So much of the loan is over."""
        loans = self.held[borrower]
        at = loans.index(loan)
        if n == loan.mem_mib:
            del loans[at]
        else:
            loans[at] = Loan(loan.lender, loan.node, loan.mem_mib - n, loan.since)
        ended = EndedLoan(Loan(loan.lender, loan.node, n, loan.since), how)
        self.ended.setdefault(borrower, []).append(ended)

    def _lend(self, borrower: JobId, n: int, left: dict[JobId, int]) -> None:
        """As much from those who have some left, the most first."""
        for lender in sorted(left, key=lambda id: (-left[id], id)):
            part = min(n, left[lender])
            if part > 0:
                left[lender] -= part
                n -= part
                self.held[borrower].append(Loan(lender, self.name, part, self.draft.now))
        assert n == 0, f"{n} MiB are lent by nobody"


def guaranteed_wait(state: State) -> bool:
    """Whether some job that nobody may stop waits for resources."""
    pending = state.pending_columns
    return pending.n_ready > pending.n_ready_of(state.config.reclaim.stoppable_qos)
