"""Runs the programs of triggers that were fired: as their user, on this host, for at most five minutes.

An observer of the engine, so that a program starts only when the event that says so is durable, and never
again after it. What is due while too many run waits; what still waits when the scheduler ends is lost.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from packhorse.scheduler.model.event import Event, TriggersFired
from packhorse.scheduler.model.trigger import Fired

log = structlog.get_logger(__name__)

AT_ONCE = 8
LIMIT_S = 300.0
"""As in Slurm."""
PATH = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Our own commands first: a program may set its next trigger."""


class TriggerRuns:
    """`saw` is the observer. limit_s: a program that takes longer is killed with all of its process group."""

    def __init__(self, variables: dict[str, str], limit_s: float = LIMIT_S) -> None:
        """variables: of the programs' environment, beside those that say who they are."""
        self._variables = variables
        self._limit_s = limit_s
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def saw(self, _first: int, events: Sequence[Event]) -> None:
        """These are durable."""
        for event in events:
            if type(event) is TriggersFired:
                for fired in event.fired:
                    task = asyncio.get_running_loop().create_task(self._run(fired))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Ends what runs."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, fired: Fired) -> None:
        async with self._room:
            words = _words(fired)
            log.info("trigger.fired", trigger=fired.id, program=words[0], user=fired.owner.user)
            try:
                process = await asyncio.create_subprocess_exec(
                    *words,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    cwd="/",
                    env=self._environment(fired),
                    start_new_session=True,
                    **_identity(fired),
                )
            except (OSError, ValueError) as error:
                log.warning("trigger.not_run", trigger=fired.id, program=words[0], why=str(error))
                return
            await self._wait(fired, process)

    async def _wait(self, fired: Fired, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(self._limit_s):
                code = await process.wait()
        except (TimeoutError, asyncio.CancelledError) as error:
            _kill(process.pid)
            await process.wait()
            if isinstance(error, asyncio.CancelledError):
                raise
            log.warning("trigger.took_too_long", trigger=fired.id, limit_s=self._limit_s)
        else:
            if code:
                log.warning("trigger.failed", trigger=fired.id, code=code)

    def _environment(self, fired: Fired) -> dict[str, str]:
        """Nothing of the scheduler's own but how its commands find it."""
        try:
            home = pwd.getpwuid(fired.owner.uid).pw_dir
        except KeyError:
            home = "/"
        user = fired.owner.user
        return {"PATH": PATH, "HOME": home, "USER": user, "LOGNAME": user, **self._variables}


def _words(fired: Fired) -> list[str]:
    """Program and arguments as they were quoted, and what it was fired for."""
    try:
        words = shlex.split(fired.program)
    except ValueError:
        words = []
    return [*(words or [fired.program]), fired.argument]


def _identity(fired: Fired) -> dict[str, Any]:
    """Who it runs as. The set-up of the trigger made sure that this can be."""
    owner = fired.owner
    if os.geteuid() == owner.uid:
        return {}
    groups = os.getgrouplist(owner.user, owner.gid) if not owner.user.isdecimal() else [owner.gid]
    return {"user": owner.uid, "group": owner.gid, "extra_groups": groups}


def _kill(pid: int) -> None:
    """The whole session."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
