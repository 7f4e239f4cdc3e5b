"""Steps at random: srun, scancel, broken wires, dying nodes, time, restarts of the scheduler.

After every input the invariants of the state hold, and what any agent runs is what the state says runs there:
nothing of a job's allocation is given to others while a step of it is left. At the end everything comes to an
end, every step that was created has been accounted once, and log and snapshot give the same state.

`PACKHORSE_MACHINE=long` runs some fifty times as much.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.steps.book import parts_left, step_key
from packhorse.scheduler.model.accounting import BATCH_STEP
from packhorse.scheduler.model.command import AckExit, Continue, Launch, Suspend, Terminate
from packhorse.scheduler.model.event import StepCreated
from packhorse.scheduler.model.ids import AttemptKey, JobId, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    CancelStep,
    CreateStep,
    EndAllocation,
    RegisterNode,
    ReportExit,
    ReportSilence,
    ReportStart,
    RunCycle,
    RunningAttempt,
    Start,
)
from packhorse.scheduler.model.job import Active, Ended, Given
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.resources import Gres
from packhorse.scheduler.model.step import AllocationKind, Overlap
from tests.core.scenario import USER, a_config, a_node, a_spec
from tests.core.scenario import Cluster as Scenario
from tests.core.steps.stepping import a_step

NAMES = ("n1", "n2", "n3")
NOBODY = AttemptKey(JobId(0), 0, 0)
LONG = os.environ.get("PACKHORSE_MACHINE") == "long"

JOBS = st.fixed_dictionaries(
    {
        "nodes": st.integers(1, 3),
        "cpus": st.integers(1, 4),
        "gpus": st.integers(0, 2),
        "mem_mib": st.sampled_from([0, 1000]),
        "time_limit_s": st.sampled_from([0, 50, 5000]),
        "lease_s": st.sampled_from([0, 0, 30]),
        "requeue": st.booleans(),
        "allocation": st.sampled_from(list(AllocationKind)),
        "given": st.just(Given()),
    }
)
STEPS = st.fixed_dictionaries(
    {},
    optional={
        "n_tasks": st.integers(0, 6),
        "min_nodes": st.integers(0, 3),
        "overlap": st.sampled_from(list(Overlap)),
        "cpu_milli_per_task": st.sampled_from([0, 500, 1000]),
        "mem_mib_per_node": st.sampled_from([-1, 100, 600]),
        "gres_per_node": st.sampled_from([(), (Gres("gpu", "", 1),), (Gres("none", "", 0),)]),
        "gres_per_task": st.sampled_from([(), (Gres("gpu", "", 1),)]),
        "nodes_required": st.sampled_from([(), (NodeName("n1"),), (NodeName("n3"),)]),
        "distribution": st.sampled_from(["", "block", "cyclic"]),
        "time_limit_s": st.sampled_from([0, 20]),
    },
)


class Node:
    """An agent as it has to be: what it was told to start it starts once, and exits are told until they are
    acknowledged."""

    def __init__(self, name: str) -> None:
        self.name = NodeName(name)
        self.boot = 0
        self.connected = True
        self.running: dict[AttemptKey, bool] = {}
        """And whether that was told."""
        self.suspended: set[AttemptKey] = set()
        self.exits: dict[AttemptKey, ReportExit] = {}
        self.seen: set[AttemptKey] = set()

    def hear(self, command: Any, now: Any) -> None:
        key: AttemptKey = getattr(command, "attempt", NOBODY)
        match command:
            case Launch() if key not in self.seen:
                self.seen.add(key)
                self.running[key] = False
            case Terminate() if key in self.running:
                self.end(key, now, signal=15)
            case Terminate() if key not in self.seen:
                self.seen.add(key)
                self.exits[key] = ReportExit(
                    self.name, key, now, now, 1, refused=True, launch_error="told to stop before it began"
                )
            case AckExit():
                self.exits.pop(key, None)
            case Suspend() if key in self.running:
                self.suspended.add(key)
            case Continue():
                self.suspended.discard(key)

    def end(self, key: AttemptKey, now: Any, code: int = 0, signal: int = 0) -> None:
        del self.running[key]
        self.suspended.discard(key)
        cause = "terminated" if signal == 15 else "exited"
        self.exits[key] = ReportExit(self.name, key, now, now, code, signal, cause)

    def register(self) -> RegisterNode:
        spec = a_node(self.name, 8, 16_000, gpus=2)
        running = tuple(RunningAttempt(k, self.since, k in self.suspended) for k in sorted(self.running))
        return RegisterNode(
            spec, f"boot-{self.boot}", Offer(1, 8_000, 16_000), running, (), tuple(sorted(self.exits))
        )

    since: Any = 1


class StepsMachine(RuleBasedStateMachine):
    @initialize()
    def boot(self) -> None:
        self.cluster = Scenario(
            a_config(kill_wait_s=5, requeue_delay_s=1, max_requeues=100, inactive_limit_s=500)
        )
        self.nodes = {name: Node(name) for name in NAMES}
        self.told = 0
        for node in self.nodes.values():
            self.do(node.register())

    def do(self, input: Any) -> Any:
        """One input, and its commands to the agents that are connected."""
        decision = self.cluster.do(input)
        self.deliver()
        return decision

    def deliver(self) -> None:
        for command in self.cluster.sent_since(self.told):
            node = self.nodes[command.node]
            if node.connected:
                node.hear(command, self.cluster.clock.now)
        self.told = len(self.cluster.sent)

    def active(self) -> list[JobId]:
        return [id for id, job in self.cluster.state.jobs.items() if isinstance(job.phase, Active)]

    def pick(self, things: list[Any], n: int) -> Any:
        return things[n % len(things)] if things else None

    # -- users

    @rule(what=JOBS)
    def submit(self, what: dict[str, Any]) -> None:
        self.cluster.try_submit(spec=a_spec(**what))
        self.deliver()
        self.do(RunCycle())

    @rule(n=st.integers(0, 99), spec=STEPS)
    def srun(self, n: int, spec: dict[str, Any]) -> None:
        job = self.pick(self.active(), n)
        if job is not None:
            self.do(CreateStep(Caller(USER), job, a_step(**spec)))

    @rule(n=st.integers(0, 99), step=st.integers(0, 3), signal=st.sampled_from([0, 0, 10]))
    def scancel_step(self, n: int, step: int, signal: int) -> None:
        job = self.pick(self.active(), n)
        if job is not None:
            self.do(CancelStep(Caller(USER), f"{job}.{step}", job, step, signal))

    @rule(n=st.integers(0, 99))
    def scancel(self, n: int) -> None:
        job = self.pick(list(self.cluster.state.jobs), n)
        if job is not None:
            self.cluster.cancel(job)
            self.deliver()

    @rule(n=st.integers(0, 99), code=st.integers(0, 3))
    def end_allocation(self, n: int, code: int) -> None:
        job = self.pick(list(self.cluster.state.jobs), n)
        if job is not None:
            self.do(EndAllocation(Caller(USER), job, code))

    @rule(n=st.integers(0, 99), what=st.sampled_from(["suspend", "go_on", "requeue"]))
    def stop_and_go(self, n: int, what: str) -> None:
        job = self.pick(self.active(), n)
        if job is not None:
            getattr(self.cluster, what)(job)
            self.deliver()

    # -- agents

    @rule(name=st.sampled_from(NAMES), n=st.integers(0, 99))
    def say_started(self, name: str, n: int) -> None:
        node = self.nodes[name]
        key = self.pick([k for k, told in node.running.items() if not told], n)
        if key is not None and node.connected:
            node.running[key] = True
            self.do(ReportStart(node.name, key, self.cluster.clock.now))

    @rule(name=st.sampled_from(NAMES), n=st.integers(0, 99), code=st.integers(0, 2))
    def finish(self, name: str, n: int, code: int) -> None:
        node = self.nodes[name]
        key = self.pick([k for k in node.running if k not in node.suspended], n)
        if key is not None:
            node.end(key, self.cluster.clock.now, code)

    @rule(name=st.sampled_from(NAMES))
    def tell_exits(self, name: str) -> None:
        node = self.nodes[name]
        if node.connected:
            for report in list(node.exits.values()):
                self.do(report)

    @rule(name=st.sampled_from(NAMES))
    def disconnect(self, name: str) -> None:
        if self.nodes[name].connected:
            self.nodes[name].connected = False
            self.do(ReportSilence(NodeName(name)))

    @rule(name=st.sampled_from(NAMES), reboot=st.sampled_from([False, False, True]))
    def connect(self, name: str, reboot: bool) -> None:
        node = self.nodes[name]
        if reboot:
            if node.connected:
                node.connected = False
                self.do(ReportSilence(NodeName(name)))
            node.boot += 1
            node.seen.difference_update(node.running)  # it has forgotten them, and takes a launch again
            node.running.clear()
            node.suspended.clear()
        if not node.connected:
            node.connected = True
            self.do(node.register())

    # -- the scheduler

    @rule(seconds=st.sampled_from([0, 1, 15, 60, 600]))
    def pass_time(self, seconds: int) -> None:
        now = self.cluster.clock.now
        for node in self.nodes.values():
            if not node.connected and seconds >= 60:  # leases: it has stopped them by itself
                for key in [k for k in node.running if self.leased(k)]:
                    node.end(key, now, signal=15)
        self.cluster.pass_time(seconds)
        self.deliver()
        self.do(RunCycle())

    def leased(self, key: AttemptKey) -> bool:
        job = self.cluster.state.jobs.get(key.job)
        return job is not None and bool(job.spec.lease_s)

    @rule()
    def restart(self) -> None:
        before = self.cluster.state
        self.cluster.state = load(dump(before.freeze()))
        assert self.cluster.state == before
        for node in self.nodes.values():
            if node.connected:
                node.connected = False
                self.do(ReportSilence(node.name))
        self.do(Start(self.cluster.state.config))
        for node in self.nodes.values():
            node.connected = True
            self.do(node.register())

    # -- what must hold

    @invariant()
    def what_runs_is_known_to_run(self) -> None:
        """But for what was silent for longer than its lease, which its node has stopped."""
        if not hasattr(self, "cluster"):
            return
        known = {
            (part.node, step_key(self.cluster.active(id).attempt, step))
            for id in self.cluster.state.steps
            for step, part in parts_left(self.cluster.state.steps, id)
        }
        for node in self.nodes.values():
            for key in node.running:
                if key.step >= 0:
                    assert (node.name, key) in known, f"{key} runs on {node.name}, and nobody knows"
                else:
                    active = self.cluster.active(key.job)
                    assert active.attempt == key and active.batch_end is None

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        for _ in range(12):
            for name in NAMES:
                self.connect(name, False)
                for key in list(self.nodes[name].running):
                    self.nodes[name].end(key, self.cluster.clock.now)
                self.tell_exits(name)
            for id, job in list(self.cluster.state.jobs.items()):
                if not isinstance(job.phase, Ended):
                    self.cluster.cancel(id)
                    self.deliver()
            self.cluster.pass_time(10)
            self.deliver()
        assert self.cluster.state.steps == {}
        assert all(isinstance(job.phase, Ended) for job in self.cluster.state.jobs.values())
        created = [event.key for event in self.cluster.log if isinstance(event, StepCreated)]
        rows = [(r.job, r.attempt, r.step) for r in self.cluster.step_rows if r.step != BATCH_STEP]
        assert sorted(rows) == sorted((key.job, key.number, key.step) for key in created)
        assert self.cluster.replayed() == self.cluster.state
        assert load(dump(self.cluster.state.freeze())) == self.cluster.state


StepsMachine.TestCase.settings = settings(
    max_examples=2000 if LONG else 25,
    stateful_step_count=60 if LONG else 40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestSteps = StepsMachine.TestCase
