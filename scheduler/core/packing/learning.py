"""Learns the potentials (potential.py) of a cluster by playing it, in a few seconds, from a fixed seed.

A game fills a hundred nodes, a sample of the cluster's kinds, with jobs drawn from the mix until jobs for 130 %
of its devices have come. What was free of a device when all work for 100 % and for 130 % had come, against what
the node looked like before, gives the potentials; they choose the nodes of the next games. Two ends, since
nobody knows how much work will come: for the first alone the policy would hoard, for the second waste early. In
half of the games some jobs go to a random node, or states worth reaching would never be seen.

The games of a round run side by side, one vectorised step per arrival. Old rounds fade; a new estimate moves the
potential by a fifth only, since a policy that follows each estimate at once runs in circles.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.policy import WHOLE, Ground, Mix
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

ENDS: Final = (1.0, 1.3)  # work that has come, in devices of the cluster
NODES: Final = 100  # of a game
GAMES: Final = 12  # of a round
ROUNDS: Final = 20
LONGEST: Final = 6000  # arrivals of a game
_LEAST_RANDOM, _MOST_RANDOM = 0.04, 0.2
_FADE, _PACE = 0.9, 0.2
_NEAR = np.array([1 / (1 + 2 * e * e) for e in range(-3, 4)])  # weight of neighbouring bins of CPU per device
_FAR = np.int64(1) << 60


class Seen(NamedTuple):
    """What was free in the end, summed up over visits, and how many visits `[kinds, BINS, PARTS + most]`."""

    free: np.ndarray
    visits: np.ndarray


def learn(ground: Ground, mix: Mix, kinds: Kinds, seed: int = 0, rounds: int = ROUNDS) -> np.ndarray:
    """Potentials in thousandths of a device `[kinds, BINS, PARTS + most]`; the prior where there is nothing to
    learn, that is no job with devices or no devices."""
    value = prior(kinds)
    if not kinds.most or not (mix.weight * mix.n_devices).any():
        return value
    draw = np.random.default_rng(seed)
    seen = Seen(np.zeros_like(value), np.zeros_like(value))
    for i in range(rounds):
        game = Games(ground, mix, kinds, table_of(kinds, value), draw)
        game.play()
        game.note(seen)
        value += max(_PACE, 1 / (i + 1)) * (estimate(seen) - value)
        seen = Seen(seen.free * _FADE, seen.visits * _FADE)
    return value


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
    """Some games side by side: GAMES x nodes, devices `[D, games, nodes]`."""

    def __init__(
        self, ground: Ground, mix: Mix, kinds: Kinds, table: Table, draw: np.random.Generator
    ) -> None:
        self.mix, self.kinds, self.draw = mix, kinds, draw
        self.part, self.whole = table.part.reshape(-1), table.whole.reshape(-1)
        at = self._sample(ground)
        self.kind = kinds.of[at]
        self.cpu, self.mem = ground.cpu[at].astype(np.int64), ground.mem[at].astype(np.int64)
        self.type_of = ground.type_of[:, at]
        self.dev = np.where(self.type_of >= 0, WHOLE, 0)
        self.capacity = self.dev.sum((0, 2)).astype(float)
        self.came = np.zeros(GAMES)
        self.random = np.where(np.arange(GAMES) % 2, draw.uniform(_LEAST_RANDOM, _MOST_RANDOM, GAMES), 0.0)
        self.visits: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        self.ends: list[np.ndarray] = []  # free devices when each end was reached `[D, games, nodes]`
        self.allowed = np.concatenate([mix.types, np.zeros((mix.weight.size, 1), bool)], axis=1)
        self.before = self._value(self.cpu, self.dev)

    def _sample(self, ground: Ground) -> np.ndarray:
        """Positions `[games, nodes]`: evenly spread over the kinds, in random order."""
        n = self.kinds.of.size
        m = min(n, NODES)
        by_kind = np.argsort(self.kinds.of, kind="stable")
        start = self.draw.random((GAMES, 1))
        picked = by_kind[((np.arange(m) + start) * n / m).astype(np.int64)]
        return self.draw.permuted(picked, axis=1)

    def _rows(self, cpu: np.ndarray, total: np.ndarray, kind: np.ndarray) -> np.ndarray:
        return np.asarray((self.kinds.place(cpu, total) * FINER + 0.5).astype(np.int64) + kind * ROWS)

    def _value(self, cpu: np.ndarray, dev: np.ndarray) -> np.ndarray:
        """Sum of potentials of each node `[games, nodes]`."""
        total = dev.sum(axis=0)
        row = self._rows(cpu, total, self.kind)
        value = self.part.take(row * PARTS + dev // STEP % PARTS).sum(axis=0)
        value += self.whole.take(row * (self.kinds.most + 1) + (dev == WHOLE).sum(axis=0))
        return np.asarray(value)

    def play(self) -> None:
        mix, need = self.mix, self.mix.n_devices * self.mix.milli
        mean = float((mix.weight * need).sum())
        longest = int(min(ENDS[-1] * self.capacity.max() / mean * 1.2 + 50, LONGEST))
        came = self.draw.choice(mix.weight.size, size=(longest, GAMES), p=mix.weight)
        reached = np.zeros(GAMES, np.int64)
        self.ends = [self.dev.copy() for _ in ENDS]
        ends = np.array([*ENDS, np.inf])
        for jobs in came:
            self._arrive(jobs)
            self.came += need[jobs] / np.maximum(self.capacity, 1)
            for game in np.flatnonzero(self.came >= ends[reached]):
                while self.came[game] >= ends[reached[game]]:
                    self._end(int(reached[game]), int(game))
                    reached[game] += 1
            if reached.min() == len(ENDS):
                return
        for game in range(GAMES):
            for end in range(int(reached[game]), len(ENDS)):
                self._end(end, game)

    def _end(self, end: int, game: int) -> None:
        self.ends[end][:, game] = self.dev[:, game]

    def _arrive(self, jobs: np.ndarray) -> None:
        mix, every = self.mix, np.arange(GAMES)
        cpu, mem, n, milli = (x[jobs][:, None] for x in (mix.cpu, mix.mem, mix.n_devices, mix.milli))
        may = self.allowed[jobs][every[:, None], self.type_of] & (self.dev >= np.maximum(milli, 1)) & (n > 0)
        fits = (self.cpu >= cpu) & (self.mem >= mem) & (may.sum(axis=0) >= n)
        score, rise = self._scores(cpu, n, milli, may)
        score = np.where(fits, score, _FAR)
        node = score.argmin(axis=1)
        for game in np.flatnonzero(self.draw.random(GAMES) < self.random):
            choice = np.flatnonzero(fits[game])
            if choice.size:
                node[game] = choice[self.draw.integers(choice.size)]
        self._take(jobs, node, fits[every, node], rise, may)

    def _scores(
        self, cpu: np.ndarray, n: np.ndarray, milli: np.ndarray, may: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score of each node `[games, nodes]` and rise of each device `[D, games, nodes]`; see Potential.scores."""
        dev, columns = self.dev, self.kinds.most + 1
        total = dev.sum(axis=0)
        idle = dev == WHOLE
        whole = idle.sum(axis=0)
        row = self._rows(np.maximum(self.cpu - cpu, 0), np.maximum(total - n * milli, 0), self.kind)
        part = self.part.take(row * PARTS + dev // STEP % PARTS)
        at = row * columns + whole
        shares = (n == 1) & (milli < WHOLE)
        all_whole = self.whole.take(np.maximum(at - np.where(shares, 0, n), 0))
        one = all_whole - self.whole.take(np.maximum(at - 1, 0))
        rise = self.part.take(row * PARTS + np.maximum(dev - milli, 0) // STEP % PARTS) - np.where(
            idle, one, part
        )
        rise = np.where(may, rise, _FAR)
        score = (
            part.sum(axis=0)
            + all_whole
            - self.before
            + FULLER * total
            + np.where(shares, rise.min(axis=0), 0)
        )
        return score, rise

    def _take(
        self, jobs: np.ndarray, node: np.ndarray, fits: np.ndarray, rise: np.ndarray, may: np.ndarray
    ) -> None:
        games = np.flatnonzero(fits)
        if not games.size:
            return
        jobs, node, mix = jobs[games], node[games], self.mix
        n, milli = mix.n_devices[jobs], mix.milli[jobs]
        shares = (n == 1) & (milli < WHOLE)
        can = may[:, games, node]
        device = rise[:, games, node].argmin(axis=0)
        taken = np.where(
            shares, np.arange(can.shape[0])[:, None] == device, can & (np.cumsum(can, axis=0) <= n)
        )
        self.cpu[games, node] -= mix.cpu[jobs]
        self.mem[games, node] -= mix.mem[jobs]
        dev = self.dev[:, games, node] - taken * milli
        self.dev[:, games, node] = dev
        total, cpu, kind = dev.sum(axis=0), self.cpu[games, node], self.kind[games, node]
        whole = (dev == WHOLE).sum(axis=0)
        place = self.kinds.place(cpu, total)
        row = (place * FINER + 0.5).astype(np.int64) + kind * ROWS
        self.before[games, node] = self.part.take(row * PARTS + dev // STEP % PARTS).sum(axis=0)
        self.before[games, node] += self.whole.take(row * (self.kinds.most + 1) + whole)
        column = np.where(dev == WHOLE, PARTS - 1 + whole, dev // STEP)
        self.visits.append((games * self.kind.shape[1] + node, self.came[games], place + kind * BINS, column))

    def note(self, seen: Seen) -> None:
        """Adds what these games showed."""
        spot, came, place, column = (np.concatenate(x, axis=-1) for x in zip(*self.visits, strict=True))
        flat = [end.reshape(end.shape[0], -1)[:, spot] for end in self.ends]
        later = np.stack([came <= end for end in ENDS])
        kept = later.any(axis=0) & (column > 0)
        target = sum(x * y for x, y in zip(flat, later, strict=True)) / np.maximum(later.sum(axis=0), 1)
        low = place.astype(np.int64)
        part = np.broadcast_to(place - low, column.shape)[kept]
        cell = (low * seen.free.shape[2] + column)[kept]
        size, up = seen.free.size, seen.free.shape[2]
        for at, weight in ((cell, 1 - part), (cell + up, part)):
            seen.free.reshape(-1)[:] += np.bincount(at, weight * target[kept], minlength=size)
            seen.visits.reshape(-1)[:] += np.bincount(at, weight, minlength=size)
