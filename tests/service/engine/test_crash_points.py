"""SIGKILL at every point that the engine and the agents' streams register: a real process, a real file."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from packhorse.scheduler.model.crashpoint import REGISTERED
from packhorse.scheduler.model.job import JobState
from packhorse.scheduler.service import agent_sessions, engine
from packhorse.scheduler.service.recovery import recover
from packhorse.scheduler.store.sqlite import SqliteStore
from tests.service.engine.cluster import until
from tests.service.engine.fake_agent import FakeAgent

POINTS = sorted(name for name in REGISTERED if name.startswith(("engine.", "agents.")))
JOBS = 12


class Subject:
    """The scheduler's process."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.database = folder / "packhorse.db"
        self.acks = folder / "acks"
        self.repository = repository
        self.address = ""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, jobs: int, crash_at: str = "", log: Path | None = None) -> None:
        environment = dict(os.environ, PYTHONPATH=f"{self.repository}/build/ns:{self.repository}")
        environment["PACKHORSE_CRASH_AT"] = crash_at
        environment["PACKHORSE_CRASH_LOG"] = str(log or "")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.service.engine.crash_subject"),
            *(str(self.database), str(self.acks), str(jobs)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=self.repository,
            env=environment,
        )
        assert self._process.stdout is not None
        # The log goes to standard output as well; the address is the line that is one.
        async with asyncio.timeout(20):
            while True:
                line = (await self._process.stdout.readline()).decode().strip()
                if line.startswith("127.0.0.1:"):
                    self.address = line
                    return
                assert line, "the scheduler did not come up"

    async def died(self) -> int:
        assert self._process is not None
        async with asyncio.timeout(20):
            assert self._process.stdout is not None
            await self._process.stdout.read()
            return await self._process.wait()

    async def stop(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert await self.died() == 0

    @property
    def acknowledged(self) -> list[int]:
        return [int(line) for line in self.acks.read_text().split()] if self.acks.exists() else []


def test_every_point_of_these_modules_is_known() -> None:
    assert {engine.BEFORE_STEP, engine.AFTER_APPLY, engine.BEFORE_COMMANDS, engine.BEFORE_REPLY} <= set(
        POINTS
    )
    launch = {agent_sessions.BEFORE_LAUNCH, agent_sessions.AFTER_LAUNCH}
    assert launch | {agent_sessions.BEFORE_ACK, agent_sessions.AFTER_ACK} <= set(POINTS)
    assert len(POINTS) == 8


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at(point: str, tmp_path: Path, repository: Path) -> None:
    subject = Subject(tmp_path, repository)
    agent = FakeAgent(cpus=4)
    await subject.start(JOBS, f"{point}:4", tmp_path / "passed")
    await agent.connect(subject.address)
    assert await subject.died() == -signal.SIGKILL
    assert f"{point} " in (tmp_path / "passed").read_text()
    await agent.disconnect()

    await subject.start(JOBS)
    await agent.connect(subject.address)
    await until(lambda: len(subject.acknowledged) >= JOBS, "all submissions of the second life")
    await subject.stop()
    await agent.disconnect()

    store = SqliteStore(subject.database, ballast=0, reserve=0)
    try:
        jobs = recover(store).state.jobs
    finally:
        store.close()
    acknowledged = subject.acknowledged
    assert len(acknowledged) == len(set(acknowledged)), "an id was given twice"
    assert set(acknowledged) <= set(jobs), "an acknowledged job is gone"
    assert {job.state for job in jobs.values()} == {JobState.COMPLETED}
    started = [(launch.attempt.job_id, launch.attempt.number) for launch in agent.launches]
    assert len(started) == len(set(started)) == len(jobs), "started once each"
