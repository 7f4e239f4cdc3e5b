"""Waiting jobs as columns: one row per job or array, found by id, in about 110 bytes and an index entry.

What a job asks for is kept once per *ask class*: equal asks in the same partition that avoid the same nodes
and want the same licences and the same reservation.
A cycle works per class; jobs only differ in class, priority, id and time limit.

`order()` gives the rows that may start, best first. It is kept between cycles: rows that left are dropped
in one vector step, new ones are sorted in, so that a cycle costs no sort when little has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np

from packhorse.scheduler.core.ask_classes import AskClass, AskClasses
from packhorse.scheduler.core.licenses import Wanted
from packhorse.scheduler.core.orders import FCFS, MULTIFACTOR, Order, Waiting
from packhorse.scheduler.core.orders import order as order_of
from packhorse.scheduler.core.packing.demands import Demands
from packhorse.scheduler.core.predictors import LIMIT
from packhorse.scheduler.core.priority import BASE_PRIORITY, Rules
from packhorse.scheduler.core.reasons import REASONS, Reason
from packhorse.scheduler.core.usage import UserUsage, dominant_shares
from packhorse.scheduler.model.accounts import Holder
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId, NodeName
from packhorse.scheduler.model.resources import Ask

FOREVER: Final = 1 << 61
"""Duration in microseconds of a job without time limit."""

NOBODY: Final = Holder("", "", "", "")

_T = TypeVar("_T")

IDLE_HOLDERS: Final = 1024
"""Codes of holders without rows that are kept at least."""


class PendingRow(NamedTuple):
    """One waiting job, or one array with `count` waiting indices.

    priority None: the partition's, less nice (which is less its site factor). room: how many more of the
    array may run at once now, -1 for no limit. eligible False: something but resources and order is in the
    way; reason says what. expected_us: how long it is expected to run, 0: for all of its time limit. uid: of
    its owner. ran_us: how long it has run before. qos: of a job that may be stopped if its QOS says so, else
    "". holder: on whose name it counts.
    """

    id: JobId
    ask: Ask
    partition: str
    time_limit_s: int = 0
    priority: int | None = None
    nice: int = 0
    eligible_at: Instant = UNKNOWN
    count: int = 1  # type: ignore[assignment]  # hides tuple.count, which nobody wants here
    room: int = -1
    avoid: tuple[NodeName, ...] = ()
    eligible: bool = True
    reason: Reason = Reason.NONE
    licenses: str = ""
    expected_us: int = 0
    uid: int = 0
    ran_us: int = 0
    qos: str = ""
    holder: Holder = NOBODY
    reservation: str = ""


class PendingColumns:
    """See the module. Every method that takes an id raises KeyError if no such job waits here."""

    def __init__(self) -> None:
        n = 16
        self.id = np.zeros(n, dtype=np.int64)
        self.ask_class = np.zeros(n, dtype=np.int32)
        self.partition = np.zeros(n, dtype=np.int16)
        self.own_priority = np.zeros(n, dtype=np.int64)
        self.explicit = np.zeros(n, dtype=np.bool_)
        self.nice = np.zeros(n, dtype=np.int64)
        self.duration_us = np.zeros(n, dtype=np.int64)
        self.expected_us = np.zeros(n, dtype=np.int64)
        self.uid = np.zeros(n, dtype=np.uint32)
        self.ran_us = np.zeros(n, dtype=np.int64)
        self.qos = np.zeros(n, dtype=np.int16)
        self.holder = np.zeros(n, dtype=np.int32)
        self.mean_s = np.zeros(n)
        self.rate = np.zeros(n)
        """These two are kept by core/batch/estimates.py; rate 0: it was not asked yet."""
        self.eligible_at = np.zeros(n, dtype=np.int64)
        self.count = np.zeros(n, dtype=np.int32)
        self.room = np.zeros(n, dtype=np.int32)
        self.eligible = np.zeros(n, dtype=np.bool_)
        self.ready = np.zeros(n, dtype=np.bool_)
        self.reason_code = np.zeros(n, dtype=np.int16)
        self.planned_at = np.zeros(n, dtype=np.int64)
        self.decided = np.zeros(0, dtype=np.int64)
        """The priorities that the last pass went by, by slot; under the order "multifactor" only."""
        self._in_order = np.zeros(n, dtype=np.bool_)
        self._slot: dict[JobId, int] = {}
        self._free: list[int] = list(range(n - 1, -1, -1))
        self._limbo: list[int] = []  # freed, but perhaps still listed in _order
        self._order: np.ndarray = np.zeros(0, dtype=np.intp)
        self._fresh: list[int] = []
        self._stale = False
        self._rules: Rules | None = None
        self._unordered = True
        self.n_ready = 0
        self.holders: list[Holder] = [NOBODY]
        """By the codes in `holder`."""
        self._holder_code: dict[Holder, int] = {NOBODY: 0}
        self._most_holders = IDLE_HOLDERS
        """With more of them the codes that no row has are given up."""
        self.qos_names: list[str] = [""]
        self._qos_ready = [0]
        """Rows that may start, by code of their QOS."""
        self.version = 0
        """Grows with every change of rows."""
        self.partitions: list[str] = []
        self._partition_code: dict[str, int] = {}
        self.asks = AskClasses()
        self.demands = Demands()
        """What classes need, as arrays by code; the cycle keeps it."""
        self.arrays = False
        """Some row may be that of an array; stays so."""

    def __len__(self) -> int:
        return len(self._slot)

    def __contains__(self, id: JobId) -> bool:
        return id in self._slot

    # -- classes of asks ---------------------------------------------------------------------------------

    @property
    def classes(self) -> list[AskClass | None]:
        """By the codes in `ask_class`."""
        return self.asks.classes

    @property
    def fresh_classes(self) -> list[int]:
        """Codes given since the cycle last looked (it empties the list)."""
        return self.asks.fresh

    @property
    def n_odd_classes(self) -> int:
        """How many of the classes are not plain."""
        return self.asks.n_odd

    @property
    def licensed(self) -> dict[int, Wanted]:
        """Codes of the classes that want licences, and which."""
        return self.asks.licensed

    @property
    def reserved(self) -> dict[int, str]:
        """Codes of the classes that name a reservation, and which."""
        return self.asks.reserved

    @property
    def wants(self) -> np.ndarray:
        """About what a job of each class takes in all; see usage.about."""
        return self.asks.wants

    @property
    def own_nodes(self) -> np.ndarray:
        """How many nodes a job of each class has for itself."""
        return self.asks.own_nodes

    # -- rows --------------------------------------------------------------------------------------------

    def add(self, row: PendingRow) -> None:
        """A job starts to wait. ValueError if it already does."""
        if row.id in self._slot:
            raise ValueError(f"job {row.id} already waits")
        if not self._free:
            self._grow(1)
        slot = self._free.pop()
        self._slot[row.id] = slot
        self._fill(slot, row)

    def add_many(self, rows: Sequence[PendingRow]) -> None:
        """Many jobs at once, a vector step per column. ValueError, and nothing added, if one is known."""
        n = len(rows)
        if n < 4:
            for row in rows:
                self.add(row)
            return
        (
            ids,
            asks,
            parts,
            limits,
            prios,
            nices,
            since,
            counts,
            rooms,
            avoids,
            ready,
            why,
            licenses,
            expected,
            uids,
            ran,
            qos,
            holders,
            reservations,
        ) = zip(*rows, strict=True)
        slots = self._free[: -n - 1 : -1]
        if len(slots) < n:
            self._grow(n)
            slots = self._free[: -n - 1 : -1]
        slot_of = dict(zip(ids, slots, strict=True))
        if len(slot_of) != n or not self._slot.keys().isdisjoint(slot_of):
            raise ValueError("a job of the batch already waits")
        del self._free[-n:]
        self._slot.update(slot_of)
        at = np.array(slots, dtype=np.intp)
        self.id[at] = ids
        self.ask_class[at] = self.asks.codes_of(asks, parts, avoids, licenses, reservations)
        self.partition[at] = _codes(parts, self._intern_partition)
        limit = np.array(limits, dtype=np.int64)
        self.duration_us[at] = np.where(limit > 0, limit * US, FOREVER)
        self.expected_us[at] = _column(expected)
        self.uid[at] = _column(uids)
        self.ran_us[at] = _column(ran)
        self.qos[at] = _codes(qos, self._intern_qos)
        self.holder[at] = _codes(holders, self._intern_holder)
        self.rate[at] = 0.0
        self.nice[at] = _column(nices)
        explicit = np.zeros(n, dtype=np.bool_)
        if prios.count(None) < n:
            explicit = np.array([p is not None for p in prios], dtype=np.bool_)
        self.explicit[at] = explicit
        if explicit.any():
            own = [BASE_PRIORITY - nice if p is None else p for p, nice in zip(prios, nices, strict=True)]
            self.own_priority[at] = own
        else:
            self.own_priority[at] = BASE_PRIORITY - self.nice[at]
        self.eligible_at[at] = since
        self.count[at] = _column(counts)
        self.room[at] = _column(rooms)
        self.arrays = self.arrays or max(counts) > 1 or max(rooms) >= 0
        self.eligible[at] = _column(ready)
        self.reason_code[at] = _codes(why, _code_of)
        self.planned_at[at] = 0
        able = self.eligible[at] & (self.count[at] > 0) & (self.room[at] != 0)
        self.ready[at] = able
        fresh = at[able].tolist()
        self._fresh.extend(fresh)
        self.n_ready += len(fresh)
        for code, n_of in enumerate(np.bincount(self.qos[fresh]).tolist()):
            self._qos_ready[code] += n_of
        for i in np.flatnonzero(self.room[at] == 0).tolist():
            self._rate(slots[i])
        self.version += 1

    def remove(self, id: JobId) -> None:
        """The job no longer waits."""
        slot = self._slot.pop(id)
        if self.ready[slot]:
            self.ready[slot] = False
            self.n_ready -= 1
            self._qos_ready[self.qos[slot]] -= 1
        self.asks.drop(int(self.ask_class[slot]))
        self.id[slot] = 0
        self._limbo.append(slot)
        self._stale = True
        self.version += 1

    def remove_many(self, ids: Iterable[JobId]) -> None:
        """Many at once. KeyError, and nothing removed, if one of them does not wait."""
        pop = self._slot
        all_ids = list(ids)
        slots = [pop[id] for id in all_ids]
        if len(set(slots)) != len(slots):
            raise KeyError("a job is named twice")
        for id in all_ids:
            del pop[id]
        at = np.array(slots, dtype=np.intp)
        for code, n in enumerate(np.bincount(self.qos[at[self.ready[at]]]).tolist()):
            self.n_ready -= n
            self._qos_ready[code] -= n
        self.ready[at] = False
        self.id[at] = 0
        for code in self.ask_class[at].tolist():
            self.asks.drop(code)
        self._limbo.extend(slots)
        self._stale = True
        self.version += 1

    def replace(self, row: PendingRow) -> None:
        """The job waits with these values from now on (spec, hold, dependency or begin time changed)."""
        self.remove(row.id)
        self.add(row)

    def row(self, id: JobId) -> PendingRow:
        """The row as it was added and changed since."""
        s = self._slot[id]
        c = self.classes[int(self.ask_class[s])]
        assert c is not None
        duration = int(self.duration_us[s])
        return PendingRow(
            id=id,
            ask=c.ask,
            partition=c.partition,
            time_limit_s=0 if duration == FOREVER else duration // US,
            priority=int(self.own_priority[s]) if self.explicit[s] else None,
            nice=int(self.nice[s]),
            eligible_at=Instant(int(self.eligible_at[s])),
            count=int(self.count[s]),
            room=int(self.room[s]),
            avoid=c.avoid,
            eligible=bool(self.eligible[s]),
            reason=REASONS[int(self.reason_code[s])],
            licenses=c.licenses,
            expected_us=int(self.expected_us[s]),
            uid=int(self.uid[s]),
            ran_us=int(self.ran_us[s]),
            qos=self.qos_names[self.qos[s]],
            holder=self.holders[self.holder[s]],
            reservation=c.reservation,
        )

    # -- one value of a row ------------------------------------------------------------------------------

    def set_count(self, id: JobId, count: int, room: int | None = None) -> None:
        """Indices that still wait, and (None: as before) how many more may run at once."""
        slot = self._slot[id]
        self.arrays = True
        self.count[slot] = count
        if room is not None:
            self.room[slot] = room
        self._rate(slot)

    def set_room(self, id: JobId, room: int) -> None:
        """How many more tasks of the array may run at once; -1: no limit."""
        slot = self._slot[id]
        self.arrays = True
        self.room[slot] = room
        self._rate(slot)

    def set_eligible(
        self, id: JobId, eligible: bool, reason: Reason = Reason.NONE, eligible_at: Instant | None = None
    ) -> None:
        """Whether anything but resources and order is in the way, and what.

        A row that stays eligible keeps the reason that the last cycle gave it.
        """
        slot = self._slot[id]
        if not (eligible and self.eligible[slot]):
            self.reason_code[slot] = reason.code
        self.eligible[slot] = eligible
        if eligible_at is not None:
            self.eligible_at[slot] = eligible_at
        if not eligible:
            self.planned_at[slot] = 0
        self._rate(slot)

    def set_reason(self, id: JobId, reason: Reason) -> None:
        """What `squeue` shows until the next cycle judges the job."""
        self.reason_code[self._slot[id]] = reason.code

    def reason(self, id: JobId) -> Reason:
        """Why it waits, as of the last cycle."""
        return REASONS[int(self.reason_code[self._slot[id]])]

    def planned(self, id: JobId) -> Instant:
        """The start that the last cycle promised, 0 for none."""
        return Instant(int(self.planned_at[self._slot[id]]))

    def expected(self, id: JobId) -> int:
        """How long it is expected to run in microseconds, 0: for all of its time limit."""
        return int(self.expected_us[self._slot[id]])

    def n_ready_of(self, names: tuple[str, ...]) -> int:
        """Rows that may start, of these QOS."""
        if len(self.qos_names) == 1:
            return 0
        return sum(n for name, n in zip(self.qos_names, self._qos_ready, strict=True) if n and name in names)

    def of_qos(self, slots: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """Which of these rows are of one of these QOS."""
        known = np.array([name in names for name in self.qos_names], dtype=np.bool_)
        return np.asarray(known[self.qos[slots]])

    def waiting_for(self, reason: Reason) -> list[JobId]:
        """Rows that wait for this, by id."""
        found = self.id[(self.reason_code == reason.code) & (self.id > 0)]
        return [JobId(id) for id in np.sort(found).tolist()]

    def reason_counts(self) -> dict[Reason, int]:
        """Waiting rows by reason, those that occur."""
        live = self.reason_code[self.id > 0]
        return {REASONS[i]: n for i, n in enumerate(np.bincount(live).tolist()) if n}

    def jobs_by_class(self) -> np.ndarray:
        """How many jobs wait, array tasks one by one, by class code."""
        live = np.flatnonzero(self.id > 0)
        return np.bincount(self.ask_class[live], weights=self.count[live], minlength=1).astype(np.int64)

    def class_of(self, id: JobId) -> AskClass:
        """The ask class of the job."""
        found = self.classes[int(self.ask_class[self._slot[id]])]
        assert found is not None
        return found

    def is_plain(self, code: int) -> bool:
        """Whether the class is plain; see AskClass."""
        return self.asks.is_plain(code)

    def standing(self, slot: int, rules: Rules) -> tuple[int, int]:
        """What the row's place in the order follows from before its id does; less is better."""
        tier, priority, _ = self._key(slot, rules)
        return tier, -int(self.decided[slot]) if rules.config.order == MULTIFACTOR else priority

    def standing_of(self, id: JobId, rules: Rules) -> tuple[int, int]:
        """The same of a job."""
        return self.standing(self._slot[id], rules)

    def slot(self, id: JobId) -> int:
        """Where the job's values are in the columns."""
        return self._slot[id]

    def decided_of(self, id: JobId, config: ClusterConfig) -> int:
        """The priority that the last pass went by, where it worked priorities out; else 0."""
        slot = self._slot[id]
        return int(self.decided[slot]) if config.order == MULTIFACTOR and slot < self.decided.size else 0

    def expect(self, id: JobId, expected_us: int) -> None:
        """How long it is expected to run from now on, 0: for all of its time limit."""
        self.expected_us[self._slot[id]] = expected_us

    def forget_passes(self) -> None:
        """No pass has looked at any row yet: none has a planned start or is predicted."""
        self.planned_at[:] = 0
        self.rate[:] = 0.0

    # -- for the cycle -----------------------------------------------------------------------------------

    def rules(self, config: ClusterConfig) -> Rules:
        """The configuration as arrays by partition code; the same object while the configuration is."""
        if self._rules is None or self._rules.config is not config:
            self._rules = Rules(config)
            self._unordered = True
        return self._rules

    def order(self, config: ClusterConfig) -> np.ndarray:
        """Slots of the rows that may start, best first: tier, priority, id. Not to be changed."""
        rules = self.rules(config)
        if self._unordered:
            self._unordered = False
            self._in_order[:] = False
            self._order = np.zeros(0, dtype=np.intp)
            self._fresh = np.flatnonzero(self.ready).tolist()
            self._settle_limbo()
        elif self._stale:
            keep = self.ready[self._order]
            self._in_order[self._order[~keep]] = False
            self._order = self._order[keep]
            self._fresh = [
                slot for slot in dict.fromkeys(self._fresh) if self.ready[slot] and not self._in_order[slot]
            ]
            self._settle_limbo()
        if self._fresh:
            fresh = np.array(self._fresh, dtype=np.intp)
            self._fresh = []
            self._in_order[fresh] = True
            if fresh.size > 1:
                fresh = fresh[self._sorted(fresh, rules)]
            old = self._order
            if old.size == 0:
                self._order = fresh
            else:
                both = np.concatenate([old, fresh])
                if self._key(int(old[-1]), rules) < self._key(int(fresh[0]), rules):
                    self._order = both
                elif fresh.size * 8 < old.size:
                    self._order = np.insert(old, self._places(old, fresh, rules), fresh)
                else:
                    self._order = both[self._sorted(both, rules)]
        return self._order

    def ordered(
        self,
        config: ClusterConfig,
        now: Instant,
        usage: UserUsage,
        total: np.ndarray,
        key_of: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        """The same, but jobs of equal tier and priority in the order that the configuration names; with
        keep_next those first that have a planned start. Not to be changed either.

        usage: of their owners. total: CPUs in thousandths, MiB and thousandths of devices of the cluster
        `[3]`. key_of: keys of slots, instead of the order's own; under "multifactor" they are the priority.
        """
        slots, found = self.order(config), order_of(config.order)
        if not slots.size:
            return slots
        weighed = key_of is not None and found.name == MULTIFACTOR
        keys: list[np.ndarray] = []
        if key_of is not None:
            keys += [self.id[slots]] if weighed else []
            keys.append(key_of(slots))
        elif slots.size > 1 and found.name != FCFS:
            keys.append(found.key(self.facts(slots, config, now, usage, total)))
        if config.keep_next and slots.size > 1:
            later = self.planned_at[slots] == 0
            if not later.all():
                keys.append(later)
        if not keys:
            return slots
        tier, priority, _ = self.keys(slots, self.rules(config))
        if weighed:
            if self.decided.size != self.id.size:
                self.decided = np.zeros(self.id.size, dtype=np.int64)
            self.decided[slots] = -keys[1]
            priority = np.zeros(slots.size)
        if tier[0] != tier[-1] or (tier != tier[0]).any() or (priority != priority[0]).any():
            keys += [priority, tier]
        return slots[np.lexsort(keys) if len(keys) > 1 else np.argsort(keys[0], kind="stable")]

    def facts(
        self, slots: np.ndarray, config: ClusterConfig, now: Instant, usage: UserUsage, total: np.ndarray
    ) -> Waiting:
        """What orders go by, of these rows."""
        since = self.eligible_at[slots]
        cpus, _, devices = self.wants[:, self.ask_class[slots]] / np.array([[1000], [1], [1000]])
        return Waiting(
            (since - config.origin) / US,
            np.maximum(now - since, 0) / US,
            self.run_us(slots, config.predictor) / US,
            cpus,
            *self._shares(order_of(config.order), slots, now, usage, total),
            np.where(devices > 0, devices, cpus),
            self.ran_us[slots] / US,
            (since - config.origin) / US,
            np.zeros(slots.size, dtype=np.bool_),
        )

    def _shares(
        self, found: Order, slots: np.ndarray, now: Instant, usage: UserUsage, total: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of each row's owner: CPU seconds used, and the dominant share held once all that the owner has
        waiting before the row runs as well; `[n]` each, zeros where the order wants neither."""
        if not found.users:
            none = np.zeros(slots.size)
            return none, none
        users, of = np.unique(self.uid[slots], return_inverse=True)
        used_by = usage.used(now)
        used = np.array([used_by.get(uid, 0.0) for uid in users.tolist()])[of]
        held = np.zeros((3, users.size))
        for i, uid in enumerate(users.tolist()):
            mine = usage.held.get(uid)
            if mine is not None:
                held[:, i] = mine.cpu_milli, mine.mem_mib, mine.device_milli
        return used, dominant_shares(of, held, self.wants[:, self.ask_class[slots]], total)

    def run_us(self, slots: np.ndarray, predictor: str) -> np.ndarray:
        """How long these rows are expected to run, at most their time limits; FOREVER where nobody knows."""
        limit: np.ndarray = self.duration_us[slots]
        if predictor == LIMIT:
            return limit
        expected = self.expected_us[slots]
        return np.asarray(np.where(expected > 0, np.minimum(expected, limit), limit))

    def note(self, slots: np.ndarray, codes: np.ndarray | int, planned: dict[JobId, Instant]) -> None:
        """What a cycle found out: reason codes of these rows, and the planned starts among them."""
        self.reason_code[slots] = codes
        self.planned_at[slots] = 0
        for id, at in planned.items():
            slot = self._slot.get(id)
            if slot is not None:
                self.planned_at[slot] = at

    # -- inside ------------------------------------------------------------------------------------------

    def _key(self, slot: int, rules: Rules) -> tuple[int, int, int]:
        part = int(self.partition[slot])
        tier, bonus = rules.tier_and_bonus(self.partitions[part])
        own = int(self.own_priority[slot])
        return -tier, -(own if self.explicit[slot] else own + bonus), int(self.id[slot])

    def _sorted(self, slots: np.ndarray, rules: Rules) -> np.ndarray:
        """Permutation that sorts the slots. Nearly sorted input is nearly free (timsort)."""
        ids = self.id[slots]
        priority = self.own_priority[slots]
        tiers, bonuses = rules.by_code(self.partitions)
        if rules.uniform:
            if priority[0] == priority[-1] and (priority == priority[0]).all():
                return np.argsort(ids, kind="stable")
            return np.lexsort((ids, -priority))
        part = self.partition[slots]
        priority = np.where(self.explicit[slots], priority, priority + bonuses[part])
        return np.lexsort((ids, -priority, -tiers[part]))

    def keys(self, slots: np.ndarray, rules: Rules) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What rows are ordered by, ascending: tier, priority (both with the highest first) and id."""
        tiers, bonuses = rules.by_code(self.partitions)
        part, own = self.partition[slots], self.own_priority[slots]
        priority = np.where(self.explicit[slots], own, own + bonuses[part])
        return -tiers[part], -priority, self.id[slots]

    def _places(self, old: np.ndarray, fresh: np.ndarray, rules: Rules) -> np.ndarray:
        """Before which of the old rows each fresh one comes, both being in order; all at once by halving."""
        tier, priority, id = self.keys(fresh, rules)
        low = np.zeros(fresh.size, dtype=np.intp)
        high = np.full(fresh.size, old.size, dtype=np.intp)
        while (low < high).any():
            middle = (low + high) // 2
            t, p, i = self.keys(old[np.minimum(middle, old.size - 1)], rules)
            before = (t < tier) | ((t == tier) & ((p < priority) | ((p == priority) & (i < id))))
            open_ = low < high
            low = np.where(open_ & before, middle + 1, low)
            high = np.where(open_ & ~before, middle, high)
        return low

    def _fill(self, s: int, row: PendingRow) -> None:
        self.id[s] = row.id
        self.ask_class[s] = self.asks.code_of(
            row.ask, row.partition, row.avoid, row.licenses, row.reservation
        )
        self.partition[s] = self._intern_partition(row.partition)
        given = row.priority
        self.own_priority[s] = BASE_PRIORITY - row.nice if given is None else given
        self.explicit[s] = given is not None
        self.nice[s] = row.nice
        self.duration_us[s] = row.time_limit_s * US if row.time_limit_s > 0 else FOREVER
        self.expected_us[s] = row.expected_us
        self.uid[s] = row.uid
        self.ran_us[s] = row.ran_us
        self.qos[s] = self._intern_qos(row.qos) if row.qos else 0
        self.holder[s] = self._intern_holder(row.holder)
        self.rate[s] = 0.0
        self.eligible_at[s] = row.eligible_at
        self.count[s] = row.count
        self.room[s] = row.room
        self.arrays = self.arrays or row.count > 1 or row.room >= 0
        self.eligible[s] = row.eligible
        self.reason_code[s] = row.reason.code
        self.planned_at[s] = 0
        self.ready[s] = False
        self._rate(s)

    def _rate(self, slot: int) -> None:
        """Whether the row may start, after something of it changed."""
        able = bool(self.eligible[slot] and self.count[slot] > 0)
        if able and self.room[slot] == 0:
            able = False
            self.reason_code[slot] = Reason.ARRAY_TASK_LIMIT.code
            self.planned_at[slot] = 0
        elif able and self.reason_code[slot] == Reason.ARRAY_TASK_LIMIT.code:
            self.reason_code[slot] = Reason.NONE.code
        was = bool(self.ready[slot])
        if able != was:
            self.ready[slot] = able
            self._qos_ready[self.qos[slot]] += 1 if able else -1
            if able:
                self.n_ready += 1
                if not self._in_order[slot]:
                    self._fresh.append(slot)
            else:
                self.n_ready -= 1
                self._stale = True
        self.version += 1

    def _settle_limbo(self) -> None:
        self._free.extend(self._limbo)
        self._limbo.clear()
        self._stale = False

    def _grow(self, need: int) -> None:
        """Room for at least `need` more rows."""
        if self._limbo and self._rules is not None:
            self.order(self._rules.config)  # gives the freed slots back
            if len(self._free) >= need:
                return
        old = self.id.shape[0]
        new = max(old * 2, old + need)
        for title in _COLUMNS:
            column = getattr(self, title)
            wider = np.zeros(new, dtype=column.dtype)
            wider[:old] = column
            setattr(self, title, wider)
        self._free[:0] = range(new - 1, old - 1, -1)

    def _intern_holder(self, holder: Holder) -> int:
        code = self._holder_code.get(holder)
        if code is None:
            code = self._holder_code[holder] = len(self.holders)
            self.holders.append(holder)
        return code

    def sweep_holders(self) -> bool:
        """Whether there were so many holders without rows that all have other codes now: what anybody keeps
        by code is void. Names of accounts may be anybody's to make up, so they would grow for ever."""
        if len(self.holders) <= self._most_holders:
            return False
        used = np.union1d(self.holder[self.id > 0], [0])
        code_of = np.zeros(len(self.holders), dtype=np.int32)
        code_of[used] = np.arange(used.size)
        self.holder = code_of[self.holder]
        self.holders = [self.holders[code] for code in used.tolist()]
        self._holder_code = {holder: code for code, holder in enumerate(self.holders)}
        self._most_holders = 2 * len(self.holders) + IDLE_HOLDERS
        return True

    def _intern_qos(self, name: str) -> int:
        if name not in self.qos_names:
            self.qos_names.append(name)
            self._qos_ready.append(0)
        return self.qos_names.index(name)

    def _intern_partition(self, name: str) -> int:
        code = self._partition_code.get(name)
        if code is None:
            code = self._partition_code[name] = len(self.partitions)
            self.partitions.append(name)
        return code


def _column(values: tuple[_T, ...]) -> tuple[_T, ...] | _T:
    """Of a column the one value that all have, which is cheaper to write, or all of them."""
    return values[0] if values.count(values[0]) == len(values) else values


def _codes(values: tuple[_T, ...], code_of: Callable[[_T], int]) -> list[int] | int:
    """Codes of the values, each worked out once; one, if all have the same."""
    if values.count(values[0]) == len(values):
        return code_of(values[0])
    codes = {value: code_of(value) for value in dict.fromkeys(values)}
    return [codes[value] for value in values]


def _code_of(reason: Reason) -> int:
    return reason.code


_COLUMNS = (
    "id",
    "ask_class",
    "partition",
    "own_priority",
    "explicit",
    "nice",
    "duration_us",
    "expected_us",
    "uid",
    "ran_us",
    "qos",
    "holder",
    "mean_s",
    "rate",
    "eligible_at",
    "count",
    "room",
    "eligible",
    "ready",
    "reason_code",
    "planned_at",
    "_in_order",
)
