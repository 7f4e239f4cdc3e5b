"""What runs, as releases to come: which amounts become free where and when, if jobs use their whole time limit.

One entry per job and node, `amounts[resource, entry]`, as planned starts need it. A job without a time limit
ends NEVER: planned starts that wait for it are not shown, but nothing without a limit may slip in before them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from packhorse.scheduler.core.node_columns import NodeColumns
from packhorse.scheduler.model.ids import UNKNOWN, Instant, JobId
from packhorse.scheduler.model.resources import Placement

NEVER: Final = Instant(1 << 62)


class Releases(NamedTuple):
    """Entries by expected end. row: of NodeColumns. amounts: `[n_resources, n_entries]`."""

    end: np.ndarray
    row: np.ndarray
    amounts: np.ndarray


class RunningColumns:
    """See the module. nodes: where rows and resources come from; every node of a job must be there."""

    def __init__(self, nodes: NodeColumns) -> None:
        self._nodes = nodes
        n = 16
        self._end = np.zeros(n, dtype=np.int64)
        self._row = np.zeros(n, dtype=np.intp)
        self._amounts = np.zeros((len(nodes.resources), n), dtype=np.int64)
        self._entries: dict[JobId, list[int]] = {}
        self._free: list[int] = list(range(n - 1, -1, -1))
        self._live = np.zeros(n, dtype=np.bool_)
        self._order: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, job: JobId) -> bool:
        return job in self._entries

    def add(
        self,
        job: JobId,
        placements: tuple[Placement, ...],
        end_by: Instant = UNKNOWN,
        *,
        exclusive: bool = False,
    ) -> None:
        """The job holds the placements and is expected to end at end_by (0: never). ValueError if known."""
        if job in self._entries:
            raise ValueError(f"job {job} already runs")
        nodes = self._nodes
        entries = []
        for placement in placements:
            if not self._free:
                self._grow()
            if self._amounts.shape[0] < len(nodes.resources):
                self._widen()
            entry = self._free.pop()
            self._end[entry] = end_by or NEVER
            self._row[entry] = nodes.row_of[placement.node]
            self._amounts[:, entry] = nodes.amounts(placement, exclusive)
            self._live[entry] = True
            entries.append(entry)
        self._entries[job] = entries
        self._order = None

    def set_end(self, job: JobId, end_by: Instant) -> None:
        """The job is now expected to end then (0: never). KeyError if it does not run."""
        for entry in self._entries[job]:
            self._end[entry] = end_by or NEVER
        self._order = None

    def end(self, job: JobId) -> Instant:
        """When the job is expected to end, 0 for never. KeyError if it does not run."""
        end = int(self._end[self._entries[job][0]])
        return UNKNOWN if end == NEVER else Instant(end)

    def remove(self, job: JobId) -> None:
        """The job holds nothing any more. KeyError if it does not run."""
        for entry in self._entries.pop(job):
            self._live[entry] = False
            self._free.append(entry)
        self._order = None

    def releases(self) -> Releases:
        """All entries, earliest end first; ties in a fixed order of their own. Copies."""
        if self._amounts.shape[0] < len(self._nodes.resources):
            self._widen()
        if self._order is None:
            live = np.flatnonzero(self._live)
            self._order = live[self._end[live].argsort(kind="stable")]
        order = self._order
        return Releases(self._end[order], self._row[order], self._amounts[:, order])

    def _grow(self) -> None:
        old = self._end.shape[0]
        self._end = np.concatenate([self._end, np.zeros_like(self._end)])
        self._row = np.concatenate([self._row, np.zeros_like(self._row)])
        self._live = np.concatenate([self._live, np.zeros_like(self._live)])
        self._amounts = np.concatenate([self._amounts, np.zeros_like(self._amounts)], axis=1)
        self._free.extend(range(2 * old - 1, old - 1, -1))

    def _widen(self) -> None:
        missing = len(self._nodes.resources) - self._amounts.shape[0]
        extra = np.zeros((missing, self._amounts.shape[1]), dtype=np.int64)
        self._amounts = np.concatenate([self._amounts, extra])
