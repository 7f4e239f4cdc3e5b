"""Fork servers and supervisors are killed: the first costs nothing, the second a run that is repeated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, environment, kill, status, wait_until
from tests.faults.workload import Load


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1) as running:
        yield running


def of_job(cluster: Cluster, job: int) -> list[int]:
    wanted = f"SLURM_JOB_ID={job}".encode()
    return [pid for pid in cluster.processes() if wanted in environment(pid)]


def supervisor(cluster: Cluster, job: int) -> int:
    """The process that watches over a job: the parent of its first process."""
    members = of_job(cluster, job)
    parents = {int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1]) for pid in members}
    (found,) = parents - set(members)
    return found


def test_the_fork_server_is_killed(cluster: Cluster) -> None:
    running = cluster.sbatch("--wrap", "until test -e go; do sleep 0.02; done; exit 3")
    cluster.wait_state(running, "RUNNING")
    (server,) = cluster.fork_servers()
    kill(server)
    load = Load(cluster)
    for i in range(10):
        load.submit(f"after-{i}")
    load_jobs = [submission.job for submission in load.done]
    cluster.wait_all(load_jobs)
    load.tally().check()
    (cluster.work / "go").touch()
    result = cluster.wait(running)
    assert (result.state, result.exit_code) == ("FAILED", 3)
    assert cluster.fork_servers() not in ([], [server])


def test_a_supervisor_is_killed_and_the_job_runs_again(cluster: Cluster) -> None:
    script = cluster.script(
        "again.sh",
        "echo run ${SLURM_RESTART_COUNT:-0} >> again.txt\n"
        'test -n "$SLURM_RESTART_COUNT" && exit 6\nsetsid sleep 600 &\nsleep 600',
    )
    job = cluster.sbatch(script)
    wait_until((cluster.work / "again.txt").exists, "the first run")
    members = of_job(cluster, job)
    kill(supervisor(cluster, job))
    result = cluster.wait(job)
    assert (result.state, result.exit_code) == ("FAILED", 6)
    assert (cluster.work / "again.txt").read_text() == "run 0\nrun 1\n"
    assert not [pid for pid in members if status(pid) not in "ZX"], "the first run's processes live on"


def test_a_supervisor_is_killed_and_the_job_may_not_run_again(cluster: Cluster) -> None:
    job = cluster.sbatch("--no-requeue", "--wrap", "sleep 600")
    wait_until(lambda: of_job(cluster, job), "it to run")
    kill(supervisor(cluster, job))
    result = cluster.wait(job)
    assert (result.state, result.reason) == ("NODE_FAIL", "NodeDown")
    assert of_job(cluster, job) == []
    assert "supervisor" in cluster.events(job)[-1]["text"]
