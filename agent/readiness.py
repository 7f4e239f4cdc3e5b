"""Whether the node takes new work, and all that speaks against it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from enum import StrEnum

import msgspec
import structlog

from packhorse.agent.files import Spool
from packhorse.scheduler.model.node import Offer

log = structlog.get_logger()

DISK_CHECK_S = 10.0
"""Between tries whether a spool that refused a write takes one again."""


class Against(StrEnum):
    """What may speak against new work; each is said and taken back by whoever found it.

    OPERATOR: only an operator can judge it (a prolog or epilog failed, processes cannot be killed). It stays,
    also over restarts, until one resumes the node.
    """

    DISK = "disk"
    HEALTH = "health"
    OPERATOR = "operator"


class Readiness:
    """The reasons in force, one of a kind. changed is called after every change; files works on the spool."""

    def __init__(self, spool: Spool, files: Executor, changed: Callable[[], None]) -> None:
        self._spool = spool
        self._files = files
        self._changed = changed
        drained = spool.drained()
        self._reasons = {Against.OPERATOR: drained} if drained else {}

    def offer(self, offer: Offer) -> Offer:
        """The offer, as far as it may be made."""
        reason = "; ".join(self._reasons[of] for of in Against if of in self._reasons)
        return msgspec.structs.replace(offer, accepting=not reason, reason=reason)

    def say(self, against: Against, why: str) -> None:
        """Something speaks against new work; why "": no longer."""
        if self._reasons.get(against, "") == why:
            return
        if why:
            self._reasons[against] = why
        else:
            del self._reasons[against]
        self._changed()

    async def disk_trouble(self, why: str, epoch: Callable[[], int]) -> None:
        """Returns once the spool takes a write again, the newest epoch; until then the node takes no work."""
        if Against.DISK in self._reasons:
            return
        self.say(Against.DISK, why)
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(DISK_CHECK_S)
            try:
                await loop.run_in_executor(self._files, self._spool.keep_epoch, epoch())
            except OSError:
                continue
            self.say(Against.DISK, "")
            return

    async def drain(self, why: str) -> None:
        """Take no work until an operator resumes the node. Of several reasons the first is told."""
        log.error("node.drained", why=why)
        if Against.OPERATOR not in self._reasons:
            self.say(Against.OPERATOR, why)
            await self._keep(why)

    async def resume(self) -> None:
        """The operator has seen to it."""
        log.info("node.resumed", was=self._reasons.get(Against.OPERATOR, ""))
        self.say(Against.OPERATOR, "")
        await self._keep("")

    async def _keep(self, why: str) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._files, self._spool.keep_drained, why)
        except OSError as error:
            log.error("drain.not_kept", error=str(error))
