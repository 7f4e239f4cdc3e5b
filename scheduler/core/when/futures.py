"""What waits is started in a number of futures that differ in how long jobs run; the starts are the estimate.

In each future running jobs end when a draw from their distributions says (core/when/runs.py), and waiting
jobs take their turns in the order of the queue, each where it fits first (core/when/room.py): by its time
limit, as backfilling has it, while it then holds its room for as long as it runs in that future. A planned
start is never exceeded: running jobs that use all of their limits were reckoned with there.

Draws are stratified, and depend on the seed and on the job alone: a job that comes or goes changes nobody
else's run times. Jobs that come later and go first are not foreseen; core/when/calibration.py makes up for
them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.when.question import KINDS, Question, Rows, Runs, runs
from packhorse.scheduler.core.when.room import ENOUGH, HORIZON_S, Room
from packhorse.scheduler.core.when.runs import RunTimes
from packhorse.scheduler.model.event import Basis
from packhorse.scheduler.model.ids import JobId

_FINENESS: Final = ((500, 24, 256), (3_000, 16, 192), (1 << 62, 8, 112))
"""Up to so many rows: futures and pieces of time."""

_PIECES: Final = 15
"""In which the tasks of an array behind its first one are placed."""

_LOW, _HIGH = 0.1, 0.9

_MIXERS: Final = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""Of splitmix64: Steele, Lea and Flood, OOPSLA 2014."""


class Foreseen(NamedTuple):
    """Seconds from now until the job starts, over all futures; last: see StartEstimate."""

    job: JobId
    last: bool
    basis: Basis


def foresee(question: Question, seed: int, wanted: frozenset[JobId] | None = None) -> list[Foreseen]:
    """Of every row whose start can be foreseen, in the order of the queue. wanted: of these alone, and nobody
    behind the last of them is looked at."""
    rows = question.rows
    n = len(rows.id)
    if not n or (wanted is not None and wanted.isdisjoint(rows.id)):
        return []
    n_futures, n_pieces = next((m, t) for most, m, t in _FINENESS if n <= most)
    times = RunTimes(question.samples)
    room = _room(question, runs(question), times, seed, n_futures, n_pieces)
    run_s = _drawn(rows, times, strata(np.array(rows.id), seed, n_futures))
    queue = _Queue(question, room)
    left = n if wanted is None else len(wanted.intersection(rows.id))
    for i in range(n):
        asked = wanted is None or rows.id[i] in wanted
        queue.start(i, run_s[:, i], asked)
        left -= asked
        if not left:
            break
    return queue.foreseen()


def strata(ids: np.ndarray, seed: int, n_futures: int) -> np.ndarray:
    """Chances in (0, 1), a permutation of the same strata for each id: `[n_futures, n]`."""
    key = np.arange(n_futures, dtype=np.uint64)[:, None] * np.uint64(_MIXERS[0])
    key = key ^ (ids.astype(np.uint64) + np.uint64(seed)) * np.uint64(_MIXERS[1])
    for shift, mixer in ((30, _MIXERS[1]), (27, _MIXERS[2])):
        key = (key ^ (key >> np.uint64(shift))) * np.uint64(mixer)
    key ^= key >> np.uint64(31)
    return np.asarray((key.argsort(axis=0, kind="stable") + 0.5) / n_futures)


def _room(question: Question, held: Runs, times: RunTimes, seed: int, n_futures: int, n_pieces: int) -> Room:
    pools = question.pools
    room = Room(np.concatenate([question.free.ravel(), pools.free]), n_futures, n_pieces)
    n, n_kinds = len(held.uid), question.free.size
    if n:
        chances = strata(np.array(held.id, dtype=np.int64), seed, n_futures)
        ends = np.empty((n_futures, n))
        for i, (uid, limit, passed) in enumerate(zip(held.uid, held.limit_s, held.passed_s, strict=True)):
            ends[:, i] = times.left(uid, limit, passed, chances[:, i])
        given = np.zeros((len(pools.free), n))
        for i, id in enumerate(held.id):
            for pool, amount in pools.running.get(id, ()):
                given[pool, i] = amount
        room.release(ends, np.concatenate([held.amounts.reshape(-1, n), given]))
    for one in question.aside:
        for kind, amount in enumerate(one.amounts.tolist()):
            room.set_aside(one.place * KINDS + kind, one.spans, amount)
    for pool, spans, amount in pools.aside:
        room.set_aside(n_kinds + pool, spans, amount)
    return room


def _drawn(rows: Rows, times: RunTimes, chances: np.ndarray) -> np.ndarray:
    """Run times of the rows in every future `[n_futures, n]`; those of equal user and limit at once."""
    drawn = np.empty(chances.shape)
    alike: dict[tuple[int, float], list[int]] = {}
    for i, kind in enumerate(zip(rows.uid, rows.limit_s, strict=True)):
        alike.setdefault(kind, []).append(i)
    for (uid, limit_s), at in alike.items():
        drawn[:, at] = times.drawn(uid, limit_s, chances[:, at])
    return drawn


class _Queue:
    """The rows take their turns."""

    def __init__(self, question: Question, room: Room) -> None:
        self._question = question
        self._room = room
        self._rows = question.rows
        parts = range(len(question.partitions))
        self._most = [[room.most(p * KINDS + kind) for kind in range(KINDS)] for p in parts]
        self._capacity = question.capacity.tolist()
        self._overlap = question.overlap.tolist()
        self._needs = question.rows.needs.T.tolist()
        self._pools = question.pools
        self._first_pool = question.free.size
        self._ahead_s = [0.0 for _ in parts]
        self._starts: list[np.ndarray] = []
        self._of: list[tuple[int, bool, float, float]] = []
        """Row, whether it is its last task, share and work ahead, of each of them."""

    def foreseen(self) -> list[Foreseen]:
        """What was asked about, in order."""
        if not self._of:
            return []
        lows, medians, highs = np.quantile(np.array(self._starts), (_LOW, 0.5, _HIGH), axis=1).tolist()
        rows, found = self._rows, []
        for (i, last, share, ahead_s), low, median, high in zip(self._of, lows, medians, highs, strict=True):
            limit_s = round(rows.limit_s[i])
            basis = Basis(round(median), round(high - low), limit_s, round(share * 1e6), round(ahead_s))
            found.append(Foreseen(rows.id[i], last, basis))
        return found

    def start(self, i: int, run_s: np.ndarray, asked: bool) -> None:
        """The row starts, unless it never fits. asked: it is to be foreseen; of an array its first task and
        its last."""
        rows, part = self._rows, self._rows.partition[i]
        need = self._needs[i]
        if any(amount * ENOUGH > most for amount, most in zip(need, self._most[part], strict=True)):
            return
        if i in self._pools.never:
            return
        share = max(a / c if a else 0.0 for a, c in zip(need, self._capacity[part], strict=True))
        ahead_s, count = self._ahead_s[part], rows.n_jobs[i]
        start = self._place(i, 1, rows.fit_s[i], run_s, rows.begin_s[i])
        if rows.planned_s[i]:
            start = np.minimum(start, rows.planned_s[i])
        if float(start.min()) >= HORIZON_S > rows.begin_s[i]:
            return  # nobody can say
        if asked:
            self._note(i, False, start, share, ahead_s)
        if count > 1:
            last = self._rest(i, count - 1, run_s, start)
            if asked:
                self._note(i, True, last, share * count, ahead_s)
        work_s = share * count * float(run_s.sum()) / run_s.size
        for other, shared in enumerate(self._overlap[part]):
            self._ahead_s[other] += work_s * max(shared)

    def _note(self, i: int, last: bool, start: np.ndarray, share: float, ahead_s: float) -> None:
        self._starts.append(start)
        self._of.append((i, last, share, ahead_s))

    def _rest(self, i: int, count: int, run_s: np.ndarray, first: np.ndarray) -> np.ndarray:
        """When the last of so many tasks starts: some at a time, each as long as the tasks of one after the
        other take that do not fit at once."""
        rows, part = self._rows, self._rows.partition[i]
        each_fits = [int(m // a) for a, m in zip(self._needs[i], self._most[part], strict=True) if a]
        for pool, amount in self._pools.rows[i] if self._pools.rows else ():
            each_fits.append(int(self._room.most(self._first_pool + pool) // amount))
        limit = rows.at_once[i]
        beside = max(min(min(each_fits, default=count), limit or count), 1)
        each = -(-count // _PIECES)
        each = each if each <= beside else -(-each // beside) * beside
        start, mean_s = first, float(run_s.mean())
        while count:
            piece = min(each, count)
            count -= piece
            rounds = -(-piece // beside)
            held_s = run_s if rounds == 1 else np.full(run_s.size, mean_s * rounds)
            begin = start + run_s if limit else first
            n = min(piece, beside)
            start = self._place(i, n, rows.fit_s[i] * rounds, held_s, begin) + mean_s * (rounds - 1)
        return start

    def _place(
        self, i: int, n: int, fit_s: float, run_s: np.ndarray, not_before: float | np.ndarray
    ) -> np.ndarray:
        """So many jobs of the row at once."""
        part = self._rows.partition[i]
        wanted = [(kind, amount * n) for kind, amount in enumerate(self._needs[i]) if amount]
        needs = [(part * KINDS + kind, amount) for kind, amount in wanted]
        takes = [
            (other * KINDS + kind, amount * shared[kind])
            for other, shared in enumerate(self._overlap[part])
            for kind, amount in wanted
            if shared[kind]
        ]
        if self._pools.rows:
            drawn = [(self._first_pool + pool, amount * n) for pool, amount in self._pools.rows[i]]
            needs, takes = needs + drawn, takes + drawn
        return self._room.place(needs, takes, fit_s, run_s, not_before)
