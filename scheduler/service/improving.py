"""Runs the improver for the engine: one run at a time on a thread, while the starts it is about wait.

A pass that found itself contended has started nothing (RunCycle.hold). Within `hold` of the configuration the
engine gets either a guide to a better plan or word that there is none, and runs the pass that starts jobs. A
solver that fails, hangs or is wrong costs that time and nothing else.

Runs that come to nothing are paid for by everybody who waits, so after one there is none for a while: all in
all they hold starts back for a small part of the time.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import structlog

from packhorse.scheduler.core.contended import Contended
from packhorse.scheduler.model.cluster import Improver
from packhorse.scheduler.model.input import Guided

if TYPE_CHECKING:
    from packhorse.scheduler.core.packing.cpsat import Stopper
    from packhorse.scheduler.core.packing.improver import Rejected
    from packhorse.scheduler.core.propose import Proposal

log = structlog.get_logger(__name__)

PAUSE: Final = 10.0
"""After a run that came to nothing there is none for so many times as long as it took."""

MOST_DUMPS: Final = 20

STOP_EVERY_S: Final = 0.05
"""A solve that was just beginning may not have heard that it shall stop."""


class ImproverMeter(Protocol):
    """Where runs are counted."""

    def improver_ran(self, result: str, seconds: float, value: int, n_jobs: int) -> None:
        """A run ended "better", "same", "rejected" or "stopped"; with so much more value and jobs placed."""


class _Run(NamedTuple):
    """The run under way."""

    case: Contended
    stopper: Stopper
    began: float
    answer: asyncio.Future[Proposal]
    alarm: asyncio.TimerHandle


class Improving:
    """See the module. All methods belong to the event loop.

    answered: called once for each `begin` unless `drop` or `stop` comes first, with the guide or with
    nothing. dumps: folder for what the improver got wrong, None: nowhere.
    """

    def __init__(
        self,
        settings: Improver,
        answered: Callable[[tuple[Guided, ...]], None],
        meter: ImproverMeter,
        dumps: Path | None,
    ) -> None:
        self._settings = settings
        self._answered = answered
        self._meter = meter
        self._dumps = dumps
        self._run: _Run | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._loaded = False
        self._not_before = 0.0
        self.holding = False
        """Starts wait for an answer."""

    def start(self) -> None:
        """Load the solver, off the event loop; there are no runs before."""
        if self._settings.enabled and self._settings.hold_ms and self._thread is None:
            self._thread = ThreadPoolExecutor(1, "improver")
            loading = asyncio.get_running_loop().run_in_executor(self._thread, _load)
            loading.add_done_callback(self._has_loaded)

    @property
    def ready(self) -> bool:
        """A pass may be held for a run now."""
        return self._loaded and self._run is None and time.monotonic() >= self._not_before

    def begin(self, case: Contended) -> None:
        """Starts wait for the answer to this from now on, at most as long as configured."""
        from packhorse.scheduler.core.packing.cpsat import Stopper

        assert self._thread is not None
        assert self._run is None
        loop = asyncio.get_running_loop()
        stopper = Stopper()
        answer = loop.run_in_executor(self._thread, _solve, case, self._settings, stopper, self._dumps)
        alarm = loop.call_later(self._settings.hold_ms / 1000, self._too_late)
        self._run = _Run(case, stopper, time.monotonic(), answer, alarm)
        self.holding = True
        answer.add_done_callback(self._done)

    def drop(self) -> None:
        """Nobody wants the answer any more."""
        self.holding = False
        if self._run is not None:
            self._run.alarm.cancel()
            self._run.stopper.stop()

    async def stop(self) -> None:
        """End the run under way, and begin no more."""
        self._not_before = float("inf")
        self.drop()
        while self._run is not None:
            run = self._run
            run.stopper.stop()
            await asyncio.wait({run.answer}, timeout=STOP_EVERY_S)
            await asyncio.sleep(0)  # _done
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def _has_loaded(self, loading: asyncio.Future[None]) -> None:
        if loading.cancelled():
            return
        if loading.exception() is not None:
            log.error("improver.not_loaded", why=str(loading.exception()))
        else:
            self._loaded = True
            log.info("improver.ready", hold_ms=self._settings.hold_ms)

    def _too_late(self) -> None:
        """The time for which starts may wait is over."""
        self.drop()
        self._answered(())

    def _done(self, answer: asyncio.Future[Proposal]) -> None:
        run, self._run = self._run, None
        if run is None or answer.cancelled():
            return
        run.alarm.cancel()
        wanted, self.holding = self.holding, False
        seconds = time.monotonic() - run.began
        guide = answer.result().guide if wanted else ()
        self._count(run, answer.result(), wanted, seconds)
        if not guide:
            self._not_before = max(self._not_before, time.monotonic() + PAUSE * seconds)
        if wanted:
            self._answered(guide)

    def _count(self, run: _Run, found: Proposal, wanted: bool, seconds: float) -> None:
        from packhorse.scheduler.core.packing.improver import Rejected

        if isinstance(found.answer, Rejected):
            self._meter.improver_ran("rejected", seconds, 0, 0)
        elif not wanted:
            self._meter.improver_ran("stopped", seconds, 0, 0)
        elif not found.guide:
            self._meter.improver_ran("same", seconds, 0, 0)
        else:
            answer = found.answer
            value = sum(answer.after.levels) - sum(answer.before.levels)
            n_jobs = len(answer.solution.placed) - len(run.case.hint.placed)
            self._meter.improver_ran("better", seconds, max(value, 0), max(n_jobs, 0))
            log.info("improver.better", value=value, jobs=n_jobs, status=answer.status, seconds=seconds)


def _load() -> None:
    import packhorse.scheduler.core.propose  # noqa: F401 - what takes half a second is the solver's library


def _solve(case: Contended, settings: Improver, stopper: Stopper, dumps: Path | None) -> Proposal:
    """On the thread. Never raises."""
    from packhorse.scheduler.core.packing.improver import Rejected
    from packhorse.scheduler.core.propose import Proposal, limits_of, propose

    try:
        found = propose(case, limits_of(settings, time.monotonic), stopper)
    except Exception as error:
        log.exception("improver.failed")
        wrong = (f"{type(error).__name__}: {error}",)
        found = Proposal((), Rejected(wrong, case.problem.to_json(), case.hint.to_json(), ""))
    if isinstance(found.answer, Rejected):
        path = _dump(found.answer, settings, dumps) if dumps is not None else None
        log.error("improver.rejected", wrong=found.answer.wrong[0], dump=str(path or ""))
    return found


def _dump(rejected: Rejected, settings: Improver, folder: Path) -> Path | None:
    """Writes what `packhorse bench improver --replay` reads; the oldest of too many goes."""
    try:
        numbers = sorted(int(p.stem.rpartition("-")[2]) for p in folder.glob("improver-*.json"))
        path = folder / f"improver-{numbers[-1] + 1 if numbers else 1}.json"
        value = {
            "wrong": rejected.wrong,
            "seed": settings.seed,
            "workers": settings.workers,
            "problem": json.loads(rejected.problem),
            "hint": json.loads(rejected.hint),
            "answer": json.loads(rejected.answer or "null"),
        }
        path.write_text(json.dumps(value) + "\n")
        for number in numbers[: max(len(numbers) + 1 - MOST_DUMPS, 0)]:
            (folder / f"improver-{number}.json").unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        log.error("improver.not_dumped", why=str(error))
        return None
    return path
