"""What the simulated machines' jobs use of their memory over time, and what a machine does that has none
left.

A machine that runs out ends borrowers first, the largest use first, as the kernel does with those that the
agent has marked; guaranteed jobs only where there is no borrower left. Nobody uses more than its limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from packhorse.scheduler.model.ids import AttemptKey
from packhorse.scheduler.model.job import Active, Job
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.traces.job import TraceJob


class Use(NamedTuple):
    """at_us: since the start of the job, ascending `[n]`; mem_mib: what it uses then `[n]`, on a straight
    line in between, and what it was at the first and last before and after."""

    at_us: np.ndarray
    mem_mib: np.ndarray


class Look(NamedTuple):
    """used: of those that still run. ended: whom the machine has just ended."""

    used: tuple[tuple[AttemptKey, int], ...]
    free_mib: int
    ended: tuple[AttemptKey, ...]


Running = tuple[Job, TraceJob, int]
"""A job of the state, as the trace has it, and when it began."""


class Memory:
    """See the module. killed: jobs that machines have ended, as often as they did."""

    def __init__(self, uses: Mapping[str, Use]) -> None:
        self._uses = uses
        self.killed: list[TraceJob] = []

    def look(self, spec: NodeSpec, running: Sequence[Running], now_us: int) -> Look:
        """What is used of the machine now by these jobs, which are on it alone."""
        used: dict[AttemptKey, int] = {}
        order: list[tuple[bool, int, AttemptKey, TraceJob]] = []
        for job, of_trace, began_us in running:
            active = job.phase
            assert isinstance(active, Active)
            limit = active.placements[0].mem_mib
            use = self._uses.get(of_trace.use)
            mib = limit if use is None else min(round(float(np.interp(now_us - began_us, *use))), limit)
            used[active.attempt] = mib
            order.append((not active.loans, -mib, active.attempt, of_trace))
        total = sum(used.values())
        ended = []
        for _, _, attempt, of_trace in sorted(order, key=lambda entry: entry[:3]):
            if total <= spec.mem_mib:
                break
            total -= used.pop(attempt)
            ended.append(attempt)
            self.killed.append(of_trace)
        return Look(tuple(used.items()), spec.mem_mib - total, tuple(ended))
