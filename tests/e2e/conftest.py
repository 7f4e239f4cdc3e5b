"""One cluster for all end-to-end tests: two nodes of 8 CPUs, 16 GiB and 2 GPUs each, all declared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import Cluster, wait_until


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[Cluster]:
    with Cluster(nodes=2, cpus=8, mem="16G", gpus=2) as running:
        yield running


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Iterator[Cluster]:
    """The shared cluster, empty of jobs when the test begins and when the next one does."""
    yield shared_cluster
    states = ["PENDING", "CONFIGURING", "RUNNING", "SUSPENDED"]
    shared_cluster.call("CancelJobs", {"filter": {"states": states}})
    wait_until(lambda: not running_jobs(shared_cluster), "the test's jobs to end")


def running_jobs(cluster: Cluster) -> list[int]:
    """Jobs that are not over."""
    return [int(row["job_id"]) for row in cluster.jobs(fields=["end_at", "state"]) if not int(row["end_at"])]
