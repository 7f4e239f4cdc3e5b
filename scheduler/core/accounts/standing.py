"""How associations and QOS stand against their limits: what `packhorse quota` shows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from packhorse.scheduler.core.accounts.borrowing import loans
from packhorse.scheduler.core.accounts.held import QOS
from packhorse.scheduler.core.accounts.needs import NO_END
from packhorse.scheduler.core.accounts.quota import Quota, book_of
from packhorse.scheduler.core.accounts.terms import WITH_TIME, Limit, Terms, What
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import AssociationKey
from packhorse.scheduler.model.ids import Instant

NOT_SUMMED: Final = -1
"""Instead of what is used of a limit that each job, or each user, has for itself."""


class Standing(NamedTuple):
    """One limit. kind: account, user or qos; name: of the account or QOS; tres: "" for jobs.

    limit, used: in the units of `Tres`, times seconds with in_time; used NOT_SUMMED: of each for itself.
    borrowed: of a quota, what is held above it; lent: what siblings hold of it.
    """

    kind: str
    name: str
    user: str
    partition: str
    title: str
    tres: str
    limit: int
    used: int
    in_time: bool
    borrowed: int = 0
    lent: int = 0


def nobody_of(state: State, names: Collection[str]) -> list[str]:
    """Those of the names that no account, user or QOS has."""
    book = state.accounts
    return [name for name in names if name not in book.accounts | book.users | book.qos]


def standings(state: State, now: Instant, names: Collection[str] = ()) -> list[Standing]:
    """Every limit, in the order of the book: of accounts, users and QOS with these names, or of all."""
    book = book_of(state)
    measured = Quota(state, book, now)
    lent: dict[tuple[AssociationKey, str], int] = {}
    for loan in loans(state):
        of_lender = (loan.lender, loan.tres)
        lent[of_lender] = lent.get(of_lender, 0) + loan.amount
    out = []
    for key in state.accounts.associations:
        if names and not {key.account, key.user} & set(names):
            continue
        kind = "user" if key.user else "account"
        for limit in _of_association(book.terms, key):
            used = _used(measured, limit)
            quota = limit.title == "Quota"
            out.append(
                Standing(
                    kind,
                    *key,
                    limit.title,
                    limit.tres,
                    limit.most,
                    used,
                    limit.what in WITH_TIME,
                    max(used - limit.most, 0) if quota else 0,
                    lent.get((key, limit.tres), 0) if quota else 0,
                )
            )
    for name in state.accounts.qos:
        if names and name not in names:
            continue
        for limit in book.terms.of_qos(name):
            shared = limit.scope is not None and limit.scope.kind == QOS
            used = _used(measured, limit) if shared else NOT_SUMMED
            out.append(
                Standing(
                    "qos", name, "", "", limit.title, limit.tres, limit.most, used, limit.what in WITH_TIME
                )
            )
    return out


def _of_association(terms: Terms, key: AssociationKey) -> Iterator[Limit]:
    """Its limits, and its quota; those that each user below an account has are of nobody's sum."""
    for limit in terms.of_association(key):
        each = limit.title in ("MaxJobs", "MaxSubmit") and not key.user
        yield limit._replace(scope=None) if each else limit
    yield from terms.quota_of(key)


def _used(measured: Quota, limit: Limit) -> int:
    if limit.scope is None or limit.what is What.LEAST:
        return NOT_SUMMED
    return min(measured.used(limit), NO_END)
