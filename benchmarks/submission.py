"""Durable submission over gRPC: one after the other, 64 callers at once, one batch call, one large array.

Every answer waited for here means that the jobs are on disk (SQLite, synchronous=FULL).
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.cluster import BenchCluster, a_scheduler
from benchmarks.line import Line
from packhorse.client import AsyncClient, Client, JobRequest

SEQUENTIAL = 2_000
CONCURRENT = 6_000
CALLERS = 64
BATCH = 20_000

TRUE = JobRequest(
    command="#!/bin/sh\ntrue\n", name="bench", environment={"PATH": "/usr/bin:/bin"}, work_dir="/tmp"
)


def sequential_rate(cluster: BenchCluster, n: int = SEQUENTIAL) -> float:
    """Submissions/s of one blocking client, one after the other."""
    with Client(home=cluster.home.root) as client:
        for _ in range(50):
            client.submit(TRUE)
        began = time.perf_counter()
        for _ in range(n):
            client.submit(TRUE)
        return n / (time.perf_counter() - began)


def concurrent_rate(cluster: BenchCluster, n: int = CONCURRENT) -> float:
    """Submissions/s of 64 callers that each submit one after the other, on one connection."""

    async def run() -> float:
        async with AsyncClient(home=cluster.home.root) as client:
            left = iter(range(n))

            async def caller() -> None:
                for _ in left:
                    await client.submit(TRUE)

            await client.submit(TRUE)
            began = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(CALLERS)))
            return n / (time.perf_counter() - began)

    return asyncio.run(run())


def batch_rate(cluster: BenchCluster, n: int = BATCH) -> float:
    """Jobs/s of one call that submits n jobs, each with arguments of its own; best of three calls."""
    args = [[str(i)] for i in range(n)]
    with Client(home=cluster.home.root) as client:
        client.submit_sweep(TRUE, args[:10])
        rates = []
        for _ in range(3):
            began = time.perf_counter()
            client.submit_sweep(TRUE, args)
            rates.append(n / (time.perf_counter() - began))
        return max(rates)


def array_ack_ms(cluster: BenchCluster) -> float:
    """Median time to acknowledge an array of 100,000 elements."""
    array = JobRequest(command="true", array="0-99999", environment={}, work_dir="/tmp", hold=True)
    with Client(home=cluster.home.root) as client:
        client.submit(TRUE)
        times = []
        for _ in range(20):
            began = time.perf_counter()
            client.submit(array)
            times.append(time.perf_counter() - began)
        return statistics.median(times) * 1000


@contextmanager
def _fresh() -> Iterator[BenchCluster]:
    with a_scheduler() as cluster:
        yield cluster


def lines() -> Iterator[Line]:
    """Each on a store of its own."""
    with _fresh() as cluster:
        rate = sequential_rate(cluster)
        yield Line("durable submission, one after the other", rate, "/s", "more", 400, 800, SEQUENTIAL)
    with _fresh() as cluster:
        rate = concurrent_rate(cluster)
        yield Line("durable submission, 64 callers", rate, "/s", "more", 1_500, 4_000, CONCURRENT)
    with _fresh() as cluster:
        rate = batch_rate(cluster)
        yield Line("durable submission, batch call", rate, "jobs/s", "more", 15_000, 40_000, 3 * BATCH)
    with _fresh() as cluster:
        yield Line("100,000-element array acknowledged", array_ack_ms(cluster), "ms", "less", 50, 10, 20)
