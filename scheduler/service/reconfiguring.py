"""The configuration file read again by a running scheduler: `scontrol reconfigure`, `packhorse reconfigure`,
SIGHUP.

All or nothing: a file with a mistake in it changes nothing. What needs a restart is told and not taken on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog

from packhorse.scheduler.config import file as config_file
from packhorse.scheduler.config.changes import Change, changes, taken_on
from packhorse.scheduler.config.file import Configuration
from packhorse.scheduler.model.errors import BadValue, ConfigError
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.model.reply import Refused
from packhorse.scheduler.plugins import require_policy
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.failures import refused

log = structlog.get_logger()

Taken = Callable[[Configuration], None]
"""Told what is in force from now on."""


class Outcome(NamedTuple):
    """problems: one line for each mistake; then there are no changes. applied: those that need no restart
    are in force."""

    changes: list[Change]
    problems: list[str]
    applied: bool


class Reconfiguring:
    """Of one scheduler. path: the file; current: what is in force; taken: those who keep a copy of parts."""

    def __init__(self, engine: Engine, path: Path, current: Configuration, *taken: Taken) -> None:
        self._engine = engine
        self._path = path
        self._taken = taken
        self._one_at_a_time = asyncio.Lock()
        self.current = current

    async def read_again(self, owner: Owner, admin: bool, dry_run: bool = False) -> Outcome:
        """Take the file on, or only say what that would change. Raises CallFailed, StoreUnavailable."""
        async with self._one_at_a_time:
            try:
                wanted = await asyncio.to_thread(self._read)
            except (ConfigError, BadValue) as error:
                return Outcome([], str(error).splitlines(), False)
            found = changes(self.current, wanted)
            if dry_run:
                return Outcome(found, [], False)
            new = taken_on(self.current, wanted)
            texts = tuple([change.text for change in found if not change.restart])
            reply = await self._engine.reconfigure(Caller(owner, admin), new.cluster, texts)
            if isinstance(reply, Refused):
                raise refused(reply)
            self.current = new
            for take in self._taken:
                take(new)
            log.info("config.taken_on", file=str(self._path), changes=[change.text for change in found])
            return Outcome(found, [], True)

    async def on_signal(self, owner: Owner) -> None:
        """As SIGHUP asks for it: nobody waits for the outcome, so it is logged."""
        try:
            outcome = await self.read_again(owner, True)
        except Exception:
            log.exception("config.not_taken_on", file=str(self._path))
            return
        for problem in outcome.problems:
            log.error("config.mistaken", file=str(self._path), problem=problem)

    def _read(self) -> Configuration:
        """A file that was there and is gone is a mistake, not a wish for the defaults."""
        if self.current.path and not self._path.exists():
            raise ConfigError(f"{self._path}: no such file; nothing was changed")
        found = config_file.load(self._path, owner_uid=self.current.cluster.owner_uid)
        require_policy(found.cluster.policy)
        return found
