"""Memory use over time in the simulated world: what machines report, and what becomes of it in the core."""

from __future__ import annotations

from typing import Any

import numpy as np

from packhorse.scheduler.core.reclaim.ledger import loan_rows
from packhorse.scheduler.model.accounting import LoanRow
from packhorse.scheduler.model.cluster import ClusterConfig, Reclaim
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import US, NodeName
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.engine import Simulation
from packhorse.simulator.lab_policy import LabPolicy
from packhorse.simulator.memory import Use
from packhorse.simulator.outcome import NOT_YET
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import World

HOUR_US = 3600 * US
RECLAIM = Reclaim(enabled=True, estimator="borg", share=100, margin_mib=0, floor_percent=1)


class Seen:
    """What happened, and the ledger."""

    def __init__(self) -> None:
        self.log: list[Event] = []
        self.rows: list[LoanRow] = []
        self.simulation: Simulation

    def before(self, event: Event) -> None:
        self.log.append(event)
        if hasattr(self, "simulation"):
            self.rows += loan_rows(self.simulation.state, event)


def simulated(mib: list[int], filler_h: float = 1.0, reclaim: Reclaim = RECLAIM, **world: Any) -> Seen:
    """A machine of 10,000 MiB that one job has by its limit, using so much hour by hour; work beside it."""
    at = np.arange(len(mib), dtype=np.int64) * HOUR_US
    seen = Seen()
    made = Simulation(
        LabPolicy("easy", "priority"),
        [NodeSpec(NodeName("n1"), "", 64_000, 10_000)],
        World(enforce_limits=True, keeps_work=False, report_s=60.0, **world),
        ClusterConfig(min_job_age_s=1 << 31, reclaim=reclaim),
        uses={"vm": Use(at, np.array(mib, dtype=np.int64))},
        before=seen.before,
    )
    seen.simulation = made
    run_us = round(filler_h * HOUR_US)
    jobs = [TraceJob("vm", 0, len(mib) * HOUR_US, mem_mib=10_000, use="vm")]
    jobs += [TraceJob(f"f{i}", 0, run_us, mem_mib=2_000, qos="scavenger") for i in range(3)]
    made.run(jobs)
    return seen


def test_work_runs_in_what_a_job_does_not_use() -> None:
    seen = simulated([1_000] * 12)
    start = seen.simulation.outcome("t").start_us
    assert (start[1:] < 12 * HOUR_US).all() and (start[1:] > 300 * US).all()
    assert {row.outcome for row in seen.rows} == {"returned"} and len(seen.rows) == 3
    assert not seen.simulation.killed


def test_without_lending_it_waits() -> None:
    start = simulated([1_000] * 12, reclaim=Reclaim()).simulation.outcome("t").start_us
    assert (start[1:] >= 12 * HOUR_US).all() and NOT_YET not in start


def test_growth_takes_it_back_and_it_runs_again_later() -> None:
    seen = simulated([1_000] * 8 + [9_900] * 2, filler_h=6.0)
    outcome = seen.simulation.outcome("t")
    assert "taken_back" in {row.outcome for row in seen.rows}
    assert outcome.restarts[1:].sum() >= 1 and outcome.restarts[0] == 0
    assert not seen.simulation.killed, "it grows over an hour: there is time"


def test_a_machine_that_runs_out_ends_borrowers_first() -> None:
    """Nobody obeys for an hour, so the borrowers are still there when the memory is gone."""
    seen = simulated([1_000] * 8 + [9_900] * 4, filler_h=6.0, stop_s=7200.0)
    killed = [job.id for job in seen.simulation.killed]
    assert killed and "vm" not in killed


def test_the_same_again() -> None:
    first, second = simulated([1_000] * 8 + [9_900] * 2), simulated([1_000] * 8 + [9_900] * 2)
    assert first.log == second.log and first.rows == second.rows
