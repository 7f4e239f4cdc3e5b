"""srun and its kin run as processes against a fake scheduler and fake step doors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.cli.fake_door import FakeDoor, Visit, step
from tests.cli.fake_scheduler import FakeScheduler

WITHIN_S = 60.0

Answer = tuple[int, str, str]


class Stepped:
    """A scheduler whose job 12 has a step 0 on one node for every script, with the ranks given."""

    def __init__(self, scheduler: FakeScheduler, root: Path) -> None:
        self.scheduler = scheduler
        self.root = root
        self.doors: list[FakeDoor] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            "HOME": str(root),
            "PACKHORSE_HOME": str(scheduler.home),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": ":".join(sys.path),
            "LANG": "C.UTF-8",
        }
        scheduler.on("SubmitJob", {"jobId": "12"})
        scheduler.on(
            "AwaitAllocation",
            {"state": "RUNNING", "ready": True, "nodes": ["node1"], "environment": ["SLURM_JOB_ID=12"]},
        )
        scheduler.on("EndAllocation", {})
        scheduler.on("GetStep", {})

    def serve(self, *nodes: tuple[list[int], Callable[[Visit], None]]) -> None:
        """The step's nodes: their ranks, and what happens at their doors."""
        self._close_doors()
        self.doors = [FakeDoor(self.root / f"door{at}", script) for at, (_, script) in enumerate(nodes, 1)]
        made = step(self.doors, [ranks for ranks, _ in nodes])
        self.scheduler.on("CreateStep", made)
        self.scheduler.on("GetStep", made)

    def start(
        self, prog: str, *words: str, variables: Mapping[str, str] | None = None, **more: Any
    ) -> subprocess.Popen[bytes]:
        """The command, running."""
        process = subprocess.Popen(
            [sys.executable, "-m", f"packhorse.cli.slurm.{prog}", *words],
            env={**self.environment, **(variables or {})},
            cwd=self.root,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more},
        )
        self._processes.append(process)
        return process

    def run(
        self, prog: str, *words: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> Answer:
        """(exit code, output, error output)."""
        process = self.start(prog, *words, variables=variables, stdin=subprocess.PIPE)
        out, err = process.communicate(stdin, timeout=WITHIN_S)
        return process.returncode, out.decode(), err.decode()

    def spec(self) -> dict[str, Any]:
        """The step that was asked for last."""
        found: dict[str, Any] = self.scheduler.bodies("CreateStep")[-1]["spec"]
        return found

    def close(self) -> None:
        """Ends what still runs, closes the doors, and raises what went wrong at one."""
        for process in self._processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        self._close_doors()

    def _close_doors(self) -> None:
        doors, self.doors = self.doors, []
        for door in doors:
            door.path.unlink()
            door.close()
