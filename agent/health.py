"""The site's health check: a program that says every so often whether the node may take work.

Exit 0: it may. Anything else, or no end in time: it may not, with the last line the program wrote as the
reason, until a later check passes. One runs at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from packhorse.agent import node_script
from packhorse.agent.environment import DEFAULT_PATH

log = structlog.get_logger()

INTERVAL_S = 60.0
TIMEOUT_S = 60.0
"""Of one check, unless they are closer to each other than this: as Slurm has it."""

NOT_YET = "health check: has not passed yet"
"""A node's reason from the agent's start to the first check."""


class HealthCheck:
    """file is run every interval_s; spool: the agent's, which marks what it runs."""

    def __init__(self, file: Path, *, node: str, spool: str, interval_s: float = INTERVAL_S) -> None:
        self._file = file
        self._spool = spool
        self._interval_s = interval_s
        self._environment = {"PATH": DEFAULT_PATH, "SLURMD_NODENAME": node}
        self._now = asyncio.Event()

    def check_now(self) -> None:
        """Do not wait for the next interval."""
        self._now.set()

    async def watch(self, tell: Callable[[str], None]) -> None:
        """Checks for ever; tell(why) after every check, "" when it passed."""
        while True:
            self._now.clear()
            try:
                tell(await self._check())
            except node_script.StillThere as hangs:
                tell(f"health check: {hangs}")
                await hangs.gone()
                continue
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._now.wait()
            except TimeoutError:
                pass

    async def _check(self) -> str:
        timeout_s = min(self._interval_s, TIMEOUT_S)
        outcome = await node_script.run(self._file, self._environment, self._spool, timeout_s)
        if not outcome.trouble:
            return ""
        log.warning("health.failed", trouble=outcome.trouble, said=outcome.said)
        return f"health check: {outcome.said or outcome.trouble}"
