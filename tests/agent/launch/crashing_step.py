"""The smallest agent: `python crashing_step.py HOME WISH` launches one step of two tasks and owns it.

The test that runs it kills it, its fork server or its supervisor at a crash point.
"""

from __future__ import annotations

import asyncio
import os
import sys

from packhorse.agent.cgroups import Cgroups, Wish
from packhorse.agent.launch.launcher import Launcher
from packhorse.agent.launch.spec import LaunchSpec, StepPlan, Task
from tests.agent.launch.stepclient import StepClient


async def main(home: str, wish: Wish) -> None:
    launcher = Launcher(home, Cgroups.detect("crash", home, wish))
    body = f"echo $$ >> {home}/ran; sleep 0.05; exit 3"
    tasks = tuple(Task(rank=rank, argv=("/bin/sh", "-c", body)) for rank in range(2))
    supervised = await launcher.launch(
        LaunchSpec(
            key="1.1.1.0",
            attempt_dir=f"{home}/attempt",
            argv=(),
            environment=("PATH=/usr/bin:/bin",),
            cwd=home,
            uid=os.getuid(),
            gid=os.getgid(),
            step=StepPlan(tasks=tasks, n_tasks=2),
        )
    )
    client = StepClient()
    await client.attach(launcher, supervised)
    await client.to_the_end()
    print((await launcher.wait(supervised)).cause, flush=True)
    await launcher.close()


asyncio.run(main(sys.argv[1], sys.argv[2]))  # type: ignore[arg-type]
