"""Preemption in the simulator: against a plain re-telling of the rules, and on a piece of Muri's trace 1."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.check import check
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.event import Event, JobGranted, JobRequeued
from packhorse.simulator.engine import Simulation
from packhorse.simulator.lab_policy import lab_policy
from packhorse.simulator.outcome import Outcome
from packhorse.simulator.traces.catalogue import open_trace
from packhorse.simulator.traces.cluster_spec import cluster
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.traces.parameters import ParameterError
from packhorse.simulator.world import World

US = 1_000_000
MARKS = (3250, 7200)
MURI = Path(__file__).parents[2] / "benchmarks" / "data" / "dl" / "muri"


def muri(n: int, most_gpus: int = 32, whole_seconds: bool = False) -> list[TraceJob]:
    """The first n jobs of trace 1 with at most so many GPUs."""
    trace = open_trace(MURI / "trace1.csv.gz", format="muri:published=1")
    jobs = (job for job in trace.jobs if job.tasks * job.n_gpus <= most_gpus)
    found = list(islice(jobs, n))
    if not whole_seconds:
        return found
    return [
        TraceJob(
            job.id,
            job.submit_us,
            -(-job.run_us // US) * US,
            tasks=job.tasks,
            cpu_milli=job.cpu_milli,
            n_gpus=job.n_gpus,
            nodes=job.nodes,
        )
        for job in found
    ]


def simulated(policy: str, jobs: list[TraceJob], nodes: str = "8x(cpus=8,gpu:8)", **world: object) -> Outcome:
    run = Simulation(lab_policy(policy), cluster(nodes), World(**world))  # type: ignore[arg-type]
    run.run(jobs)
    return run.outcome("test")


class Told:
    """The rules of Muri's simulator for one node and nothing but GPUs, told by counting; times in us."""

    def __init__(self, policy: str, jobs: list[TraceJob], n_gpus: int) -> None:
        self.policy, self.jobs, self.n_gpus = policy, jobs, n_gpus
        self.left = [job.run_us for job in jobs]
        self.had = [0] * len(jobs)
        self.queues: list[list[int]] = [[], [], []]
        self.running: set[int] = set()
        self.came = 0
        self.end = [-1] * len(jobs)

    def order(self) -> list[int]:
        if self.policy == "tiresias":
            return [i for queue in self.queues for i in queue]
        width = (lambda i: self.jobs[i].n_gpus) if self.policy == "srsf" else (lambda i: 1)
        return sorted(self.queues[0], key=lambda i: (self.left[i] * width(i), i))

    def jump_us(self, i: int, level: int) -> int:
        """Service at which the job leaves this queue."""
        return -(-MARKS[level] // self.jobs[i].n_gpus) * US

    def run(self) -> list[int]:
        now = 0
        while self.came < len(self.jobs) or self.running:
            now = self.step(now)
        return self.end

    def step(self, now: int) -> int:
        """To the next thing that happens, and a decision there. Returns when that is."""
        times = [now + self.left[i] for i in self.running]
        if self.came < len(self.jobs):
            times.append(self.jobs[self.came].submit_us)
        if self.policy == "tiresias":
            for level in (0, 1):
                mine = self.running & set(self.queues[level])
                times += [now + self.jump_us(i, level) - self.had[i] for i in mine]
        then = max(min(times), now)
        for i in self.running:
            self.left[i] -= then - now
            self.had[i] += then - now
        for i in sorted(self.running):
            if not self.left[i]:
                self.end[i] = then
                self.running.remove(i)
                next(queue for queue in self.queues if i in queue).remove(i)
        while self.came < len(self.jobs) and self.jobs[self.came].submit_us <= then:
            self.queues[0].append(self.came)
            self.came += 1
        if self.policy == "tiresias":
            for level in (1, 0):
                for i in sorted(self.running & set(self.queues[level])):
                    if self.had[i] >= self.jump_us(i, level):
                        self.queues[level].remove(i)
                        self.queues[level + 1].append(i)
        free, chosen = self.n_gpus, set()
        for i in self.order():
            if self.jobs[i].n_gpus <= free:
                free -= self.jobs[i].n_gpus
                chosen.add(i)
        self.running = chosen
        if self.policy == "tiresias":
            for queue in self.queues:
                queue.sort(key=lambda i: i not in chosen)
        return then


@pytest.mark.parametrize("policy", ["srtf", "srsf", "tiresias"])
def test_one_node_as_the_rules_have_it(policy: str) -> None:
    jobs = muri(150, most_gpus=8, whole_seconds=True)
    found = simulated(policy, jobs, "1x(cpus=8,gpu:8)")
    assert found.end_us.tolist() == Told(policy, jobs, 8).run()
    assert found.restarts.sum() > 20
    assert not found.lost_us.any()


@pytest.mark.parametrize("policy", ["srsf", "tiresias", "fcfs^order"])
def test_every_event_keeps_the_state_sound(policy: str) -> None:
    """And nobody begins before there is room, nor twice at one instant."""
    state, grants = State.empty(), Counter[tuple[int, int]]()
    preempted: list[JobRequeued] = []

    def see(event: Event) -> None:
        apply(state, event)
        check(state)
        if isinstance(event, JobGranted):
            grants[event.job, event.at] += 1
        elif isinstance(event, JobRequeued):
            preempted.append(event)

    jobs = muri(40, most_gpus=16)
    run = Simulation(lab_policy(policy), cluster("2x(cpus=8,gpu:8)"), World(), seen=see)
    run.run(jobs)
    assert state == run.state
    assert max(grants.values()) == 1
    assert {event.state.value for event in preempted} <= {"PREEMPTED"}
    assert preempted
    assert run.outcome("test").restarts.sum() == len(preempted)


def test_a_stopped_job_goes_on_where_it_was_after_its_start_is_paid_again() -> None:
    jobs = [
        TraceJob("long", 0, 1000 * US, n_gpus=1, start_us=10 * US),
        TraceJob("short", 500 * US, 50 * US, n_gpus=1, start_us=10 * US),
    ]
    found = simulated("srtf", jobs, "1x(cpus=8,gpu:1)")
    # 490 s of work until 500, the short one until 560, 10 s to start again, 510 s left.
    assert found.end_us.tolist() == [1080 * US, 560 * US]
    assert found.restarts.tolist() == [1, 0]
    assert found.stopped_us.tolist() == [60 * US, 0]
    assert found.lost_us.tolist() == [10 * US, 0]


def test_or_begins_anew() -> None:
    jobs = [TraceJob("long", 0, 1000 * US, n_gpus=1), TraceJob("short", 400 * US, 50 * US, n_gpus=1)]
    found = simulated("srtf", jobs, "1x(cpus=8,gpu:1)", keeps_work=False)
    assert found.end_us.tolist() == [1450 * US, 450 * US]
    assert found.lost_us.tolist() == [400 * US, 0]


def test_a_piece_of_muri_under_three_policies() -> None:
    """Who knows more has the shorter mean completion time."""
    jobs = muri(300)
    mean = {}
    for policy in ("fcfs", "srtf", "srsf", "tiresias"):
        found = simulated(policy, jobs)
        submit = np.array([job.submit_us for job in jobs])
        mean[policy] = round(float((found.end_us - submit).mean()) / US)
    assert mean["srsf"] < mean["srtf"] < mean["tiresias"] < mean["fcfs"], mean


def test_names() -> None:
    assert lab_policy("srsf").preempt == "order"
    assert lab_policy("srsf").clairvoyant
    assert not lab_policy("tiresias").clairvoyant
    assert lab_policy("sjf^order@last2").predictor == "last2"
    assert lab_policy("srsf+easy").preempt == "none"
    with pytest.raises(BadValue, match='preemption "soon" is not known; there is order'):
        lab_policy("srsf^soon")


def test_the_published_work_of_a_job() -> None:
    """Job 0 of trace 1: iterations x milliseconds x 1.015, and the seconds that its model takes to start."""
    plain = next(iter(open_trace(MURI / "trace1.csv.gz").jobs))
    found = muri(1)[0]
    assert plain.start_us == 0
    assert found.start_us >= 4 * US
    assert 0.85 < found.run_us / plain.run_us < 1.02
    with pytest.raises(ParameterError):
        open_trace(MURI / "trace1.csv.gz", format="muri:published=2")
