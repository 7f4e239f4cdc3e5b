"""A job is opened on a node before its first process there, whatever that is, and closed after its last: when
the site's prolog and epilog run.

What was opened is kept on disk, with the order that it was opened for, so that another agent closes it.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Executor

import msgspec

from packhorse.agent.files import Spool
from packhorse.agent.job_scripts import JobScripts
from packhorse.agent.orders import ExitReport, LaunchOrder
from packhorse.scheduler.model.ids import UNKNOWN, AttemptKey


class Openings:
    """Of one node. files: where the disk is waited for."""

    def __init__(self, scripts: JobScripts, spool: Spool, files: Executor) -> None:
        self._scripts = scripts
        self._spool = spool
        self._files = files
        self._opening: dict[AttemptKey, asyncio.Task[str]] = {}
        self._unkept: dict[AttemptKey, LaunchOrder] = {}
        """What was opened while the disk did not take it."""

    @property
    def needed(self) -> bool:
        """There is something to run."""
        return self._scripts.prolog_file is not None or self._scripts.epilog_file is not None

    def kept(self) -> tuple[AttemptKey, ...]:
        """What is open, ascending."""
        return tuple(sorted({*self._spool.openings_found(), *self._unkept}))

    async def open(self, order: LaunchOrder) -> str:
        """Runs the prolog unless it has run for this attempt. Why nothing of it may start, "" if it may.

        After one that failed a step's epilog has run, too; a batch script's runs at its end, as ever.
        """
        whole = order.attempt.whole
        if not self.needed or whole in self._unkept or self._spool.opened(whole):
            return ""
        task = self._opening.get(whole)
        if task is None:
            task = self._opening[whole] = asyncio.get_running_loop().create_task(self._open(order))
        try:
            return await asyncio.shield(task)
        finally:
            if task.done():
                self._opening.pop(whole, None)

    async def _open(self, order: LaunchOrder) -> str:
        for older in self._spool.opened_before(order.attempt.whole):  # nobody said that it was over
            await self.close(older)
        why = await self._scripts.prolog(order)
        if why:
            more = await self._scripts.epilog(order, _unknown(order)) if order.step is not None else ""
            return "; ".join(filter(None, (why, more)))
        try:
            await asyncio.get_running_loop().run_in_executor(self._files, self._spool.note_opened, order)
        except OSError:
            self._unkept[order.attempt.whole] = msgspec.structs.replace(order, script=b"", environment=())
        return ""

    async def close(self, whole: AttemptKey) -> str:
        """Runs the epilog, if what was opened has not been closed. Why the node must take no more, "" for all
        well."""
        loop = asyncio.get_running_loop()
        order = self._unkept.get(whole) or await loop.run_in_executor(
            self._files, self._spool.opened_for, whole
        )
        if order is None:
            return ""
        why = await self._scripts.epilog(order, _unknown(order))
        await self.closed(whole)
        return why

    async def closed(self, whole: AttemptKey) -> None:
        """The epilog has run."""
        self._unkept.pop(whole, None)
        with contextlib.suppress(OSError):  # should this agent end now, the next one runs it again
            await asyncio.get_running_loop().run_in_executor(self._files, self._spool.note_closed, whole)


def _unknown(order: LaunchOrder) -> ExitReport:
    """How an attempt ended of which this node had steps only."""
    return ExitReport(order.attempt.whole, UNKNOWN, UNKNOWN)
