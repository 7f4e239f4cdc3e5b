"""A daemon is away, stopped or killed, as jobs run and end: on its return everything is known.

Seconds stand for minutes here; the slow cases are away for minutes.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster, environment, kill, wait_until
from tests.faults.workload import Load

AWAY_S = [4.0, pytest.param(150.0, marks=pytest.mark.slow)]
"""More than the heartbeats (1 s each) that may be missed."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=2) as running:
        yield running


def begin(cluster: Cluster, label: str, away_s: float) -> Load:
    """Jobs that run now and end while the daemon is away, or after."""
    load = Load(cluster)
    for i in range(4):
        load.submit(f"{label}-short-{i}", code=i, seconds=0.2 + 0.2 * i)
        load.submit(f"{label}-long-{i}", code=i, seconds=away_s + 1)
    wait_until(lambda: sum(what == "start" for _, _, what in load.notes()) >= 8, "all of them to run")
    return load


def finish(cluster: Cluster, load: Load) -> None:
    """All of them ended as they say, each after one run, at the time at which it really ended."""
    load.settle()
    tally = load.tally()
    tally.check()
    assert not tally.runs_again, tally.summary()
    for submission in load.done:
        row = cluster.job(submission.job)
        ran_s = (int(row["end_at"]) - int(row["start_at"])) / 1e6
        assert submission.seconds <= ran_s <= submission.seconds + 3, f"{submission} ran {ran_s} s"
    (cluster.work / "ledger").unlink()


@pytest.mark.parametrize("away_s", AWAY_S)
def test_the_scheduler_is_stopped(cluster: Cluster, away_s: float) -> None:
    load = begin(cluster, f"stopped-{away_s}", away_s)
    kill(cluster.scheduler(), signal.SIGSTOP)
    try:
        time.sleep(away_s)
    finally:
        kill(cluster.scheduler(), signal.SIGCONT)
    finish(cluster, load)


@pytest.mark.parametrize("away_s", AWAY_S)
def test_the_scheduler_is_killed(cluster: Cluster, away_s: float) -> None:
    load = begin(cluster, f"killed-{away_s}", away_s)
    kill(cluster.scheduler())
    time.sleep(away_s)
    cluster.up()
    finish(cluster, load)


@pytest.mark.parametrize("away_s", AWAY_S)
def test_everything_is_down_but_the_jobs(cluster: Cluster, away_s: float) -> None:
    load = begin(cluster, f"down-{away_s}", away_s)
    said = cluster.text("packhorse", "down")
    assert "running jobs left alone" in said and not cluster.daemons()
    time.sleep(away_s)
    cluster.up()
    finish(cluster, load)


@pytest.mark.parametrize("away_s", AWAY_S)
def test_the_agents_are_stopped(cluster: Cluster, away_s: float) -> None:
    load = begin(cluster, f"agents-stopped-{away_s}", away_s)
    agents = [cluster.agent(name) for name in cluster.names]
    for pid in agents:
        kill(pid, signal.SIGSTOP)
    try:
        time.sleep(away_s)
        waits = cluster.sbatch("-w", "node1", "--wrap", "exit 2")
        assert cluster.state(waits) == "PENDING"
        said = [cluster.text("sinfo", "-h", "-n", name, "-o", "%t|%E") for name in cluster.names]
        assert said == ["down*|Not responding\n"] * 2
    finally:
        for pid in agents:
            kill(pid, signal.SIGCONT)
    assert cluster.wait(waits).exit_code == 2
    finish(cluster, load)


@pytest.mark.parametrize("away_s", AWAY_S)
def test_the_agents_are_killed(cluster: Cluster, away_s: float) -> None:
    load = begin(cluster, f"agents-killed-{away_s}", away_s)
    for name in cluster.names:
        kill(cluster.agent(name))
    time.sleep(away_s)
    cluster.up()
    finish(cluster, load)


@pytest.mark.slow
def test_the_time_limit_holds_while_nobody_is_there(cluster: Cluster) -> None:
    """The supervisor enforces it by itself, ten seconds late, when nobody tells it to."""
    job = cluster.sbatch("--time=0:1", "--wrap", "trap '' TERM; sleep 600 & wait; sleep 600")
    wait_until(lambda: cluster.state(job) == "RUNNING" and _alive(cluster, job), "it to run")
    for pid in (cluster.scheduler(), *map(cluster.agent, cluster.names)):
        kill(pid)
    began = time.monotonic()
    wait_until(lambda: not _alive(cluster, job), "the supervisor to end it", within_s=30)
    assert 9 <= time.monotonic() - began <= 24
    cluster.up()
    result = cluster.wait(job)
    assert (result.state, result.reason) == ("TIMEOUT", "TimeLimit")


def _alive(cluster: Cluster, job: int) -> list[int]:
    wanted = f"SLURM_JOB_ID={job}".encode()
    return [pid for pid in cluster.processes() if wanted in environment(pid)]
