"""A place to launch real jobs from: a launcher, scripts, attempt directories, a look at what is left."""

# ruff: noqa: ASYNC240 (a blocking look at a file is what a test is for)
from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from packhorse.agent.cgroups import Cgroups, Wish
from packhorse.agent.launch import processes
from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.launcher import Launcher, Supervised
from packhorse.agent.launch.spec import TOKEN_VARIABLE, LaunchSpec

PATIENCE_S = 20.0


async def until(condition: Callable[[], object], what: str = "it") -> None:
    """Returns as soon as `condition()` holds; fails the test if it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        await asyncio.sleep(0.005)


class Yard:
    def __init__(self, home: Path, wish: Wish) -> None:
        self.home = home
        self.cgroups = Cgroups.detect("t", home, wish)
        self.launcher = Launcher(home, self.cgroups)
        self.out = home / "out"
        self._number = 0

    async def close(self) -> None:
        await self.launcher.close()
        assert self.cgroups.leftovers() == {}
        self.cgroups.close()

    def script(self, body: str, *, first: str = "#!/bin/bash", mode: int = 0o755) -> str:
        self._number += 1
        path = self.home / f"script-{self._number}.sh"
        path.write_text(f"{first}\n{body}\n" if first else body, encoding="utf-8")
        path.chmod(mode)
        return str(path)

    def attempt(self) -> str:
        self._number += 1
        path = self.home / f"attempt-{self._number}"
        path.mkdir(mode=0o700)
        return str(path)

    def spec(self, body: str = "true", **changes: Any) -> LaunchSpec:
        """A batch job with `body`, whose output goes to `self.out`."""
        directory = changes.pop("attempt_dir", None) or self.attempt()
        given = {
            "key": f"{directory.rpartition('-')[2]}.1.1",
            "attempt_dir": directory,
            "argv": (self.script(body),) if "argv" not in changes else (),
            "environment": ("PATH=/usr/local/bin:/usr/bin:/bin", f"HERE={self.home}"),
            "cwd": str(self.home),
            "uid": os.getuid(),
            "gid": os.getgid(),
            "stdout": str(self.out),
            "label": "JOB 7",
            "node": "n1",
            "grace_s": 1,
        }
        return LaunchSpec(**{**given, **changes})

    async def launch(self, body: str = "true", **changes: Any) -> Supervised:
        return await self.launcher.launch(self.spec(body, **changes))

    async def run(self, body: str = "true", **changes: Any) -> ExitRecord:
        """Launches and waits; checks that nothing of the job is left."""
        return await self.end(await self.launch(body, **changes))

    async def end(self, supervised: Supervised) -> ExitRecord:
        record = await asyncio.wait_for(self.launcher.wait(supervised), 60)
        assert left_of(supervised) == []
        for group in supervised.groups:
            assert not os.path.exists(group.path)
        assert record.key == supervised.key
        return record

    def path(self, name: str) -> Path:
        return self.home / name

    async def written(self, name: str, lines: int = 1) -> list[str]:
        """The file that the job writes, once it has `lines` whole lines."""

        def whole() -> bool:
            return self.path(name).exists() and self.path(name).read_text().count("\n") >= lines

        await until(whole, name)
        return self.path(name).read_text().splitlines()


def left_of(supervised: Supervised) -> list[int]:
    """Living processes of the job."""
    return processes.with_environment(f"{TOKEN_VARIABLE}={supervised.token}")
