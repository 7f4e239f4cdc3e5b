"""Taking back what was lent, worked out anew for every row from all that runs: a measure of take_back.py."""

from __future__ import annotations

from packhorse.scheduler.core.accounts.borrowing import Short, lent_too_much
from packhorse.scheduler.core.accounts.held import Scope, of_association
from packhorse.scheduler.core.accounts.quota import Quota
from packhorse.scheduler.core.cycle import Cycle
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.core.preempt.candidates import Candidate, candidates
from packhorse.scheduler.core.preempt.effort import Effort
from packhorse.scheduler.core.preempt.fewest import fewest
from packhorse.scheduler.core.preempt.rights import Right, Rights, group_of
from packhorse.scheduler.core.preempt.trial import Anywhere
from packhorse.scheduler.model.accounts import Holder, PreemptMode
from packhorse.scheduler.model.cluster import PreemptBy
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.job import Active


class PlainTakeBack:
    """In the place of TakeBack."""

    def __init__(self, cycle: Cycle, quota: Quota, rights: Rights, effort: Effort) -> None:
        self.cycle, self.quota, self.rights, self.effort = cycle, quota, rights, effort
        self.state, self.terms = cycle.state, quota.book.terms
        self.told: set[JobId] = set()
        self.promised: list[Short] = []

    def decided(self, told: set[JobId]) -> None:
        self.told |= told

    def row(self, holder: Holder, code: int, time_limit_s: int, duration: int) -> list[Short] | None:
        leaving = [*self.state.preempting.leaving, *self.told]
        out = []
        for short in lent_too_much(self.quota, holder, self.quota.book.needs(code), time_limit_s):
            gone = sum(self._given(id, short.cohort, short.tres) for id in leaving)
            kept = sum(
                one.needed for one in self.promised if (one.cohort, one.tres) == (short.cohort, short.tres)
            )
            out.append(short._replace(amount=short.amount - gone + kept))
        return out if any(short.amount > 0 for short in out) else None

    def may_give(self, row: list[Short]) -> bool:
        return True

    def victims(self, picture: Field, request: Request, j: int, row: list[Short]) -> list[Candidate] | None:
        found = self._borrowers(row)
        trial = _Returned(picture, [(one.holds, one.end) for one in found], request, j, self.effort)
        trial.owner, trial.row, trial.ids = self, row, [one.id for one in found]
        out = fewest(trial, [one.cost for one in found], 64)
        return None if out is None else [found[i] for i in out]

    def promise(self, row: list[Short]) -> None:
        self.promised += row

    def borrower_of(self, id: JobId, row: list[Short]) -> str:
        scopes = self.terms.scopes(self.state.held.running[id].holder)
        return next(
            key.account for s in row for key in self.terms.cohorts[s.cohort] if of_association(key) in scopes
        )

    def _borrowers(self, row: list[Short]) -> list[Candidate]:
        above = {
            (of_association(key), s.tres): self._above(of_association(key), s.tres)
            for s in row
            for key in self.terms.cohorts[s.cohort]
        }
        owners: dict[JobId, list[tuple[Scope, str]]] = {}
        rights: list[tuple[JobId, Right]] = []
        for id, running in self.state.held.running.items():
            scopes = self.terms.scopes(running.holder)
            mine = [owner for owner, more in above.items() if more > 0 and owner[0] in scopes]
            active = self.state.jobs[id].phase
            assert isinstance(active, Active)
            right = self.rights.terms(group_of(self.state.jobs[id]), PreemptBy.QOS)
            if mine and id not in self.told and not active.reservation and right is not None:
                owners[id] = mine
                gone = PreemptMode.REQUEUE if right.mode is PreemptMode.SUSPEND else right.mode
                rights.append((id, right._replace(mode=gone)))
        chosen = []
        for candidate in candidates(
            self.state, self.cycle.field, rights, self.cycle.now, stopped_too=True
        ).all:
            if any(above[owner] > 0 for owner in owners[candidate.id]):
                chosen.append(candidate)
                for owner in owners[candidate.id]:
                    above[owner] -= self._amount(candidate.id, owner[1])
        return chosen

    def _above(self, scope: Scope, tres: str) -> int:
        has = 0
        for id, running in self.state.held.running.items():
            if scope in self.terms.scopes(running.holder):
                away = id in self.told or id in self.state.preempting.leaving
                has += 0 if away else self._amount(id, tres)
        key = next(key for key in self.terms.quotas if of_association(key) == scope)
        return has - self.terms.quotas[key].get(tres, 0)

    def _given(self, id: JobId, cohort: Scope, tres: str) -> int:
        scopes = self.terms.scopes(self.state.held.running[id].holder)
        inside = any(of_association(key) in scopes for key in self.terms.cohorts[cohort])
        return self._amount(id, tres) if inside else 0

    def _amount(self, id: JobId, tres: str) -> int:
        return dict(self.state.held.running[id].tres).get(tres, 0)


class _Returned(Anywhere):
    owner: PlainTakeBack
    row: list[Short]
    ids: list[JobId]

    def room(self) -> bool:
        for s in self.row:
            back = sum(self.owner._given(self.ids[i], s.cohort, s.tres) for i in self.given)
            if back < s.amount:
                return False
        return super().room()
