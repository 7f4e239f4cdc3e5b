"""The smallest agent: `python crashing_agent.py HOME SCRIPT WISH` launches one attempt and waits for it.

The test that runs it kills it, its fork server or its supervisor at a crash point.
"""

from __future__ import annotations

import asyncio
import os
import sys

from packhorse.agent.cgroups import Cgroups, Wish
from packhorse.agent.launch.launcher import Launcher
from packhorse.agent.launch.spec import LaunchSpec


async def main(home: str, script: str, wish: Wish) -> None:
    launcher = Launcher(home, Cgroups.detect("crash", home, wish))
    supervised = await launcher.launch(
        LaunchSpec(
            key="1.1.1",
            attempt_dir=f"{home}/attempt",
            argv=(script,),
            environment=("PATH=/usr/bin:/bin",),
            cwd=home,
            uid=os.getuid(),
            gid=os.getgid(),
            stdout=f"{home}/out",
        )
    )
    print((await launcher.wait(supervised)).cause, flush=True)
    await launcher.close()


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3]))  # type: ignore[arg-type]
