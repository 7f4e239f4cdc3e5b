"""Live = simulated: a recorded run of a whole cluster, replayed, gives the event log that is in its store."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, kill, wait_until

RECORDED = """\
[scheduling]
order = "saf"
backfill = "sjbf"
backfill_depth = 2
predictor = "last2"

[store]
record_inputs = true
"""


@pytest.fixture
def recorded() -> Iterator[Cluster]:
    with Cluster(nodes=3, cpus=8, gpus=2, config=RECORDED) as running:
        yield running


def submit(cluster: Cluster, rounds: int) -> list[int]:
    """Twenty jobs a round: an array, and single ones of several sizes and a chain; two are cancelled."""
    script = cluster.script("nap.sh", 'sleep "0.$((RANDOM % 8))"')
    found = []
    for i in range(rounds):
        words = ("--array=0-9%6", "-n", str(1 + i % 3), "-t", str(1 + i % 5))
        found.append(cluster.sbatch(*words, *("--gres=gpu:1",) * (i % 4 == 1), script))
        for k in range(10):
            after = (f"--dependency=afterany:{found[-1]}",) if k == 5 else ()
            found.append(cluster.sbatch("-n", str(1 + (i + 3 * k) % 8), "-t", str(1 + k % 7), *after, script))
            if k == 7:
                cluster.run("scancel", str(found[-1]), f"{found[-9]}_{i % 10}")
    return found


def lose_a_node(cluster: Cluster, node: str) -> None:
    """Its agent dies, an operator declares it lost while jobs run there, and it comes back."""
    long = [cluster.sbatch("-w", node, "-n", "2", "--wrap", "sleep 2") for _ in range(2)]
    for job in long:
        cluster.wait_state(job, "RUNNING")
    kill(cluster.agent(node))
    wait_until(lambda: "node2" not in cluster.home.agent_pids(), "the agent to be gone")
    cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")
    cluster.up()
    cluster.run("scontrol", "update", f"nodename={node}", "state=resume")
    cluster.wait_all(long)


@pytest.mark.parametrize("rounds", [2, pytest.param(15, marks=pytest.mark.slow)])
def test_a_recorded_run_replays_to_the_same_events(recorded: Cluster, tmp_path: Path, rounds: int) -> None:
    cluster = recorded
    jobs = submit(cluster, rounds)
    lose_a_node(cluster, "node2")
    jobs += submit(cluster, rounds // 2)
    kill(cluster.scheduler())
    cluster.up()
    jobs += submit(cluster, rounds // 2)
    cluster.wait_all(jobs, within_s=120)
    out = tmp_path / "events"
    said = cluster.text("packhorse", "replay", "--out", out)
    print(said)
    assert "difference none" in said
    assert "2 times begun" in said
    assert "unknown" not in said
    same = int(re.search(r"same +([\d,]+) events", said)[1].replace(",", ""))  # type: ignore[index]
    assert same > 120 * rounds
    kinds = [json.loads(line)["kind"] for line in out.read_text().splitlines()]
    assert {"JobGranted", "JobRequeued", "NodeSilenced", "NodeDowned", "ArrayTaskSplit"} <= set(kinds)
    again = cluster.text("packhorse", "replay", cluster.home.log / "inputs.rec", "--until", "50")
    assert "same       50 events" in again
