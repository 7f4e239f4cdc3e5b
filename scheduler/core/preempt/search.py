"""After a pass: for whom of those that found no room running jobs make some, and which.

Waiting rows are taken in the order of the pass. For each that has a right over some running jobs, the nodes
are pictured as its turn saw them: what has begun or is planned before it stands, what comes after it does
not; what is leaving already has left. If it fits there it waits, as it does where a start is planned for it
before a victim would be gone. Otherwise the candidates (candidates.py) are asked for those whose leaving
makes room and loses least (trial.py). It delays no planned start of those before it.

Whoever is chosen is told, with the others' starts that do not stand in the way of it; where some do, these
and all after it are left to the next pass, which follows at once. From then on, until it has started, the
job that room is made for is the first in the order and has a planned start when its victims are gone, so
that nobody takes what they leave: neither they themselves, nor anybody who would have to give it up again at
once.

A pass tries out only so much (effort.py). Rows that it did not come to are looked at first in the next one,
which follows at once, and no others are left behind before these have had their turn: so each is looked at
sooner or later, whatever comes before it. Rows that were looked at since anything changed that could help
them are not waited for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final

import numpy as np

from packhorse.scheduler.core.accounts.quota import book_of
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.core.pending_columns import FOREVER
from packhorse.scheduler.core.preempt.candidates import Candidate, Candidates, candidates
from packhorse.scheduler.core.preempt.claims import Swap
from packhorse.scheduler.core.preempt.effort import (
    MAKE,
    PASS_GRANT,
    PASS_ROWS,
    ROW,
    Effort,
)
from packhorse.scheduler.core.preempt.eviction import Eviction
from packhorse.scheduler.core.preempt.fewest import fewest
from packhorse.scheduler.core.preempt.looks import AGAIN_US, Look
from packhorse.scheduler.core.preempt.picture import Decided, Pictures
from packhorse.scheduler.core.preempt.rights import Group, Right, Rights, group_of
from packhorse.scheduler.core.preempt.room import put_back, room_for, take
from packhorse.scheduler.core.preempt.take_back import TakeBack
from packhorse.scheduler.core.preempt.trial import Anywhere, choose
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.running_columns import NEVER
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import PreemptBy
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.job import Active

if TYPE_CHECKING:
    from packhorse.scheduler.core.cycle import Cycle, Plan

_MOST_PASSES: Final = 8
"""In the place of one, so that nobody starts who would have to make room at once."""
_MOST_AT_ONCE: Final = 8
"""Of these in one pass; another one follows at once, so that nothing else has to wait for long."""
_MOST_CLAIMS: Final = 32
"""Jobs that others make room for at a time: each has a planned start, and a pass costs more with every
one."""
_EFFORT: Final = 600
"""Of one pass, see effort.py: about 6 ms."""


class _End(Enum):
    """Why no more rows are looked at."""

    ALL = "all were"
    EFFORT = "there is no effort left"
    AT_ONCE = "the next pass comes at once"
    FULL = "no more may make room"


def matters(state: State) -> bool:
    """Whether anybody may have to make room, or does."""
    settings = state.config.preemption
    if settings.type is not PreemptBy.NONE or state.preempting.claims:
        return True
    return settings.take_back and bool(book_of(state).terms.quotas)


def make_room(
    cycle: Cycle, found: Plan, again: Callable[[Sequence[Swap]], tuple[Cycle, Plan]]
) -> tuple[Cycle, Plan]:
    """The pass and its plan with those who have to make room, and without the starts that are in the way of
    that. again: the pass made once more, with these changes of its order."""
    swaps: list[Swap] = []
    effort = Effort(_EFFORT)
    for _ in range(_MOST_PASSES):
        if not cycle.left:
            return cycle, found
        search = _Search(cycle, found, effort)
        planned = search.run()
        if not search.swaps:
            return cycle, planned
        swaps += search.swaps
        cycle, found = again(swaps)
        effort.spend(cycle.order.size // PASS_ROWS + PASS_GRANT * len(found.grants))
        if effort.is_spent:
            break
    return cycle, found


class _Search:
    """See the module."""

    def __init__(self, cycle: Cycle, found: Plan, effort: Effort) -> None:
        self.cycle = cycle
        self.effort = effort
        self.state = state = cycle.state
        self.found = found
        self.known = state.preempting
        book = state.accounts
        self.rights: Rights = self.known.rights(state.config, book.qos, book.version)
        self.take_back: TakeBack | None = None
        if state.config.preemption.take_back and cycle.quota is not None and cycle.quota.book.terms.quotas:
            self.take_back = TakeBack(cycle, cycle.quota, self.rights, effort)
        self.among: dict[tuple[Group, str], Candidates] = {}
        self.failed: dict[tuple[int, Group], int] = {}
        """By class and group: rows that run as long as that, or longer, find no room."""
        self.pictures = Pictures(cycle, found.grants, effort)
        self.evictions: list[Eviction] = []
        self.grants = found.grants
        self.granted = Counter(grant.id for grant in found.grants)
        self.n_served = 0
        self.swaps: list[Swap] = []
        self.fresh: dict[Group, list[tuple[int, int]]] = {}
        self.wake_at = int(NEVER)

    def run(self) -> Plan:
        """All rows that may have others make room, or as many as there is effort for."""
        known, waking, now = self.known, self.known.wake_at, self.cycle.now
        known.wake_at = Instant(0)
        rows = self._rows() if self.cycle.n_claims < _MOST_CLAIMS else np.zeros(0, dtype=np.intp)
        ids = self.cycle.pending.id[self.cycle.order[rows]]
        behind = known.looks.are_behind(ids)
        turns = [np.flatnonzero(behind), np.flatnonzero(~behind)]
        n, end = self._serve_all(rows[turns[0]].tolist())
        left, seen = turns[0][n:], turns[0][:n]
        if end is _End.ALL:
            if n:
                self._from_the_first()
            n, end = self._serve_all(rows[turns[1]].tolist())
            left = turns[1][n:] if end is _End.EFFORT else turns[1][:0]
            seen = np.concatenate([seen, turns[1][:n]])
        more = self.found.more or end is _End.AT_ONCE
        if end is _End.ALL:
            known.looks.all_done()
        else:
            state = self.state
            book, windows = state.accounts.version, state.windows.version
            look = Look((known.changes, state.node_columns.availability, book, windows), now)
            known.looks.cut_short(ids.tolist(), ids[seen].tolist(), ids[left].tolist(), look)
        if end is _End.EFFORT:
            more |= bool(known.looks.behind)
            again_at = waking if waking > now else now + AGAIN_US
            self.wake_at = min(self.wake_at, again_at, now + AGAIN_US)
        if self.wake_at < NEVER:
            known.wake_at = Instant(self.wake_at)
        return self.found._replace(grants=self.grants, more=more, evictions=tuple(self.evictions))

    def _serve_all(self, places: Sequence[int]) -> tuple[int, _End]:
        """These, until one is the last. How many were looked at, and why no more."""
        for n, place in enumerate(places):
            if self.effort.is_spent and self.n_served:
                return n, _End.EFFORT
            self.n_served += 1
            n_before = len(self.evictions)
            self.effort.spend(ROW)
            self._serve(place)
            if len(self.evictions) > n_before:
                kept = [grant for grant in self.grants if self.pictures.place_of(grant.id) <= place]
                if len(kept) < len(self.grants) and self.pictures.in_the_way(place):
                    self.grants = kept
                    return n + 1, _End.AT_ONCE
            if len(self.pictures.decided) >= _MOST_AT_ONCE:
                return n + 1, _End.AT_ONCE
            n_claims = self.cycle.n_claims + len(self.pictures.decided)
            full = len(self.evictions) >= self.state.config.preemption.max_victims
            if n_claims >= _MOST_CLAIMS or full:
                return n + 1, _End.FULL
        return len(places), _End.ALL

    def _from_the_first(self) -> None:
        """Rows are looked at in order once more: those before the last one see more room than it did."""
        self.pictures.from_the_first()
        self.failed.clear()
        if self.take_back is not None:
            self.take_back.decided(set())

    def _rows(self) -> np.ndarray:
        """Places of the rows that found no room and may have others make some. Nobody does for gangs."""
        cycle, pending = self.cycle, self.cycle.pending
        codes = cycle.codes[: cycle.seen]
        waits = codes == Reason.RESOURCES.code
        if not (cycle.backfill.nobody or cycle.backfill.before):
            waits |= (codes == 0) | (codes == Reason.PRIORITY.code)
        able = self.rights.able(pending.holders)
        waits &= able[pending.holder[cycle.order[: cycle.seen]]]
        if cycle.together is not None:
            codes = np.where(cycle.together.mask()[: cycle.seen], Reason.GANG_INCOMPLETE.code, codes)
            waits &= codes != Reason.GANG_INCOMPLETE.code
        if self.take_back is not None:
            waits |= codes == Reason.QUOTA_LENT.code
        return np.flatnonzero(waits)

    def _serve(self, place: int) -> None:
        """A row has others make room, if it has to and any can."""
        cycle, now = self.cycle, self.cycle.now
        slot = cycle.order[place]
        id, code, duration = (
            JobId(int(cycle.pending.id[slot])),
            int(cycle.classes[place]),
            int(cycle.durations[place]),
        )
        if place < cycle.n_claims or cycle._want(slot, place, duration) <= self.granted[id]:
            return
        if cycle.reserved is not None and cycle.reserved.beside(code):
            return
        if not cycle._room_under_limits(slot, place, code):
            if cycle.codes[place] == Reason.QUOTA_LENT.code:
                self._take_back(place, id, code)
            return
        holder = cycle.pending.holders[cycle.pending.holder[slot]]
        group = Group(holder.qos, holder.partition)
        if duration >= self.failed.get((code, group), FOREVER + 1):
            return
        among = self._among(group, cycle.pending.reserved.get(code, ""))
        fresh = self._fresh(group, place)
        if not among.all and not fresh:
            self.wake_at = min(self.wake_at, among.exempt_until)
            return
        soonest = now + min((candidate.notice_us for candidate in among.all), default=0)
        planned = cycle.planned.get(id)
        if planned is not None and planned <= soonest + self.state.config.kill_wait_s * US:
            return
        picture = self.pictures.at(place)
        request, j = cycle._request(code, duration), picture.layer_of(now + duration)
        self.effort.look(picture.n, request.shape.multi)
        if room_for(picture, request, j) is not None:
            return
        if fresh and self._goes_ahead(id, request, j, picture, fresh, now + duration):
            return
        victims = choose(picture, request, j, among, self.effort) if among.all else None
        room = self.state.config.preemption.max_victims - len(self.evictions)
        if victims is None or len(victims) > room:
            self.failed[code, group] = duration
            self.wake_at = min(self.wake_at, among.exempt_until)
            return
        self._decide(picture, request, j, now + duration, victims)
        self._tell(id, victims, group)

    def _decide(
        self, picture: Field, request: Request, j: int, end: int, victims: Sequence[Candidate]
    ) -> None:
        """The room that these leave is taken, in the pictures of later rows."""
        for victim in victims:
            put_back(picture, victim.holds, picture.layer_of(victim.end))
        taken = room_for(picture, request, j)
        assert taken is not None, "there was room without these victims"
        take(picture, taken, picture.layer_of(end))
        self.pictures.decide(Decided(taken, end, tuple(victims)))
        gone = {victim.id for victim in victims}
        for among in self.among.values():
            among.drop(gone)
        if self.take_back is not None:
            self.take_back.decided(gone)

    def _take_back(self, place: int, id: JobId, code: int) -> None:
        """A row that is held up by what its account has lent."""
        cycle, slot, take_back = self.cycle, self.cycle.order[place], self.take_back
        if take_back is None:
            return
        waiter, duration = self.pictures.waiter(id), int(cycle.durations[place])
        holder = cycle.pending.holders[cycle.pending.holder[slot]]
        row = take_back.row(holder, code, waiter.spec.time_limit_s, duration)
        if row is None or not take_back.may_give(row):
            return
        end, picture = cycle.now + duration, self.pictures.at(place)
        request, j = cycle._request(code, duration), picture.layer_of(end)
        victims = take_back.victims(picture, request, j, row)
        if victims is None or len(self.evictions) + len(victims) > self.state.config.preemption.max_victims:
            return
        take_back.promise(row)
        self._decide(picture, request, j, end, victims)
        for victim in victims:
            whose = take_back.borrower_of(victim.id, row)
            why = f"gave back what account {whose} had borrowed, for job {{}} of account {holder.account}"
            why += f" ({waiter.owner.user})"
            self.evictions.append(Eviction(victim.id, id, victim.right, why))

    def _fresh(self, group: Group, place: int) -> list[int]:
        """Starts of this pass before this place, by number, of jobs that would have to make room for the
        group at once."""
        found = self.fresh.get(group)
        if found is None:
            found = self.fresh[group] = []
            for number, grant in enumerate(self.found.grants):
                at, other = self.pictures.place_of(grant.id), group_of(self.pictures.waiter(grant.id))
                right = self.rights.over(group, other) if at >= self.cycle.n_claims else None
                if right is not None and not right.exempt_s and not self.pictures.is_sliced(number):
                    found.append((at, number))
        return [number for at, number in found if at < place]

    def _goes_ahead(
        self, id: JobId, request: Request, j: int, picture: Field, fresh: list[int], end: int
    ) -> bool:
        """Whether there is room if some of these do not start, the last ones: then the row takes the place of
        the first of them."""
        begun = [(self.pictures.of_grant(n), self.pictures.end_of(n)) for n in reversed(fresh)]
        trial = Anywhere(picture, begun, request, j, self.effort)
        out = fewest(trial, [0] * len(begun), 0)
        if out is None:
            return False
        for i in out:
            trial.leave(i)
        taken = room_for(picture, request, j)
        assert taken is not None, "there was room without these"
        numbers = sorted(fresh[-1 - i] for i in out)
        behind = tuple(dict.fromkeys(self.found.grants[number].id for number in numbers))
        self.swaps.append(Swap(id, behind))
        take(picture, taken, picture.layer_of(end))
        self.pictures.decide(Decided(taken, end, (), tuple(numbers)))
        if self.take_back is not None:
            self.take_back.decided(set())
        return True

    def _tell(self, id: JobId, victims: Sequence[Candidate], group: Group) -> None:
        """These have to go; they are candidates no more."""
        waiter = self.pictures.waiter(id)
        for victim in victims:
            what = f"QOS {group.qos}" if victim.right.by is PreemptBy.QOS else f"partition {group.partition}"
            why = f"made room for job {{}} of {what} ({waiter.owner.user})"
            self.evictions.append(Eviction(victim.id, id, victim.right, why))

    def _among(self, group: Group, reservation: str) -> Candidates:
        """Who could make room for jobs of the group in the reservation, or outside of all: who runs there
        too. Not those that are told to already."""
        found = self.among.get((group, reservation))
        if found is None:
            told = {eviction.id for eviction in self.evictions}
            rights: list[tuple[JobId, Right]] = []
            for other, members in self.known.running.items():
                right = self.rights.over(group, other)
                if right is not None:
                    rights += [
                        (id, right) for id in members if id not in told and self._runs_in(id, reservation)
                    ]
            self.effort.spend(MAKE * len(rights))
            found = candidates(self.state, self.cycle.field, rights, self.cycle.now)
            self.among[group, reservation] = found
        return found

    def _runs_in(self, id: JobId, reservation: str) -> bool:
        active = self.state.jobs[id].phase
        assert isinstance(active, Active)
        return active.reservation == reservation
