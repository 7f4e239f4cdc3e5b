"""Learns the potentials (potential.py) of a cluster by playing it: some seconds, always the same answer.

A game fills a hundred nodes, a sample of the cluster's kinds, with jobs drawn from the mix until jobs for
130 % of its devices have come. What was free of a device when work for 100 % and for 130 % had come, against
what the node looked like before, gives the potentials; they choose the nodes of the next games. Two ends,
since nobody knows how much work will come: with the first alone the policy would hoard, with the second it
would waste early. In half of the games some jobs go to a random node, or states worth reaching were never
seen.

The games of a round, of both starts, run side by side, one vectorised step per arrival. Old rounds fade, and
a new estimate moves the potential less and less (Robbins and Monro, 1951): a policy that follows each
estimate at once runs in circles. It may run in circles even so; the other half of the games is the same in
every round and start, and the potential that allocates most in them, over both ends, is the answer.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.policy import Ground, Mix
from packhorse.scheduler.core.packing.potential import (
    BINS,
    FINER,
    FULLER,
    PARTS,
    ROWS,
    STEP,
    Kinds,
    Table,
    prior,
    table_of,
)

ENDS: Final = np.array([1.0, 1.3])  # work that has come, in devices of the cluster
NODES: Final = 100  # of a game
GAMES: Final = 24  # of a round; the first half plays the same jobs in every round, and nothing at random
_HALF = GAMES // 2
ROUNDS: Final = 30
STARTS: Final = 2  # from the prior, with other random jobs
LONGEST: Final = 6000  # arrivals of a game
_LEAST_RANDOM, _MOST_RANDOM = 0.04, 0.2
_FADE, _SLOWER = 0.9, 0.7
_JUDGED = 0.4  # of the rounds have passed before one can be the best
_NEAR = np.array([1 / (1 + 2 * e * e) for e in range(-3, 4)])  # weight of neighbouring bins of CPU per device
_FAR = np.int64(1 << 30)


class Seen(NamedTuple):
    """What was free in the end, summed up over visits, and how many visits `[kinds, BINS, PARTS + most]`."""

    free: np.ndarray
    visits: np.ndarray


class _Deal(NamedTuple):
    """n arrivals in GAMES games. jobs: classes `[n, games]`; came: work that has come before, in clusters, of
    the same shape; luck `[n, 2, games]`. last: the last arrival of the work of each end `[2, games]`.
    """

    jobs: np.ndarray
    came: np.ndarray
    luck: np.ndarray
    last: np.ndarray


class Chance:
    """Random numbers that are the same everywhere: splitmix64 (Steele et al., OOPSLA 2014) of a counter."""

    def __init__(self, seed: int) -> None:
        self.at = seed << 40

    def numbers(self, *shape: int) -> np.ndarray:
        """Evenly from [0, 1)."""
        n = math.prod(shape)
        z = np.arange(self.at + 1, self.at + n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        self.at += n
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        return np.asarray((z >> np.uint64(11)) * 2.0**-53).reshape(shape)


def learn(ground: Ground, mix: Mix, kinds: Kinds, seed: int = 0, rounds: int = ROUNDS) -> np.ndarray:
    """Potentials in thousandths of a device `[kinds, BINS, PARTS + most]`.

    The prior where there is nothing to learn from: no devices, or no job that takes one.
    """
    value = prior(kinds)
    if not kinds.most or not (mix.weight * mix.n_devices).any():
        return value
    starts = [_Start(value, seed, seed + 1 + start) for start in range(STARTS)]
    for i in range(rounds):
        chances = [(Chance(start.same), start.new) for start in starts]
        games = Games(ground, mix, kinds, [table_of(kinds, start.value) for start in starts], chances)
        games.play()
        for number, start in enumerate(starts):
            games.note(start.seen, number)
            start.judge(games.allocated(number) if i >= int(_JUDGED * rounds) else -1.0)
            start.improve(i)
    return max(starts, key=lambda start: start.most).best


class _Start:
    """One way through the rounds. same, new: seeds of the games that are the same in every round and start,
    and of the others. best: the potentials that allocated most, `most`, in the former."""

    def __init__(self, value: np.ndarray, same: int, new: int) -> None:
        self.same = same
        self.new = Chance(new)
        self.value = self.best = value
        self.most = -1.0
        self.seen = Seen(np.zeros_like(value), np.zeros_like(value))

    def judge(self, allocated: float) -> None:
        """What the present potentials allocate; -1 while it does not count."""
        if allocated > self.most:
            self.best, self.most = self.value, allocated

    def improve(self, i: int) -> None:
        """After round i."""
        seen = self.seen
        self.value = self.value + (i + 1.0) ** -_SLOWER * (estimate(seen) - self.value)
        self.seen = Seen(seen.free * _FADE, seen.visits * _FADE)


def estimate(seen: Seen) -> np.ndarray:
    """Means, drawn towards wider ones where visits are few: neighbouring bins, all bins, the whole kind."""
    free, visits = seen
    column = np.minimum(np.arange(free.shape[2]), PARTS) * float(STEP)
    kind = (free[:, :, 1:].sum((1, 2)) + 900) / ((visits * column)[:, :, 1:].sum((1, 2)) + 1000)
    wide = (free.sum(1) + 3 * kind[:, None] * column) / (visits.sum(1) + 3)  # [kinds, column]
    wide = np.repeat(wide[:, None], BINS, axis=1)
    wholes = visits[:, :, PARTS:].sum(2, keepdims=True)
    wide[:, :, PARTS:] = (free[:, :, PARTS:].sum(2, keepdims=True) + 3 * wide[:, :, PARTS:]) / (wholes + 3)
    padded = [np.pad(x, ((0, 0), (3, 3), (0, 0))) for x in (free, visits)]
    near = [sum(w * x[:, i : i + BINS] for i, w in enumerate(_NEAR)) for x in padded]
    middle = (near[0] + 5 * wide) / (near[1] + 5)
    return np.asarray((free + 5 * middle) / (visits + 5))


class _Classes:
    """The mix by class of jobs. about: rows `[8, n]` of integers, see the numbers below: CPU and memory;
    devices, and of each so many STEPs; the same, 1 for none; STEPs of all devices; wholly free devices that
    are none any more with the job on the node, shares apart; whether it takes a share. chances: running sums
    of weights up to 1; mean: STEPs of a job. allowed: by type, the last one for none.
    """

    def __init__(self, mix: Mix) -> None:
        self.n = mix.weight.size
        ask = -(-np.where(mix.n_devices > 0, mix.milli, 0) // STEP)
        shares = (mix.n_devices == 1) & (ask < PARTS)
        self.amount = mix.n_devices * ask
        whole = np.where(shares, 0, mix.n_devices)
        columns = (mix.cpu, mix.mem, mix.n_devices, ask, np.maximum(ask, 1), self.amount, whole, shares)
        self.about = np.array(columns, dtype=np.int64)
        weight = np.cumsum(mix.weight)
        self.chances = weight / weight[-1]
        self.mean = float((mix.weight * mix.n_devices * ask).sum())
        self.anything = bool(mix.types.all())
        self.allowed = np.concatenate([mix.types, np.zeros((self.n, 1), bool)], axis=1)


_CPU, _MEM, _N, _ASK, _LEAST, _AMOUNT, _WHOLE, _SHARES = range(8)  # of _Classes.about
_BASE, _TOTAL, _N_WHOLE, _VALUE = range(2, 6)  # of Games.nodes, after the same CPU and memory
_DEVICES = 6


class Games:
    """Some games side by side, GAMES for each start. Nodes of all games come one after the other: `[spots]`.

    nodes: rows of integers `[6 + 2 D, spots]`: CPU and memory free; where the node's kind begins in the
    table; STEPs free, wholly free devices, and the sum of potentials; then what is free of each device in
    STEPs, and the same as column of the table. What follows from the rest is kept, since one node of a game
    changes at a time. So are a job's scores on all nodes, for each game and class of jobs: only nodes that
    have changed since are scored again.
    """

    def __init__(
        self,
        ground: Ground,
        mix: Mix,
        kinds: Kinds,
        tables: list[Table],
        chances: list[tuple[Chance, Chance]],
    ) -> None:
        """tables, chances: by start."""
        self.kinds, self.chances = kinds, chances
        self.part, self.whole = (np.concatenate(x).reshape(-1) for x in zip(*tables, strict=True))
        at = np.concatenate([self._sample(start) for start in range(len(chances))])
        self.n_games, self.n_nodes = at.shape
        at = at.reshape(-1)
        self.game_of = np.repeat(np.arange(self.n_games), self.n_nodes)
        self.bins = kinds.of[at] * BINS
        base = (kinds.of[at] + self.game_of // GAMES * kinds.n) * ROWS
        self.type_of = ground.type_of[:, at].astype(np.intp)
        free = np.where(self.type_of >= 0, PARTS, 0)
        total, n_whole = free.sum(axis=0), (free == PARTS).sum(axis=0)
        value = self._value(self._rows(ground.cpu[at], total, base), free % PARTS, n_whole)
        follows = (ground.cpu[at], ground.mem[at], base, total, n_whole, value)
        self.nodes = np.concatenate([np.array(follows, dtype=np.int64), free, free % PARTS])
        self.free = slice(_DEVICES, _DEVICES + free.shape[0])
        self.column = slice(self.free.stop, self.free.stop + free.shape[0])
        self.capacity = np.maximum(total.reshape(self.n_games, -1).sum(axis=1), 1)
        self.random = np.concatenate([self._luck_of(start) for start in range(len(chances))])
        self.classes = _Classes(mix)
        n = self.n_games * self.classes.n
        self.scores = np.empty((n, self.n_nodes), dtype=np.int64)
        self.device = np.zeros((n, self.n_nodes), dtype=np.intp)  # which one a share would come from
        self.known = np.zeros(n, dtype=np.int64)  # at which arrival, from 1, scores were worked out
        self.changed = np.ones((self.n_games, self.n_nodes), dtype=np.int64)  # since when it is as it is
        self.visits: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        self.ends: list[np.ndarray] = []

    def _sample(self, start: int) -> np.ndarray:
        """Positions `[games, nodes]`: evenly spread over the kinds, in random order."""
        n = self.kinds.of.size
        m = min(n, NODES)
        by_kind = np.argsort(self.kinds.of, kind="stable")
        picked = by_kind[((np.arange(m) + self._numbers(start, 1).T) * n / m).astype(np.int64)]
        order = np.argsort(self._numbers(start, m).T, axis=1, kind="stable")
        return np.take_along_axis(picked, order, axis=1)

    def _luck_of(self, start: int) -> np.ndarray:
        """How often a job goes to a random node, by game."""
        often = _LEAST_RANDOM + (_MOST_RANDOM - _LEAST_RANDOM) * self._numbers(start, 1)[0]
        often[:_HALF] = 0
        return np.asarray(often)

    def _numbers(self, start: int, n: int) -> np.ndarray:
        """Random numbers for every game of the start `[n, games]`."""
        same, new = self.chances[start]
        return np.concatenate((same.numbers(n, _HALF), new.numbers(n, GAMES - _HALF)), axis=1)

    def _rows(self, cpu: np.ndarray, total: np.ndarray, base: np.ndarray) -> np.ndarray:
        return np.asarray((self.kinds.place(cpu, total * STEP) * FINER + 0.5).astype(np.int64) + base)

    def _value(self, row: np.ndarray, column: np.ndarray, n_whole: np.ndarray) -> np.ndarray:
        """Sum of potentials of each node."""
        value = np.add.reduce(self.part.take(row * PARTS + column), axis=0)
        return np.asarray(value + self.whole.take(row * (self.kinds.most + 1) + n_whole))

    def play(self) -> None:
        """Until all work of the last end has come, or LONGEST arrivals; one start may be over earlier."""
        deals = [self._deal(start) for start in range(len(self.chances))]
        self.ends = [self.nodes[self.free].copy() for _ in ENDS]
        begin = 0
        for end in sorted({len(deal.jobs) for deal in deals}):
            on = [start for start, deal in enumerate(deals) if len(deal.jobs) >= end]
            games = np.concatenate([self._games_of(start) for start in on])
            jobs = np.concatenate([deals[start].jobs[begin:end] for start in on], axis=1)
            came = np.concatenate([deals[start].came[begin:end] for start in on], axis=1)
            luck = np.concatenate([deals[start].luck[begin:end] for start in on], axis=2)
            last = np.concatenate([deals[start].last for start in on], axis=1)
            when = set(last.reshape(-1).tolist())
            for i in range(end - begin):
                self._arrive(begin + i + 1, games, jobs[i], came[i], luck[i])
                if begin + i in when:
                    for free, each in zip(self.ends, last, strict=True):
                        self._keep(free, games[each == begin + i])
            begin = end

    def _games_of(self, start: int) -> np.ndarray:
        return np.arange(start * GAMES, (start + 1) * GAMES)

    def _deal(self, start: int) -> _Deal:
        """The jobs of the start's games, and their luck."""
        kinds, capacity = self.classes, self.capacity[self._games_of(start)]
        longest = int(min(ENDS[-1] * capacity.max() / kinds.mean * 1.2 + 50, LONGEST))
        jobs = np.searchsorted(kinds.chances, self._numbers(start, longest), side="right")
        came = np.zeros((longest + 1, GAMES))
        np.cumsum(kinds.amount[jobs] / capacity, axis=0, out=came[1:])
        over = np.flatnonzero(came[1:].min(axis=1) >= ENDS[-1])
        n = int(over[0]) + 1 if over.size else longest
        luck = self._numbers(start, 2 * n).reshape(n, 2, GAMES)
        return _Deal(jobs[:n], came[:n], luck, np.stack([(came[1:n] < end).sum(axis=0) for end in ENDS]))

    def _keep(self, end: np.ndarray, games: np.ndarray) -> None:
        """What is free in these games goes into `end`."""
        spots = (games[:, None] * self.n_nodes + np.arange(self.n_nodes)).reshape(-1)
        end[:, spots] = self.nodes[self.free][:, spots]

    def _arrive(
        self, now: int, games: np.ndarray, jobs: np.ndarray, came: np.ndarray, luck: np.ndarray
    ) -> None:
        """One job for each of these games, placed where its score is least or, now and then, anywhere."""
        rows = games * self.classes.n + jobs
        stale = (self.changed.take(games, axis=0) > self.known.take(rows)[:, None]).nonzero()
        self.known[rows] = now
        if stale[0].size:
            spots = games.take(stale[0]) * self.n_nodes + stale[1]
            at = rows.take(stale[0]) * self.n_nodes + stale[1]
            self._score(at, spots, jobs.take(stale[0]))
        score = self.scores.take(rows, axis=0)
        node = score.argmin(axis=1)
        for i in (luck[0] < self.random.take(games)).nonzero()[0].tolist():
            choice = (score[i] < _FAR).nonzero()[0]
            if choice.size:
                node[i] = choice[int(luck[1, i] * choice.size)]
        placed = (score[np.arange(games.size), node] < _FAR).nonzero()[0]
        if placed.size:
            node = node.take(placed)
            device = self.device[rows.take(placed), node]
            spots = games.take(placed) * self.n_nodes + node
            self._take(now, jobs.take(placed), spots, device, came.take(placed))

    def _score(self, at: np.ndarray, spots: np.ndarray, jobs: np.ndarray) -> None:
        """Score of the job on each node as Potential.scores has it, `_FAR` where it does not fit, and device;
        at: where among all scores they go, all `[k]`."""
        node, job = self.nodes.take(spots, axis=1), self.classes.about.take(jobs, axis=1)
        may = self._may(node, job, spots, jobs)
        fits = (node[_CPU] >= job[_CPU]) & (node[_MEM] >= job[_MEM])
        fits &= np.add.reduce(may, axis=0, dtype=np.int8) >= job[_N]
        able = fits.nonzero()[0]
        node, job, may = node.take(able, axis=1), job.take(able, axis=1), may.take(able, axis=1)
        after = np.maximum(node[_TOTAL] - job[_AMOUNT], 0)
        row = self._rows(node[_CPU] - job[_CPU], after, node[_BASE])
        cell, most = row * PARTS, row * (self.kinds.most + 1) + node[_N_WHOLE]
        part = self.part.take(cell + node[self.column])
        score = np.add.reduce(part, axis=0)
        score += FULLER * STEP * node[_TOTAL] - node[_VALUE] + self.whole.take(most - job[_WHOLE])
        some = job[_SHARES].nonzero()[0]
        if some.size:
            free, least, may = (
                node[self.free].take(some, axis=1),
                job[_LEAST].take(some),
                may.take(some, axis=1),
            )
            rise = self._rise(free, least, may, cell.take(some), most.take(some), part.take(some, axis=1))
            score[some] += np.minimum.reduce(rise, axis=0)
            self.device.reshape(-1)[at.take(able.take(some))] = rise.argmin(axis=0)
        scores = self.scores.reshape(-1)
        scores[at] = _FAR
        scores[at.take(able)] = score

    def _may(self, node: np.ndarray, job: np.ndarray, spots: np.ndarray, jobs: np.ndarray) -> np.ndarray:
        """Which devices the jobs may use and have enough free `[D, k]`."""
        may: np.ndarray = node[self.free] >= job[_LEAST]
        if not self.classes.anything:
            may &= self.classes.allowed[jobs, self.type_of.take(spots, axis=1)]
        return may

    def _rise(
        self,
        free: np.ndarray,
        least: np.ndarray,
        may: np.ndarray,
        cell: np.ndarray,
        most: np.ndarray,
        part: np.ndarray,
    ) -> np.ndarray:
        """How the potentials rise by a share, `least`, from each device, as in Potential.scores; `_FAR` where
        it may not be. part: potentials of the devices as they are. cell, most: where those of the node with
        the job begin, and where those of its wholly free devices are, as many as now."""
        one = self.whole.take(most) - self.whole.take(np.maximum(most - 1, 0))
        rise = self.part.take(cell + np.maximum(free - least, 0))
        rise -= np.where(free == PARTS, one, part)
        return np.where(may, rise, _FAR)

    def _take(
        self, now: int, jobs: np.ndarray, spots: np.ndarray, device: np.ndarray, came: np.ndarray
    ) -> None:
        """Places jobs `[p]`, one in each of some games, on these nodes; shares on these devices."""
        node, job = self.nodes.take(spots, axis=1), self.classes.about.take(jobs, axis=1)
        may = self._may(node, job, spots, jobs)
        slots = np.arange(may.shape[0])[:, None]
        taken = np.where(job[_SHARES], slots == device, may & (np.cumsum(may, axis=0) <= job[_N]))
        free = node[self.free]
        free -= taken * job[_ASK]
        column = node[self.column] = free % PARTS
        node[: _MEM + 1] -= job[: _MEM + 1]
        total = node[_TOTAL] = np.add.reduce(free, axis=0)
        n_whole = node[_N_WHOLE] = (free == PARTS).sum(axis=0)
        place = self.kinds.place(node[_CPU], total * STEP)
        node[_VALUE] = self._value((place * FINER + 0.5).astype(np.int64) + node[_BASE], column, n_whole)
        self.nodes[:, spots] = node
        self.changed.reshape(-1)[spots] = now + 1
        row = np.where(free == PARTS, PARTS - 1 + n_whole, free)
        self.visits.append((spots, came, place + self.bins.take(spots), row))

    def allocated(self, start: int) -> float:
        """Part of all devices that was allocated, mean of both ends, in the games without random moves."""
        games = self._games_of(start)[:_HALF]
        shape = (-1, self.n_games, self.n_nodes)
        free = np.stack([end.reshape(shape)[:, games].sum(axis=(0, 2)) for end in self.ends])
        return float(1 - (free / self.capacity[games]).mean())

    def note(self, seen: Seen, start: int) -> None:
        """Adds what the games of the start showed."""
        spot, came, place, column = (np.concatenate(x, axis=-1) for x in zip(*self.visits, strict=True))
        mine = np.flatnonzero(spot // (GAMES * self.n_nodes) == start)
        spot, came, place, column = spot[mine], came[mine], place[mine], column[:, mine]
        later = came <= ENDS[:, None]
        kept = later.any(axis=0) & (column > 0)
        final = np.stack([end[:, spot] for end in self.ends]) * STEP
        mean = ((final * later[:, None]).sum(axis=0) / np.maximum(later.sum(axis=0), 1))[kept]
        low = place.astype(np.int64)
        part = np.broadcast_to(place - low, column.shape)[kept]
        columns = seen.free.shape[2]
        cell = (low * columns + column)[kept]
        for at, weight in ((cell, 1 - part), (cell + columns, part)):
            seen.free[...] += np.bincount(at, weight * mean, seen.free.size).reshape(seen.free.shape)
            seen.visits[...] += np.bincount(at, weight, seen.free.size).reshape(seen.free.shape)
