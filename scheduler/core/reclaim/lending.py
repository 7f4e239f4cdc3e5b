"""Who lends, and how much: the sums of docs/reclaim.md.

With L the limit of a placement, E what it is expected to use, over the guaranteed jobs of a node that may
lend:

    spare = L - E               of one of them, never below 0
    slack = share x sum(spare) - margin, at most max_lent_mib; never below 0
    lent  = what borrowers of the node have that are not being stopped; lent <= slack, else it is taken back
    lendable = the lesser of slack - all that is lent, and of the spare that is not lent yet

A job lends if its QOS is not a stoppable one, it did not ask for --no-lend, and neither its partition, its
account nor its user is exempt. Switched off, a job lends nothing new (its spare counts for what it has lent
already), and with `recall` nothing at all. Borrowers are jobs of a stoppable QOS that may be requeued.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import Reclaim
from packhorse.scheduler.model.ids import Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active, EndCause, Job, JobSpec
from packhorse.scheduler.model.loan import Loan

NO_ESTIMATES: Mapping[JobId, int] = {}


def may_lend(config: Reclaim, job: Job) -> bool:
    """Whether what it does not use may be lent, switches aside."""
    spec = job.spec
    return not (
        spec.no_lend
        or spec.qos in config.stoppable_qos
        or spec.partition in config.exempt_partitions
        or spec.account in config.exempt_accounts
        or job.owner.user in config.exempt_users
    )


def switched_off(state: State, spec: JobSpec, recall: bool = False) -> bool:
    """Whether an administrator has switched off lending for jobs like this. recall: and asked for it back."""
    for switch in state.lending_off:
        if recall and not switch.recall:
            continue
        match switch.kind:
            case "partition":
                off = switch.name == spec.partition
            case "account":
                off = switch.name == spec.account
            case _:
                off = True
        if off:
            return True
    return False


def spare_mib(active: Active, name: NodeName, estimate: int | None = None) -> int:
    """What the attempt is not expected to use of its memory on the node. estimate: instead of the known
    one."""
    for i, placement in enumerate(active.placements):
        if placement.node == name:
            if estimate is None:
                estimate = active.estimated[i] if active.estimated else placement.mem_mib
            return max(placement.mem_mib - placement.lent_mib - estimate, 0)
    return 0


def spares(state: State, name: NodeName, estimates: Mapping[JobId, int] = NO_ESTIMATES) -> dict[JobId, int]:
    """What each lender of the node has to spare, those with something. estimates: newer than the known
    ones."""
    config = state.config.reclaim
    found: dict[JobId, int] = {}
    if not config.enabled:
        return found
    for id in state.node_columns.jobs_on(name):
        job = state.jobs[id]
        active = job.phase
        assert isinstance(active, Active)
        estimate = estimates.get(id)
        if estimate is None and not active.estimated:
            continue
        spare = spare_mib(active, name, estimate)
        if spare and may_lend(config, job) and not switched_off(state, job.spec, recall=True):
            found[id] = spare
    return found


def slack_mib(config: Reclaim, spare: Mapping[JobId, int]) -> int:
    """How much may be lent on a node where the lenders have that to spare."""
    slack = max(sum(spare.values()) * config.share // 100 - config.margin_mib, 0)
    return min(slack, config.max_lent_mib) if config.max_lent_mib else slack


def loans_on(state: State, name: NodeName) -> Iterator[tuple[Job, Active, Loan]]:
    """All loans on the node."""
    for id in state.reclaim.borrowers.get(name, ()):
        job = state.jobs[id]
        active = job.phase
        assert isinstance(active, Active)
        for loan in active.loans:
            if loan.node == name:
                yield job, active, loan


def left_to_lend(state: State, name: NodeName) -> dict[JobId, int]:
    """What each lender of the node could still lend, those with something; the most first."""
    left = spares(state, name)
    for _, _, loan in loans_on(state, name):
        if loan.lender in left:
            left[loan.lender] -= loan.mem_mib
    able = {id: n for id, n in left.items() if n > 0 and not switched_off(state, state.jobs[id].spec)}
    return dict(sorted(able.items(), key=lambda pair: (-pair[1], pair[0])))


def lendable_mib(state: State, name: NodeName) -> tuple[int, int]:
    """What may still be lent on the node, and what is lent there."""
    lent = sum(loan.mem_mib for _, _, loan in loans_on(state, name))
    slack = slack_mib(state.config.reclaim, spares(state, name))
    return max(min(slack - lent, sum(left_to_lend(state, name).values())), 0), lent


def refresh(state: State) -> None:
    """Brings the columns of the book up to date."""
    book, rows = state.reclaim, state.node_columns.row_of
    for name in book.changed():
        row = rows.get(name, -1)
        if row >= 0:
            book.room_for(row)
            book.lendable[row], book.lent[row] = lendable_mib(state, name)


def too_much_lent(state: State, name: NodeName) -> bool:
    """Whether more is lent on the node than should be, to jobs that are not being stopped."""
    spare = spares(state, name)
    out: dict[JobId, int] = {}
    for _, active, loan in loans_on(state, name):
        if active.ending is None:
            out[loan.lender] = out.get(loan.lender, 0) + loan.mem_mib
    if sum(out.values()) > slack_mib(state.config.reclaim, spare):
        return True
    return any(n > spare.get(lender, 0) for lender, n in out.items())


def floor_mib(config: Reclaim, mem_mib: int) -> int:
    """A node with this much memory is short if less is free. 0: whatever is free."""
    return max(mem_mib * config.floor_percent // 100, config.floor_mib)


def taken_back(active: Active) -> bool:
    """Whether the attempt is being stopped for its lent memory."""
    return active.ending is EndCause.PREEMPTED and bool(active.ending_why) and not active.ending_mode


STALE_S = 60
"""Memory is lent on nodes only that have reported since so long ago."""


def fresh_since(now: Instant) -> int:
    """Reports from then on count."""
    return now - STALE_S * 1_000_000
