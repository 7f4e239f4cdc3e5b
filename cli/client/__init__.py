"""The Python client: submit, wait, cancel, query and watch, from scripts and notebooks.

    from packhorse.client import Client, JobRequest

    with Client() as cluster:
        job = cluster.submit(["python3", "train.py"], cpus=4, memory="8G", time_limit="2:00:00")
        print(job.wait(progress=True).state)

`Client` blocks, `AsyncClient` has the same methods as coroutines. Without arguments both use the cluster of
PACKHORSE_HOME on this machine; the scheduler learns who calls from the kernel. With `server` and `token`
(see `packhorse token`) they reach one over TCP.
"""

from __future__ import annotations

from packhorse.client.aio import AsyncClient, AsyncJob
from packhorse.client.request import JobRequest
from packhorse.client.results import CallFailed, JobEvent, JobInfo, JobResult, NotFinished
from packhorse.client.sync import Client, Job

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "CallFailed",
    "Client",
    "Job",
    "JobEvent",
    "JobInfo",
    "JobRequest",
    "JobResult",
    "NotFinished",
]
