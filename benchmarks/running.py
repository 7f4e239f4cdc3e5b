"""Jobs from submission to their durable end: many short ones, one at a time, and the cost of idling."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks.cluster import BenchCluster, a_cluster
from benchmarks.line import Line
from benchmarks.submission import TRUE
from packhorse.client import Client

MANY = 2_000
ONE_BY_ONE = 60
IDLE_S = 30.0


def throughput(cluster: BenchCluster, n: int = MANY) -> float:
    """Jobs/s of `true`, from the submission of all to the last exit durably known."""
    with Client(home=cluster.home.root) as client:
        client.submit(TRUE).wait()
        began = time.perf_counter()
        jobs = client.submit_sweep(TRUE, [[str(i)] for i in range(n)])
        results = client.wait(*(job.ref for job in jobs))
        took = time.perf_counter() - began
    bad = [result for result in results if not result.ok]
    if bad:
        raise RuntimeError(f"{len(bad)} of {n} jobs did not end well, first: {bad[0]}")
    return n / took


def latency_ms(cluster: BenchCluster, n: int = ONE_BY_ONE) -> float:
    """Median time from submission to the exit being known, one job at a time."""
    times = []
    with Client(home=cluster.home.root) as client:
        client.submit(TRUE).wait()
        for _ in range(n):
            began = time.perf_counter()
            client.submit(TRUE).wait()
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def idle_percent(cluster: BenchCluster, seconds: float = IDLE_S) -> float:
    """Processor time of scheduler, agent and fork server while nothing happens, in % of one core."""
    processes = [cluster.scheduler(), *cluster.agents()]
    processes += [child for process in processes for child in process.children(recursive=True)]

    def spent() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    time.sleep(3)
    before = spent()
    time.sleep(seconds)
    return (spent() - before) / seconds * 100


def lines() -> Iterator[Line]:
    """On one node with 64 declared CPUs."""
    with a_cluster("--cpus-per-node", "64", "--mem-per-node", "64G") as cluster:
        latency = latency_ms(cluster)
        yield Line("one short job on an idle cluster", latency, "ms", "less", 100, 40, ONE_BY_ONE)
        rate = throughput(cluster)
        yield Line("2,000 jobs of true, 64 declared CPUs", rate, "jobs/s", "more", 150, 300, MANY)
    with a_cluster() as cluster:
        idle = idle_percent(cluster)
        yield Line(
            "idle: scheduler and agent", idle, "% of a core", "less", 1, 0.3, 1, f"over {IDLE_S:.0f} s"
        )
