"""When jobs will start, and what another configuration would do: on real processes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.cluster import Cluster, wait_until

CONFIG = """\
[store]
record_inputs = true

[shadow]
interval = 0
"""
STAMP = "%Y-%m-%dT%H:%M:%S"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1, cpus=2, config=CONFIG) as running:
        yield running


@pytest.fixture
def blocked(cluster: Cluster) -> Iterator[int]:
    """A job that has the node for ten minutes."""
    job = cluster.sbatch("-c2", "-t", "10", "--wrap", "sleep 600")
    cluster.wait_state(job, "RUNNING")
    yield job
    cluster.call("CancelJobs", {"filter": {"states": ["PENDING", "RUNNING"]}})
    wait_until(lambda: cluster.text("squeue", "-h") == "", "the jobs to end")


def estimates(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.text("packhorse", "estimates", "--json", "--latest", "100"))
    return found


def seconds(start: str) -> float:
    """From now."""
    return (datetime.strptime(start, STAMP) - datetime.now()).total_seconds()


def test_a_job_is_told_shown_and_scored(cluster: Cluster, blocked: int) -> None:
    jobs = [cluster.sbatch("-c2", "-t", "20", "--wrap", "true") for _ in range(2)]
    wait_until(lambda: estimates(cluster)["n_told"] == 2, "estimates of both jobs")
    lines = cluster.text("squeue", "--start").splitlines()
    assert lines[0].split() == [
        "JOBID", "PARTITION", "NAME", "USER", "ST", "START_TIME", "NODES", "SCHEDNODES", "NODELIST(REASON)",
    ]  # fmt: skip
    assert [int(line.split()[0]) for line in lines[1:]] == jobs, "by start"
    first, second = (seconds(line.split()[5]) for line in lines[1:])
    assert 500 < first < 700 and 1600 < second < 2100
    [row] = cluster.text(
        "squeue", "-hj", str(jobs[0]), "-O", "StartEarliest,StartTime,StartLatest"
    ).splitlines()
    assert [*row.split()] == sorted(row.split())
    shown = cluster.text("scontrol", "show", "job", str(jobs[0]))
    assert (span := re.search(r"PackhorseStartEstimate=(\S+)\.\.(\S+) PlannedStart=(\S+)", shown))
    assert span[1] == row.split()[0] and span[2] == row.split()[2]
    assert f"StartTime={row.split()[1]} " in shown
    before = estimates(cluster)["n_scored"]
    cluster.run("scancel", str(blocked))
    for job in jobs:
        cluster.wait(job)
    found = estimates(cluster)
    assert found["n_scored"] == before + 2
    assert {one["job_id"] for one in found["latest"]} >= set(jobs)
    assert "estimates scored" in cluster.text("packhorse", "estimates")


def test_a_job_that_is_not_submitted_is_told_too(cluster: Cluster, blocked: int) -> None:
    done = cluster.run("sbatch", "--test-only", "-c2", "-t", "5", "--wrap", "true")
    slurm, ours = done.stderr.splitlines()
    assert re.fullmatch(
        r"sbatch: Job \d+ to start at \S+ using 2 processors on nodes \S+ in partition main", slurm
    )
    assert (span := re.search(r"expected to start at (\S+), 8 of 10 times between (\S+) and (\S+)$", ours))
    assert span[2] <= span[1] <= span[3]
    assert not done.stdout


def test_a_shadow_beside_the_live_scheduler(cluster: Cluster, blocked: int) -> None:
    (cluster.work / "sjf.toml").write_text('[scheduling]\norder = "sjf"\n')
    assert cluster.text("packhorse", "shadow", "on", "sjf.toml").splitlines() == [
        "shadow on, with sjf.toml",
        "  order: priority -> sjf",
    ]
    long = cluster.sbatch("-c2", "-t", "100", "--wrap", "sleep 0.2")
    short = cluster.sbatch("-c2", "-t", "1", "--wrap", "true")

    def differences() -> dict[tuple[int, str], tuple[str, str]]:
        cluster.run("scontrol", "update", f"JobId={long}", "Comment=again")  # another pass
        found = json.loads(cluster.text("packhorse", "shadow", "--json", "--latest", "100"))
        assert found["error"] == ""
        return {(one["job_id"], one["kind"]): (one["live"], one["shadow"]) for one in found["latest"]}

    wait_until(lambda: (short, "reason") in differences(), "the shadow to differ")
    assert differences()[short, "reason"] == ("Priority", "Resources"), "it would be next"
    assert re.search(rf" {short}  reason +Priority -> Resources", cluster.text("packhorse", "shadow"))
    cluster.run("scancel", str(blocked))
    for job in (long, short):
        assert cluster.wait(job).state == "COMPLETED"
    assert cluster.job(long)["start_at"] < cluster.job(short)["start_at"], "the live order"
    code, said = cluster.refused("packhorse", "shadow", "on", cluster.work / "none.toml")
    assert code == 1 and said.count("\n") == 1
    assert cluster.text("packhorse", "shadow", "off") == "shadow off\n"


def test_the_run_replays_with_its_estimates(cluster: Cluster, tmp_path: Any) -> None:
    """Last: it looks at all that the others did."""
    out = tmp_path / "events"
    said = cluster.text("packhorse", "replay", "--out", out)
    assert "difference none" in said
    assert "StartsEstimated" in {json.loads(line)["kind"] for line in out.read_text().splitlines()}
