"""One scheduling cycle in which running jobs have no more right to their nodes than waiting ones.

All unfinished jobs are walked in one order (tier, priority, the configured order's key, id). Each keeps or
gets its resources while they fit into what those before it have left; what does not fit is skipped, and the
walk goes on. A running job stays where it is. It is stopped only where a job before it needs its room, and of
those behind that job the last ones are taken, as few as will do. Whoever they make room for starts in a later
cycle, when they are gone; until then its room is kept for it, also from jobs that would fit in it now.

Never stopped are jobs that were submitted with --no-requeue, and jobs on slices of a device: what a device
can be cut into once they are gone is not known here.

Gangs start where all members fit into what is left; nobody is stopped for them.

Nothing is held up by a job that does not fit, so a large one may wait for ever behind a stream of small ones.
Licences are as in cycle.py: nobody is stopped for them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core import waiting
from packhorse.scheduler.core.active import ran_us
from packhorse.scheduler.core.cycle import Cycle, Grant, Plan
from packhorse.scheduler.core.order_keys import key_of
from packhorse.scheduler.core.orders import MULTIFACTOR, Waiting, order, width_milli
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.request import Batch, Request
from packhorse.scheduler.core.pending_columns import FOREVER
from packhorse.scheduler.core.predictors import total_cpu_milli
from packhorse.scheduler.core.preempt.room import Taken, fits, has_room, held_by, put_back, room_for, take
from packhorse.scheduler.core.priority import BASE_PRIORITY
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.reservations.draw_in import draw_in
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.together import Together
from packhorse.scheduler.core.usage import device_milli
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.job import Active, Job


def plan(state: State, now: Instant) -> Plan:
    """Decides; the state's values are not changed. Reasons go to the pending columns."""
    if not state.pending_columns.n_ready:
        return Plan([], {}, False)
    walk = _Walk(state, now)
    found = walk.run()
    walk.tell(found)
    return found


class _Running(NamedTuple):
    """A running job that may be stopped. holds: its amounts. at: its place in the common order."""

    id: JobId
    holds: Taken
    at: int


class _Walk(Cycle):
    """See the module. Three pictures of the nodes: `field` is what is free now; `soon` also has what jobs
    that are being stopped will leave; `most`, as of the job that is looked at, what would be left if
    everybody behind it who may be stopped were."""

    def __init__(self, state: State, now: Instant) -> None:
        super().__init__(state, now)
        self.leaving: list[Taken] = []
        self.soon: Field | None = None
        self.most: Field | None = None
        self.n_kept = 0
        """How many of `running` are before the job that is looked at, and not in `most`."""
        self.stops: dict[JobId, JobId] = {}
        self.running, self.at = self._merged()

    def run(self) -> Plan:
        """All rows in order, until no more may be started."""
        draw_in(self)
        if self.together is not None:
            self.together.show()
        self._pass_over_unlicensed(list(self.supply.short), 0)
        self._pass_over_limited(self.order.size)
        if self.together is not None:
            self.together.hide()
        todo = np.flatnonzero(self.codes == 0)
        while todo.size and self.left:
            at, todo = int(todo[0]), todo[1:]
            if self.codes[at]:
                continue
            if self.together is not None and self._serve_gang(at, self.together):
                continue
            code = int(self.classes[at])
            if not self._serve(at, code):
                lost = self.classes[todo] == code
                if self.reserved is not None:  # shorter ones may have nodes that are reserved later
                    lost &= self.durations[todo] >= self.durations[at]
                todo = todo[~lost]
        self.state.looking_at = ((), 0, 0)
        self.seen = self.order.size
        return Plan(self.grants, {}, not self.left, stops=tuple(self.stops.items()))

    def _serve(self, at: int, code: int) -> bool:
        """Room for the row, now or soon. False if there is none, for nobody of its class from here on."""
        slot = self.order[at]
        id, want, room = (
            JobId(int(self.pending.id[slot])),
            int(self.pending.count[slot]),
            self.pending.room[slot],
        )
        want = most = min(want, self.left) if room < 0 else min(want, int(room), self.left)
        licensed, duration = code in self.pending.licensed, int(self.durations[at])
        if self.drawn:
            want = most = want - self.drawn.get(id, 0)
        if licensed:
            want = min(want, self._licensed(code, duration))
        self.state.looking_at = ((id,), 0, 1)
        limit = self._room_under_limits(slot, at, code)
        if not limit:
            return True
        want = min(want, limit)
        request, j = self._request(code, duration), self.field.layer_of(self.now + duration)
        n = 0
        batches, fit = self._take_quota(slot, code, self._place(code, duration, want, j), j)
        for batch in batches:
            n += batch.n
            self._start(id, batch)
        promised = n
        fit_beside = self.reserved is None or not self.reserved.beside(code)
        while fit and fit_beside and promised < want and self._promise(id, at, request):
            promised += 1
        if licensed:
            self._pass_over_unlicensed(self._take_licenses(code, promised), at + (promised == most))
        if self.quota is not None:
            self.quota.take(slot, code, promised - n)
        if not fit and self.quota is not None:
            self.codes[at] = self.quota.reason.code
        elif n < want:
            why = self.reserved.kept_out(code, duration) if self.reserved is not None else None
            self.codes[at] = (why or Reason.RESOURCES).code
        return promised == want or not fit

    def _serve_gang(self, at: int, together: Together) -> bool:
        """Whether the row is the first of a gang: then its members have begun, or wait without anybody being
        stopped for them."""
        id, n = int(self.pending.id[self.order[at]]), len(self.begun)
        if id not in together.firsts:
            return False
        together.serve(at, id, int(self.queue[at]))
        for field in (self.soon, self.most):
            if field is None:
                continue
            for begun in self.begun[n:]:
                for position, pairs in begun.taken:
                    field.take(position, pairs, begun.n, 0)
        return True

    def _start(self, id: JobId, batch: Batch) -> None:
        """Jobs of the row begin now."""
        self.left -= batch.n
        self.grants.extend([Grant(id, batch.parts.placements)] * batch.n)
        for field in (self.soon, self.most):
            if field is not None:
                for position, pairs in batch.parts.taken:
                    field.take(position, pairs, batch.n, 0)

    def _promise(self, id: JobId, at: int, request: Request) -> bool:
        """Keeps room for a job where it will be free soon, or becomes so by stopping others."""
        if not self.leaving and not self.stops and not self.running:
            return False
        soon = self._soon()
        taken: Taken | None = room_for(soon, request)
        if taken is None:
            if room_for(self._most(at), request) is None:
                return False
            taken = self._make_room(id, at, request)
            if taken is None:
                return False
        else:
            take(soon, taken)
        if self.most is not None:
            take(self.most, taken)
        for position, pairs in taken:
            free = self.field.free[:, position]
            kept = [(r, min(n, int(free[r]))) for r, n in pairs if free[r] > 0]
            self.field.take(position, kept, 1, 0)
        if request.shape.exclusive:
            self.field.share_with_nobody()
        return True

    def _make_room(self, id: JobId, at: int, request: Request) -> Taken | None:
        """Stops the last jobs behind this place until the request fits. Takes its room of `soon`."""
        soon = self._soon()
        out: list[_Running] = []
        taken: Taken | None = None
        for job in reversed(self.running):
            if job.at < self.at[at] or taken is not None:
                break
            if job.id in self.stops:
                continue
            put_back(soon, job.holds)
            out.append(job)
            if request.shape.multi or any(has_room(soon, request, position) for position, _ in job.holds):
                taken = room_for(soon, request)
        if taken is not None:
            take(soon, taken)
        for job in reversed(out):
            if taken is None or fits(soon, job.holds):
                take(soon, job.holds)
            else:
                self.stops[job.id] = id
        return taken

    def _soon(self) -> Field:
        """What is free once those have left who are told to."""
        if self.soon is None:
            self.soon = self.field.beside()
            for holds in self.leaving:
                put_back(self.soon, holds)
        return self.soon

    def _most(self, at: int) -> Field:
        """What this row could have if all behind it made room."""
        if self.most is None:
            self.most = self._soon().beside()
            for job in self.running:
                if job.id not in self.stops:
                    put_back(self.most, job.holds)
        most, place_ = self.most, self.at[at]
        while self.n_kept < len(self.running) and self.running[self.n_kept].at < place_:
            job = self.running[self.n_kept]
            self.n_kept += 1
            if job.id not in self.stops:
                take(most, job.holds)
        return most

    def _merged(self) -> tuple[list[_Running], np.ndarray]:
        """Running jobs that may be stopped, in order, and the place of each row in the common order."""
        config, n = self.config, self.order.size
        jobs: list[Job] = []
        for id in self.state.running_columns.jobs():
            job = self.state.jobs[id]
            assert isinstance(job.phase, Active)
            if job.phase.ending is not None:
                self.leaving.append(self._held(job, job.phase))
            elif _may_be_stopped(job, job.phase):
                jobs.append(job)
        if not jobs:
            return [], np.arange(n)
        tier, priority, ids = self.pending.keys(self.order, self.rules)
        standing = np.array([self._standing(job) for job in jobs], dtype=np.int64)
        total = self.state.node_columns.board().totals
        own_key = key_of(self.state, self.now)
        if own_key is None:
            theirs = self.pending.facts(self.order, config, self.now, self.state.usage, total)
            both = zip(theirs, _facts(self.state, jobs, self.now, total), strict=True)
            by_order = order(config.order).key(Waiting(*[np.concatenate(pair) for pair in both]))
        else:
            by_order = np.concatenate([own_key(self.order), own_key.of_jobs(jobs)])
            if config.order == MULTIFACTOR:
                priority, standing[:, 1] = np.zeros(n), 0
        keys = (
            np.concatenate([ids, np.array([job.id for job in jobs], dtype=np.int64)]),
            by_order,
            np.concatenate([priority, standing[:, 1]]),
            np.concatenate([tier, standing[:, 0]]),
        )
        place_of = np.empty(n + len(jobs), dtype=np.int64)
        place_of[np.lexsort(keys)] = np.arange(n + len(jobs))
        running = []
        for i in np.argsort(place_of[n:]).tolist():
            phase = jobs[i].phase
            assert isinstance(phase, Active)
            running.append(_Running(jobs[i].id, self._held(jobs[i], phase), int(place_of[n + i])))
        return running, place_of[:n]

    def _standing(self, job: Job) -> tuple[int, int]:
        """Tier and priority, the best the least, as of a row."""
        spec = job.spec
        tier, bonus = self.rules.tier_and_bonus(spec.partition)
        own = spec.priority
        if own is None:
            own = BASE_PRIORITY - spec.nice + spec.site_factor + bonus
        return -tier, -own

    def _held(self, job: Job, active: Active) -> Taken:
        return held_by(self.state.node_columns, self.field.board, job.id)


def _may_be_stopped(job: Job, active: Active) -> bool:
    if active.suspended_at:
        return False  # it has no CPUs to give
    return job.spec.requeue and not any(d.part for p in active.placements for d in p.devices)


def _facts(state: State, jobs: list[Job], now: Instant, total: np.ndarray) -> Waiting:
    """What orders go by, of these running jobs. total: as of PendingColumns.ordered."""
    facts = []
    shares = _shares(state, jobs, now, total) if order(state.config.order).users else [(0.0, 0.0)] * len(jobs)
    for job, share in zip(jobs, shares, strict=True):
        active, spec = job.phase, job.spec
        assert isinstance(active, Active)
        begun = active.started_at or active.granted_at
        limit_us = spec.time_limit_s * US or FOREVER
        run_us = min(waiting.expected_us(state, job) or limit_us, limit_us)
        facts.append(
            (
                (active.eligible_at - state.config.origin) / US,
                max(now - active.eligible_at, 0) / US,
                run_us / US,
                total_cpu_milli(spec.ask) / 1000,
                *share,
                width_milli(spec.ask) / 1000,
                (job.ran_us + ran_us(active, now)) / US,
                (begun - state.config.origin) / US,
            )
        )
    columns = [*np.array(facts).T, np.ones(len(jobs), dtype=np.bool_)]
    return Waiting(*columns)


def _shares(state: State, jobs: list[Job], now: Instant, total: np.ndarray) -> list[tuple[float, float]]:
    """Of each job's owner: CPU seconds used, and the dominant share held without this job and those that
    began after it."""
    used_by = state.usage.used(now)
    held: dict[int, np.ndarray] = {}
    out = []
    for job in jobs:
        uid, placements = job.owner.uid, state.node_columns.held(job.id)
        before = held.get(uid, np.zeros(3))
        out.append((used_by.get(uid, 0.0), float((before / np.maximum(total, 1)).max())))
        mine = [(p.cpu_milli, p.mem_mib, device_milli(p)) for p in placements]
        held[uid] = before + np.array(mine).sum(axis=0)
    return out
