"""Gangs of jobs with real processes on two nodes: together or not at all."""

from __future__ import annotations

from tests.cluster import Cluster, wait_until

FOREVER = "sleep 600"


def test_three_jobs_start_together(cluster: Cluster) -> None:
    blocker = cluster.sbatch("-w", "node2", "-c", "8", "--wrap", FOREVER)
    cluster.wait_state(blocker, "RUNNING")
    start = "--gang=trio:3", "-c", "5", "--wrap", FOREVER
    first = cluster.sbatch("--gang=trio:3", "-c", "3", "--wrap", FOREVER)
    second = cluster.sbatch(*start)
    assert cluster.text("squeue", "-h", "-j", str(first), "-o", "%t %r").strip() == "PD GangIncomplete"
    assert "PackhorseGang=trio:3, 2 of 3 here" in cluster.text("scontrol", "show", "job", str(first))
    assert "submit the others" in cluster.text("packhorse", "why", str(second))
    third = cluster.sbatch(*start)
    gang = (first, second, third)
    wait_until(lambda: {cluster.job(job)["reason"] for job in gang} == {"Resources"}, "the pass to see all")
    assert {cluster.state(job) for job in gang} == {"PENDING"}
    cluster.run("scancel", str(blocker))
    for job in gang:
        cluster.wait_state(job, "RUNNING")
    events = [event for job in gang for event in cluster.events(job)]
    granted = [event["atUs"] for event in events if event["kind"] == "JobGranted"]
    assert len(granted) == 3 and len(set(granted)) == 1, events
    cluster.run("scancel", *map(str, gang))


def test_given_up_in_the_end(cluster: Cluster) -> None:
    blocker = cluster.sbatch("-w", "node2", "--exclusive", "--wrap", FOREVER)
    cluster.wait_state(blocker, "RUNNING")
    gang = [cluster.sbatch("--gang=pair:2@2s", "-c", "8", "--wrap", "true") for _ in range(2)]
    for job in gang:
        assert cluster.wait(job).state == "CANCELLED"
        assert cluster.job(job)["reason"] == "GangTimeout"


def test_refused_in_words(cluster: Cluster) -> None:
    code, error = cluster.refused("sbatch", "--gang=x:2", "--array=0-3", "--wrap", "true")
    assert code == 1 and "an array cannot be a member" in error
