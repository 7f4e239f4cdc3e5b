"""What lending needs to know at once, by node and by job; all of it follows from the values of the state,
but for what nodes last reported, which is forgotten with the process.

`lendable` is kept by row of the nodes' columns, so that a cycle needs no look at a node. It is worked out
again for nodes at which something has changed (core/reclaim/lending.py), when somebody asks.
"""

from __future__ import annotations

import contextlib

import numpy as np

from packhorse.scheduler.core.reclaim.estimators import Estimates, Settings
from packhorse.scheduler.model.cluster import Reclaim
from packhorse.scheduler.model.event import UsageLearned
from packhorse.scheduler.model.ids import UNKNOWN, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Job
from packhorse.scheduler.model.loan import Loan


class Book:
    """See the module.

    borrowers: by node, who has memory there, in order of the first loan. borrowers_of: of a lender. suspects:
    nodes at which more may be lent than should be. fell_at: when estimates of a node were last lowered.
    lent_seen: what was lent when the node last reported. wake_at: when a job that was stopped may borrow
    again, 0 if none waits for that.
    """

    __slots__ = (
        "_dirty",
        "_estimates",
        "_for",
        "borrowers",
        "borrowers_of",
        "fell_at",
        "free_seen",
        "lendable",
        "lent",
        "lent_seen",
        "seen_at",
        "short",
        "suspects",
        "wake_at",
    )

    def __init__(self) -> None:
        self.borrowers: dict[NodeName, dict[JobId, None]] = {}
        self.borrowers_of: dict[JobId, dict[JobId, None]] = {}
        self.suspects: dict[NodeName, None] = {}
        self.fell_at: dict[NodeName, Instant] = {}
        self.wake_at = UNKNOWN
        self.lendable = np.zeros(8, dtype=np.int64)
        self.lent = np.zeros(8, dtype=np.int64)
        self.seen_at = np.zeros(8, dtype=np.int64)
        self.free_seen = np.zeros(8, dtype=np.int64)
        self.lent_seen = np.zeros(8, dtype=np.int64)
        self.short = np.zeros(8, dtype=np.bool_)
        self._dirty: dict[NodeName, None] = {}
        self._estimates: Estimates | None = None
        self._for = Reclaim()

    def forget_reports(self) -> None:
        """A new process knows what the state does, and waits for nodes to report."""
        self._estimates = None
        self.fell_at.clear()
        self.wake_at = UNKNOWN
        for column in (self.seen_at, self.free_seen, self.lent_seen, self.short):
            column[:] = 0

    def estimates(self, config: Reclaim, learned: UsageLearned | None) -> Estimates:
        """By this configuration; those made by another are forgotten. learned: where new ones go on from."""
        if self._estimates is None or _settings(config) != _settings(self._for):
            self._estimates = Estimates(*_settings(config))
            self._for = config
            if learned is not None and learned.estimator == config.estimator:
                # What another version of the estimator counted otherwise is not worth an end.
                with contextlib.suppress(ValueError):
                    self._estimates.teach(list(learned.learned))
        return self._estimates

    # -- loans -------------------------------------------------------------------------------------------

    def lend(self, borrower: JobId, loans: tuple[Loan, ...]) -> None:
        """The borrower has these loans as well."""
        for loan in loans:
            self.borrowers.setdefault(loan.node, {})[borrower] = None
            self.borrowers_of.setdefault(loan.lender, {})[borrower] = None
            self.change(loan.node)

    def drop(self, borrower: JobId, loans: tuple[Loan, ...]) -> None:
        """The borrower has none of its loans any more; these they were."""
        for loan in loans:
            _discard(self.borrowers, loan.node, borrower)
            _discard(self.borrowers_of, loan.lender, borrower)
            self.change(loan.node)

    def forget(self, job: Job, names: tuple[NodeName, ...]) -> None:
        """The job runs no more on these nodes: nothing is expected of it there."""
        for name in names:
            key = (name, job.id)
            if self._estimates is not None and key in self._estimates:
                self._estimates.remove(key)

    # -- by node -----------------------------------------------------------------------------------------

    def change(self, name: NodeName) -> None:
        """What may be lent there has to be worked out anew."""
        self._dirty[name] = None

    def changed(self) -> list[NodeName]:
        """The nodes at which that is so; from now on there are none."""
        found = list(self._dirty)
        self._dirty.clear()
        return found

    def saw(self, row: int, at: Instant, free_mib: int, short: bool) -> None:
        """A report came. row: of the node in the columns. short: loans have to be taken back there."""
        self.room_for(row)
        self.seen_at[row] = at
        self.free_seen[row] = free_mib
        self.lent_seen[row] = self.lent[row]
        self.short[row] = short

    def room_for(self, row: int) -> None:
        """There is such a row."""
        while row >= self.lendable.size:
            for title in ("lendable", "lent", "seen_at", "free_seen", "lent_seen", "short"):
                old = getattr(self, title)
                setattr(self, title, np.concatenate([old, np.zeros_like(old)]))


def _settings(config: Reclaim) -> tuple[str, Settings]:
    """The estimator's name and constants; 0 in the configuration is None here, its own."""
    return config.estimator, Settings(
        settle_s=config.settle_s,
        margin_milli=config.estimate_margin * 10 or None,
        half_life_s=config.half_life_s or None,
        window_s=config.window_s or None,
        overrun_days=config.overrun_days,
    )


def _discard(
    table: dict[NodeName, dict[JobId, None]] | dict[JobId, dict[JobId, None]], key: str | int, borrower: JobId
) -> None:
    members = table.get(key)  # type: ignore[call-overload]
    if members is not None:
        members.pop(borrower, None)
        if not members:
            del table[key]  # type: ignore[arg-type]
