"""Dies at every crash point of this layer; the job must run at most once and its end must be told truly."""

# ruff: noqa: ASYNC221 (a blocking look at a file or process is what a test is for)

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from packhorse.agent.cgroups import Cgroups, Wish
from packhorse.agent.launch import attemptdir, forkserver, launcher, processes, supervisor
from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.launcher import Launcher, NeverStarted, Supervised
from packhorse.scheduler.model import crashpoint
from tests.agent.launch.yard import until

# Where the process dies -> what an agent that comes afterwards finds.
OUTCOMES = {
    "launcher.before_request": {"never"},
    "launcher.request_sent": {"never", "exited"},  # the fork server may have read it or not
    "forkserver.before_fork": {"never"},
    "forkserver.after_fork": {
        "never",
        "exited",
    },  # the agent fences the directory unless the supervisor is first
    "supervisor.before_started": {"never"},
    "supervisor.after_started": {"lost"},
    "supervisor.before_exec": {"lost"},
    "supervisor.after_fork": {"lost"},
    "supervisor.child_ended": {"lost"},
    "supervisor.before_exit": {"lost"},
    "supervisor.exit_temporary": {"lost"},
    "supervisor.after_exit": {"exited"},
}


def test_every_point_of_this_layer_is_in_the_table() -> None:
    assert {launcher.__name__, forkserver.__name__, supervisor.__name__} <= set(sys.modules)
    own = {
        name for name in crashpoint.REGISTERED if name.startswith(("launcher.", "forkserver.", "supervisor."))
    }
    assert own == set(OUTCOMES)


@pytest.mark.parametrize("point", OUTCOMES)
async def test_crash(tmp_path: Path, wish: Wish, point: str) -> None:
    log = tmp_path / "crash.log"
    (tmp_path / "attempt").mkdir(mode=0o700)
    script = tmp_path / "job.sh"
    script.write_text(f"#!/bin/bash\necho $$ >> {tmp_path}/ran\nsleep 0.05\nexit 3\n")
    script.chmod(0o755)
    agent = Path(__file__).with_name("crashing_agent.py")
    subprocess.run(
        [sys.executable, agent, tmp_path, script, wish],
        env={**os.environ, "PACKHORSE_CRASH_AT": point, "PACKHORSE_CRASH_LOG": str(log),
             "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert {line.split()[0] for line in log.read_text().splitlines() if line.endswith(" died")} == {point}

    cgroups = Cgroups.detect("crash", tmp_path, wish)
    launcher = Launcher(tmp_path, cgroups)
    found = await launcher.adopt(tmp_path / "attempt", "1.1.1")
    if isinstance(found, Supervised):
        found = await launcher.wait(found)
    outcome = "never" if isinstance(found, NeverStarted) else found.cause
    assert outcome in OUTCOMES[point]
    cgroups.remove_leftovers(set())
    assert cgroups.leftovers() == {}
    cgroups.close()

    ran = (tmp_path / "ran").read_text().split() if (tmp_path / "ran").exists() else []
    assert len(ran) <= 1
    await until(lambda: not any(processes.start_time(int(pid)) for pid in ran))
    if outcome == "never":
        assert ran == []
    if outcome == "exited":
        assert isinstance(found, ExitRecord)
        assert (found.exit_code, len(ran)) == (3, 1)
    assert type(await launcher.adopt(tmp_path / "attempt", "1.1.1")) is type(found)  # settled for good
    assert attemptdir.read_started(str(tmp_path / "attempt")) is not None
