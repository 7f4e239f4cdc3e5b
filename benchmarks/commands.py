"""Whole processes as a user types them: sbatch and squeue, against a bare interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.cluster import BIN, BenchCluster, a_scheduler
from benchmarks.line import Line
from benchmarks.submission import TRUE
from packhorse.client import Client

RUNS = 40


def median_ms(
    words: Sequence[str], cluster: BenchCluster, cwd: Path | None = None, runs: int = RUNS
) -> float:
    """Median wall time of the process, output thrown away."""
    times = []
    for i in range(runs + 3):
        began = time.perf_counter()
        subprocess.run(words, env=cluster.env, cwd=cwd, stdout=subprocess.DEVNULL, check=True)
        if i >= 3:
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def lines() -> Iterator[Line]:
    """Times on a scheduler without nodes, so that nothing else runs on the machine."""
    with a_scheduler() as cluster, tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "job.sh"
        script.write_text("#!/bin/bash\n#SBATCH -J bench\n#SBATCH --time=5\nhostname\n")
        bare = median_ms([sys.executable, "-c", "pass"], cluster)
        note = f"a bare interpreter: {bare:.1f} ms"
        empty = median_ms([str(BIN / "squeue")], cluster)
        yield Line("squeue, empty", empty, "ms", "less", 45, 25, RUNS, note)
        sbatch = median_ms([str(BIN / "sbatch"), str(script)], cluster, Path(folder))
        yield Line("sbatch job.sh, whole process", sbatch, "ms", "less", 45, 25, RUNS, note)
        with Client(home=cluster.home.root) as client:
            client.submit_sweep(TRUE, [[str(i)] for i in range(10_000 - RUNS - 3)])
        full = median_ms([str(BIN / "squeue")], cluster, runs=15)
        yield Line("squeue, 10,000 pending jobs", full, "ms", "less", 250, 100, 15, note)
