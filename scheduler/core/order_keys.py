"""Orders whose keys follow from more than columns: from accounts, their shares and what they have spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from packhorse.scheduler.core import multifactor
from packhorse.scheduler.core.accounts.dominant import DominantShares
from packhorse.scheduler.core.orders import DRF, MULTIFACTOR
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.job import Job


class OrderKey(Protocol):
    """What an order sorts by, the least first `[n]`: of rows by their slots, and of jobs that run."""

    def __call__(self, slots: np.ndarray) -> np.ndarray: ...

    def of_jobs(self, jobs: Sequence[Job]) -> np.ndarray: ...


def key_of(state: State, now: Instant) -> OrderKey | None:
    """For `PendingColumns.ordered`; None where the order of the configuration needs none."""
    if state.config.order == MULTIFACTOR:
        return multifactor.Key(state, now)
    if state.config.order == DRF and state.accounts.in_use:
        return DominantShares(state)
    return None
