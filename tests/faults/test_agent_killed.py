"""The agent is killed with many jobs running: none notices, and each end is told truly afterwards."""

from __future__ import annotations

import time

from tests.cluster import Cluster, kill, wait_until

N_JOBS = 100
ADOPTED_WITHIN_S = 5.0


def test_a_hundred_jobs_outlive_their_agent() -> None:
    with Cluster(nodes=1, cpus=N_JOBS, mem="16G") as cluster:
        body = (
            "echo $SLURM_ARRAY_TASK_ID >> begun; until test -e go; do sleep 0.2; done; "
            "exit $((SLURM_ARRAY_TASK_ID % 7))"
        )
        array = cluster.sbatch(f"--array=0-{N_JOBS - 1}", "--mem=50M", "-o", "/dev/null", "--wrap", body)
        begun = cluster.work / "begun"
        wait_until(
            lambda: begun.exists() and begun.read_text().count("\n") == N_JOBS, "all to run", within_s=60
        )
        kill(cluster.agent())
        log = cluster.home.log / f"agent-{cluster.names[0]}.out"
        told_before = log.read_text().count('"session.opened"')
        started = time.monotonic()
        cluster.up()
        wait_until(lambda: log.read_text().count('"session.opened"') > told_before, "the agent to be back")
        adopted = log.read_text().count('"attempt.adopted"')
        assert adopted == N_JOBS
        assert time.monotonic() - started < ADOPTED_WITHIN_S
        running = [row for row in cluster.jobs() if row["state"] == "RUNNING"]
        assert len(running) == N_JOBS
        (cluster.work / "go").touch()
        cluster.wait_all([array], within_s=60)
        ends = cluster.text("sacct", "-nPX", "-o", "JobID,State,ExitCode", "-j", str(array)).split()
        expected = [f"{array}_{i}|{'FAILED' if i % 7 else 'COMPLETED'}|{i % 7}:0" for i in range(N_JOBS)]
        assert sorted(ends) == sorted(expected)
        assert begun.read_text().count("\n") == N_JOBS, "a job ran twice"
