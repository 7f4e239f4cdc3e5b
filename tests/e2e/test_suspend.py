"""Suspended jobs on real processes: one stops counting, another has its CPUs, and it goes on afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, kill, wait_until

COUNT = "i=0; while :; do i=$((i+1)); echo $i > {0}.new; mv {0}.new {0}; sleep 0.01; done"
PAUSE_S = 0.4
EPOCH = {"SLURM_TIME_FORMAT": "%s"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One node of two CPUs."""
    with Cluster(nodes=1, cpus=2, mem="1000M") as found:
        yield found


class Counting:
    """A job that counts in a file."""

    def __init__(self, cluster: Cluster, name: str, *options: str) -> None:
        self.cluster = cluster
        self.path: Path = cluster.work / name
        self.path.unlink(missing_ok=True)
        script = cluster.script(f"{name}.sh", COUNT.format(self.path))
        self.id = cluster.sbatch("-J", name, *options, script)

    def count(self) -> int:
        try:
            return int(self.path.read_text() or 0)
        except FileNotFoundError:
            return 0

    def counts(self) -> None:
        before = self.count()
        wait_until(lambda: self.count() > before, f"job {self.id} to count")

    def stands_still(self) -> None:
        wait_until(self._stood, f"job {self.id} to stand still")

    def _stood(self) -> bool:
        before = self.count()
        time.sleep(PAUSE_S)
        return self.count() == before

    def end(self) -> None:
        self.cluster.run("scancel", str(self.id))
        assert self.cluster.wait(self.id).state == "CANCELLED"


def squeue(cluster: Cluster, job: int, fields: str = "%t %T %M") -> str:
    return cluster.text("squeue", "-h", "-j", str(job), "-o", fields).strip()


def test_another_job_has_its_cpus_and_it_goes_on_afterwards(cluster: Cluster) -> None:
    first = Counting(cluster, "first", "-c", "2", "--mem=300", "-t", "10")
    first.counts()
    second = Counting(cluster, "second", "-c", "2", "--mem=300")
    assert cluster.state(second.id) == "PENDING"
    cluster.run("scontrol", "suspend", str(first.id))
    since = time.monotonic()
    first.stands_still()
    second.counts()
    assert first._stood()
    wait_until(lambda: time.monotonic() - since > 1.1, "a whole second, which sacct can tell")
    assert squeue(cluster, first.id).startswith("S SUSPENDED ")
    shown = cluster.text("scontrol", "show", "job", str(first.id))
    assert "JobState=SUSPENDED Reason=None" in shown
    assert "SuspendTime=20" in shown and "NodeList=" + cluster.names[0] in shown
    code, text = cluster.refused("scontrol", "resume", str(first.id))
    assert (code, text.splitlines()) == (
        1,
        [
            f"job {first.id} cannot go on: node {cluster.names[0]} has 0 CPUs free, 2 needed",
            "slurm_suspend error: Requested nodes are busy",
        ],
    )
    # Its memory is still its own.
    third = cluster.sbatch("-c", "1", "--mem=800", "--wrap", "true")
    assert cluster.state(third) == "PENDING"
    second.end()
    cluster.run("scontrol", "resume", str(first.id))
    first.counts()
    assert squeue(cluster, first.id).startswith("R RUNNING ")
    story = [event["text"] for event in cluster.events(first.id)]
    assert any(text.startswith("suspended by ") for text in story)
    assert any(text.startswith("resumed by ") for text in story)
    first.end()
    cluster.wait(third)
    fields = "Suspended,ElapsedRaw,Start,End"
    told = cluster.run("sacct", "-n", "-P", "-X", "-j", str(first.id), "-o", fields, variables=EPOCH).stdout
    suspended, elapsed, start, end = told.strip().split("|")
    suspended_s = int(suspended.rpartition(":")[2])
    assert suspended_s > 0 and int(elapsed) + suspended_s == pytest.approx(int(end) - int(start), abs=1)


def test_the_agent_is_killed_while_a_job_is_suspended(cluster: Cluster) -> None:
    job = Counting(cluster, "orphan", "-c", "2")
    job.counts()
    cluster.run("scontrol", "suspend", str(job.id))
    job.stands_still()
    kill(cluster.agent())
    assert job._stood()
    cluster.up()
    wait_until(lambda: not _silent(cluster), "the agent to be back")
    assert job._stood()
    assert cluster.state(job.id) == "SUSPENDED"
    cluster.run("scontrol", "resume", str(job.id))
    job.counts()
    # The scheduler comes back as well, and finds it as it left it.
    cluster.run("scontrol", "suspend", str(job.id))
    job.stands_still()
    kill(cluster.scheduler())
    cluster.up()
    assert cluster.state(job.id) == "SUSPENDED"
    wait_until(lambda: not _silent(cluster), "the agent to be back")
    assert job._stood()
    cluster.run("scontrol", "resume", str(job.id))
    job.counts()
    job.end()


def _silent(cluster: Cluster) -> bool:
    return "*" in cluster.text("sinfo", "-h", "-o", "%T")


def test_nothing_is_promised_while_the_agent_is_away(cluster: Cluster) -> None:
    job = Counting(cluster, "missed", "-c", "1")
    job.counts()
    kill(cluster.agent())
    wait_until(lambda: _silent(cluster), "the agent to be missed")
    code, text = cluster.refused("scontrol", "suspend", str(job.id))
    assert code == 1 and f"is on node {cluster.names[0]}, which is silent" in text
    job.counts()
    cluster.up()
    wait_until(lambda: not _silent(cluster), "the agent to be back")
    cluster.run("scontrol", "suspend", str(job.id))
    job.stands_still()
    job.end()


def test_cancelling_a_suspended_job(cluster: Cluster) -> None:
    script = cluster.script(
        "bye.sh", 'trap "echo bye; exit 0" TERM\necho ready\nwhile :; do sleep 0.05; done'
    )
    job = cluster.sbatch(script)
    wait_until(lambda: "ready" in cluster.said(job), "the trap to be set")
    cluster.run("scontrol", "suspend", str(job))
    cluster.run("scancel", "--state=SUSPENDED", str(job))
    assert cluster.wait(job).state == "CANCELLED"
    assert "bye" in cluster.output(job)


def test_the_time_limit_does_not_run_while_it_is_suspended(cluster: Cluster) -> None:
    job = Counting(cluster, "limited", "-c", "1", "-t", "0:03")
    job.counts()
    cluster.run("scontrol", "suspend", str(job.id))
    time.sleep(4)
    assert cluster.state(job.id) == "SUSPENDED"
    cluster.run("scontrol", "resume", str(job.id))
    job.counts()
    assert cluster.wait(job.id).state == "TIMEOUT"
    elapsed = cluster.text("sacct", "-n", "-P", "-X", "-j", str(job.id), "-o", "ElapsedRaw").strip()
    assert 2 <= int(elapsed) <= 5


def test_jobs_that_cannot_be_suspended(cluster: Cluster) -> None:
    job = cluster.sbatch("--hold", "--wrap", "true")
    code, text = cluster.refused("scontrol", "suspend", str(job))
    assert (code, text.splitlines()[-1]) == (1, "slurm_suspend error: Job is pending execution")
    cluster.run("scancel", str(job))
    cluster.wait(job)
    code, text = cluster.refused("scontrol", "suspend", str(job))
    assert text.splitlines()[-1] == "slurm_suspend error: Job/step already completing or completed"
    code, text = cluster.refused("scontrol", "suspend", "9999")
    assert text.splitlines()[-1] == "slurm_suspend error: Invalid job id specified"
