"""What a tunnel takes, and what the scheduler's other work feels of it.

    python -m benchmarks.tunnel_load [--mb 200] [--calls 200] [--json FILE]

A cluster of real processes on this machine, two nodes. `srun` believes that the node of its step, which
writes, is another host, and so reads it through the scheduler. Meanwhile jobs are submitted that must wait,
each of which is one call and one scheduling pass; before that as many are submitted with no tunnel.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from packhorse.cli import transport

FAR_SRUN = (
    "import sys\n"
    "from packhorse.cli.slurm.steps import door\n"
    "from packhorse.cli.slurm import srun\n"
    "door._own_boot_id = lambda: 'of another host'\n"
    "sys.exit(srun.main())\n"
)
SCRIPT = base64.b64encode(b"#!/bin/sh\ntrue\n").decode()


class Passes(NamedTuple):
    """How many there were, and the seconds of all together."""

    n: int
    seconds: float


class Load:
    """One cluster."""

    def __init__(self, home: Path) -> None:
        self.socket = str(home / "run" / "scheduler.sock")
        self.env = {**os.environ, "PACKHORSE_HOME": str(home)}
        self.home = home

    def run(self, *words: str) -> str:
        command = [sys.executable, "-m", *words]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=True)
        return done.stdout

    def passes(self) -> Passes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.socket)
            request = b"GET /metrics HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n"
            page = transport.exchange(connection, request)[1].decode()

        def value(name: str) -> float:
            found = re.search(rf"^packhorse_cycle_seconds_{name} (\S+)$", page, re.MULTILINE)
            return float(found[1]) if found else 0.0

        return Passes(int(value("count")), value("sum"))

    def submit(self) -> float:
        """Milliseconds until a job that has to wait is acknowledged."""
        spec = {
            "name": "waits",
            "workDir": "/tmp",
            "script": SCRIPT,
            "ask": {"minNodes": 2, "exclusive": True},
        }
        began = time.perf_counter()
        transport.call_socket(self.socket, "SubmitJob", {"spec": spec})
        return (time.perf_counter() - began) * 1000

    def measure(self, calls: int) -> dict[str, float]:
        before, times = self.passes(), []
        for _ in range(calls):
            times.append(self.submit())
            time.sleep(0.01)
        after = self.passes()
        times.sort()
        return {
            "submit_median_ms": statistics.median(times),
            "submit_p95_ms": times[int(len(times) * 0.95)],
            "pass_mean_ms": (after.seconds - before.seconds) * 1000 / max(1, after.n - before.n),
        }

    def through(self, mb: int, calls: int) -> dict[str, float]:
        scheduler = psutil.Process(int((self.home / "run" / "scheduler.pid").read_text().split()[0]))
        used = sum(scheduler.cpu_times()[:2])
        words = ("-N1", "-n1", "--exclusive", "head", "-c", f"{mb}000000", "/dev/zero")
        began = time.perf_counter()
        with open("/dev/null", "wb") as out:
            srun = subprocess.Popen([sys.executable, "-c", FAR_SRUN, *words], env=self.env, stdout=out)
        time.sleep(0.5)
        found = self.measure(calls)
        assert srun.wait() == 0
        seconds = time.perf_counter() - began
        cpu_s = sum(scheduler.cpu_times()[:2]) - used
        assert '"tunnel.closed"' in "".join(p.read_text() for p in (self.home / "log").glob("scheduler*"))
        return found | {"mb_per_s": mb / seconds, "scheduler_cpu_ms_per_mb": cpu_s * 1000 / mb}


def measure(mb: int, calls: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as root:
        load = Load(Path(root))
        (load.home / "packhorse.toml").write_text("[jobs]\nallow_root_jobs = true\n")
        load.run("packhorse.cli.main", "up", "--detach", "--nodes", "2", "--cpus-per-node", "4")
        try:
            load.run("packhorse.cli.slurm.sbatch", "-o/dev/null", "-N2", "--exclusive", "--wrap", "sleep 60")
            time.sleep(2)
            alone = load.measure(calls)
            load.run("packhorse.cli.slurm.scancel", "--me")
            time.sleep(3)
            return {"alone": alone, "with a tunnel": load.through(mb, calls)}
        finally:
            load.run("packhorse.cli.main", "down", "--kill-jobs")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = measure(args.mb, args.calls)
    print(json.dumps(found, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
