"""Dies at the crash points of a step: its tasks run at most once, none outlives it, its end is told truly."""

# ruff: noqa: ASYNC221 (a blocking look at a process is what a test is for)

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from packhorse.agent.cgroups import Cgroups, Wish
from packhorse.agent.launch import processes, stepsupervisor
from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.launcher import Launcher, NeverStarted, Supervised
from packhorse.scheduler.model import crashpoint
from tests.agent.launch.yard import until

# Where the process dies -> what an agent that comes afterwards finds.
OUTCOMES = {
    "step.task_forked": "lost",
    "step.all_ended": "lost",
    "step.told_over": "lost",
    "supervisor.before_started": "never",
    "supervisor.after_started": "lost",
    "supervisor.after_fork": "lost",
    "supervisor.before_exit": "lost",
    "supervisor.after_exit": "exited",
}


def test_every_point_of_steps_is_in_the_table() -> None:
    assert stepsupervisor.__name__ in sys.modules
    own = {name for name in crashpoint.REGISTERED if name.startswith("step.")}
    assert own == {name for name in OUTCOMES if name.startswith("step.")}


@pytest.mark.parametrize("point", OUTCOMES)
async def test_crash(tmp_path: Path, wish: Wish, point: str) -> None:
    log = tmp_path / "crash.log"
    (tmp_path / "attempt").mkdir(mode=0o700)
    agent = Path(__file__).with_name("crashing_step.py")
    root = Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, agent, tmp_path, wish],
        env={**os.environ, "PACKHORSE_CRASH_AT": point, "PACKHORSE_CRASH_LOG": str(log),
             "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(root)])},
        stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert {line.split()[0] for line in log.read_text().splitlines() if line.endswith(" died")} == {point}

    cgroups = Cgroups.detect("crash", tmp_path, wish)
    launcher = Launcher(tmp_path, cgroups)
    found = await launcher.adopt(tmp_path / "attempt", "1.1.1.0")
    assert not isinstance(found, Supervised)
    assert ("never" if isinstance(found, NeverStarted) else found.cause) == OUTCOMES[point]
    cgroups.remove_leftovers(set())
    assert cgroups.leftovers() == {}
    cgroups.close()

    ran = (tmp_path / "ran").read_text().split() if (tmp_path / "ran").exists() else []
    assert len(ran) <= 2
    await until(lambda: not any(processes.start_time(int(pid)) for pid in ran), "their end")
    if OUTCOMES[point] == "never":
        assert ran == []
    if OUTCOMES[point] == "exited":
        assert isinstance(found, ExitRecord)
        assert (found.exit_code, len(ran)) == (3, 2)
