"""Orders to suspend and continue attempts, carried out: by the supervisor, the processors, the sampler."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from packhorse.agent.bounds import Bounding
from packhorse.agent.launch import control
from packhorse.agent.launch.launcher import Launcher, LaunchError, NotRunning, Supervised
from packhorse.agent.orders import SuspendOrder, SuspensionReport
from packhorse.agent.usage import Sampler
from packhorse.scheduler.model.ids import AttemptKey

log = structlog.get_logger()

Said = Callable[[SuspensionReport], None]
"""Told what came of an order."""


class Suspensions:
    """Of one agent. A suspended attempt leaves its processors to others as far as they have no better ones,
    and is bound to others when it goes on, should these have stayed."""

    def __init__(self, launcher: Launcher, bounding: Bounding, sampler: Sampler, said: Said) -> None:
        self._launcher = launcher
        self._bounding = bounding
        self._sampler = sampler
        self._said = said
        self._newest: dict[AttemptKey, SuspendOrder] = {}
        """Orders that are being carried out; an older one says nothing any more."""

    def adopt(self, key: AttemptKey) -> None:
        """An earlier agent suspended the attempt."""
        self._bounding.suspend(key)

    async def obey(self, order: SuspendOrder, supervised: Supervised) -> None:
        """Carry the order out. The supervisor takes orders in the order in which this is begun."""
        key = order.attempt
        self._newest[key] = order
        wish = control.Suspend() if order.suspend else control.Continue(self._bounding.resume(key))
        suspended, error = not order.suspend, ""
        try:
            suspended = (await self._launcher.send(supervised, wish)).suspended
        except NotRunning:
            error = "it is over"
        except (LaunchError, TimeoutError, OSError) as why:
            error = str(why) or "its supervisor does not answer"
            log.error("attempt.deaf", attempt=str(key), order=type(order).__name__, why=error)
        if self._newest.get(key) is not order:
            return
        del self._newest[key]
        if suspended:
            self._bounding.suspend(key)
        self._sampler.suspended(key, suspended)
        self._said(SuspensionReport(key, suspended, error))
