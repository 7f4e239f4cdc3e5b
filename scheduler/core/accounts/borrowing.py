"""Who borrows whose quota, and what a job lacks that is lent: pure functions of what is held.

Siblings (associations below the same one) that have a quota of a resource share what they are sure of
together: each may use its own quota, and what the others leave of theirs, at most `borrow` more. That is
Kueue's cohort. What one holds beyond its quota is borrowed from those that hold less than theirs. While so
much is lent that the siblings together hold all, a job whose account is within its quota waits for its own to
be given back (QUOTA_LENT, `lent_too_much`); taking it back is preemption's part (core/preempt/take_back.py).
"""

from __future__ import annotations

from typing import NamedTuple

from packhorse.scheduler.core.accounts.held import Scope, of_association
from packhorse.scheduler.core.accounts.holding import holdings
from packhorse.scheduler.core.accounts.needs import Needs
from packhorse.scheduler.core.accounts.quota import Quota, book_of
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import AssociationKey, Holder
from packhorse.scheduler.model.tres import Tres, make_tres


class QuotaLoan(NamedTuple):
    """What one association holds of another's quota."""

    borrower: AssociationKey
    lender: AssociationKey
    tres: str
    amount: int


class Short(NamedTuple):
    """What is lent too much for a job to start: cohort: the siblings' scope; amount: what they would have to
    hold less, needed: what the job holds of it then, both in the units of `Tres`."""

    cohort: Scope
    tres: str
    amount: int
    needed: int


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


def lent_too_much(given: Quota, holder: Holder, needs: Needs, time_limit_s: int) -> list[Short]:
    """What a job of the holder lacks that is lent, as a pass gives limits out; nothing if it lacks nothing,
    or if anything else holds it up as well."""
    out = []
    for limit, needed, room in given.in_the_way(holder, needs, time_limit_s):
        if limit.reason is not Reason.QUOTA_LENT or limit.scope is None:
            return []
        out.append(Short(limit.scope, limit.tres, needed - room, needed))
    return out
