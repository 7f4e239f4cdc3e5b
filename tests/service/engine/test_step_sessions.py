"""Steps and the agents' streams: what is launched, told again, and acknowledged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from packhorse.scheduler.model.ids import AttemptKey, JobId
from packhorse.scheduler.model.input import CreateStep, EndAllocation
from packhorse.scheduler.model.job import JobState
from packhorse.scheduler.model.reply import Done, StepMade
from packhorse.scheduler.model.step import AllocationKind, Overlap, StepSpec
from tests.service.engine.cluster import CALLER, ENVIRONMENT, Cluster, until
from tests.service.engine.fake_agent import FakeAgent
from tests.service.engine.slow_store import GatedStore


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = await Cluster(GatedStore()).start()
    yield made
    await made.stop()


async def allocation(cluster: Cluster) -> JobId:
    """A job without a batch script, that runs."""
    job = await cluster.submit(allocation=AllocationKind.SRUN)
    await until(lambda: cluster.state_of(job) is JobState.RUNNING)
    return job


async def step(cluster: Cluster, job: JobId, **fields: Any) -> AttemptKey:
    spec = StepSpec("true", ("true", "-v"), ENVIRONMENT.ref, "/tmp", overlap=Overlap.OVERLAP, **fields)
    made = await cluster.engine.call(CreateStep(CALLER, job, spec), (ENVIRONMENT,))
    assert isinstance(made, StepMade), made
    return made.key


async def end(cluster: Cluster, job: JobId) -> None:
    assert isinstance(await cluster.engine.call(EndAllocation(CALLER, job)), Done)


async def test_a_step_is_launched_ends_and_is_acknowledged(cluster: Cluster) -> None:
    agent = FakeAgent()
    await agent.connect(cluster.address)
    job = await allocation(cluster)
    key = await step(cluster, job)
    await until(lambda: key in agent.settled, "the acknowledgement")
    (launch,) = agent.launches
    assert (launch.attempt.step, list(launch.step.argv), launch.script) == (0, ["true", "-v"], b"")
    assert list(launch.environment) == ["PATH=/bin"], "what described another job is dropped"
    assert f"SLURM_JOB_ID={job}" in launch.slurm_environment
    await end(cluster, job)
    await until(lambda: cluster.state_of(job) is JobState.COMPLETED)
    await until(lambda: any(order.HasField("job_over") for order in agent.orders), "the word that it is over")
    await agent.disconnect()


async def test_a_launch_that_was_lost_is_repeated(cluster: Cluster) -> None:
    agent = FakeAgent(deaf=True)
    await agent.connect(cluster.address)
    job = await allocation(cluster)
    key = await step(cluster, job)
    await until(lambda: any(order.HasField("launch") for order in agent.orders))
    await agent.disconnect()
    agent.deaf = False
    await agent.connect(cluster.address)
    await until(lambda: key in agent.settled)
    await agent.disconnect()


async def test_a_step_outlives_a_broken_stream(cluster: Cluster) -> None:
    agent = FakeAgent(hold=True)
    await agent.connect(cluster.address)
    job = await allocation(cluster)
    key = await step(cluster, job)
    await until(lambda: key in agent.running)
    await agent.disconnect()
    await agent.connect(cluster.address)
    assert key in agent.running and len(agent.launches) == 1
    await end(cluster, job)
    await until(lambda: cluster.state_of(job) is JobState.COMPLETED, "the step was told to end")
    await until(lambda: key in agent.settled, "the acknowledgement")
    await agent.disconnect()


async def test_what_runs_after_its_job_is_stopped(cluster: Cluster) -> None:
    agent = FakeAgent(hold=True)
    stale = AttemptKey(JobId(99), 1, 1, 4)
    agent.running.add(stale)
    await agent.connect(cluster.address)
    await until(lambda: stale in agent.settled)
    await agent.disconnect()
