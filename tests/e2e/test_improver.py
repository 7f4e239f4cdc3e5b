"""The improver in a running cluster: jobs in each other's way all start where starts may wait."""

from __future__ import annotations

import json
from urllib.request import urlopen

from tests.cluster import Cluster, wait_until

HOLD = '[scheduling]\npolicy = "tightest"\n[improver]\nhold = "8s"\n'


def test_four_jobs_that_just_fit_start_together() -> None:
    """3 + 3 CPUs on the first node leave 2 there and 8 on the other: one of those with 5 would wait."""
    with Cluster(nodes=2, cpus=8, mem="16G", config=HOLD) as cluster:
        log = cluster.home.log / "scheduler.log"
        wait_until(lambda: "improver.ready" in log.read_text(), "the solver to be loaded")
        jobs = [cluster.sbatch("-H", "-c", str(n), "--mem=1G", "--wrap", "sleep 600") for n in (3, 3, 5, 5)]
        cluster.run("scontrol", "release", ",".join(map(str, jobs)))
        for job in jobs:
            cluster.wait_state(job, "RUNNING")
        nodes = [cluster.job(job)["nodes"] for job in jobs]
        assert nodes[0] != nodes[1]
        assert nodes[2] != nodes[3]
        ports = json.loads((cluster.home.run / "scheduler.addr").read_text())

        def better() -> bool:
            with urlopen(f"http://{ports['http']}/metrics", timeout=10) as answer:
                return 'packhorse_improver_runs_total{result="better"} 1.0' in answer.read().decode()

        wait_until(better, "a run that found a better plan")
