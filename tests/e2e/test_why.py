"""`packhorse why` on real daemons: what it says is typed as it stands, and the job starts."""

from __future__ import annotations

import json
import shlex
from typing import Any

from tests.cluster import Cluster, wait_until

FOREVER = "sleep 600"


def why(cluster: Cluster, job: int | str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.text("packhorse", "why", str(job), "--json"))
    return found


def reason(cluster: Cluster, job: int | str) -> str:
    """As `squeue` shows it."""
    return cluster.text("squeue", "-h", "-j", str(job), "-o", "%r").strip()


def test_following_the_suggestion_starts_the_job(cluster: Cluster) -> None:
    for node in cluster.names:
        first = cluster.sbatch("-c5", "--mem=1G", f"-w{node}", "--wrap", FOREVER)
        cluster.wait_state(first, "RUNNING")
    job = cluster.sbatch("-c8", "--mem=1G", "-t60", "--wrap", FOREVER)
    wait_until(lambda: reason(cluster, job) == "Resources", "the job to be considered")
    text = cluster.text("packhorse", "why", str(job))
    assert "Resources: needs 8 CPUs on one node" in text
    change = why(cluster, job)["changes"][0]
    assert change["command"] == f"scontrol update JobId={job} NumCPUs=3"
    assert f"3 CPUs instead of 8: starts now on {change['nodes']}\n      {change['command']}" in text
    shown = cluster.text("scontrol", "show", "job", str(job))
    assert "PackhorseWhy=needs 8 CPUs on one node" in shown
    assert f"smallest change: 3 CPUs instead of 8: starts now on {change['nodes']}" in shown
    cluster.run(*shlex.split(change["command"]))
    cluster.wait_state(job, "RUNNING")
    where = cluster.text("packhorse", "why", str(job))
    assert f"it is on {change['nodes']}; of the {len(cluster.names)} nodes of its partition" in where
    assert "PackhorseWhy" not in cluster.text("scontrol", "show", "job", str(job))


def test_drop_and_release_are_typed_as_they_stand(cluster: Cluster) -> None:
    held = cluster.sbatch("--hold", "--wrap", FOREVER)
    later = cluster.sbatch("--begin=now+1hour", "--wrap", FOREVER)
    dependent = cluster.sbatch(f"--dependency=afterok:{held}", "--wrap", FOREVER)
    array = cluster.sbatch("--array=0-3%1", "--wrap", FOREVER)
    wait_until(lambda: "JobArrayTaskLimit" in reason(cluster, array), "the array to reach its limit")
    for job in (dependent, later, held, array):
        change = why(cluster, job)["changes"][0]
        assert change["now"]
        cluster.run(*shlex.split(change["command"]))
    for job in (dependent, later, held):
        cluster.wait_state(job, "RUNNING")
    running = ["squeue", "-h", "-j", str(array), "-t", "running,configuring", "-o", "%i"]
    wait_until(lambda: len(cluster.text(*running).split()) == 2, "a second task of the array")


def test_a_job_that_is_over_or_was_never_there(cluster: Cluster) -> None:
    job = cluster.sbatch("--wrap", "exit 3")
    cluster.wait(job)
    assert "it is over: FAILED, exit code 3" in cluster.text("packhorse", "why", str(job))
    answer = cluster.run("packhorse", "why", "4711", check=False)
    assert answer.returncode == 1
    assert answer.stderr == (
        "packhorse why: job 4711 is not known: never submitted, or finished and forgotten\n"
    )
