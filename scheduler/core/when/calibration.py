"""What past errors say about an estimate: where its median should be, and how wide its interval.

The error of an estimate is log((wait + 30 s) / (foreseen wait + 30 s)). An estimate is made of the errors of
those past ones that are most like it (foreseen wait, its spread, time limit, share of the partition, work
ahead, all as logarithms): its median is the foreseen wait times e^(median error), its interval reaches
from e^(level) to e^(1 - level) quantile of these. That is conformal prediction: Vovk, Gammerman and Shafer,
"Algorithmic learning in a random world", 2005, with neighbours as in Lei and Wasserman, JRSS B 76(1), 2014.

Errors drift, so the level follows the hits: each start outside its interval lowers it, each inside raises it,
so that in the long run 8 of 10 are inside whatever happens (adaptive conformal inference: Gibbs and Candès,
NeurIPS 2021). A few made-up errors stand in while there are hardly any.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np

from packhorse.scheduler.core.batch.samples import NOMINAL_S
from packhorse.scheduler.core.when.book import EstimateBook, Scored, Track
from packhorse.scheduler.core.when.futures import Foreseen
from packhorse.scheduler.model.event import Basis, StartEstimate
from packhorse.scheduler.model.ids import US, Instant

LITTLE_S: Final = 30.0
"""Waits that differ by less are alike."""

NEAREST: Final = 200
"""Errors that an estimate goes by."""

_FEW: Final = 20
_MADE_UP: Final = (-1.0, -0.5, 0.0, 0.5, 1.0)

_AT_ONCE: Final = 256
"""Estimates that are made together."""

_MANY: Final = 2_000
_NEWEST: Final = 600
"""With so many estimates to make only so many past ones are searched, the last ones."""


def calibrated(book: EstimateBook, foreseen: Sequence[Foreseen], now: Instant) -> list[StartEstimate]:
    """What these jobs are told, in the same order."""
    again = [(f.job, f.last) in book.told for f in foreseen]
    first = iter(_by(book.first, [f for f, told in zip(foreseen, again, strict=True) if not told], now))
    other = iter(_by(book.again, [f for f, told in zip(foreseen, again, strict=True) if told], now))
    return [next(other if told else first) for told in again]


def _by(track: Track, foreseen: Sequence[Foreseen], now: Instant) -> Iterator[StartEstimate]:
    """By these past ones."""
    if not foreseen:
        return
    known, errors = _known(track)
    if len(foreseen) > _MANY:
        known, errors = known[-_NEWEST:], errors[-_NEWEST:]
    features = _features([f.basis for f in foreseen])
    for at in range(0, len(foreseen), _AT_ONCE):
        near = _nearest(features[at : at + _AT_ONCE], known, errors)
        near.sort(axis=1)
        levels = _quantiles(near, (track.level, 0.5, 1.0 - track.level))
        for one, level in zip(foreseen[at : at + _AT_ONCE], levels.tolist(), strict=True):
            yield _estimate(one, level, now)


def _known(track: Track) -> tuple[np.ndarray, np.ndarray]:
    """Features and errors of all that is remembered, oldest first; only what is new is worked out."""
    n, known, errors = track.known or (0, _features([]), np.zeros(0))
    n_new = min(track.n - n, len(track.scored))
    if n_new:
        new = list(islice(reversed(track.scored), n_new))[::-1]
        known = np.concatenate([known, _features([s.estimate.basis for s in new])])[-len(track.scored) :]
        errors = np.concatenate([errors, [error(s) for s in new]])[-len(track.scored) :]
        track.known = track.n, known, errors
    return known, errors


def error(scored: Scored) -> float:
    """Of what was foreseen; 0 if it was right, 1 if the wait was e times as long."""
    wait_s = max(scored.start - scored.at, 0) / US
    return math.log((wait_s + LITTLE_S) / (scored.estimate.basis.wait_s + LITTLE_S))


def _features(of: Sequence[Basis]) -> np.ndarray:
    """`[n, 5]`, to be compared by the sum of absolute differences."""
    wait, spread, limit, share, ahead = np.array(of, dtype=np.float32).reshape(-1, 5).T
    limit = np.where(limit > 0, limit, NOMINAL_S)
    return np.stack(
        [
            np.log(wait + LITTLE_S),
            np.log(spread + LITTLE_S) / 2,
            np.log(limit + 60.0) / 2,
            np.log(share / 1e6 + 0.005) / 2,
            np.log(ahead + 60.0) / 2,
        ],
        axis=1,
    ).astype(np.float32)


def _nearest(features: np.ndarray, known: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Errors of the past estimates that are most like each of these `[n, at most NEAREST]`."""
    n = errors.size
    if n <= NEAREST:
        if n < _FEW:
            errors = np.concatenate([errors, _MADE_UP])
        return np.repeat(errors[None], features.shape[0], axis=0)
    distance = np.zeros((features.shape[0], n), dtype=np.float32)
    for feature in range(features.shape[1]):
        distance += np.abs(features[:, feature, None] - known[None, :, feature])
    return np.asarray(errors[np.argpartition(distance, NEAREST - 1, axis=1)[:, :NEAREST]])


def _quantiles(ordered: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Of each row of values in order, between the two nearest: `[n_rows, n_levels]`."""
    places = np.array(levels) * (ordered.shape[1] - 1)
    below = np.minimum(places.astype(np.intp), ordered.shape[1] - 2)
    part = places - below
    return np.asarray(ordered[:, below] * (1.0 - part) + ordered[:, below + 1] * part)


def _estimate(foreseen: Foreseen, levels: Sequence[float], now: Instant) -> StartEstimate:
    scale = foreseen.basis.wait_s + LITTLE_S
    low, median, high = (max(scale * math.exp(level) - LITTLE_S, 0.0) for level in levels)
    return StartEstimate(
        foreseen.job,
        Instant(now + math.floor(low) * US),
        Instant(now + round(median) * US),
        Instant(now + math.ceil(high) * US),
        foreseen.last,
        foreseen.basis,
    )
