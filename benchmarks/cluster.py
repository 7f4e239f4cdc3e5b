"""A cluster of real processes in a temporary home, for measuring."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from packhorse.cli.home import Home
from packhorse.cli.transport import field

BIN = Path(sys.executable).parent


class BenchCluster:
    """Started by `packhorse up`, stopped by stop(). nodes 0: the scheduler alone."""

    def __init__(self, root: Path, options: Sequence[str] = ()) -> None:
        self.home = Home(root)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        self.env |= {"PACKHORSE_HOME": str(root), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        self.env.pop("PYTHONPATH", None)
        self.options = list(options)

    def up(self) -> float:
        """Start, or start again; seconds until it serves."""
        began = time.perf_counter()
        self.command("packhorse", "up", "--detach", *self.options)
        return time.perf_counter() - began

    def scheduler_only(self) -> float:
        """Start a scheduler without agents; seconds until it answers."""
        from packhorse.cli.commands.up import prepare

        prepare(self.home)
        began = time.perf_counter()
        with (self.home.log / "scheduler.out").open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-m", "packhorse.scheduler.service", "--home", str(self.home.root)],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_until_it_answers()
        return time.perf_counter() - began

    def wait_until_it_answers(self, within_s: float = 120) -> None:
        from packhorse.cli import transport

        deadline = time.monotonic() + within_s
        while True:
            try:
                transport.call_socket(str(self.home.socket), "Ping", {})
                return
            except (transport.TransportError, transport.CallError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)

    def command(self, *words: str, cwd: Path | None = None) -> str:
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, check=False, cwd=cwd)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def status(self) -> dict[str, object]:
        return dict(json.loads(self.command("packhorse", "status", "--json")))

    def n_jobs(self, *states: str) -> int:
        rows = field(self.status(), "jobs", [])
        return sum(int(row["count"]) for row in rows if row["state"] in states)

    @property
    def address(self) -> str:
        return str(json.loads((self.home.run / "scheduler.addr").read_text())["grpc"])

    def scheduler(self) -> psutil.Process:
        return psutil.Process(self.home.scheduler_pid())

    def agents(self) -> list[psutil.Process]:
        return [psutil.Process(pid) for pid in self.home.agent_pids().values()]

    def kill_scheduler(self) -> None:
        process = self.scheduler()
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def stop(self) -> None:
        if self.home.scheduler_pid():
            self.command("packhorse", "down")
        for process in self.agents():
            process.kill()


@contextlib.contextmanager
def a_cluster(*options: str) -> Iterator[BenchCluster]:
    """A running cluster; options of `packhorse up`."""
    with tempfile.TemporaryDirectory(prefix="packhorse-bench-") as root:
        cluster = BenchCluster(Path(root), options)
        cluster.up()
        try:
            yield cluster
        finally:
            cluster.stop()


@contextlib.contextmanager
def a_scheduler() -> Iterator[BenchCluster]:
    """A running scheduler without any node."""
    with tempfile.TemporaryDirectory(prefix="packhorse-bench-") as root:
        cluster = BenchCluster(Path(root))
        cluster.scheduler_only()
        try:
            yield cluster
        finally:
            cluster.stop()
