"""Quota that accounts have lent is given back: by whom, for whom, and how much.

A job whose account keeps within its quota may be held up only because siblings hold more than theirs
(QUOTA_LENT; accounts/borrowing.py has the rules of lending). Then jobs of these borrowers make room, as few
as give back what it lacks and leave it a place; of each borrower only as many as hold what it borrowed, so
that nobody comes to hold less than its own quota, but for what its last job has of it. What is leaving
already counts, unless it is for somebody else.

It is no matter of rights: QOS and tiers are not asked. The borrower's QOS says what becomes of its jobs;
where that is to suspend them they are requeued instead, since a suspended job gives no quota back. For the
same reason those that are suspended already have to go like others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from packhorse.scheduler.core.accounts.held import Scope, of_association
from packhorse.scheduler.core.accounts.quota import Quota
from packhorse.scheduler.core.accounts.terms import Terms
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.core.preempt.candidates import Candidate, candidates
from packhorse.scheduler.core.preempt.fewest import fewest
from packhorse.scheduler.core.preempt.rights import Right, Rights, group_of
from packhorse.scheduler.core.preempt.trial import Anywhere, Held
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import Holder, PreemptMode
from packhorse.scheduler.model.cluster import PreemptBy
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.job import Active

if TYPE_CHECKING:
    from packhorse.scheduler.core.cycle import Cycle

_BUDGET = 64
"""Choices tried beside the greedy one."""


class Short(NamedTuple):
    """What is lent too much for a job to start: cohort: the siblings' scope; amount, needed: in the units of
    `Tres`, what they would have to hold less, and what the job holds then."""

    cohort: Scope
    tres: str
    amount: int
    needed: int


class TakeBack:
    """Of one search for victims. told: who was told to leave in it."""

    def __init__(self, cycle: Cycle, quota: Quota, rights: Rights) -> None:
        self.cycle = cycle
        self.state: State = cycle.state
        self.quota = quota
        self.terms: Terms = quota.book.terms
        self.rights = rights
        self.promised: dict[tuple[Scope, str], int] = {}
        """What jobs will hold for which victims were found in this search."""

    def short_of(self, holder: Holder, code: int, time_limit_s: int, told: Iterable[JobId]) -> list[Short]:
        """What a job of the class lacks that is lent; nothing if anything else holds it up, or it is
        leaving."""
        out = []
        for limit, needed, room in self.quota.in_the_way(holder, self.quota.book.needs(code), time_limit_s):
            if limit.reason is not Reason.QUOTA_LENT or limit.scope is None:
                return []
            leaving = [*self.state.preempting.leaving, *told]
            gone = sum(self._given(id, limit.scope, limit.tres) for id in leaving)
            promised = self.promised.get((limit.scope, limit.tres), 0)
            out.append(Short(limit.scope, limit.tres, needed - room - gone + promised, needed))
        return out if any(short.amount > 0 for short in out) else []

    def victims(
        self, picture: Field, request: Request, j: int, short: list[Short], told: set[JobId]
    ) -> list[Candidate] | None:
        """Whose leaving gives back what is short and makes room for the request on the picture."""
        found = self._borrowers(picture, short, told)
        gives = [[self._given(one.id, s.cohort, s.tres) for s in short] for one in found]
        held = [(one.holds, one.end) for one in found]
        trial = _Returned(picture, held, request, j, gives, [s.amount for s in short])
        out = fewest(trial, [one.cost for one in found], _BUDGET)
        if out is None:
            return None
        for s in short:
            self.promised[s.cohort, s.tres] = self.promised.get((s.cohort, s.tres), 0) + s.needed
        return [found[i] for i in out]

    def borrower_of(self, id: JobId, short: list[Short]) -> str:
        """The account among the siblings that the job counts under."""
        scopes = self.terms.scopes(self.state.held.running[id].holder)
        return next(
            key.account
            for s in short
            for key in self.terms.cohorts[s.cohort]
            if of_association(key) in scopes
        )

    def _borrowers(self, picture: Field, short: list[Short], told: set[JobId]) -> list[Candidate]:
        """Jobs of those that hold more than their quota, the cheapest first, as many as hold that much."""
        above = {
            (of_association(key), s.tres): self._above(of_association(key), s.tres, told)
            for s in short
            for key in self.terms.cohorts[s.cohort]
        }
        owners: dict[JobId, list[tuple[Scope, str]]] = {}
        rights: list[tuple[JobId, Right]] = []
        for id, running in self.state.held.running.items():
            scopes = self.terms.scopes(running.holder)
            mine = [owner for owner, more in above.items() if more > 0 and owner[0] in scopes]
            active = self.state.jobs[id].phase
            assert isinstance(active, Active)
            if mine and id not in told and not active.reservation:
                right = self.rights.terms(group_of(self.state.jobs[id]), PreemptBy.QOS)
                if right is not None:
                    owners[id] = mine
                    gone = PreemptMode.REQUEUE if right.mode is PreemptMode.SUSPEND else right.mode
                    rights.append((id, right._replace(mode=gone)))
        chosen = []
        for candidate in candidates(self.state, picture, rights, self.cycle.now, stopped_too=True).all:
            if any(above[owner] > 0 for owner in owners[candidate.id]):
                chosen.append(candidate)
                for owner in owners[candidate.id]:
                    above[owner] -= self._amount(candidate.id, owner[1])
        return chosen

    def _above(self, scope: Scope, tres: str, told: set[JobId]) -> int:
        """What the association holds beyond its quota, without what is leaving."""
        total = self.state.held.sums(self.terms.scopes).get(scope)
        has = total.tres.get(tres, 0) if total is not None else 0
        for id in (*self.state.preempting.leaving, *told):
            if scope in self.terms.scopes(self.state.held.running[id].holder):
                has -= self._amount(id, tres)
        key = next(key for key in self.terms.quotas if of_association(key) == scope)
        return has - self.terms.quotas[key].get(tres, 0)

    def _given(self, id: JobId, cohort: Scope, tres: str) -> int:
        """What the siblings hold less of it once the job has gone."""
        scopes = self.terms.scopes(self.state.held.running[id].holder)
        inside = any(of_association(key) in scopes for key in self.terms.cohorts[cohort])
        return self._amount(id, tres) if inside else 0

    def _amount(self, id: JobId, tres: str) -> int:
        return dict(self.state.held.running[id].tres).get(tres, 0)


class _Returned(Anywhere):
    """Room for a job that also lacks amounts which are lent. gives: of each candidate what it would give back
    of them."""

    def __init__(
        self,
        picture: Field,
        found: Sequence[Held],
        request: Request,
        j: int,
        gives: list[list[int]],
        short: list[int],
    ) -> None:
        super().__init__(picture, found, request, j)
        self.gives, self.short = gives, short

    def room(self) -> bool:
        back = [sum(amounts) for amounts in zip(*(self.gives[i] for i in self.given), strict=True)]
        enough = all(
            have >= want for have, want in zip(back or [0] * len(self.short), self.short, strict=True)
        )
        return enough and super().room()
