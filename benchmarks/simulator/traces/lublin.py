"""The workload model of Lublin and Feitelson: synthetic jobs of a parallel machine with a daily cycle.

Lublin and Feitelson, "The workload on parallel supercomputers: modeling the characteristics of rigid jobs",
JPDC 63(11), 2003; the parameters are those of the authors' program lublin99.c.

- Size: 1 with probability `serial`; else 2^u, with u of a two-stage uniform distribution (low to med with
  probability `prob`, else med to high), rounded to a whole number with probability `pow2`.
- Run time: e^g seconds, with g of one of two gamma distributions, the first with probability pa × size + pb
  between 0 and 1; values of g above 12 are drawn again.
- Arrivals: gaps of e^g seconds at the mean rate, with g gamma-distributed and drawn again above 13. They are
  stretched and squeezed by the time of day: half-hours count in proportion to a gamma distribution that
  begins at five in the morning and goes round the clock.

Departures: arrivals are whole seconds, but what is cut off does not add up (theirs lose half a second at each
job); random numbers are numpy's, and jobs are made in blocks. Two types of jobs (`types=1`, batch and
interactive) each have their own parameters and arrivals; the earlier arrival comes first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

BLOCK: Final = 65_536
"""Jobs that are made at once."""
PILOT: Final = 2 * BLOCK
"""Jobs whose load is taken for the model's: enough for a percent or two."""
MOST_LOG_RUN: Final = 12.0
MOST_LOG_GAP: Final = 13.0
BUCKETS: Final = 48
BUCKET_S: Final = 1800
FIRST_BUCKET: Final = 11
"""The day of the gamma distribution begins with this half-hour, counted from 1."""


class Kind(NamedTuple):
    """The parameters of one type of jobs. high: log2 of the largest size; names as in the module's docstring.

    run: shape and scale of both gamma distributions of the run time. gap, day: those of gaps and of the day.
    gap_ratio: what the shape of the gaps is multiplied by, since its fit is to rush hours alone.
    """

    serial: float
    pow2: float
    low: float
    med: float
    high: float
    prob: float
    run: tuple[float, float, float, float]
    pa: float
    pb: float
    gap: tuple[float, float]
    gap_ratio: float
    day: tuple[float, float]

    def sized(self, procs: int, med: float = 0.0) -> Kind:
        """For a machine with so many processors. med: 0 for 2.5 below the highest, as the authors advise."""
        high = math.log2(procs)
        return self._replace(high=high, med=min(high, max(self.low, med or high - 2.5)))


ALL: Final = Kind(
    0.244, 0.576, 0.8, 4.5, 7, 0.86,
    (4.2, 0.94, 312, 0.03), -0.0054, 0.78, (10.2303, 0.4871), 1.0225, (8.1737, 3.9631),
)  # fmt: skip
"""Jobs of all types together, as the authors fitted them for 128 processors."""

INTERACTIVE: Final = Kind(
    0.1541, 0.625, 1, 3, 5.5, 0.705,
    (3.8351, 0.6605, 7.073, 0.6856), -0.0118, 0.9156, (6.551, 0.6621), 0.9797, (8.9186, 3.668),
)  # fmt: skip

BATCH: Final = Kind(
    0.2927, 0.6686, 1.2, 5, 7, 0.875,
    (6.57, 0.823, 639.1, 0.0156), -0.003, 0.6986, (6.0415, 0.8531), 1.0519, (6.1271, 5.274),
)  # fmt: skip


class Block(NamedTuple):
    """Jobs by arrival, all `[n]`. submit_s: whole seconds from midnight. size: processors. run_s: 1 and more.
    kind: index of the job's type among those of the model."""

    submit_s: np.ndarray
    size: np.ndarray
    run_s: np.ndarray
    kind: np.ndarray


def blocks(
    kinds: tuple[Kind, ...], n: int, chance: np.random.Generator, stretch: float = 1.0
) -> Iterator[Block]:
    """n jobs of all the kinds, some at a time. stretch: all gaps are so many times as long."""
    streams = [Arrivals(kind, chance.spawn(1)[0], stretch) for kind in kinds]
    left = n
    while left:
        take = min(left, BLOCK)
        submit_s, kind = _earliest(streams, take)
        size = np.empty(take, dtype=np.int64)
        run_s = np.empty(take, dtype=np.int64)
        for i, each in enumerate(kinds):
            of = np.flatnonzero(kind == i)
            size[of] = sizes(each, of.size, chance)
            run_s[of] = run_times(each, size[of], chance)
        yield Block(submit_s, size, run_s, kind)
        left -= take


def sizes(kind: Kind, n: int, chance: np.random.Generator) -> np.ndarray:
    """Processors of n jobs `[n]`."""
    u = chance.random(n)
    first = chance.random(n) <= kind.prob
    low, high = np.where(first, kind.low, kind.med), np.where(first, kind.med, kind.high)
    power = low + (high - low) * chance.random(n)
    power = np.where(u <= kind.serial + kind.pow2, np.floor(power + 0.5), power)
    parallel = np.floor(np.exp2(power) + 0.5).astype(np.int64)
    return np.asarray(np.where(u <= kind.serial, 1, np.minimum(parallel, round(2**kind.high))))


def run_times(kind: Kind, size: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Whole seconds that jobs of these sizes run `[n]`."""
    shape1, scale1, shape2, scale2 = kind.run
    p = np.clip(kind.pa * size + kind.pb, 0.0, 1.0)
    log = np.full(size.size, np.inf)
    while (again := np.flatnonzero(log > MOST_LOG_RUN)).size:
        first = chance.random(again.size) <= p[again]
        log[again] = chance.gamma(np.where(first, shape1, shape2)) * np.where(first, scale1, scale2)
    return np.asarray(np.exp(log), dtype=np.int64)


def own_load(kinds: tuple[Kind, ...], procs: int) -> float:
    """Processor seconds that arrive by second and processor, as a sample of 131,072 jobs has them."""
    made = list(blocks(kinds, PILOT, np.random.default_rng(0)))
    work = sum(float((block.size * block.run_s).sum()) for block in made)
    return work / (float(made[-1].submit_s[-1]) * procs)


class Arrivals:
    """The arrivals of one kind of jobs, from midnight on."""

    def __init__(self, kind: Kind, chance: np.random.Generator, stretch: float) -> None:
        self._chance = chance
        self._shape, self._scale = kind.gap[0] * kind.gap_ratio, kind.gap[1]
        self._stretch = stretch
        self._points = 0.0
        self._day = np.concatenate(([0.0], np.cumsum(day_weights(kind))))
        self.waiting = np.empty(0)
        """Those made and not yet taken, in seconds."""

    def more(self, n: int) -> None:
        """At least n are waiting."""
        missing = n - self.waiting.size
        if missing <= 0:
            return
        log = np.full(missing, np.inf)
        while (again := np.flatnonzero(log > MOST_LOG_GAP)).size:
            log[again] = self._chance.gamma(self._shape, self._scale, again.size)
        points = self._points + np.cumsum(np.exp(log) * (self._stretch / BUCKET_S))
        self._points = float(points[-1])
        self.waiting = np.concatenate((self.waiting, self._seconds(points)))

    def _seconds(self, points: np.ndarray) -> np.ndarray:
        """When so many points have been paid: a half-hour costs as many as its weight, a day 48."""
        days, rest = np.divmod(points, BUCKETS)
        return np.asarray((days * BUCKETS + np.interp(rest, self._day, np.arange(BUCKETS + 1))) * BUCKET_S)


def day_weights(kind: Kind) -> np.ndarray:
    """How busy each half-hour of the day is, from midnight on, 1 on average `[48]`."""
    shape, scale = kind.day
    i = np.arange(FIRST_BUCKET, FIRST_BUCKET + BUCKETS)
    weights = np.empty(BUCKETS)
    weights[(i - 1) % BUCKETS] = [
        gamma_cdf((k + 0.5) / scale, shape) - gamma_cdf((k - 0.5) / scale, shape) for k in i.tolist()
    ]
    return np.asarray(weights / weights.mean())


def gamma_cdf(x: float, shape: float) -> float:
    """Of a gamma distribution with scale 1, by its series: x^a e^-x / Γ(a) × Σ x^k / (a (a+1) … (a+k))."""
    term = total = 1.0 / shape
    k = shape
    while term > total * 1e-12:
        k += 1
        term *= x / k
        total += term
    return total * math.exp(shape * math.log(x) - x - math.lgamma(shape))


def _earliest(streams: list[Arrivals], n: int) -> tuple[np.ndarray, np.ndarray]:
    """The next n arrivals of all streams in whole seconds, and which stream each is of."""
    for stream in streams:
        stream.more(n)
    at = np.concatenate([stream.waiting[:n] for stream in streams])
    of = np.repeat(np.arange(len(streams)), n)
    first = np.lexsort((of, at))[:n]
    for i, stream in enumerate(streams):
        stream.waiting = stream.waiting[np.count_nonzero(of[first] == i) :]
    return np.floor(at[first]).astype(np.int64), of[first]
