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

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from packhorse.scheduler.core.accounts.borrowing import Short, held_of_quota, lent_too_much
from packhorse.scheduler.core.accounts.held import Scope, of_association
from packhorse.scheduler.core.accounts.holding import holdings
from packhorse.scheduler.core.accounts.quota import Quota
from packhorse.scheduler.core.accounts.terms import Terms
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.core.preempt.candidates import Candidate, candidates
from packhorse.scheduler.core.preempt.effort import MAKE, Effort
from packhorse.scheduler.core.preempt.fewest import fewest
from packhorse.scheduler.core.preempt.rights import Right, Rights, group_of
from packhorse.scheduler.core.preempt.trial import Anywhere, Held, emptied, fits_in
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import AssociationKey, Holder, PreemptMode
from packhorse.scheduler.model.cluster import PreemptBy
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.job import Active

if TYPE_CHECKING:
    from packhorse.scheduler.core.cycle import Cycle

_BUDGET = 64
"""Choices tried beside the greedy one."""

Lent = tuple[tuple[Scope, str], ...]
"""Of which siblings what is short."""


class _Row(NamedTuple):
    """A row that lacks what is lent. code: of its class; duration: how long it runs."""

    short: list[Short]
    code: int
    duration: int

    @property
    def lent(self) -> Lent:
        return tuple((one.cohort, one.tres) for one in self.short)


class _Borrowers(NamedTuple):
    """Who gives back: candidates, the cheapest first, as many as hold what is borrowed. gives: of each, of
    what is short; total: of all; on_nodes: what they hold by position `[n_resources, n_nodes]`."""

    found: list[Candidate]
    gives: list[list[int]]
    total: list[int]
    on_nodes: np.ndarray


class TakeBack:
    """Of one search for victims."""

    def __init__(self, cycle: Cycle, quota: Quota, rights: Rights, effort: Effort) -> None:
        self.cycle = cycle
        self.state: State = cycle.state
        self.quota = quota
        self.terms: Terms = quota.book.terms
        self.rights = rights
        self.effort = effort
        self.told: set[JobId] = set()
        self.promised: dict[tuple[Scope, str], int] = {}
        """What jobs will hold for which victims were found in this search."""
        self._failed: dict[tuple[Lent, int], int] = {}
        """By what is lent and class: rows that run as long as that, or longer, find no room, whoever leaves.
        Until something is decided: rows that are looked at later have less."""
        self._away: dict[tuple[Scope, str], int] = {}
        """What is leaving, by association with a quota, and by siblings."""
        for id in self.state.preempting.leaving:
            self._note_away(id)
        self._quotas = held_of_quota(self.state)
        self._could: dict[Lent, list[Candidate]] = {}
        self._borrowers: dict[Lent, _Borrowers] = {}

    def decided(self, told: set[JobId]) -> None:
        """Room is made for some row; told: by these, as far as they are new."""
        self._failed.clear()
        if told:
            self._borrowers.clear()
            self.told |= told
            for id in sorted(told):
                self._note_away(id)

    def row(self, holder: Holder, code: int, time_limit_s: int, duration: int) -> _Row | None:
        """What a job of the class lacks that is lent; None if anything else holds it up, or it is leaving."""
        out = []
        for short in lent_too_much(self.quota, holder, self.quota.book.needs(code), time_limit_s):
            gone = self._away.get((short.cohort, short.tres), 0)
            promised = self.promised.get((short.cohort, short.tres), 0)
            out.append(short._replace(amount=short.amount - gone + promised))
        return _Row(out, code, duration) if any(short.amount > 0 for short in out) else None

    def may_give(self, row: _Row) -> bool:
        """Whether it is worth a look: enough is borrowed, and for such a row nothing was in vain before."""
        if row.duration >= self._failed.get((row.lent, row.code), row.duration + 1):
            return False
        total = self._of(row.lent).total
        return all(have >= short.amount for have, short in zip(total, row.short, strict=True))

    def victims(self, picture: Field, request: Request, j: int, row: _Row) -> list[Candidate] | None:
        """Whose leaving gives back what is short and makes room for the request on the picture; `may_give`
        has said that it is worth a look."""
        borrowers = self._of(row.lent)
        out = None
        room = emptied(picture, j, borrowers.on_nodes)
        if fits_in(picture, request, room, self.effort):
            held = [(one.holds, one.end) for one in borrowers.found]
            short = [one.amount for one in row.short]
            trial = _Returned(picture, held, request, j, self.effort, borrowers.gives, short)
            out = fewest(trial, [one.cost for one in borrowers.found], _BUDGET, effort=self.effort)
        if out is None:
            self._failed[row.lent, row.code] = row.duration
            return None
        return [borrowers.found[i] for i in out]

    def promise(self, row: _Row) -> None:
        """The row will hold what is given back."""
        for s in row.short:
            self.promised[s.cohort, s.tres] = self.promised.get((s.cohort, s.tres), 0) + s.needed

    def borrower_of(self, id: JobId, row: _Row) -> str:
        """The account among the siblings that the job counts under."""
        scopes = self.terms.scopes(holdings(self.state).running[id].holder)
        return next(
            key.account
            for s in row.short
            for key in self.terms.cohorts[s.cohort]
            if of_association(key) in scopes
        )

    # -- inside ------------------------------------------------------------------------------------------

    def _of(self, lent: Lent) -> _Borrowers:
        """Those who have to give this back, as far as they borrowed it."""
        found = self._borrowers.get(lent)
        if found is None:
            above = {
                (of_association(key), tres): self._above(key, tres)
                for cohort, tres in lent
                for key in self.terms.cohorts[cohort]
            }
            found = self._borrowers[lent] = self._made(lent, self._chosen(lent, above))
        return found

    def _chosen(self, lent: Lent, above: dict[tuple[Scope, str], int]) -> list[Candidate]:
        """Jobs of those that hold more than their quota, the cheapest first, as many as hold that much.
        above: changed."""
        if lent not in self._could:
            self._could[lent] = self._candidates({scope for (scope, _), more in above.items() if more > 0})
        chosen = []
        for candidate in self._could[lent]:
            if candidate.id in self.told:
                continue
            scopes = self.terms.sharing(holdings(self.state).running[candidate.id].holder).owners
            owners = [(scope, tres) for scope in scopes for _, tres in lent if (scope, tres) in above]
            owners = list(dict.fromkeys(owners))
            if any(above[owner] > 0 for owner in owners):
                chosen.append(candidate)
                for owner in owners:
                    above[owner] -= self._amount(candidate.id, owner[1])
        return chosen

    def _candidates(self, owners: set[Scope]) -> list[Candidate]:
        """Jobs that count under these and could leave, the cheapest first."""
        rights: list[tuple[JobId, Right]] = []
        for holder, ids in holdings(self.state).jobs().items():
            if owners.isdisjoint(self.terms.sharing(holder).owners):
                continue
            self.effort.spend(MAKE * len(ids))
            for id in ids:
                job = self.state.jobs[id]
                active = job.phase
                assert isinstance(active, Active)
                right = self.rights.terms(group_of(job), PreemptBy.QOS)
                if right is not None and id not in self.told and not active.reservation:
                    gone = PreemptMode.REQUEUE if right.mode is PreemptMode.SUSPEND else right.mode
                    rights.append((id, right._replace(mode=gone)))
        return candidates(self.state, self.cycle.field, rights, self.cycle.now, stopped_too=True).all

    def _made(self, lent: Lent, found: list[Candidate]) -> _Borrowers:
        gives = [[self._given(one.id, cohort, tres) for cohort, tres in lent] for one in found]
        total = [sum(amounts) for amounts in zip(*gives, strict=True)] if gives else [0] * len(lent)
        on_nodes = np.zeros(self.cycle.field.free.shape, dtype=np.int64)
        for candidate in found:
            for position, pairs in candidate.holds:
                for resource, amount in pairs:
                    on_nodes[resource, position] += amount
        return _Borrowers(found, gives, total, on_nodes)

    def _above(self, key: AssociationKey, tres: str) -> int:
        """What the association holds beyond its quota, without what is leaving."""
        has, sure = self._quotas[key][tres]
        return has - self._away.get((of_association(key), tres), 0) - sure

    def _given(self, id: JobId, cohort: Scope, tres: str) -> int:
        """What the siblings hold less of it once the job has gone."""
        cohorts = self.terms.sharing(holdings(self.state).running[id].holder).cohorts
        return self._amount(id, tres) if cohort in cohorts else 0

    def _amount(self, id: JobId, tres: str) -> int:
        return next((n for name, n in holdings(self.state).running[id].tres if name == tres), 0)

    def _note_away(self, id: JobId) -> None:
        running = holdings(self.state).running[id]
        sharing = self.terms.sharing(running.holder)
        for scope in (*sharing.owners, *sharing.cohorts):
            for tres, amount in running.tres:
                self._away[scope, tres] = self._away.get((scope, tres), 0) + amount


class _Returned(Anywhere):
    """Room for a job that also lacks amounts which are lent. gives: of each candidate what it would give back
    of them."""

    def __init__(
        self,
        picture: Field,
        found: Sequence[Held],
        request: Request,
        j: int,
        effort: Effort,
        gives: list[list[int]],
        short: list[int],
    ) -> None:
        super().__init__(picture, found, request, j, effort)
        self.gives = gives
        self.left = list(short)
        """What is still short with those out who are."""

    def leave(self, i: int) -> None:
        super().leave(i)
        self.left = [n - given for n, given in zip(self.left, self.gives[i], strict=True)]

    def stay(self, i: int) -> None:
        super().stay(i)
        self.left = [n + given for n, given in zip(self.left, self.gives[i], strict=True)]

    def may(self, members: Sequence[int]) -> bool:
        back = (sum(amounts) for amounts in zip(*(self.gives[i] for i in members), strict=True))
        return all(have >= want for have, want in zip(back, self.left, strict=True))

    def room(self) -> bool:
        return max(self.left) <= 0 and super().room()
