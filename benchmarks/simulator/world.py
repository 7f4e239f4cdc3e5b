"""What the simulated machines do with the jobs they are given; all chance from one seed.

Nothing is decided here: a job that was launched runs for as long as the trace says, a machine fails when the
dice say so, and everybody reports what a real agent would report, through the same inputs.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from packhorse.scheduler.model.ids import US


class World(NamedTuple):
    """seed: of all chance. launch_s: from the grant to the first instruction of the job. failures_per_day: of
    one node, on average; repair_s: how long it is away then. enforce_limits: jobs are stopped at their time
    limit; otherwise nobody reports that they have started, and they run as long as the trace says.
    one_by_one: a cycle follows every single arrival and end, arrivals first; otherwise one for all that
    happens at one instant. think_times: a job that is after another one comes when that has ended and its
    user has thought, if that is later than the trace says; otherwise jobs come when the trace says.
    report_s: how often nodes report what their jobs use of memory, 0: never. stop_s: from the order to stop
    until a job is gone. keeps_work: a job that made room for another goes on where it was; otherwise it
    begins anew, as one whose node failed does.
    """

    seed: int = 0
    launch_s: float = 0.0
    failures_per_day: float = 0.0
    repair_s: float = 3600.0
    enforce_limits: bool = False
    one_by_one: bool = False
    think_times: bool = False
    keeps_work: bool = True
    report_s: float = 0.0
    stop_s: float = 0.0


class Dice:
    """The chance of one run."""

    def __init__(self, world: World) -> None:
        self._random = Random(world.seed)
        self._world = world

    def next_failure_us(self, n_nodes: int) -> int:
        """Time until the next of so many nodes fails."""
        rate = self._world.failures_per_day * n_nodes / 86_400
        return round(self._random.expovariate(rate) * US)

    def node(self, n_nodes: int) -> int:
        """Which one."""
        return self._random.randrange(n_nodes)
