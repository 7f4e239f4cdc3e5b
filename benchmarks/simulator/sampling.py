"""How full the cluster was, seen now and then while a simulation runs."""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.packing.board import CPU
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.outcome import Samples

_MOST: Final = 20_000


class Sampler:
    """Looks after events, at first once a simulated second at most. When there are too many, every second one
    is dropped and it looks half as often, so that a long run has as many samples as a short one."""

    def __init__(self) -> None:
        self._every_us = US
        self._next_us = -(1 << 62)
        self._rows: list[tuple[int, int, int, int, int, int, int]] = []

    def due(self, at_us: int) -> bool:
        """Whether it is time to look again."""
        return at_us >= self._next_us

    def look(self, state: State, at_us: int, cpu_milli: int, gpu_milli: int) -> None:
        """cpu_milli, gpu_milli: allocated."""
        self._next_us = at_us + self._every_us
        nodes = state.node_columns
        board = nodes.board()
        rows = slice(board.n) if board.identity else board.order
        cpu = nodes.free[CPU, rows]
        if board.n_slots:
            dev = nodes.free[board.slot_columns][:, rows]
            block = int((dev == WHOLE).sum(axis=0).max(initial=0))
            stranded = int(np.where(cpu < 1000, dev, 0).sum())
        else:
            block, stranded = int(cpu.max(initial=0)) // 1000, 0
        row = (at_us, cpu_milli, gpu_milli, len(state.pending_columns), len(state.running_columns))
        self._rows.append((*row, block, stranded))
        if len(self._rows) > _MOST:
            del self._rows[1::2]
            self._every_us *= 2

    def samples(self) -> Samples:
        """All that are left."""
        table = np.array(self._rows, dtype=np.int64).reshape(-1, 7).T
        return Samples(*table)
