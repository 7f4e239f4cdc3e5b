"""Every named crash point, one after the other: the process dies there, and nothing that counts is lost.

One cluster serves all cases. For each, the daemon that passes the point is started anew with the order to die
there, jobs are submitted all the while, whatever died is started again, and in the end every job must have
ended as it itself says. A point that is never reached fails its case.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import packhorse.agent
import packhorse.scheduler
from packhorse.scheduler.model.crashpoint import REGISTERED
from tests.cluster import Cluster, kill, wait_until
from tests.faults.restarter import Restarter
from tests.faults.workload import Load

N_JOBS = 24
"""Enough events for a snapshot, which the configuration below makes after a hundred."""

OF_AGENT = ("agent.", "launcher.", "forkserver.", "supervisor.")

NTH = {"store.before_switch": 1, "store.after_switch": 1, "store.in_compaction": 1}
"""The passing at which to die, where that is not the fifth: in the midst of the work."""


def points() -> list[str]:
    """Every registered point: whatever module registers one is imported here."""
    for package in (packhorse.scheduler, packhorse.agent):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    return sorted(REGISTERED)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1, config="[store]\nsnapshot_every_events = 100\n") as running:
        yield running


@pytest.mark.parametrize("point", points())
def test_a_death_at(cluster: Cluster, point: str) -> None:
    log = cluster.root / f"passed.{point}"
    mine = cluster.agent() if point.startswith(OF_AGENT) else cluster.scheduler()
    kill(mine)
    order = {"PACKHORSE_CRASH_AT": f"{point}:{NTH.get(point, 5)}", "PACKHORSE_CRASH_LOG": str(log)}
    cluster.up(order, check=False)  # it may die before it serves
    load = Load(cluster, seed=sum(point.encode()))
    with Restarter(cluster):
        jobs = [load.submit(f"{point}-{i}") for i in range(N_JOBS)]
        load.settle()
    passings = [line.split()[2] for line in log.read_text().splitlines() if line.startswith(f"{point} ")]
    assert passings.count("died") == 1, f"{point} was passed {len(passings)} times: {passings}"
    assert len(jobs) == len(set(jobs)) == N_JOBS
    tally = load.tally()
    tally.check()
    # A job runs once, unless what watched over it died and nobody can tell how it ended.
    assert point.startswith("supervisor.") or not tally.runs_again, tally.summary()
    assert [load.again(submission) for submission in load.done] == jobs, "a repeated call got another answer"
    wait_until(lambda: not _attempts(cluster), lambda: f"{_attempts(cluster)} to be forgotten")


def _attempts(cluster: Cluster) -> list[Path]:
    """Records of attempts that the agent still keeps."""
    return [path for name in cluster.names for path in (cluster.home.node(name) / "attempts").iterdir()]
