"""One scheduling cycle: which waiting jobs start now and where, and why the others do not.

Rows are taken in order (tier, priority, id). What fits is placed by the configured policy, a run of equal
jobs at a time.
The first jobs of each partition that do not fit get a planned start (`backfill_depth` of them, 1 is EASY);
those behind them may go first only where they delay no planned start. `backfill_depth = 0` plans nothing:
whatever fits starts, and a job that needs a lot of room may wait for ever.

A job whose licences are not free waits for these alone: it is nobody's next one and holds up only those
behind it who want the same. Planned starts know nothing of licences, so such a job gets none, and one that is
promised a start may find its licences taken by then; a job that wants many may wait for ever behind others
that want few.

Python looks at a row only if its class may still fit. A class that did not fit is passed over from then on,
by vector steps over ever larger pieces of the queue, so that a full cluster costs little however long
the queue is.

Where nodes are reserved (core/reservations), a job is on none whose window it would stand in by its time
limit, and jobs of a reservation are a queue of their own, with next ones of their own. A row that only a
window keeps from starting is nobody's next one, though it gets a planned start like those.

Members of a gang (core/gangs.py) are looked at together, see core/together.py.

Where memory is lent (core/reclaim), jobs that may be stopped and found no room have a second try with it.

A guide (the improver's answer, core/contended.py) says where jobs would best go. It changes neither order nor
rules, only where a row is tried first; and a plan made with it is used only if no row comes off worse for it
before one that comes off better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from packhorse.scheduler.core import hopeless, one_node, order_keys
from packhorse.scheduler.core.accounts.quota import quota
from packhorse.scheduler.core.backfill import Planned, Timeline, find
from packhorse.scheduler.core.backfill_kinds import backfill
from packhorse.scheduler.core.batch.turns import Turns
from packhorse.scheduler.core.contended import Contended, Outcome, Started, contended
from packhorse.scheduler.core.lent_starts import with_lent_memory
from packhorse.scheduler.core.licenses import Supply
from packhorse.scheduler.core.orders import PACKHORSE
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.greedy import place
from packhorse.scheduler.core.packing.growth import Begun
from packhorse.scheduler.core.packing.guided import place_at
from packhorse.scheduler.core.packing.policies import policy
from packhorse.scheduler.core.packing.request import Batch, Request
from packhorse.scheduler.core.packing.verdicts import refresh
from packhorse.scheduler.core.pending_columns import FOREVER
from packhorse.scheduler.core.plan import Grant, Plan, as_good
from packhorse.scheduler.core.predictors import LIMIT
from packhorse.scheduler.core.preempt import claims, search
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.reclaim import lend
from packhorse.scheduler.core.reservations.draw_in import draw_in
from packhorse.scheduler.core.reservations.reserved import Reservations
from packhorse.scheduler.core.running_columns import NEVER
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.together import Together
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId
from packhorse.scheduler.model.input import Guided

__all__ = ["Cycle", "Grant", "Plan", "plan"]

_FIRST_PIECE: Final = 256
_LARGEST_PIECE: Final = 65_536
_NOT_BLOCKED: Final = FOREVER + 1


def plan(state: State, now: Instant, guide: Sequence[Guided] = (), hold: bool = False) -> Plan:
    """Decides; the state's values are not changed. Reasons and planned starts go to the pending columns.

    hold: see whether the plan is contended.
    """
    if not state.pending_columns.n_ready:
        return Plan([], {}, False)
    lendable = lend.lendable(state, now)
    yielding = search.matters(state)
    if not guide and not hold and lendable is None and not yielding:
        simple = one_node.plan(state, now)
        if simple is not None:
            return Plan([Grant(*started) for started in simple[0]], simple[1], False)
    cycle = Cycle(state, now, remember=hold)
    found = cycle.run()
    if guide:
        led = Cycle(state, now, guide)
        with_guide = led.run()
        if as_good(with_guide, found, cycle.pending.id[cycle.order]):
            cycle, found = led, with_guide
    if yielding:

        def again(swaps: Sequence[claims.Swap]) -> tuple[Cycle, Plan]:
            once_more = Cycle(state, now, guide if cycle.led else (), hold, swaps)
            return once_more, once_more.run()

        cycle, found = search.make_room(cycle, found, again)
    cycle.tell(found)
    if hold and not found.more:
        found = found._replace(contended=cycle.contended())
    if lendable is not None and not found.more and found.contended is None:
        found = with_lent_memory(cycle, found, lendable)
    return found


class Cycle:
    """One pass. Arrays are by place in the order: place 0 is the first row to be looked at."""

    def __init__(
        self,
        state: State,
        now: Instant,
        guide: Sequence[Guided] = (),
        remember: bool = False,
        swaps: Sequence[claims.Swap] = (),
    ) -> None:
        """remember: what starts where, for `contended`. swaps: changes of the order."""
        self.state = state
        self.now = now
        self.config = state.config
        self.pending = pending = state.pending_columns
        self.rules = pending.rules(state.config)
        refresh(pending, state.node_columns, self.rules)
        self.backfill = backfill(state.config.backfill)
        if state.config.predictor != LIMIT:
            state.running_columns.correct(now)
        self.demands = pending.demands
        scorer = state.demand.scorer(policy(state.config.policy), state.taught, pending, state.node_columns)
        self.field = Field(state.node_columns, scorer=scorer, kept=state.demand.kept.by(scorer))
        self.turns = Turns(state, self.field, now) if state.config.order == PACKHORSE else None
        totals = state.node_columns.board().totals
        key_of = self.turns.key if self.turns else order_keys.key_of(state, now)
        self.order = pending.ordered(state.config, now, state.usage, totals, key_of)
        self.n_claims = 0
        """Rows that others make room for: the first of the order."""
        if swaps:
            self.order = claims.swapped(state, self.order, swaps)
        if state.preempting.claims:
            self.order, self.n_claims = claims.first(state, self.order, now)
        if self.turns is not None:
            self.turns.view(self.order)
        self.classes = pending.ask_class[self.order]
        self.durations = pending.run_us(self.order, state.config.predictor)
        self.codes = self.demands.verdict[self.classes]
        if self.rules.limited:
            self._check_time_limits()
        self.blocked_from = np.full(self.demands.n, _NOT_BLOCKED, dtype=np.int64)
        """Per class: jobs with this time limit (or a longer one) do not fit any more."""
        depth = 1 if self.backfill.one_next else max(state.config.backfill_depth, 1)
        self.queue = pending.partition[self.order]
        """Of each row: its partition, or a number above those for each reservation."""
        n_queues = len(pending.partitions)
        self.grants: list[Grant] = []
        self.begun: list[Begun] = []
        self.started: list[Started] | None = [] if remember else None
        self.led = bool(guide)
        self.guide: dict[int, list[Guided]] = {}
        """What is left of the guide: each place is tried once."""
        for place_ in guide:
            self.guide.setdefault(place_.job, []).append(place_)
        self.planned: dict[JobId, Instant] = {}
        self.plans: dict[JobId, Planned] = {}
        """Of all rows that got one, also where no end is in sight."""
        self.timeline: Timeline | None = None
        self.left = state.config.max_starts_per_cycle
        free = state.licenses.free(state.config)
        self.supply = Supply(free, pending.licensed)
        self.quota = quota(state, now)
        self.drawn: dict[int, int] = {}
        """Jobs that reservations have drawn in, by id."""
        self.reserved: Reservations | None = None
        if state.reservations or pending.reserved:
            self.reserved = Reservations(state, self.field, self.rules, now, free)
            self.queue = self.reserved.queues(self.order, self.queue, n_queues)
            n_queues += self.reserved.n_queues
            self.durations = self.reserved.durations(self.order, self.classes, self.durations)
            self.reserved.judge(self.order, self.classes, self.codes)
            if self.reserved.claims is not None:
                self.begun += self.reserved.claims.news()
        self.heads_left = [depth] * n_queues
        """Per queue: how many blocked jobs may still count as its next ones."""
        for queue in self.queue[: self.n_claims].tolist():
            self.heads_left[queue] += 1
        self.kept_out_left = [depth] * n_queues
        """The same of those that only a window keeps from starting."""
        self.n_open = n_queues
        self.open = np.ones(n_queues, dtype=np.bool_)
        if self.reserved is not None and self.reserved.claims is not None:
            for coming in self.reserved.claims.coming:
                self._timeline().plan(coming)
        self.together = Together(self) if state.gangs.ready else None

    def run(self) -> Plan:
        """All rows, until no more may be started."""
        n = self.order.shape[0]
        draw_in(self)
        if self.together is not None:
            self.together.show()
        hopeless.pass_over(self)
        self._pass_over_unlicensed(list(self.supply.short), 0)
        self._pass_over_limited(n)
        if self.together is not None:
            self.together.hide()
        self._keep_quota_for_claims()
        at = 0
        piece = _FIRST_PIECE
        while at < n and self.left:
            end = min(n, at + piece)
            places = self._worth_a_look(at, end)
            if places.size == 0:
                at = end
                piece = min(piece * 2, _LARGEST_PIECE)
                continue
            if places.size > _FIRST_PIECE:
                places = places[:_FIRST_PIECE]
                end = int(places[-1]) + 1
            at = self._look_at(places, end)
            piece = _FIRST_PIECE
        self.state.looking_at = ((), 0, 0)
        self.seen = at if at < n and not self.left else n
        return Plan(self.grants, self.planned, self.seen < n)

    def _want(self, slot: int, at: int, duration: int) -> int:
        """How many jobs of the row may start."""
        pending, code = self.pending, int(self.classes[at])
        room, want = int(pending.room[slot]), int(pending.count[slot])
        want = min(want if room < 0 else min(want, room), self.left)
        if self.turns is not None:
            want = 0 if self.turns.late[at] else min(want, self.turns.most(at))
        return min(want, self._licensed(code, duration)) if code in pending.licensed else want

    def _licensed(self, code: int, duration: int) -> int:
        """For how many jobs of the class the licences suffice."""
        n = self.supply.jobs(code)
        return n if self.reserved is None else min(n, self.reserved.licensed(code, duration))

    def _take_licenses(self, code: int, n: int) -> list[int]:
        """So many jobs of the class start. Returns classes that are short from now on."""
        if self.reserved is not None:
            self.reserved.take_licenses(code, n)
        return self.supply.take(code, n)

    def tell(self, plan: Plan) -> None:
        """Reasons and planned starts of this plan to the columns."""
        self._pass_over_limited(self.seen)
        waiting = self.codes[: self.seen]
        slots = self.order[: waiting.size]
        if waiting.size:
            waiting[waiting == 0] = Reason.PRIORITY.code
            self.pending.note(slots, waiting, plan.planned)
        if self.turns is not None:
            waits = (waiting == Reason.PRIORITY.code) | (waiting == Reason.RESOURCES.code)
            self.turns.tell(self.pending.id[slots], waits)

    def contended(self) -> Contended | None:
        """What of this plan could be better; after `tell`. Gangs stay as they are. None while CPUs of nodes
        are set aside, which the problem does not know."""
        if self.reserved is not None and self.reserved.claims is not None:
            return None
        codes, started = self.codes, self.started or ()
        if self.together is not None:
            codes = np.where(self.together.mask(), Reason.GANG_INCOMPLETE.code, codes)
            started = [one for one in started if one.id not in self.together.ids]
        return contended(
            Outcome(
                self.field,
                self.pending,
                self.rules,
                self.order,
                codes,
                started,
                self.config.improver,
            ),
            self._request,
        )

    def _check_time_limits(self) -> None:
        """Jobs that may run longer than their partition allows; Slurm lets them wait as well."""
        names = self.pending.partitions
        partitions = [self.rules.partitions.get(name) for name in names]
        longest = np.array([p.max_time_s * US if p and p.max_time_s else FOREVER for p in partitions])
        limits = self.pending.duration_us[self.order]
        too_long = limits > longest[self.pending.partition[self.order]]
        self.codes[too_long & (self.codes == 0)] = Reason.PARTITION_TIME_LIMIT.code

    def _pass_over_unlicensed(self, classes: list[int], at: int) -> None:
        """Rows of these classes from this place on wait for licences."""
        if not classes:
            return
        marked = np.zeros(self.demands.n, dtype=np.bool_)
        marked[classes] = True
        codes = self.codes[at:]
        codes[marked[self.classes[at:]] & (codes == 0)] = Reason.LICENSES.code

    def _pass_over_limited(self, end: int) -> None:
        """Rows up to this place on whose name no more may start wait for that."""
        if self.quota is not None:
            self.quota.mark(self.codes[:end], self.order[:end])
            self.quota.wake(self.now)

    def _keep_quota_for_claims(self) -> None:
        """What is being given back of a quota for a job is nobody else's, and neither is the job's room."""
        for place_ in range(self.n_claims):
            if self.quota is not None and self.codes[place_] == Reason.QUOTA_LENT.code:
                slot, code = int(self.order[place_]), int(self.classes[place_])
                self.quota.take(slot, code, 1)
                self._plan(int(self.pending.id[slot]), code, int(self.durations[place_]))

    def _room_under_limits(self, slot: int, place_: int, code: int) -> int:
        """How many more jobs of the row may start on whose name it is; if none, that is why it waits."""
        if self.quota is None or not self.quota.limited(slot):
            return self.left
        room = self.quota.jobs(slot, code)
        if not room:
            self.codes[place_] = self.quota.reason.code
        return min(room, self.left)

    def _take_quota(
        self, slot: int, code: int, batches: list[Batch], j: int, inside: str = ""
    ) -> tuple[list[Batch], bool]:
        """Those of the places that may be taken on whose name the row is, and whether all may. inside: the
        reservation that draws it in."""
        if self.quota is None or not self.quota.limited(slot):
            return batches, True
        batches, out = self.quota.admit(slot, code, batches)
        if self.reserved is not None and out and self.reserved.partial(code, inside):
            self.reserved.give_back(code, inside, out, j)
            self._note_claims()
            return batches, False
        for (_, taken), n in out:
            for position, pairs in taken:
                self.field.give_back(position, pairs, n, j)
        return batches, not out

    def _lacks_licenses(self, at: int, code: int, duration: int) -> int:
        """Rows of the class from this place on that run as long wait for licences: what is free of them is
        reserved. Returns the place to go on from."""
        rest = self.codes[at:]
        alike = (self.classes[at:] == code) & (self.durations[at:] >= duration)
        rest[alike & (rest == 0)] = Reason.LICENSES.code
        return at + 1

    def _worth_a_look(self, at: int, end: int) -> np.ndarray:
        """Places from at up to end whose row may start, or may be the next of its partition."""
        classes = self.classes[at:end]
        keep: np.ndarray = self.durations[at:end] < self.blocked_from[classes]
        if self.turns is not None:
            keep &= self.turns.leaves_room(at, end)
        any_open = False
        if self.n_open:
            is_open = self.open[self.queue[at:end]]
            any_open = bool(is_open.any())
            keep |= is_open
        keep &= self.codes[at:end] == 0
        places = np.flatnonzero(keep)
        places += at
        if places.size > hopeless.MANY_CLASSES and not any_open:
            hopeless.test_together(self, places)
            places = places[self.durations[places] < self.blocked_from[self.classes[places]]]
        return places

    def _shortest(self, j: int, code: int = -1, duration: int = 0) -> int:
        """The shortest duration of jobs that run past the first j planned starts; of a class, and into the
        same windows as this one does."""
        shortest = 0 if j == 0 else self.field.layers[j - 1].start - self.now + 1
        if self.reserved is not None and code >= 0:
            shortest = max(shortest, self.reserved.shortest(code, duration))
        return shortest

    def _alike(self, code: int, one: int, other: int) -> bool:
        """Whether jobs of the class with these durations run past the same planned starts and windows."""
        now, field = self.now, self.field
        if field.layer_of(now + one) != field.layer_of(now + other):
            return False
        return self.reserved is None or self.reserved.alike(code, one, other)

    def _look_at(self, places: np.ndarray, end: int) -> int:
        """Starts what fits among these rows. Returns the place to go on from."""
        pending = self.pending
        slots: list[int] = self.order[places].tolist()
        where: list[int] = places.tolist()
        classes = self.classes[places].tolist()
        durations = self.durations[places].tolist()
        partitions = pending.partition[slots].tolist()
        queues = self.queue[places].tolist()
        ids = pending.id[slots].tolist()
        counts = pending.count[slots].tolist()
        rooms = pending.room[slots].tolist()
        if self.drawn:
            counts = [n - self.drawn.get(id, 0) for id, n in zip(ids, counts, strict=True)]
            rooms = [n if n < 0 else n - self.drawn.get(id, 0) for id, n in zip(ids, rooms, strict=True)]
        field = self.field
        gangs = self.together.firsts if self.together is not None else {}
        blocked: dict[int, int] = {}
        i, n = 0, len(where)
        while i < n and self.left:
            code, duration = classes[i], durations[i]
            if code in self.supply.short:
                i += 1
                continue
            if ids[i] in gangs and self.together is not None:
                self.together.serve(where[i], ids[i], queues[i])
                return where[i] + 1
            self.state.looking_at = (ids, i, i + 1)
            room = self._room_under_limits(slots[i], where[i], code)
            if not room:
                i += 1
                continue
            limit = blocked.get(code)
            if limit is None:
                limit = blocked[code] = int(self.blocked_from[code])
            most = min(self.turns.most(where[i]), room) if self.turns is not None else room
            if self.turns is not None and self.turns.late[where[i]]:
                quiet = self._quiet_start(partitions[i], where[i], ids[i], code, duration, most)
                if quiet is not None:
                    if quiet:
                        return where[i] + 1
                    i += 1
                    continue
            if duration >= limit or not most:
                if self.heads_left[queues[i]]:
                    kept_out = self._next_of(queues[i], where[i], ids[i], code, duration)
                    # Rows may have changed places, or have their reason.
                    if kept_out or field.layers or not self.heads_left[queues[i]]:
                        return where[i] + 1
                i += 1
                continue
            j = field.layer_of(self.now + duration)
            if ids[i] in self.guide:
                most = min(most, counts[i] if rooms[i] < 0 else min(counts[i], rooms[i]))
                done = self._follow(slots[i], most, code, duration, j)
                counts[i] -= done
                rooms[i] -= done if rooms[i] > 0 else 0
                i += done == most
                if code in pending.licensed:
                    self._pass_over_unlicensed(
                        self._take_licenses(code, done), where[i - 1] + 1 if i else where[0]
                    )
                continue
            run, want = i, 0
            while run < n and classes[run] == code and want < self.left and ids[run] not in self.guide:
                if ids[run] in gangs:
                    break
                if self.quota is not None and not self.quota.alike(slots[i], slots[run]):
                    break
                if durations[run] != duration and not self._alike(code, duration, durations[run]):
                    break
                want += counts[run] if rooms[run] < 0 else min(counts[run], rooms[run])
                run += 1
                if self.turns is not None and self.turns.special[where[run - 1 : run + 1]].any():
                    break
            limited = want > most
            want = min(want, self.left, most)
            licensed = code in pending.licensed
            if licensed:
                want = min(want, self._licensed(code, duration))
                if not want:
                    return self._lacks_licenses(where[i], code, duration)
            self.state.looking_at = (ids, i, run)
            batches = self._place(code, duration, want, j)
            batches, fit = self._take_quota(slots[i], code, batches, j)
            done = sum(n for _, n in batches)
            i = self._hand_out(batches, i, run, ids, counts, rooms, durations, partitions, code)
            if licensed:
                lost = self._take_licenses(code, done)
                self._pass_over_unlicensed(lost, where[i - 1] + 1 if i else where[0])
                if fit and i < run and code not in self.supply.short and not self._licensed(code, duration):
                    return self._lacks_licenses(where[i], code, duration)
            if not fit and self.quota is not None:
                self.codes[where[i]] = self.quota.reason.code
                i += 1
            elif limited and done == most:
                counts[i] -= done
                rooms[i] -= done if rooms[i] > 0 else 0
            elif i < run and self.left and code not in self.supply.short:
                blocked[code] = self._shortest(j, code, duration)
                self.blocked_from[code] = min(self.blocked_from[code], blocked[code])
        return where[i] if i < n else end

    def _hand_out(
        self,
        batches: list[Batch],
        i: int,
        run: int,
        ids: list[int],
        counts: list[int],
        rooms: list[int],
        durations: list[int],
        partitions: list[int],
        code: int,
        reservation: str = "",
    ) -> int:
        """Gives the places to rows i up to run, in order. Returns the first row that still waits for some."""
        grants = self.grants
        need = 0
        for (placements, taken), n in batches:
            self.left -= n
            left = n
            while left:
                if not need:
                    need = counts[i] if rooms[i] < 0 else min(counts[i], rooms[i])
                some = min(left, need)
                grant = Grant(JobId(ids[i]), placements, reservation)
                if some == 1:
                    grants.append(grant)
                else:
                    grants.extend([grant] * some)
                duration = durations[i]
                begun = Begun(NEVER if duration == FOREVER else self.now + duration, taken, some)
                self.begun.append(begun)
                if self.turns is not None:
                    self.turns.pools.take(partitions[i], code, some, begun.end)
                if self.started is not None:
                    self.started.append(Started(grant.id, begun, placements))
                left -= some
                need -= some
                if not need:
                    i += 1
        return i

    def _follow(self, slot: int, want: int, code: int, duration: int, j: int) -> int:
        """Starts up to so many jobs of the row where the guide says. Returns how many."""
        id, partition = int(self.pending.id[slot]), int(self.pending.partition[slot])
        places = self.guide.pop(id)
        if self.reserved is not None and self.reserved.beside(code):
            return 0
        request, position = self._request(code, duration), self.field.board.position
        if code in self.pending.licensed:
            want = min(want, self._licensed(code, duration))
        n = 0
        for told in places[: min(want, self.left)]:
            at = [position[name] for name in dict.fromkeys(told.nodes) if name in position]
            batch = place_at(self.field, request, at, told.device, j) if at else None
            if batch is not None and self._take_quota(slot, code, [batch], j)[1]:
                self._hand_out([batch], 0, 1, [id], [1], [-1], [duration], [partition], code)
                n += 1
        return n

    def _next_of(self, queue: int, place_: int, id: int, code: int, duration: int) -> bool:
        """The row is the next of its queue that cannot start: it waits for resources, and gets a plan.

        Returns whether only a window keeps it from starting, so that it is not: then it has that reason, and
        so have those like it.
        """
        why = self.reserved.kept_out(code, duration) if self.reserved is not None else None
        kept_out = why is not None and not self.backfill.nobody
        self.codes[place_] = (why or Reason.RESOURCES).code
        left = self.kept_out_left if kept_out else self.heads_left
        n, left[queue] = left[queue], max(left[queue] - 1, 0)
        if kept_out and why is not None:
            rest = self.codes[place_ + 1 :]
            alike = (self.classes[place_ + 1 :] == code) & (rest == 0)
            if not n:
                rest[alike & (self.durations[place_ + 1 :] >= self._shortest(0, code, duration))] = why.code
                return True
        last = not self.heads_left[queue] and not kept_out
        if last:
            self.open[queue] = False
            self.n_open -= 1
        planned = None
        if self.config.backfill_depth or place_ < self.n_claims:
            planned = self._plan(id, code, duration, self._room_at(place_))
        if last:
            self._admit(queue, place_ + 1, planned)
        return kept_out

    def _admit(self, queue: int, at: int, planned: Planned | None) -> None:
        """Which rows of the queue from this place on may go first, now that its next ones are planned."""
        kind = self.backfill
        if kind.by == "queue" and not kind.nobody:
            return
        rest = self.queue[at:] == queue
        rest &= self.codes[at:] == 0
        if kind.nobody:
            self.codes[at:][rest] = Reason.PRIORITY.code
            return
        places = at + np.flatnonzero(rest)
        by = self.durations[places] if kind.by == "run" else self.pending.id[self.order[places]]
        found = places[np.argsort(by, kind="stable")]
        self.order = self.order.copy()  # it may be that of the columns
        of_turns = self.turns.columns if self.turns is not None else ()
        for column in (self.order, self.classes, self.durations, self.codes, *of_turns):
            column[places] = column[found]
        if kind.before and planned is not None:
            late = self.durations[places] >= planned.start - self.now
            self.codes[places[late]] = Reason.PRIORITY.code

    def _timeline(self) -> Timeline:
        """What is free from now on, with all that has begun in this pass."""
        if self.timeline is None:
            releases = self.state.running_columns.releases(self.state.node_columns)
            self.timeline = Timeline(self.field, releases, self.begun, self.now, self.backfill.all_surplus)
        else:
            for begun in self.begun:
                self.timeline.begin(begun)
        self.begun = []
        return self.timeline

    def _plan(self, id: int, code: int, duration: int, not_before: Instant = UNKNOWN) -> Planned | None:
        """The planned start of a blocked job, None if none is in sight."""
        planned = self._earliest(code, duration, not_before)
        if planned is not None:
            timeline = self._timeline()
            timeline.plan(planned)
            self.plans[JobId(id)] = planned
            if planned.start < NEVER:
                self.planned[JobId(id)] = planned.start
        return planned

    def _earliest(self, code: int, duration: int, not_before: Instant) -> Planned | None:
        """The first start that the timeline has for a job of the class."""
        if self.reserved is None:
            return self._timeline().earliest(self._own_request(code), duration, not_before)
        if self.reserved.beside(code):
            return None
        view = self.reserved.view(code)
        found = self._timeline().earliest(self._own_request(code), duration, not_before, view)
        return found if found is None or found.start < view.ends_at else None

    def _place(self, code: int, duration: int, want: int, j: int) -> list[Batch]:
        """Up to so many jobs of the class, which run past the first j planned starts."""
        if self.reserved is not None and self.reserved.beside(code):
            batches = self.reserved.place_beside(code, self._own_request(code), duration, want)
            self._note_claims()
            return batches
        return place(self.field, self._request(code, duration), want, j)

    def _note_claims(self) -> None:
        """What reservations give back at the end of their windows is another than before."""
        if self.reserved is not None and self.reserved.claims is not None:
            self.begun += self.reserved.claims.news()

    # -- turns -------------------------------------------------------------------------------------------

    def _room_at(self, place_: int) -> Instant:
        """Before when the row may not start because it would leave too little room; UNKNOWN: any time."""
        if self.turns is None or not self.turns.hold[place_]:
            return UNKNOWN
        return self.turns.room_at(place_, self.state.running_columns.releases(self.state.node_columns))

    def _quiet_start(
        self, partition: int, place_: int, id: int, code: int, duration: int, most: int
    ) -> bool | None:
        """Whether a late row that takes nearly all of its partition got a planned start in a quiet hour;
        False: it waits without one. None: this hour is quiet enough, it is a row like others."""
        assert self.turns is not None
        field, request, first = self.field, self._request(code, duration), self.now
        able = np.arange(field.n)[field.up]
        j = field.layer_of(self.now + duration)
        if not most or find(field, request, field.room(j), able) is None:
            found = self._earliest(code, duration, self._room_at(place_))
            first = max(found.start, first) if found is not None else first
        start = self.turns.quiet_from(place_, first)
        if start <= first:
            return None
        self.codes[place_] = Reason.PRIORITY.code
        self.turns.waits_for_quiet(id)
        if self.turns.n_quiet[partition] or not self.open[partition] or not self.config.backfill_depth:
            return False
        planned = self._plan(id, code, duration, start)
        if planned is None:
            return False
        self.turns.planned_quiet(partition, planned.start)
        return True

    def _request(self, code: int, duration: int = FOREVER) -> Request:
        """Of jobs that start now and run so long: on the nodes that are open to them."""
        request = self._own_request(code)
        return request if self.reserved is None else self.reserved.narrowed(code, request, duration)

    def _own_request(self, code: int) -> Request:
        found = self.pending.classes[code]
        assert found is not None
        partition = self.rules.partitions.get(found.partition)
        return found.request(self.field.board, partition, self.field.column_of)
