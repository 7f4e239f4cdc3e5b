"""How right estimates were: the share of starts inside the interval and the error of the median, by group."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.when.book import EstimateBook, Scored
from packhorse.scheduler.model.ids import US

SIZES: Final = (0, 1, 5, 20, 50)
"""Shares of the partition in percent, the least of each group."""

WAITS_S: Final = (0, 60, 600, 3_600, 6 * 3_600, 86_400)
"""Estimated waits, the least of each group."""


class Sum(NamedTuple):
    """Of some estimates. by, key: which; see EstimateSum of the protocol. Seconds."""

    by: str
    key: str
    n: int
    n_inside: int
    median_error_s: int
    median_wait_s: int
    median_interval_s: int


def sums(book: EstimateBook) -> list[Sum]:
    """Of the estimates that are remembered: of all first ones, of all later ones, and of the first ones by
    partition, by size and by estimated wait."""
    first = list(book.first.scored)
    found = [_sum("all", "", first), _sum("again", "", book.again.scored)]
    found += _grouped("partition", first, lambda scored: scored.partition, sorted)
    found += _grouped(
        "size", first, lambda scored: _group(SIZES, scored.estimate.basis.share_ppm / 1e4), _numbers
    )
    found += _grouped("wait", first, lambda scored: _group(WAITS_S, _expected_s(scored)), _numbers)
    return [some for some in found if some.n]


def _expected_s(scored: Scored) -> float:
    return (scored.estimate.median - scored.at) / US


def _group(bounds: tuple[int, ...], value: float) -> str:
    return str(max((bound for bound in bounds if bound <= value), default=bounds[0]))


def _numbers(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=int)


def _grouped(
    by: str,
    scored: list[Scored],
    key_of: Callable[[Scored], str],
    ordered: Callable[[Iterable[str]], list[str]],
) -> list[Sum]:
    groups: dict[str, list[Scored]] = {}
    for one in scored:
        groups.setdefault(key_of(one), []).append(one)
    return [_sum(by, key, groups[key]) for key in ordered(groups)]


def _sum(by: str, key: str, scored: Iterable[Scored]) -> Sum:
    some = list(scored)
    if not some:
        return Sum(by, key, 0, 0, 0, 0, 0)
    inside = sum(one.inside for one in some)
    errors = [abs(one.start - one.estimate.median) / US for one in some]
    waits = [(one.start - one.at) / US for one in some]
    widths = [(one.estimate.high - one.estimate.low) / US for one in some]
    error, wait, width = (round(float(np.median(values))) for values in (errors, waits, widths))
    return Sum(by, key, len(some), inside, error, wait, width)
