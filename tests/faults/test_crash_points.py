"""Every named crash point: the process dies there, and nothing that counts is lost.

The quick sweep takes one daemon's points one after the other under a load that goes on all the while. The
slow one gives every point a load of its own, and so says more when something goes wrong. Either fails for a
point at which nobody ever died.
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
from tests.faults.workload import Load, Submitter

N_JOBS = 24
"""Enough events for a snapshot, which the configuration below makes after a hundred."""

OF_AGENT = ("agent.", "launcher.", "forkserver.", "supervisor.")

NTH = {"store.before_switch": 1, "store.after_switch": 1, "store.in_compaction": 1}
"""The passing at which to die, where that is not the fifth: in the midst of the work."""


OF_STEPS = "step."
"""No step runs in this load: these points are passed in tests/agent/launch/test_step_crash_points.py."""


def points() -> list[str]:
    """Every registered point but those of steps: whatever module registers one is imported here."""
    for package in (packhorse.scheduler, packhorse.agent):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    return sorted(point for point in REGISTERED if not point.startswith(OF_STEPS))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1, config="[store]\nsnapshot_every_events = 100\n") as running:
        yield running


@pytest.mark.parametrize("daemon", ["scheduler", "agent"])
def test_a_death_at_every_point_of(cluster: Cluster, daemon: str) -> None:
    mine = [point for point in points() if point.startswith(OF_AGENT) == (daemon == "agent")]
    load = Load(cluster, seed=len(mine))
    with Submitter(load, daemon) as submitter:
        for point in mine:
            submitter.label = point
            # What died at the point before is started again with the order to die at this one.
            log = start_to_die_at(cluster, point)
            wait_for_death(cluster, submitter, point, log)
        kill_victim(cluster, mine[-1])
        cluster.up()
    load.settle()
    check(cluster, load, may_run_again=daemon == "agent")


@pytest.mark.slow
@pytest.mark.parametrize("point", points())
def test_a_death_at(cluster: Cluster, point: str) -> None:
    load = Load(cluster, seed=sum(point.encode()))
    log = start_to_die_at(cluster, point)
    with Restarter(cluster):
        for i in range(N_JOBS):
            load.submit(f"{point}-{i}", tasks=3 if i % 8 == 5 else 0)
        load.settle()
    assert died(log), f"{point} was passed {len(log.read_text().splitlines())} times, and nobody died"
    check(cluster, load, may_run_again=point.startswith("supervisor."))


def start_to_die_at(cluster: Cluster, point: str) -> Path:
    """Starts anew the daemon that passes this point; the log of the passings."""
    log = cluster.root / f"passed.{point}"
    kill_victim(cluster, point)
    log.unlink(missing_ok=True)
    order = {"PACKHORSE_CRASH_AT": f"{point}:{NTH.get(point, 5)}", "PACKHORSE_CRASH_LOG": str(log)}
    cluster.up(order, check=False)  # it may die before it serves
    return log


def wait_for_death(cluster: Cluster, submitter: Submitter, point: str, log: Path) -> None:
    """Fails, after a minute without it, with what kept it from happening."""

    def happened() -> bool:
        submitter.check()  # without submissions nothing passes any point
        return died(log)

    def what() -> str:
        passed = log.read_text().count("\n") if log.exists() else 0
        home = cluster.home
        return (
            f"a death at {point}: it was passed {passed} times; scheduler {home.scheduler_pid()}, "
            f"agent {home.agent_pids()}, {submitter.describe()}"
        )

    wait_until(happened, what, within_s=60)


def kill_victim(cluster: Cluster, point: str) -> None:
    home = cluster.home
    pids = list(home.agent_pids().values()) if point.startswith(OF_AGENT) else [home.scheduler_pid()]
    for pid in pids:
        if pid:
            kill(pid)


def died(log: Path) -> bool:
    return log.exists() and " died\n" in log.read_text()


def check(cluster: Cluster, load: Load, *, may_run_again: bool) -> None:
    """Every job ended as it should, repeated calls are answered as they were, and no record is left over."""
    tally = load.tally()
    tally.check()
    # A job runs once, unless what watched over it died and nobody can tell how it ended.
    assert may_run_again or not tally.runs_again, tally.summary()
    for submission in load.done[-50:]:
        assert load.again(submission) == submission.job, "a repeated call got another answer"
    wait_until(lambda: not attempts(cluster), lambda: f"{attempts(cluster)} to be forgotten")


def attempts(cluster: Cluster) -> list[Path]:
    """Records of attempts that the agent still keeps."""
    return [path for name in cluster.names for path in (cluster.home.node(name) / "attempts").iterdir()]
