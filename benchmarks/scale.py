"""A long queue and a long history: 100,000 jobs waiting, 1,000,000 jobs finished."""

from __future__ import annotations

import statistics
import time
import urllib.request
from collections.abc import Iterator

from benchmarks.cluster import BenchCluster, a_cluster, a_scheduler
from benchmarks.history import fill
from benchmarks.line import Line
from benchmarks.running import throughput
from benchmarks.submission import TRUE, batch_rate, concurrent_rate, sequential_rate
from packhorse.client import Client

WAITING = 100_000
FINISHED = 1_000_000


def resident_mb(cluster: BenchCluster) -> float:
    return float(cluster.scheduler().memory_info().rss) / 1e6


def waiting_lines() -> Iterator[Line]:
    """100,000 separate jobs: memory, restart after kill -9, one pass."""
    with a_scheduler() as cluster:
        empty = resident_mb(cluster)
        with Client(home=cluster.home.root) as client:
            for first in range(0, WAITING, 10_000):
                client.submit_sweep(TRUE, [[str(i)] for i in range(first, first + 10_000)])
        full = resident_mb(cluster)
        note = f"{empty:.0f} MB empty"
        yield Line("100,000 pending jobs: scheduler resident", full, "MB", "less", 500, 250, 1, note)
        cluster.kill_scheduler()
        after_kill = cluster.scheduler_only()
        yield Line(
            "100,000 pending jobs: kill -9 to serving",
            after_kill,
            "s",
            "less",
            3,
            1.5,
            1,
            "replay of the log",
        )
        cluster.command("packhorse", "down")
        after_down = cluster.scheduler_only()
        note = f"from a snapshot; resident then {resident_mb(cluster):.0f} MB"
        yield Line("100,000 pending jobs: restart to serving", after_down, "s", "less", 3, 1.5, 1, note)
    with a_cluster("--cpus-per-node", "1", "--mem-per-node", "1G") as cluster:
        block = "#!/bin/sh\nexec sleep 600\n"
        with Client(home=cluster.home.root) as client:
            client.submit(block, environment={}, work_dir="/tmp")
            for first in range(0, WAITING, 10_000):
                client.submit_sweep(TRUE, [[str(i)] for i in range(first, first + 10_000)])
            for _ in range(10):
                client.submit(TRUE)
            time.sleep(1)
            n, total = _cycles(cluster)
            for _ in range(20):
                client.submit(TRUE)
                time.sleep(0.1)
            n_after, total_after = _cycles(cluster)
            cycle = (total_after - total) / max(1, n_after - n)
            client.cancel(1)
        yield Line("100,000 pending jobs: one pass", cycle, "s", "less", 0.5, 0.1, round(n_after - n), "mean")
        cluster.command("packhorse", "down", "--kill-jobs")


def _cycles(cluster: BenchCluster) -> tuple[float, float]:
    """Passes so far and seconds spent in them, from /metrics."""
    import json

    address = json.loads((cluster.home.run / "scheduler.addr").read_text())["http"]
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        text = answer.read().decode()
    found = {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line and line[0] != "#"}
    return found["packhorse_cycle_seconds_count"], found["packhorse_cycle_seconds_sum"]


def history_lines() -> Iterator[Line]:
    """The same rates on an empty store and on one with 1,000,000 finished jobs, in turns."""
    rates: dict[str, tuple[list[float], list[float]]] = {}
    for _ in range(2):
        for at, full in enumerate((False, True)):
            with a_cluster("--cpus-per-node", "64", "--mem-per-node", "64G") as cluster:
                if full:
                    cluster.command("packhorse", "down")
                    fill(cluster.home.root / "store" / "packhorse.db", FINISHED)
                    cluster.up()
                for name, rate in (
                    ("true jobs", throughput(cluster, 1_000)),
                    ("one after the other", sequential_rate(cluster, 800)),
                    ("64 callers", concurrent_rate(cluster, 2_000)),
                    ("batch", batch_rate(cluster, 10_000)),
                ):
                    rates.setdefault(name, ([], []))[at].append(rate)
                cluster.command("packhorse", "down", "--kill-jobs")
    for name, (empty, filled) in rates.items():
        ratio = statistics.mean(filled) / statistics.mean(empty) * 100
        note = f"{statistics.mean(filled):,.0f}/s against {statistics.mean(empty):,.0f}/s"
        yield Line(f"after 1,000,000 finished jobs: {name}", ratio, "%", "more", 90, 90, 2, note)
