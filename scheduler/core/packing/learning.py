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
_FAR = np.int32(1 << 30)


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


class Games:
    """Some games side by side. Nodes are `[games, nodes]`, devices `[D, games, nodes]` in STEPs."""

    def __init__(
        self, ground: Ground, mix: Mix, kinds: Kinds, table: Table, chance: tuple[Chance, Chance]
    ) -> None:
        self.mix, self.kinds, self.chance = mix, kinds, chance
        self.part, self.whole = (x.reshape(-1).astype(np.int32) for x in table)
        at = self._sample()
        self.base = (kinds.of[at] * ROWS).astype(np.int32)
        self.cpu, self.mem = ground.cpu[at].astype(np.int64), ground.mem[at].astype(np.int64)
        self.type_of = ground.type_of[:, at]
        self.free = np.where(self.type_of >= 0, PARTS, 0).astype(np.int32)
        # What follows from `free` and `cpu` of a node: kept, since one node of a game changes at a time.
        self.column = self.free % PARTS  # of the table; wholly free ones count apart
        self.total = self.free.sum(axis=0, dtype=np.int32)
        self.n_whole = (self.free == PARTS).sum(axis=0)
        self.value = self._value(self._rows(self.cpu, self.total, self.base), self.free, self.n_whole)
        self.capacity = np.maximum(self.total.sum(axis=1), 1)
        self.came = np.zeros(GAMES)
        self.random = _LEAST_RANDOM + (_MOST_RANDOM - _LEAST_RANDOM) * self._numbers(1)[0]
        self.random[:_HALF] = 0
        self.ask = (-(-np.where(mix.n_devices > 0, mix.milli, 0) // STEP)).astype(
            np.int32
        )  # of each device, in STEPs
        self.anything = bool(mix.types.all())
        self.allowed = np.concatenate([mix.types, np.zeros((mix.weight.size, 1), bool)], axis=1)
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
        return np.asarray((self.kinds.place(cpu, total * STEP) * FINER + 0.5).astype(np.int32) + base)

    def _value(self, row: np.ndarray, free: np.ndarray, n_whole: np.ndarray) -> np.ndarray:
        """Sum of potentials of each node."""
        value = self.part.take(row * PARTS + free % PARTS).sum(axis=0)
        return np.asarray(value + self.whole.take(row * (self.kinds.most + 1) + n_whole))

    def play(self) -> None:
        """Until all work of the last end has come, or LONGEST arrivals."""
        weight = np.cumsum(self.mix.weight)
        mean = float((self.mix.weight * self.mix.n_devices * self.ask).sum())
        longest = int(min(ENDS[-1] * self.capacity.max() / mean * 1.2 + 50, LONGEST))
        jobs = np.searchsorted(weight / weight[-1], self._numbers(longest), side="right")
        self.ends = [self.free.copy() for _ in ENDS]
        for now in jobs:
            before = self.came
            self._arrive(now)
            self.came = before + self.mix.n_devices[now] * self.ask[now] / self.capacity
            for end, when in zip(self.ends, ENDS, strict=True):
                over = (before < when) & (self.came >= when)
                if over.any():
                    end[:, over] = self.free[:, over]
            if self.came.min() >= ENDS[-1]:
                return
        for end, when in zip(self.ends, ENDS, strict=True):
            end[:, self.came < when] = self.free[:, self.came < when]

    def _arrive(self, jobs: np.ndarray) -> None:
        """One job for each game, placed where its score is least or, now and then, anywhere."""
        mix, games = self.mix, np.arange(GAMES)
        n, ask = mix.n_devices[jobs][:, None], self.ask[jobs][:, None]
        may = self.free >= np.maximum(ask, 1)
        if not self.anything:
            may &= self.allowed[jobs][games[:, None], self.type_of]
        left = self.cpu - mix.cpu[jobs][:, None]
        fits = (left >= 0) & (self.mem >= mix.mem[jobs][:, None]) & (may.sum(axis=0) >= n)
        score, rise = self._scores(left, n, ask, may)
        node = np.where(fits, score, _FAR).argmin(axis=1)
        luck = self._numbers(2)
        for game in np.flatnonzero(luck[0] < self.random):
            choice = np.flatnonzero(fits[game])
            if choice.size:
                node[game] = choice[int(luck[1, game] * choice.size)]
        placed = np.flatnonzero(fits[games, node])
        if placed.size:
            node = node[placed]
            self._take(jobs[placed], placed, node, rise[:, placed, node], may[:, placed, node])

    def _scores(
        self, left: np.ndarray, n: np.ndarray, ask: np.ndarray, may: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score of each node, and rise by each device as Potential.scores has it; of nodes that fit."""
        row = self._rows(np.maximum(left, 0), np.maximum(self.total - n * ask, 0), self.base)
        cell = row * PARTS
        part = self.part.take(cell + self.column)
        at = row * (self.kinds.most + 1) + self.n_whole
        shares = (n == 1) & (ask < PARTS)
        whole = self.whole.take(np.maximum(at - np.where(shares, 0, n), 0))
        score = part.sum(axis=0) + whole - self.value + FULLER * STEP * self.total
        one = whole - self.whole.take(np.maximum(at - 1, 0))
        rise = self.part.take(cell + np.maximum(self.free - np.maximum(ask, 1), 0))
        rise -= np.where(self.free == PARTS, one, part)
        rise = np.where(may, rise, _FAR)
        return score + np.where(shares, rise.min(axis=0), 0), rise

    def _take(
        self, jobs: np.ndarray, games: np.ndarray, node: np.ndarray, rise: np.ndarray, may: np.ndarray
    ) -> None:
        """Places jobs `[p]`, one in each of these games, on these nodes; rise and may `[D, p]`."""
        mix, spot = self.mix, (games, node)
        n, ask = mix.n_devices[jobs], self.ask[jobs]
        shares = (n == 1) & (ask < PARTS)
        first = may & (np.cumsum(may, axis=0) <= n)
        taken = np.where(shares, np.arange(may.shape[0])[:, None] == rise.argmin(axis=0), first)
        self.cpu[spot] -= mix.cpu[jobs]
        self.mem[spot] -= mix.mem[jobs]
        free = self.free[:, games, node] - taken * ask
        self.free[:, games, node] = free
        self.column[:, games, node] = free % PARTS
        total, n_whole, base = free.sum(axis=0), (free == PARTS).sum(axis=0), self.base[spot]
        self.total[spot], self.n_whole[spot] = total, n_whole
        self.value[spot] = self._value(self._rows(self.cpu[spot], total, base), free, n_whole)
        place = self.kinds.place(self.cpu[spot], total * STEP) + base // ROWS * BINS
        column = np.where(free == PARTS, PARTS - 1 + n_whole, free)
        self.visits.append((games * self.cpu.shape[1] + node, self.came[games], place, column))

    def allocated(self) -> float:
        """Part of all devices that was allocated, mean of both ends, in the games without random moves."""
        free = np.stack([end[:, :_HALF].sum(axis=(0, 2)) for end in self.ends])
        return float(1 - (free / self.capacity[:_HALF]).mean())

    def note(self, seen: Seen) -> None:
        """Adds what these games showed."""
        spot, came, place, column = (np.concatenate(x, axis=-1) for x in zip(*self.visits, strict=True))
        later = came <= ENDS[:, None]
        kept = later.any(axis=0) & (column > 0)
        final = np.stack([end.reshape(end.shape[0], -1)[:, spot] for end in self.ends]) * STEP
        mean = ((final * later[:, None]).sum(axis=0) / np.maximum(later.sum(axis=0), 1))[kept]
        low = place.astype(np.int64)
        part = np.broadcast_to(place - low, column.shape)[kept]
        columns = seen.free.shape[2]
        cell = (low * columns + column)[kept]
        for at, weight in ((cell, 1 - part), (cell + columns, part)):
            seen.free[...] += np.bincount(at, weight * mean, seen.free.size).reshape(seen.free.shape)
            seen.visits[...] += np.bincount(at, weight, seen.free.size).reshape(seen.free.shape)
