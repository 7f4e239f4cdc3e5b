"""kill -9 of the scheduler and of agents at random instants, under a load of submissions.

The short run is part of every test run; `make soak` does the long one (at least 200 and 50 kills), whose last
recorded result is in RESULTS.md. PACKHORSE_SOAK_SEED repeats a run's choices.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import ExitStack

import pytest

from packhorse.cli.transport import CallError, TransportError
from tests.cluster import Cluster, kill, wait_until
from tests.faults.restarter import Restarter
from tests.faults.workload import Load, Submitter

N_SUBMITTERS = 3


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
        with Restarter(cluster), ExitStack() as submitters:
            working = [submitters.enter_context(Submitter(load, f"s{n}")) for n in range(N_SUBMITTERS)]
            kill_at_random(cluster, random.Random(seed), of_scheduler, of_agents, working)
        load.settle(within_s=120)
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


def kill_at_random(
    cluster: Cluster, chance: random.Random, of_scheduler: int, of_agents: int, submitters: list[Submitter]
) -> None:
    """So many kills, at instants between coming to life and half a second of work with every node."""
    victims = ["scheduler"] * of_scheduler + ["agent"] * of_agents
    chance.shuffle(victims)
    for victim in victims:
        if any(submitter.failure for submitter in submitters):
            return
        find = cluster.home.scheduler_pid
        if victim == "agent":
            name = chance.choice(cluster.names)
            find = lambda name=name: cluster.home.agent_pids().get(name, 0)  # type: ignore[misc]  # noqa: E731
        wait_until(find, f"the {victim} to be back", within_s=60)
        # One in four dies while it starts, one before its agents are back, the others in the midst of work.
        when = chance.random()
        if when > 0.25:
            wait_until(lambda: serves(cluster), "the scheduler to serve", within_s=60)
        if when > 0.5:
            wait_until(lambda: complete(cluster), "all nodes to be back", within_s=60)
        time.sleep(chance.uniform(0, 0.5))
        # Now and then everything dies at once but what watches over the jobs.
        for pid in cluster.daemons() if chance.random() < 0.1 else filter(None, [find()]):
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
