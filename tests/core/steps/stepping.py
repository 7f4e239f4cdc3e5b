"""Steps in tests of the core: on top of tests/core/scenario.py."""

from __future__ import annotations

from typing import Any

from packhorse.scheduler.core.steps.book import NO_STEPS, JobSteps, step_of
from packhorse.scheduler.model.command import Launch
from packhorse.scheduler.model.ids import AttemptKey, JobId, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    CancelStep,
    CreateStep,
    EndAllocation,
    ReportExit,
    ReportStart,
)
from packhorse.scheduler.model.reply import Done, Outcome, Refused, StepMade
from packhorse.scheduler.model.step import AllocationKind, Step, StepSpec
from tests.core.scenario import USER, Cluster, a_cluster


def a_step(**fields: Any) -> StepSpec:
    """A step of `true`."""
    return StepSpec(**{"name": "true", "argv": ("true",), "env_ref": "env", "work_dir": "/work", **fields})


class Stepping:
    """A cluster whose jobs have steps."""

    def __init__(self, cluster: Cluster | None = None, **what: Any) -> None:
        self.cluster = cluster or a_cluster(**what)

    def job(self, **what: Any) -> JobId:
        """A job with a batch script that runs."""
        job = self.cluster.submit(**what)
        self.cluster.run(job)
        return job

    def allocation(self, kind: AllocationKind = AllocationKind.SRUN, **what: Any) -> JobId:
        """A job without one, that runs."""
        job = self.cluster.submit(allocation=kind, **what)
        self.cluster.run_cycle()
        assert self.cluster.state_of(job) == "RUNNING"
        return job

    def try_step(self, job: int, caller: Caller | None = None, **fields: Any) -> StepMade | Refused:
        """srun, and its answer."""
        reply = self.cluster.do(CreateStep(caller or Caller(USER), JobId(job), a_step(**fields))).reply
        assert isinstance(reply, StepMade | Refused)
        return reply

    def step(self, job: int, **fields: Any) -> AttemptKey:
        """A step that could be created; its key."""
        made = self.try_step(job, **fields)
        assert isinstance(made, StepMade), made
        return made.key

    def layout(self, job: int, **fields: Any) -> dict[str, tuple[int, ...]]:
        """The tasks of each node, of a step that is ended at once."""
        made = self.try_step(job, **fields)
        assert isinstance(made, StepMade), made
        for part in made.parts:
            self.exit(made.key, part.node)
        return {part.node: part.ranks for part in made.parts}

    def refused(self, job: int, **fields: Any) -> Refused:
        made = self.try_step(job, **fields)
        assert isinstance(made, Refused), made
        return made

    def start(self, key: AttemptKey, *nodes: str) -> None:
        """These nodes (all without any) say that its tasks run."""
        for node in nodes or self.nodes(key):
            self.cluster.do(ReportStart(NodeName(node), key, self.cluster.clock.now))

    def exit(self, key: AttemptKey, *nodes: str, code: int = 0, **report: Any) -> None:
        """Nothing of it is left on these nodes (all without any)."""
        now = self.cluster.clock.now
        given = {"started_at": now, "ended_at": now, "exit_code": code, **report}
        for node in nodes or self.nodes(key):
            self.cluster.do(ReportExit(NodeName(node), key, **given))

    def nodes(self, key: AttemptKey) -> tuple[NodeName, ...]:
        """Where something of it is left."""
        return tuple(part.node for part in self.running(key).parts if not part.over)

    def running(self, key: AttemptKey) -> Step:
        step = step_of(self.cluster.state.steps, key.job, key.step)
        assert step is not None, f"{key} does not run"
        return step

    def runs(self, key: AttemptKey) -> bool:
        return step_of(self.cluster.state.steps, key.job, key.step) is not None

    def steps(self, job: int) -> JobSteps:
        return self.cluster.state.steps.get(JobId(job), NO_STEPS)

    def cancel(self, key: AttemptKey, signal: int = 0, caller: Caller | None = None) -> Outcome:
        """scancel JOB.STEP."""
        call = CancelStep(caller or Caller(USER), f"{key.job}.{key.step}", key.job, key.step, signal)
        reply = self.cluster.do(call).reply
        assert isinstance(reply, Done)
        return reply.outcomes[0]

    def end(self, job: int, code: int = 0, caller: Caller | None = None) -> Outcome | Refused:
        """The command that held the allocation is done."""
        reply = self.cluster.do(EndAllocation(caller or Caller(USER), JobId(job), code)).reply
        if isinstance(reply, Refused):
            return reply
        assert isinstance(reply, Done)
        return reply.outcomes[0]

    def launched(self, n: int = 0) -> list[tuple[str, AttemptKey]]:
        """Launches after the first n commands."""
        return [(c.node, c.attempt) for c in self.cluster.sent_since(n) if isinstance(c, Launch)]
