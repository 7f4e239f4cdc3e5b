"""Long random walks over the machine of test_machine: the same rules, in the proportions of a busy site.

Hypothesis looks for short, odd stories and makes them shorter; a walk keeps a whole cluster busy for hundreds
of steps. A failing walk names its seed; `PACKHORSE_WALKS=1000` takes that many.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.job import Retry, WarnSignal
from tests.core.scenario import ADMIN, OTHER, USER
from tests.core.test_machine import (
    KINDS,
    LAWS,
    LENDING_LAWS,
    NEW_RULES,
    NEW_TERMS,
    NODES,
    WISHES,
    ClusterMachine,
    LendingMachine,
)
from tests.core.world import Agent

N_WALKS = int(os.environ.get("PACKHORSE_WALKS", "16"))
STEPS = 200

WEIGHTS = {
    "submit": 14,
    "submit_array": 6,
    "cancel": 6,
    "hold": 2,
    "release": 3,
    "requeue": 5,
    "update": 5,
    "cycle": 12,
    "all_goes_well": 10,
    "time_passes": 8,
    "snapshot": 1,
    "restart": 1,
    "commands_arrive": 20,
    "a_report_arrives": 20,
    "stream_breaks": 4,
    "agent_connects": 25,
    "script_begins": 14,
    "script_ends": 9,
    "script_cannot_begin": 1,
    "node_reboots": 2,
    "agent_loses_an_attempt": 1,
    "node_offers": 2,
    "operator": 4,
}

MOODS: tuple[dict[str, int], ...] = (
    {},
    # Long silences while work goes on elsewhere.
    {"stream_breaks": 4, "agent_connects": 7, "script_ends": 2, "time_passes": 25, "all_goes_well": 25},
    # Machines that die under their work.
    {"node_reboots": 8, "agent_loses_an_attempt": 6, "agent_connects": 40, "operator": 8, "script_ends": 4},
    # People who cannot make up their minds.
    {"cancel": 14, "requeue": 16, "hold": 8, "release": 10, "update": 16, "stream_breaks": 1},
)
"""What is different from the above; a walk's seed chooses one."""

LENDING_WEIGHTS = {
    **WEIGHTS,
    "submit": 3,
    "submit_array": 3,
    "cancel": 3,
    "requeue": 3,
    "stream_breaks": 1,
    "script_ends": 3,
    "node_reboots": 1,
    "operator": 1,
    "jobs_outgrow_their_memory": 1,
    "gpus_are_measured": 2,
    "node_reports_use": 8,
    "use_changes": 20,
    "idle_work_comes": 20,
    "lending_is_switched": 2,
    "rules_change": 2,
    "a_lender_changes_its_mind": 2,
}
"""Where memory is lent there have to be lenders that run for a while."""


def a_node(rng: random.Random, machine: ClusterMachine, rule: str) -> str:
    """A node at which the rule has something to do, if there is one."""
    useful: dict[str, Callable[[Agent], bool]] = {
        "commands_arrive": lambda agent: bool(agent.inbox),
        "a_report_arrives": lambda agent: bool(agent.outbox),
        "agent_connects": lambda agent: not agent.connected,
        "stream_breaks": lambda agent: bool(agent.running or agent.launching),
        "node_reboots": lambda agent: bool(agent.running or agent.launching),
    }
    found = [name for name, agent in machine.agents.items() if rule not in useful or useful[rule](agent)]
    return rng.choice(found or list(NODES))


def arguments(rng: random.Random, machine: ClusterMachine, name: str) -> dict[str, Any]:
    """Arguments for one rule."""
    caller = rng.choice([Caller(USER), Caller(USER), Caller(OTHER), ADMIN])
    a = rng.randrange(1, 60)
    node = a_node(rng, machine, name)
    match name:
        case "submit":
            wait = None
            if rng.random() < 0.3:
                jobs = [rng.randrange(12) for _ in range(rng.randrange(3))]
                wait = (rng.choice(KINDS), jobs, rng.random() < 0.3)
            return {
                "count": rng.randrange(1, 5),
                "cpus": rng.choice([1, 1, 2, 4]),
                "nodes": rng.choice([1, 1, 1, 2]),
                "gpus": rng.choice(WISHES),
                "name": rng.choice("ab"),
                "what": _what(rng),
                "mem_mib": rng.choice([0, 0, 4_000, 9_000, 16_000]),
                "stoppable": rng.random() < 0.5,
                "begin": rng.choice([0, 0, 0, 25]),
                "wait": wait,
                "memory": rng.choice([(0, 0, 0), (0, 0, 0), (1_000, 2_000, 0), (9_000, 1_500, 2)]),
                "key": rng.choice(["", "", "", "k1", "k2"]),
            }
        case "submit_array":
            return {
                "array": rng.choice(["0-9%2", "1-20:3", "0-4", "5"]),
                "kind": rng.choice(["", "", *KINDS]),
                "other": rng.randrange(12),
                "requeue": rng.random() < 0.8,
                "hold": rng.random() < 0.1,
                "kill": rng.random() < 0.3,
                "licenses": rng.choice(["", "", "matlab"]),
                "mem_mib": rng.choice([0, 0, 3_000]),
            }
        case "cancel":
            signal = rng.choice([0, 0, 0, 9, 10])
            return {"a": a, "b": rng.randrange(1, 60), "signal": signal, "caller": caller}
        case "hold":
            return {"a": a, "caller": caller, "as_user": rng.random() < 0.3}
        case "release":
            return {"a": a, "caller": caller}
        case "requeue":
            return {"a": a, "caller": caller, "hold": rng.random() < 0.3}
        case "update":
            return {"a": a, "caller": caller, "changes": _changes(rng)}
        case "all_goes_well":
            return {
                "end": rng.choice(["", "", "", "ok", "failed", "oom"]),
                "idle_s": rng.choice([0, 0, 10, 100]),
            }
        case "time_passes":
            return {"seconds": rng.choice([1, 1, 4, 20, 60, 250])}
        case "restart":
            return {"from_snapshot": rng.random() < 0.5}
        case "commands_arrive":
            return {"name": node, "n": rng.randrange(1, 5), "refuse": rng.random() < 0.05}
        case "a_report_arrives":
            return {"name": node, "which": rng.choice([0, 0, 1, 3]), "twice": rng.random() < 0.2}
        case "stream_breaks":
            return {"name": node, "lose": rng.random() < 0.5, "noticed": rng.random() < 0.8}
        case "agent_connects":
            return {"name": node}
        case "script_begins" | "script_cannot_begin" | "agent_loses_an_attempt":
            return {"which": rng.randrange(20)}
        case "script_ends":
            ends = [{}, {}, {}, {"code": 1}, {"signal": 9}, {"signal": 9, "cause": "oom"}, {"lost": True}]
            return {"which": rng.randrange(20), "how": rng.choice(ends)}
        case "node_reboots":
            return {"name": node, "connect": rng.random() < 0.5}
        case "node_offers":
            return {"name": node, "epoch_step": rng.randrange(3), "accepting": rng.random() < 0.95}
        case "jobs_outgrow_their_memory":
            return {
                "mem_mib": rng.choice([500, 6_000]),
                "factor": rng.choice([1_500, 4_000]),
                "most": rng.randrange(3),
                "gpus": rng.randrange(2),
                "ends": [rng.choice(["oom", "oom", "failed", ""]) for _ in range(rng.randrange(1, 5))],
                "idle_s": rng.choice([0, 10, 100]),
            }
        case "gpus_are_measured":
            return {"which": rng.randrange(20), "idle_s": rng.choice([0, 5, 30, 100])}
        case "node_reports_use":
            return {
                "name": node,
                "tenths": [rng.randrange(12) for _ in range(4)],
                "free": rng.choice([16_000, 16_000, 9_000, 1_700, 900]),
                "pressure": rng.choice([None, 0, 50, 400]),
                "times": rng.choice([1, 1, 1, 30]),
            }
        case "use_changes":
            return {
                "name": rng.choice(NODES[:2]),
                "tenths": rng.randrange(12),
                "free": rng.choice([16_000, 16_000, 900]),
                "pressure": rng.choice([None, None, 400]),
            }
        case "idle_work_comes":
            return {
                "mem_mib": rng.choice([3_000, 8_000, 10_000, 12_000]),
                "count": rng.randrange(1, 4),
                "limit": rng.choice([0, 600, 100_000]),
                "nodes": rng.choice([1, 1, 2]),
                "then": rng.choice([None, None, 3, 6, 9]),
            }
        case "lending_is_switched":
            kind = rng.choice(["", "partition", "account"])
            return {"on": rng.random() < 0.5, "kind": kind, "recall": rng.random() < 0.5}
        case "rules_change":
            return {"rules": rng.choice(NEW_RULES), "from_snapshot": rng.random() < 0.5}
        case "a_lender_changes_its_mind":
            return {"a": rng.randrange(4), "changes": rng.choice(NEW_TERMS)}
        case "operator":
            return {"name": node, "action": rng.choice(["drain", "resume", "resume", "resume", "down"])}
    return {}


def _what(rng: random.Random) -> dict[str, Any]:
    choices = {
        "hold": (0.1, True),
        "requeue": (0.3, False),
        "time_limit_s": (0.4, rng.choice([5, 30, 100])),
        "lease_s": (0.3, 20),
        "retry": (0.3, Retry(rng.randrange(3), rng.choice([1, 40]))),
        "warn": (0.3, WarnSignal(10, 20)),
        "kill_on_invalid_dep": (0.3, True),
        "licenses": (0.2, rng.choice(["matlab", "matlab:2"])),
    }
    return {name: value for name, (chance, value) in choices.items() if rng.random() < chance}


def _changes(rng: random.Random) -> dict[str, Any]:
    return rng.choice(
        [
            {"time_limit_s": rng.choice([0, 3, 60])},
            {"name": rng.choice("ab"), "nice": 3},
            {"array_limit": rng.randrange(4)},
            {"n_cpus": rng.randrange(1, 5), "requeue": rng.random() < 0.5},
            {"drop_dependency": True},
            {"other": rng.randrange(1, 20), "kind": rng.choice(KINDS)},
        ]
    )


def walk(seed: int, lending: bool = False) -> ClusterMachine:
    """A machine after its walk, before everything is repaired and judged."""
    rng = random.Random(seed)
    if lending:
        machine: ClusterMachine = LendingMachine()
        machine.boot(LENDING_LAWS[seed % len(LENDING_LAWS)])
        weights = LENDING_WEIGHTS
    else:
        machine = ClusterMachine()
        machine.boot(LAWS[seed % len(LAWS)], seed % 3)
        weights = WEIGHTS | MOODS[seed % len(MOODS)]
    for _ in range(STEPS):
        (name,) = rng.choices(list(weights), list(weights.values()))
        getattr(machine, name)(**arguments(rng, machine, name))
        machine.send()
        machine.nothing_runs_twice()
        machine.memory_grows_as_far_as_it_may()
    return machine


@pytest.mark.parametrize("seed", range(N_WALKS))
def test_walk(seed: int) -> None:
    walk(seed).teardown()


@pytest.mark.parametrize("seed", range(N_WALKS // 4))
def test_walk_where_memory_is_lent(seed: int) -> None:
    walk(seed, lending=True).teardown()


def test_no_decision_hangs_on_the_order_of_a_set(repository: Path) -> None:
    """Two processes that hash differently come to the same events, byte for byte."""
    program = (
        "import hashlib, msgspec\n"
        "from tests.core.test_walks import walk\n"
        "for seed in (1, 2, 3):\n"
        "    log = msgspec.msgpack.encode(walk(seed).cluster.log)\n"
        "    print(len(log), hashlib.sha256(log).hexdigest())\n"
    )
    answers = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=repository,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert answers[0] == answers[1]
    assert answers[0].count("\n") == 3
