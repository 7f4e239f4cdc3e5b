"""kill -9 of the scheduler and of agents at random instants, under a load of submissions.

The short run is part of every test run; `make soak` does the long one (at least 200 and 50 kills), whose last
recorded result is in RESULTS.md. PACKHORSE_SOAK_SEED repeats a run's choices.
"""

from __future__ import annotations

import os
import random
import threading
import time

import pytest

from packhorse.cli.transport import CallError, TransportError
from tests.cluster import Cluster, kill, wait_until
from tests.faults.restarter import Restarter
from tests.faults.workload import Load

N_SUBMITTERS = 3
MOST_WAITING = 40
"""Submitters pause while so many jobs are not over: what is tested is the killing, not a long queue."""


@pytest.mark.parametrize(
    ("of_scheduler", "of_agents"), [(8, 3), pytest.param(200, 50, marks=pytest.mark.slow)]
)
def test_nothing_acknowledged_is_lost(
    of_scheduler: int, of_agents: int, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("PACKHORSE_SOAK_SEED", "") or random.SystemRandom().randrange(1 << 30))
    began = time.monotonic()
    config = "[store]\nsnapshot_every_events = 500\n"
    with Cluster(nodes=2, config=config) as cluster:
        load = Load(cluster, seed)
        over = threading.Event()
        failed: list[BaseException] = []
        submitters = [
            threading.Thread(target=submit_on, args=(load, name, over, failed))
            for name in range(N_SUBMITTERS)
        ]
        for thread in submitters:
            thread.start()
        try:
            with Restarter(cluster):
                kill_at_random(cluster, random.Random(seed), of_scheduler, of_agents, failed)
                over.set()
                for thread in submitters:
                    thread.join()
            assert not failed, failed
            load.settle(within_s=120)
        finally:
            over.set()
        tally = load.tally()
        took_s = time.monotonic() - began
        with capsys.disabled():
            print(
                f"\n{of_scheduler} kill -9 of the scheduler, {of_agents} of agents: {tally.summary()} "
                f"(seed {seed}, {took_s:.0f} s)"
            )
        tally.check()
        # Supervisors outlive both daemons, so no run is ever interrupted, and none is repeated.
        assert not tally.runs_again, tally.summary()
        for submission in random.Random(seed).sample(load.done, min(50, len(load.done))):
            assert load.again(submission) == submission.job, "a repeated call got another answer"


def submit_on(load: Load, name: int, over: threading.Event, failed: list[BaseException]) -> None:
    """Submits until told to stop."""
    number = 0
    try:
        while not over.is_set():
            if load.unfinished() > MOST_WAITING:
                time.sleep(0.05)
                continue
            number += 1
            tasks = 4 if number % 7 == 3 else 0
            load.submit(f"s{name}-{number}", tasks=tasks, cancel=number % 9 == 5)
    except BaseException as error:
        failed.append(error)


def kill_at_random(
    cluster: Cluster, chance: random.Random, of_scheduler: int, of_agents: int, failed: list[BaseException]
) -> None:
    """So many kills, at instants between coming to life and half a second of work with every node."""
    victims = ["scheduler"] * of_scheduler + ["agent"] * of_agents
    chance.shuffle(victims)
    for victim in victims:
        if failed:
            return
        find = cluster.home.scheduler_pid
        if victim == "agent":
            name = chance.choice(cluster.names)
            find = lambda name=name: cluster.home.agent_pids().get(name, 0)  # type: ignore[misc]  # noqa: E731
        wait_until(find, f"the {victim} to be back", within_s=60)
        # One in four dies while it starts, one before its agents are back, the others in the midst of work.
        when = chance.random()
        if when > 0.25:
            wait_until(lambda: serves(cluster) or failed, "the scheduler to serve", within_s=60)
        if when > 0.5:
            wait_until(lambda: complete(cluster) or failed, "all nodes to be back", within_s=60)
        time.sleep(chance.uniform(0, 0.5))
        if pid := find():
            kill(pid)


def serves(cluster: Cluster) -> bool:
    """Whether the scheduler answers."""
    try:
        cluster.call("Ping")
    except (TransportError, CallError):
        return False
    return True


def complete(cluster: Cluster) -> bool:
    """Whether the scheduler answers and has all its nodes."""
    try:
        nodes = cluster.call("GetStatus").get("nodes", [])
    except (TransportError, CallError):
        return False
    return [node["state"] for node in nodes].count("DOWN") == 0 and len(nodes) == len(cluster.names)
