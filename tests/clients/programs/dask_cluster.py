#!/usr/bin/env python3
"""dask-jobqueue: a cluster of workers that are jobs, scaled up, used, scaled down again and closed."""

import os
import subprocess
import tempfile
import time

from dask.distributed import Client
from dask_jobqueue import SLURMCluster


def square(x: int) -> tuple[int, str]:
    return x * x, os.environ["SLURM_JOB_ID"]


def names() -> list[str]:
    return subprocess.check_output(["squeue", "--me", "-h", "-o", "%j %T"], text=True).split("\n")


if __name__ == "__main__":
    work = tempfile.mkdtemp(prefix="dask-", dir=os.getcwd())
    os.chdir(work)
    cluster = SLURMCluster(
        queue="main",
        cores=2,
        processes=2,
        memory="1GB",
        walltime="00:10:00",
        interface="lo",
        job_name="dask-worker",
        log_directory=f"{work}/logs",
        job_extra_directives=["--comment='from dask'"],
    )
    with cluster, Client(cluster) as client:
        cluster.scale(jobs=2)
        client.wait_for_workers(4, timeout=120)
        results = client.gather(client.map(square, range(20)))
        assert [value for value, _ in results] == [x * x for x in range(20)]
        jobs = {job for _, job in results}
        assert len([n for n in names() if n == "dask-worker RUNNING"]) == 2, names()
        cluster.scale(jobs=1)
        deadline = time.monotonic() + 60
        while len([n for n in names() if n == "dask-worker RUNNING"]) > 1:
            assert time.monotonic() < deadline, names()
            time.sleep(1)
    deadline = time.monotonic() + 60
    while any(n.startswith("dask-worker") for n in names()):
        assert time.monotonic() < deadline, names()
        time.sleep(1)
    states = subprocess.check_output(["sacct", "-X", "-n", "-P", "-o", "State", "-j", ",".join(jobs)], text=True)
    assert set(states.split()) <= {"COMPLETED", "CANCELLED", "by", str(os.getuid())}, states
    print("ok dask-jobqueue: 4 workers in", *sorted(jobs), "scaled down and closed")
