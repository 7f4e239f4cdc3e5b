"""Room that is kept free of long jobs, so that small ones need not wait for one of them to end.

Most jobs are small, and nearly all of a site's slowdown is that of small jobs behind large ones. A job that
is not small starts only where so much of its partition stays free beside it:

    hold = floor(reserve * f * (partition - job)),  f = ln(mean / small) / ln(spread) within [0, 1]

with the mean run time that is expected of it, and that of a small job (core/batch/estimates.py). Three things
keep that from wasting a partition: the share is of what the job leaves, so that a job as wide as the
partition has nothing kept back; nothing is kept while more than `idle` of the partition is free; nor while
all that waits there is less work than the partition does in the job's own time.

CPUs are counted for jobs on CPUs, GPUs and TPU chips for jobs that want devices. Partitions that share nodes
are each counted as a whole: what starts in one is taken off the other as well, up to the next pass.
"""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing.board import CPU
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.masks import partition_mask
from packhorse.scheduler.core.pending_columns import PendingColumns
from packhorse.scheduler.core.priority import Rules
from packhorse.scheduler.core.running_columns import NEVER, Releases
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.resources import WHOLE


class Pools:
    """What each partition has and has free, in CPUs (0) and devices (1). Matrices are `[2, n_partitions]`.

    nodes: of each partition. amounts: what a job of each class takes `[2, n_classes]`.
    """

    __slots__ = ("_begun", "_field", "_masks", "_shared", "amounts", "free", "nodes", "total")

    def __init__(self, field: Field, pending: PendingColumns, rules: Rules) -> None:
        board, names = field.board, pending.partitions
        self._field = field
        self._masks = [partition_mask(board, rules.partitions.get(name)) for name in names]
        masks = np.array(self._masks, dtype=np.float64).reshape(len(names), board.n)
        per_node = np.stack([board.capacity[CPU] / 1000.0, (board.type_of >= 0).sum(axis=0)])
        free = np.maximum(field.free[CPU], 0) / 1000.0
        devices = field.free[board.slot_columns].sum(axis=0) / WHOLE if board.n_slots else np.zeros(board.n)
        self.total = per_node @ masks.T
        self.free = np.where(field.up, np.stack([free, devices]), 0.0) @ masks.T
        self.nodes = masks.sum(axis=1)
        self._shared = (masks @ masks.T > 0).astype(np.float64)
        self.amounts = pending.wants[::2] / 1000.0
        self._begun: list[tuple[int, int, int, int]] = []

    def sizes(self, pending: PendingColumns, part: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """By class `[n_classes]`: how much a job takes of what it is counted in, which that is (0 or 1), and
        the share of the partition that it takes, by the scarcer of both. part: code of the class's."""
        cpus, devices = self.amounts
        each = self.total[0] / np.maximum(self.nodes, 1.0)
        cpus = np.maximum(cpus, pending.own_nodes * each[part])
        total = self.total[:, part]
        devices = np.where(total[1] > 0, devices, 0.0)  # those that are only counted are left aside
        share = np.maximum(cpus / np.maximum(total[0], 1.0), devices / np.maximum(total[1], 1.0))
        on_devices = devices > 0
        amount = np.where(on_devices, devices, cpus)
        return amount, on_devices.astype(np.intp), np.minimum(share, 1.0)

    def take(self, part: int, code: int, n: int, end: int) -> None:
        """n jobs of the class start in the partition."""
        amount = self.amounts[:, code] * n
        self.free -= amount[:, None] * self._shared[part]
        self._begun.append((end, part, code, n))

    def when(self, kind: int, part: int, amount: float, releases: Releases, now: Instant) -> Instant:
        """When so much will be free in the partition, `now` if it never will or is."""
        short = amount - float(self.free[kind, part])
        if short <= 0:
            return now
        board = self._field.board
        here = self._masks[part][board.position_of_row[releases.row]]
        ends = releases.end[here]
        table = releases.amounts
        released = table[board.slot_columns].sum(axis=0)[here] if kind else table[CPU][here]
        begun = [(e, p, c, n) for e, p, c, n in self._begun if self._shared[p, part]]
        ends = np.concatenate([ends, np.array([e for e, _, _, _ in begun], dtype=np.int64)])
        more = [float(self.amounts[kind, c]) * n for _, _, c, n in begun]
        released = np.concatenate([released / 1000.0, np.array(more, dtype=np.float64)])
        order = np.argsort(ends, kind="stable")
        sums = released[order].cumsum()
        at = int(np.searchsorted(sums, short - 1e-9))
        if at >= sums.size or ends[order[at]] >= NEVER:
            return now
        return Instant(max(int(ends[order[at]]), now))


def holds(
    reserve: float, spread: float, mean_s: np.ndarray, small_s: float, work_s: np.ndarray, left: np.ndarray
) -> np.ndarray:
    """How much must stay free beside each job; see the module.

    mean_s: expected of it. small_s: of a small one. work_s: how long its partition would work on all that
    waits there. left: what it leaves of the partition. All `[n]`.
    """
    how_long = np.log(np.maximum(mean_s, 1.0) / max(small_s, 1.0)) / np.log(spread)
    hold = np.floor(reserve * np.clip(how_long, 0.0, 1.0) * np.maximum(left, 0.0))
    return np.asarray(np.where((mean_s <= small_s) | (work_s < mean_s), 0.0, hold))
