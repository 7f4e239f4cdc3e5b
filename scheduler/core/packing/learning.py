"""Learns the potentials (potential.py) of a cluster by playing it: some seconds, always the same answer.

A game fills a hundred nodes, a sample of the cluster's kinds, with jobs drawn from the mix until jobs for
130 % of its devices have come. What was free of a device when work for 100 % and for 130 % had come, against
what the node looked like before, gives the potentials; they choose the nodes of the next games. Two ends,
since nobody knows how much work will come: with the first alone the policy would hoard, with the second it
would waste early. In half of the games some jobs go to a random node, or states worth reaching were never
seen.

The games of a round run side by side, one vectorised step per arrival. Old rounds fade, and a new estimate
moves the potential less and less (Robbins and Monro, 1951): a policy that follows each estimate at once runs
in circles. It may run in circles even so; the other half of the games is the same in every round and start,
and the potential that allocates most in them, over both ends, is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
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
_GAMES = np.arange(GAMES)


class Seen(NamedTuple):
    """What was free in the end, summed up over visits, and how many visits `[kinds, BINS, PARTS + most]`."""

    free: np.ndarray
    visits: np.ndarray


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
    best, most = value, -1.0
    for start in range(STARTS):
        for found, allocated in _rounds(ground, mix, kinds, (seed, seed + 1 + start), rounds):
            if allocated > most:
                best, most = found, allocated
    return best


def _rounds(
    ground: Ground, mix: Mix, kinds: Kinds, seeds: tuple[int, int], rounds: int
) -> Iterator[tuple[np.ndarray, float]]:
    """Potentials, and what they allocate in the games that are the same in every round and start."""
    value = prior(kinds)
    seen = Seen(np.zeros_like(value), np.zeros_like(value))
    new = Chance(seeds[1])
    for i in range(rounds):
        games = Games(ground, mix, kinds, table_of(kinds, value), (Chance(seeds[0]), new))
        games.play()
        games.note(seen)
        if i >= int(_JUDGED * rounds):
            yield value, games.allocated()
        value = value + (i + 1.0) ** -_SLOWER * (estimate(seen) - value)
        seen = Seen(seen.free * _FADE, seen.visits * _FADE)


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
    """The mix by class of jobs, all `[n]`. ask: of each device in STEPs; least: the same, 1 for none; amount:
    of all its devices. whole: wholly free devices that are none any more with the job on the node, shares apart.
    chances: running sums of weights up to 1; mean: amount of a job. allowed: by type, the last one for none.
    """

    def __init__(self, mix: Mix) -> None:
        self.n = mix.weight.size
        self.cpu, self.mem, self.n_devices = mix.cpu, mix.mem, mix.n_devices
        self.ask = -(-np.where(mix.n_devices > 0, mix.milli, 0) // STEP)
        self.least = np.maximum(self.ask, 1)
        self.amount = mix.n_devices * self.ask
        self.shares = (mix.n_devices == 1) & (self.ask < PARTS)
        self.whole = np.where(self.shares, 0, mix.n_devices)
        weight = np.cumsum(mix.weight)
        self.chances = weight / weight[-1]
        self.mean = float((mix.weight * mix.n_devices * self.ask).sum())
        self.anything = bool(mix.types.all())
        self.allowed = np.concatenate([mix.types, np.zeros((self.n, 1), bool)], axis=1)


class Games:
    """Some games side by side. Nodes are `[games, nodes]`, those of all games one after the other `[spots]`;
    devices `[D, spots]` in STEPs.

    A job's scores on all nodes are kept for each game and class of jobs, and only nodes that have changed since
    are scored again: in a game one of a hundred does at a time.
    """

    def __init__(
        self, ground: Ground, mix: Mix, kinds: Kinds, table: Table, chance: tuple[Chance, Chance]
    ) -> None:
        self.kinds, self.chance = kinds, chance
        self.part, self.whole = (x.reshape(-1) for x in table)
        at = self._sample()
        self.n_nodes = at.shape[1]
        at = at.reshape(-1)
        self.base = kinds.of[at] * ROWS
        self.cpu, self.mem = ground.cpu[at].astype(np.int64), ground.mem[at].astype(np.int64)
        self.type_of = ground.type_of[:, at].astype(np.intp)
        self.free = np.where(self.type_of >= 0, PARTS, 0)
        # What follows from `free` and `cpu` of a node: kept, since one node of a game changes at a time.
        self.column = self.free % PARTS  # of the table; wholly free ones count apart
        self.total = self.free.sum(axis=0)
        self.n_whole = (self.free == PARTS).sum(axis=0)
        self.value = self._value(self._rows(self.cpu, self.total, self.base), self.free, self.n_whole)
        self.capacity = np.maximum(self.total.reshape(GAMES, -1).sum(axis=1), 1)
        self.random = _LEAST_RANDOM + (_MOST_RANDOM - _LEAST_RANDOM) * self._numbers(1)[0]
        self.random[:_HALF] = 0
        self.classes = _Classes(mix)
        n = self.classes.n
        self.scores = np.empty((GAMES * n, self.n_nodes), dtype=np.int64)
        self.known = np.zeros(GAMES * n, dtype=np.int64)  # at which arrival, from 1, scores were worked out
        self.changed = np.ones((GAMES, self.n_nodes), dtype=np.int64)  # from which arrival on it is as it is
        self.game_of = np.repeat(np.arange(GAMES), self.n_nodes)
        self.visits: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        self.ends: list[np.ndarray] = []

    def _sample(self) -> np.ndarray:
        """Positions `[games, nodes]`: evenly spread over the kinds, in random order."""
        n = self.kinds.of.size
        m = min(n, NODES)
        by_kind = np.argsort(self.kinds.of, kind="stable")
        picked = by_kind[((np.arange(m) + self._numbers(1).T) * n / m).astype(np.int64)]
        order = np.argsort(self._numbers(m).T, axis=1, kind="stable")
        return np.take_along_axis(picked, order, axis=1)

    def _numbers(self, n: int) -> np.ndarray:
        """Random numbers for every game `[n, games]`."""
        same, new = self.chance
        return np.concatenate((same.numbers(n, _HALF), new.numbers(n, GAMES - _HALF)), axis=1)

    def _rows(self, cpu: np.ndarray, total: np.ndarray, base: np.ndarray) -> np.ndarray:
        return np.asarray((self.kinds.place(cpu, total * STEP) * FINER + 0.5).astype(np.int64) + base)

    def _value(self, row: np.ndarray, free: np.ndarray, n_whole: np.ndarray) -> np.ndarray:
        """Sum of potentials of each node."""
        value = self.part.take(row * PARTS + free % PARTS).sum(axis=0)
        return np.asarray(value + self.whole.take(row * (self.kinds.most + 1) + n_whole))

    def play(self) -> None:
        """Until all work of the last end has come, or LONGEST arrivals."""
        kinds = self.classes
        longest = int(min(ENDS[-1] * self.capacity.max() / kinds.mean * 1.2 + 50, LONGEST))
        jobs = np.searchsorted(kinds.chances, self._numbers(longest), side="right")
        came = np.zeros((longest + 1, GAMES))  # before each arrival
        np.cumsum(kinds.amount[jobs] / self.capacity, axis=0, out=came[1:])
        over = np.flatnonzero(came[1:].min(axis=1) >= ENDS[-1])
        n = int(over[0]) + 1 if over.size else longest
        luck = self._numbers(2 * n).reshape(n, 2, GAMES)
        self.ends = [self.free.copy() for _ in ENDS]
        last = [np.minimum((came[1:n] < when).sum(axis=0), n - 1) for when in ENDS]
        when = {i for each in last for i in each.tolist()}
        for i in range(n):
            self._arrive(i + 1, jobs[i], came[i], luck[i])
            if i in when:
                for end, each in zip(self.ends, last, strict=True):
                    self._keep(end, each == i)

    def _keep(self, end: np.ndarray, games: np.ndarray) -> None:
        """What is free in these games goes into `end`."""
        spots = games[self.game_of]
        end[:, spots] = self.free[:, spots]

    def _arrive(self, now: int, jobs: np.ndarray, came: np.ndarray, luck: np.ndarray) -> None:
        """One job for each game, placed where its score is least or, now and then, anywhere."""
        rows = _GAMES * self.classes.n + jobs
        stale = (self.changed > self.known[rows][:, None]).reshape(-1).nonzero()[0]
        self.known[rows] = now
        if stale.size:
            game = self.game_of.take(stale)
            place = (rows * self.n_nodes - _GAMES * self.n_nodes).take(game) + stale
            self.scores.reshape(-1)[place] = self._score(stale, jobs.take(game))
        score = self.scores.take(rows, axis=0)
        node = score.argmin(axis=1)
        for game in (luck[0] < self.random).nonzero()[0].tolist():
            choice = (score[game] < _FAR).nonzero()[0]
            if choice.size:
                node[game] = choice[int(luck[1, game] * choice.size)]
        games = (score[_GAMES, node] < _FAR).nonzero()[0]
        if games.size:
            self._take(now, jobs[games], games, games * self.n_nodes + node[games], came[games])

    def _score(self, spots: np.ndarray, jobs: np.ndarray) -> np.ndarray:
        """Score of the job on each node as Potential.scores has it, `_FAR` where it does not fit; `[k]`."""
        kinds = self.classes
        out = np.full(spots.size, _FAR)
        left = self.cpu.take(spots) - kinds.cpu.take(jobs)
        able = ((left >= 0) & (self.mem.take(spots) >= kinds.mem.take(jobs))).nonzero()[0]
        spots, jobs, left = spots.take(able), jobs.take(able), left.take(able)
        free, n = self.free.take(spots, axis=1), kinds.n_devices.take(jobs)
        may = self._may(spots, jobs, free)
        fits = (np.add.reduce(may, axis=0, dtype=np.int8) >= n).nonzero()[0]
        if fits.size < able.size:
            able, spots, jobs, left = able.take(fits), spots.take(fits), jobs.take(fits), left.take(fits)
            free, may, n = free.take(fits, axis=1), may.take(fits, axis=1), n.take(fits)
        total = self.total.take(spots)
        after = np.maximum(total - kinds.amount.take(jobs), 0)
        row = self._rows(left, after, self.base.take(spots))
        cell, most = row * PARTS, row * (self.kinds.most + 1) + self.n_whole.take(spots)
        part = self.part.take(cell + self.column.take(spots, axis=1))
        score = part.sum(axis=0)
        score += FULLER * STEP * total - self.value.take(spots)
        whole = self.whole.take(most - kinds.whole.take(jobs))
        score += whole
        some = kinds.shares.take(jobs).nonzero()[0]
        if some.size:
            args = (cell.take(some), most.take(some), free.take(some, axis=1), part.take(some, axis=1))
            score[some] += self._rise(*args, jobs.take(some), may.take(some, axis=1)).min(axis=0)
        out[able] = score
        return out

    def _may(self, spots: np.ndarray, jobs: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Which devices the jobs may use and have enough free `[D, k]`."""
        kinds = self.classes
        may: np.ndarray = free >= kinds.least.take(jobs)
        if not kinds.anything:
            may &= kinds.allowed[jobs, self.type_of.take(spots, axis=1)]
        return may

    def _rise(
        self,
        cell: np.ndarray,
        most: np.ndarray,
        free: np.ndarray,
        part: np.ndarray,
        jobs: np.ndarray,
        may: np.ndarray,
    ) -> np.ndarray:
        """How the potentials rise by a share from each device, as in Potential.scores; `_FAR` where it may not
        be."""
        one = self.whole.take(most) - self.whole.take(np.maximum(most - 1, 0))
        rise = self.part.take(cell + np.maximum(free - self.classes.least.take(jobs), 0))
        rise -= np.where(free == PARTS, one, part)
        return np.where(may, rise, _FAR)

    def _take(
        self, now: int, jobs: np.ndarray, games: np.ndarray, spots: np.ndarray, came: np.ndarray
    ) -> None:
        """Places jobs `[p]`, one in each of these games, on these nodes."""
        kinds, base = self.classes, self.base.take(spots)
        free, n, ask = self.free.take(spots, axis=1), kinds.n_devices.take(jobs), kinds.ask.take(jobs)
        may = self._may(spots, jobs, free)
        taken = may & (np.cumsum(may, axis=0) <= n)
        some = kinds.shares.take(jobs).nonzero()[0]
        if some.size:
            at, share = spots.take(some), jobs.take(some)
            after = np.maximum(self.total.take(at) - kinds.amount.take(share), 0)
            row = self._rows(self.cpu.take(at) - kinds.cpu.take(share), after, self.base.take(at))
            cell, most = row * PARTS, row * (self.kinds.most + 1) + self.n_whole.take(at)
            part = self.part.take(cell + self.column.take(at, axis=1))
            rise = self._rise(cell, most, free.take(some, axis=1), part, share, may.take(some, axis=1))
            taken[:, some] = np.arange(free.shape[0])[:, None] == rise.argmin(axis=0)
        free -= taken * ask
        self.free[:, spots], self.column[:, spots] = free, free % PARTS
        total, n_whole = free.sum(axis=0), (free == PARTS).sum(axis=0)
        cpu = self.cpu.take(spots) - kinds.cpu.take(jobs)
        self.cpu[spots] = cpu
        self.mem[spots] -= kinds.mem.take(jobs)
        self.total[spots], self.n_whole[spots] = total, n_whole
        place = self.kinds.place(cpu, total * STEP)
        self.value[spots] = self._value((place * FINER + 0.5).astype(np.int64) + base, free, n_whole)
        self.changed.reshape(-1)[spots] = now + 1
        column = np.where(free == PARTS, PARTS - 1 + n_whole, free)
        self.visits.append((spots, came, place + base // ROWS * BINS, column))

    def allocated(self) -> float:
        """Part of all devices that was allocated, mean of both ends, in the games without random moves."""
        free = np.stack([end.reshape(-1, GAMES, self.n_nodes)[:, :_HALF].sum(axis=(0, 2)) for end in self.ends])
        return float(1 - (free / self.capacity[:_HALF]).mean())

    def note(self, seen: Seen) -> None:
        """Adds what these games showed."""
        spot, came, place, column = (np.concatenate(x, axis=-1) for x in zip(*self.visits, strict=True))
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
