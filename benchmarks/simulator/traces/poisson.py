"""Jobs that arrive at random, with heavy-tailed run times and sizes that are powers of two.

Arrivals are a Poisson process whose rate follows from the load: mean gap = E[size] × E[run] / (load × procs).
A size is 1 with probability `serial`, else 2^k, k from 1 to log2(max_size), with probabilities in proportion
to decay^k. Run times in seconds are lognormal (median, sigma), drawn again above most_s, or of a bounded
Pareto distribution (alpha, from least_s to most_s; Crovella, Taqqu and Bestavros, 1998). Both means are
exact, so the load of a long trace comes out as asked, if slowly: that is what a heavy tail is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

BLOCK: Final = 65_536
"""Jobs that are made at once."""
US: Final = 1e6


class Lognormal(NamedTuple):
    """Run times with this median in seconds and this deviation of their logarithm, up to most_s."""

    median_s: float
    sigma: float
    most_s: float

    def mean_s(self) -> float:
        """Of the distribution without what is above most_s."""
        mu, top = math.log(self.median_s), math.log(self.most_s)
        below = _normal_cdf((top - mu) / self.sigma)
        return (
            math.exp(mu + self.sigma * self.sigma / 2)
            * _normal_cdf((top - mu) / self.sigma - self.sigma)
            / below
        )

    def draw_s(self, n: int, chance: np.random.Generator) -> np.ndarray:
        """n run times `[n]`."""
        run_s = np.full(n, np.inf)
        while (again := np.flatnonzero(run_s > self.most_s)).size:
            run_s[again] = chance.lognormal(math.log(self.median_s), self.sigma, again.size)
        return run_s


class Pareto(NamedTuple):
    """Run times from least_s to most_s whose tail falls off with the power alpha."""

    alpha: float
    least_s: float
    most_s: float

    def mean_s(self) -> float:
        """Of the bounded distribution."""
        share = 1 - math.pow(self.least_s / self.most_s, self.alpha)
        if self.alpha == 1:
            return self.least_s * math.log(self.most_s / self.least_s) / share
        power = 1 - self.alpha
        tail = math.pow(self.most_s, power) - math.pow(self.least_s, power)
        return self.alpha * math.pow(self.least_s, self.alpha) * tail / (power * share)

    def draw_s(self, n: int, chance: np.random.Generator) -> np.ndarray:
        """n run times `[n]`."""
        share = 1 - math.pow(self.least_s / self.most_s, self.alpha)
        return np.asarray(self.least_s * (1 - chance.random(n) * share) ** (-1 / self.alpha))


class Sizes(NamedTuple):
    """Sizes in processors, see the module's docstring."""

    serial: float
    max_size: int
    decay: float

    def weights(self) -> np.ndarray:
        """Of the sizes 1, 2, 4 … `[k]`."""
        n = self.max_size.bit_length()
        if n == 1:
            return np.ones(1)
        powers = self.decay ** np.arange(1, n, dtype=np.float64)
        return np.concatenate(([self.serial], (1 - self.serial) * powers / powers.sum()))

    def mean(self) -> float:
        """Processors of a job on average."""
        weights = self.weights()
        return float((weights * np.exp2(np.arange(weights.size))).sum())

    def draw(self, n: int, chance: np.random.Generator) -> np.ndarray:
        """n sizes `[n]`."""
        weights = self.weights()
        return np.left_shift(1, chance.choice(weights.size, n, p=weights))


class Block(NamedTuple):
    """Jobs by arrival, all `[n]`: microseconds, processors."""

    submit_us: np.ndarray
    size: np.ndarray
    run_us: np.ndarray


def blocks(
    n: int, gap_s: float, sizes: Sizes, runs: Lognormal | Pareto, chance: np.random.Generator
) -> Iterator[Block]:
    """n jobs with this mean gap, some at a time."""
    last_us, left = 0.0, n
    while left:
        take = min(left, BLOCK)
        at_us = last_us + np.cumsum(chance.exponential(gap_s * US, take))
        last_us = float(at_us[-1])
        run_us = np.maximum(1, np.rint(runs.draw_s(take, chance) * US))
        yield Block(at_us.astype(np.int64), sizes.draw(take, chance), run_us.astype(np.int64))
        left -= take


def _normal_cdf(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2
