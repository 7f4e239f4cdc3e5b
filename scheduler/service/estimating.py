"""Works out when waiting jobs will start, beside the scheduler: the loop only hands a copy over.

Jobs that are due are told (core/when/book.py): what they are told becomes an event and is scored. Of all jobs
the newest figures are kept in `Engine.estimates`, for whoever asks in between. After a run that took some
time there is none for twenty times as long, so that this takes a twentieth of a core at most.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog

from packhorse.scheduler.core.when import note
from packhorse.scheduler.core.when.book import EstimateBook
from packhorse.scheduler.core.when.calibration import calibrated
from packhorse.scheduler.core.when.futures import foresee
from packhorse.scheduler.core.when.question import Question, question
from packhorse.scheduler.model.event import StartEstimate
from packhorse.scheduler.model.input import NoteEstimates
from packhorse.scheduler.service.engine import Engine

log = structlog.get_logger(__name__)

LOOK_S: Final = 1.0
"""Between looks whether anybody is to be told."""

REFRESH_S: Final = 30.0
"""Figures of all waiting jobs are no older than that, where that can be afforded."""

SPARE: Final = 20.0
"""Times as long as the last run took there is none."""

AT_ONCE: Final = 500
"""Jobs that one event tells."""

SEED: Final = 0
"""Of the draws: the same job has the same ones from run to run, so that its figures move for a reason."""


class Estimator:
    """Runs beside the engine until it is stopped."""

    def __init__(self, engine: Engine, look_s: float = LOOK_S) -> None:
        self._engine = engine
        self._look_s = look_s
        self._task: asyncio.Task[None] | None = None
        self._seq = -1
        self._refreshed = 0.0

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End it; a run that is under way ends unheard."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pause_s = self._look_s
        while True:
            await asyncio.sleep(pause_s)
            try:
                pause_s = max(self._look_s, SPARE * await self.look())
            except Exception:
                log.exception("estimates.failed")
                pause_s = REFRESH_S

    async def look(self) -> float:
        """Tell who is due, if anybody is. Returns how long that took, in seconds."""
        engine = self._engine
        if engine.trouble:
            return 0.0
        state, now = engine.state, engine.clock.now()
        old = time.monotonic() - self._refreshed > REFRESH_S and engine.seq != self._seq
        if not state.pending_columns.n_ready:
            engine.estimates.clear()
        if not (old or note.due(state, now)):
            return 0.0
        self._seq, self._refreshed = engine.seq, time.monotonic()
        asked, book = question(state, now), state.estimates.copy()
        found = await asyncio.to_thread(_worked_out, asked, book)
        took_s = time.monotonic() - self._refreshed
        if not engine.trouble and engine.state is state:
            engine.estimates = {(estimate.job, estimate.last): estimate for estimate in found}
            due = [e for e in found if state.estimates.due((e.job, e.last), now)]
            for at in range(0, len(due), AT_ONCE):
                engine.post(NoteEstimates(tuple(due[at : at + AT_ONCE])))
        return took_s


def _worked_out(asked: Question, book: EstimateBook) -> list[StartEstimate]:
    return calibrated(book, foresee(asked, SEED), asked.now)
