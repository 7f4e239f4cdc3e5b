"""What an estimator is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from packhorse.scheduler.core.reclaim.settings import Own, Settings


class Samples(NamedTuple):
    """One sample each of some rows, every row once; all integers `[n]`.

    used_mib: at most limit_mib. age_us: of the attempt. gap_us: since its sample before, 0 if it is not to
    count: the attempt was silent, or is measured for the first time.
    """

    rows: np.ndarray
    used_mib: np.ndarray
    limit_mib: np.ndarray
    age_us: np.ndarray
    gap_us: np.ndarray


class Rule(Protocol):
    """What is remembered of each row, and where it would have the estimates go."""

    def grow(self, n: int) -> None:
        """There are rows 0 to n - 1."""

    def clear(self, row: int) -> None:
        """The row is an attempt that was not measured yet."""

    def forget(self, row: int) -> None:
        """The row is of nobody."""

    def observe(self, samples: Samples) -> np.ndarray:
        """Take them in; the targets in MiB, floats `[n]`, of any size."""

    def learned(self) -> list[float]:
        """What was learned of all attempts so far, to be kept across a restart."""

    def teach(self, learned: Sequence[float]) -> None:
        """Go on from what learned() gave; of another length: ValueError."""


class Estimator(NamedTuple):
    """By name. rule: of settings without None, with no rows."""

    name: str
    summary: str
    own: Own
    rule: Callable[[Settings], Rule]


def seconds_us(seconds: int | None) -> int:
    """Of settings that were filled."""
    return (seconds or 0) * 1_000_000


def more(column: np.ndarray, n: int, value: float = 0) -> np.ndarray:
    """The column with n rows (its first axis), the new ones of this value."""
    new = np.full((n - len(column), *column.shape[1:]), value, dtype=column.dtype)
    return np.concatenate([column, new])
