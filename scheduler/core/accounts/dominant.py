"""Dominant resource fairness among accounts, weighed by their shares.

Ghodsi et al., "Dominant resource fairness", NSDI 2011, section 4.3: first comes whose largest share of a
resource, divided by its weight, is least. The weight of an account is its part of its siblings' shares, times
that of the accounts above it. Jobs that belong to no account, or to one without shares, come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from packhorse.scheduler.core.accounts.fair_tree import Tree
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.usage import device_milli, dominant_shares
from packhorse.scheduler.model.accounts import AssociationKey
from packhorse.scheduler.model.job import Active, Job

_NO_WEIGHT: Final = 1e-12


class DominantShares:
    """One pass."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._tree = state.fair_shares.tree(state.accounts)
        self._total = np.maximum(state.node_columns.board().totals, 1)

    def __call__(self, slots: np.ndarray) -> np.ndarray:
        """Of rows, with all that their account has waiting before them."""
        pending = self._state.pending_columns
        names = [holder.account for holder in pending.holders]
        known = {name: number for number, name in enumerate(dict.fromkeys(names))}
        of = np.array([known[name] for name in names], dtype=np.intp)[pending.holder[slots]]
        held = np.zeros((3, len(known)))
        for name, number in known.items():
            mine = self._state.usage.held.get(name)
            if mine is not None:
                held[:, number] = mine.cpu_milli, mine.mem_mib, mine.device_milli
        weights = np.array([self._weight(name) for name in known])
        wants = pending.wants[:, pending.ask_class[slots]]
        return np.asarray(dominant_shares(of, held, wants, self._total) / weights[of])

    def of_jobs(self, jobs: Sequence[Job]) -> np.ndarray:
        """Of running jobs, in order of start: what their account had without them and those after them."""
        held: dict[str, np.ndarray] = {}
        found = []
        for job in jobs:
            account, active = job.spec.account, job.phase
            assert isinstance(active, Active)
            before = held.get(account, np.zeros(3))
            found.append(float((before / self._total).max()) / self._weight(account))
            mine = [(p.cpu_milli, p.mem_mib, device_milli(p)) for p in active.placements]
            held[account] = before + np.array(mine).sum(axis=0)
        return np.array(found)

    def _weight(self, account: str) -> float:
        return max(weight_of(self._tree, account), _NO_WEIGHT)


def weight_of(tree: Tree, account: str) -> float:
    """Its part of everything, by shares; 0 for one that is not there."""
    at = tree.number.get(AssociationKey(account)) if account else None
    if at is None:
        return 0.0
    weight = 1.0
    while at:
        weight *= 1.0 if tree.passed_over(at) else tree.norm_shares[at]
        at = tree.parent[at]
    return weight
