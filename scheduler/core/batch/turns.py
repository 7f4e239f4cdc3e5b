"""The order "packhorse": whose turn it is, and who has to leave room or wait for a quiet hour.

    key = size / (1 + ((wait + drain) / ageing)^power),  size = E[run] * CPUs / E[slowdown gained per second]

Without the divisor that is Smith's rule for the mean slowdown (W. E. Smith, "Various optimizers for
single-stage production", Naval Research Logistics Quarterly 3, 1956), with run times from
core/batch/estimates.py. The divisor is 1 until a job has waited for nearly `ageing`, then grows so fast that
the job soon goes before all smaller ones. drain is what a wide job will need until enough has ended: its
share of the partition times the longest time limit around, at most 0.6 ageing. A job that has waited `guard`
times ageing goes before all others, longest wait first, and nothing is kept back from it any more.

Jobs that are not small leave room (core/batch/headroom.py). A job that takes nearly all of its partition and
is late starts in a quiet hour (core/batch/hours.py): when it has come to the head of the queue its planned
start, else as soon as possible, is moved there; one such plan per partition.

Tiers and priorities come before all that, as under every order. Sizes and shares are of the partition, CPUs
where a job has no GPUs, so that clusters of many nodes and kinds are ordered alike.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.batch.headroom import Pools, holds
from packhorse.scheduler.core.batch.hours import Hours
from packhorse.scheduler.core.batch.memory import Told
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.running_columns import Releases
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId

_MOST_DRAIN: Final = 0.6
"""Of ageing."""

_FIRST: Final = 1e12
"""Those who waited too long get their submission time in seconds less this: below every key."""


class Turns:
    """One pass. `key` orders rows; `view` gives what else is known of them, by place in that order.

    special: rows that must be looked at one by one, `[n]`. late: those that wait for quiet hours.
    """

    def __init__(self, state: State, field: Field, now: Instant) -> None:
        self._now = now
        self._rules = state.config.batch
        self._since_us = int(now - state.config.origin)
        self._origin = state.config.origin
        self._pending = pending = state.pending_columns
        self._memory = memory = state.batch
        slots = pending.order(state.config)
        memory.estimates.refresh(pending, slots, state.history.samples, state.arrivals)
        self._seen_hours = state.arrivals.hours
        self._hours: Hours | None = None
        self._quiet: list[JobId] = []
        self.pools = Pools(field, pending, pending.rules(state.config))
        part = np.zeros(pending.own_nodes.size, dtype=np.intp)
        part[pending.ask_class[slots]] = pending.partition[slots]
        self._amount, self._kind, self._share = self.pools.sizes(pending, part)
        self._cpus = self._share * np.maximum(self.pools.total[0], 1.0)[part]
        self._small_s = memory.estimates.small_s()
        longest_us = max(
            state.running_columns.longest_limit_us(), int(pending.duration_us[slots].max(initial=0))
        )
        self._drain_s = min(longest_us / US, _MOST_DRAIN * self._rules.ageing_s)
        self.n_quiet = [0] * len(pending.partitions)
        """Planned starts in quiet hours, by partition."""
        self.wake_at: Instant = UNKNOWN

    def key(self, slots: np.ndarray) -> np.ndarray:
        """What rows of equal tier and priority are ordered by, the least first `[n]`."""
        rules, pending = self._rules, self._pending
        ageing_s = float(rules.ageing_s)
        since = pending.eligible_at[slots]
        wait_s = (self._now - since) / US
        classes = pending.ask_class[slots]
        share = self._share[classes]
        size = pending.mean_s[slots] / pending.rate[slots] * self._cpus[classes]
        late = (wait_s + self._drain_s * share) / ageing_s
        late = np.clip(late, 0.0, rules.guard + 1.0)  # who is above is overdue: no key beyond any number
        key = size / (1.0 + late**rules.power)
        overdue = wait_s > rules.guard * ageing_s
        return np.asarray(np.where(overdue, since / US - _FIRST, key))

    def view(self, order: np.ndarray) -> None:
        """The rows as they will be looked at."""
        rules, pending = self._rules, self._pending
        self._order, self._ids = order, pending.id[order]
        self.part = part = pending.partition[order].astype(np.intp)
        self.mean_s = mean_s = pending.mean_s[order]
        self.since = pending.eligible_at[order]
        classes = pending.ask_class[order]
        self.amount, self.kind, share = self._amount[classes], self._kind[classes], self._share[classes]
        wait_s = (self._now - self.since) / US
        jobs, room = pending.count[order], pending.room[order]
        jobs = np.where(room < 0, jobs, np.minimum(jobs, room))
        work_s = np.bincount(part, mean_s * share * jobs, len(pending.partitions))
        total = self.pools.total[self.kind, part]
        self.idle = rules.idle * total
        self.hold = holds(
            rules.reserve, rules.spread, mean_s, self._small_s, work_s[part], total - self.amount
        )
        overdue = wait_s > rules.guard * rules.ageing_s
        self.hold[overdue] = 0.0
        self.late = (share >= rules.wide) & (mean_s > self._small_s) & (wait_s > rules.ageing_s) & ~overdue
        self.special = self.late | (self.hold > 0)

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """All that is by place."""
        return (
            self.part,
            self.mean_s,
            self.since,
            self.amount,
            self.kind,
            self.idle,
            self.hold,
            self.late,
            self.special,
        )

    def leaves_room(self, at: int, end: int) -> np.ndarray:
        """Which rows of these places may start as far as headroom goes `[end - at]`."""
        hold = self.hold[at:end]
        free = self.pools.free[self.kind[at:end], self.part[at:end]]
        found: np.ndarray = (hold == 0) | (free > self.idle[at:end]) | (self.amount[at:end] + hold <= free)
        return found

    def most(self, place: int) -> int:
        """How many jobs of the row may start as far as headroom goes."""
        hold, amount = float(self.hold[place]), float(self.amount[place])
        if not hold:
            return 1 << 40
        free = float(self.pools.free[self.kind[place], self.part[place]])
        if not amount:
            return 1 << 40 if free > self.idle[place] or hold <= free else 0
        while_idle = int(np.ceil((free - float(self.idle[place])) / amount))
        return max(while_idle, int((free - hold) // amount), 0)

    def room_at(self, place: int, releases: Releases) -> Instant:
        """When the row may start as far as headroom goes, by what is known of the ends of others; now if that
        is never, since then the job itself is all that matters."""
        kind, part = int(self.kind[place]), int(self.part[place])
        if self.pools.free[kind, part] > self.idle[place]:
            return self._now
        amount = float(self.amount[place] + self.hold[place])
        return self.pools.when(kind, part, amount, releases, self._now)

    def quiet_from(self, place: int, first: Instant) -> Instant:
        """When a late row that could start at `first` should."""
        rules = self._rules
        slope = rules.yielding / (rules.ageing_s * US)
        turn = int(self.since[place]) - self._origin + rules.ageing_s * US
        if self._hours is None:
            self._hours = self._seen_hours.as_of(self._since_us)
        at = self._hours.quiet_from(
            Instant(first - self._origin), float(self.mean_s[place]), turn, rules.quiet, slope
        )
        return Instant(at + self._origin)

    def waits_for_quiet(self, id: int) -> None:
        """The job of a late row does not start in this hour."""
        self._quiet.append(JobId(id))

    def planned_quiet(self, part: int, start: Instant) -> None:
        """A row of the partition will start then."""
        self.n_quiet[part] += 1
        self.wake_at = min(self.wake_at or start, start)

    def tell(self, ids: np.ndarray, waits: np.ndarray) -> None:
        """This pass is the one that counts. ids: by place, as far as rows were looked at `[n]`; waits: which
        of them wait for resources or their turn."""
        memory, n = self._memory, ids.size
        memory.wake_at = self.wake_at
        at = np.flatnonzero(waits & ~self.leaves_room(0, n))
        kind = self.kind[at]
        columns = self.amount[at], self.hold[at], self.pools.free[kind, self.part[at]], kind
        memory.told = Told(self._ids, self._order, frozenset(self._quiet), ids[at], columns)
