"""Who borrows whose quota, and who waits to have it back: a pure function of what is held.

Siblings (associations below the same one) that have a quota of a resource share what they are sure of
together: each may use its own quota, and what the others leave of theirs, at most `borrow` more. That is
Kueue's cohort. What one holds beyond its quota is borrowed from those that hold less than theirs. While so
much is lent that the siblings together hold all, a job whose account is within its quota waits for its own to
be given back (QUOTA_LENT); taking it back is preemption's part.
"""

from __future__ import annotations

from typing import NamedTuple

from packhorse.scheduler.core.accounts.held import of_association
from packhorse.scheduler.core.accounts.holding import holdings
from packhorse.scheduler.core.accounts.needs import asked
from packhorse.scheduler.core.accounts.quota import book_of, quota
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.accounts import AssociationKey
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.tres import Tres, make_tres


class QuotaLoan(NamedTuple):
    """What one association holds of another's quota."""

    borrower: AssociationKey
    lender: AssociationKey
    tres: str
    amount: int


class Claim(NamedTuple):
    """A job that waits for what is lent of its own account's quota. short: how much the siblings together
    would have to hold less, for it to start; from: those that hold more than their quota of it."""

    job: JobId
    owner: AssociationKey
    tres: str
    short: int
    borrowers: tuple[AssociationKey, ...]


def held_of_quota(state: State) -> dict[AssociationKey, dict[str, tuple[int, int]]]:
    """Of each association that has a quota, by resource: what it holds, and the quota."""
    terms = book_of(state).terms
    sums = holdings(state).sums(terms.scopes)
    out: dict[AssociationKey, dict[str, tuple[int, int]]] = {}
    for key, amounts in terms.quotas.items():
        total = sums.get(of_association(key))
        out[key] = {name: (total.tres.get(name, 0) if total else 0, n) for name, n in amounts.items()}
    return out


def borrowed(state: State) -> dict[AssociationKey, Tres]:
    """What each association holds above its quota, of those that do."""
    out = {}
    for key, held in held_of_quota(state).items():
        more = make_tres((name, max(has - sure, 0)) for name, (has, sure) in held.items())
        if more:
            out[key] = more
    return out


def loans(state: State) -> tuple[QuotaLoan, ...]:
    """Who holds how much of whose quota: borrowers by name, each from the siblings that have most to lend.

    Where quotas were lowered under running work, more may be held than all are sure of: the rest is borrowed
    from nobody.
    """
    terms, held = book_of(state).terms, held_of_quota(state)
    out = []
    for cohort, members in sorted(terms.cohorts.items()):
        tres = cohort.user
        free = {key: max(held[key][tres][1] - held[key][tres][0], 0) for key in members}
        for key in sorted(members):
            has, sure = held[key][tres]
            more = max(has - sure, 0)
            for lender in sorted(free, key=lambda one: (-free[one], one)):
                part = min(more, free[lender])
                if part:
                    out.append(QuotaLoan(key, lender, tres, part))
                    more -= part
                    free[lender] -= part
    return tuple(out)


def wanted_back(state: State, now: Instant) -> list[Claim]:
    """Jobs that wait for quota that is lent, as the last pass found, by id."""
    pending, given = state.pending_columns, quota(state, now)
    rows = pending.waiting_for(Reason.QUOTA_LENT)
    if given is None or not rows:
        return []
    terms, above = book_of(state).terms, borrowed(state)
    out = []
    for id in rows:
        waiter = state.jobs.get(id) or state.arrays[id]
        spec, holder = waiter.spec, holder_of(waiter.spec, waiter.owner)
        needs = asked(spec.ask, spec.licenses, terms.config, spec.partition)
        for limit, needed, room in given.in_the_way(holder, needs, spec.time_limit_s):
            if limit.reason is not Reason.QUOTA_LENT or limit.scope is None or limit.sure is None:
                continue
            assert limit.sure.scope is not None
            members = terms.cohorts[limit.scope]
            owner = next(key for key in members if of_association(key) == limit.sure.scope)
            who = tuple(key for key in members if dict(above.get(key, ())).get(limit.tres))
            out.append(Claim(id, owner, limit.tres, needed - room, who))
    return out
