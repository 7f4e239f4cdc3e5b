"""Mail to users about their jobs (`--mail-type`), sent by the program in `[mail]`.

The program is run as `PROGRAM -s SUBJECT ADDRESS` with the job's owner's rights where the scheduler has
more, one letter at a time, and never waited for by anything else: it is told of events when they are
durable, looks at them only where the job asked for mail, and a program that hangs is ended. Mail is not part
of what is kept: what was to be sent when the scheduler stopped is not sent afterwards.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

import structlog

from packhorse.scheduler.core.state import State
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.job import Active, ArrayJob, Ended, Job, JobSpec, JobState, Pending
from packhorse.scheduler.model.mailspec import PERCENT
from packhorse.scheduler.model.units import format_clock
from packhorse.scheduler.service import mail_helper
from packhorse.scheduler.service.engine import Engine

log = structlog.get_logger(__name__)

LOOK_S: Final = 5.0
"""Between looks at who comes near its time limit or waits in vain."""

QUEUE: Final = 10_000
"""Letters that wait to be sent; more are left out, and said to be in the log."""


class Letter(NamedTuple):
    """uid, gid: whose rights the program gets. to: a mail address, or a user's name."""

    to: str
    subject: str
    uid: int
    gid: int


class Mailer:
    """Runs beside the engine until it is stopped."""

    def __init__(self, engine: Engine, program: str, look_s: float = LOOK_S) -> None:
        self._engine = engine
        self._program = program
        self._look_s = look_s
        self._letters: asyncio.Queue[Letter] = asyncio.Queue(QUEUE)
        self._watched: dict[JobId, set[str]] = {}
        """What else is to be told of which jobs when time passes: kinds of mail."""
        self._begun: set[JobId] = set()
        """Arrays of which it was told that they began."""
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin: what happens from now on is told. What has passed of time limits is not."""
        self._engine.observe(self._saw)
        state, now = self._engine.state, self._engine.clock.now()
        for array in state.arrays.values():
            self._watch(array.id, array.spec)
        for job in state.jobs.values():
            self._watch(job.id, job.spec)
            if isinstance(job.phase, Active):
                self._watched.get(job.id, set()).difference_update(_passed(job, job.phase, now))
                self._begun.add(job.array_id)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._send()), loop.create_task(self._look())]

    async def stop(self) -> None:
        """End it; a program that runs is ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- what happened

    def _saw(self, first: int, events: Sequence[Event]) -> None:
        """The engine's observer."""
        if self._engine.trouble:
            return
        for event in events:
            if type(event) in _TOLD:
                self._tell(event)

    def _tell(self, event: Event) -> None:
        match event:
            case ev.JobsSubmitted():
                self._submitted(event)
            case ev.ArraySubmitted():
                self._watch(event.id, event.spec)
            case ev.ArrayTaskSplit():
                self._split(event)
            case ev.AttemptStarted():
                self._started(event)
            case ev.JobEnded():
                self._ended(event)
            case ev.JobRequeued():
                self._requeued(event)

    def _submitted(self, event: ev.JobsSubmitted) -> None:
        for at, item in enumerate(event.items):
            self._watch(JobId(event.first_id + at), event.specs[item.spec])

    def _split(self, event: ev.ArrayTaskSplit) -> None:
        job = self._job(event.job)
        if job is not None:
            self._watch(job.id, job.spec)

    def _started(self, event: ev.AttemptStarted) -> None:
        job = self._job(event.job)
        if job is None or not _wants(job, "BEGIN"):
            return
        phase = job.phase
        started = event.started_at or (phase.started_at if isinstance(phase, Active | Ended) else 0)
        queued = f"Began, Queued time {_span(job.submitted_at, Instant(started or self._engine.clock.now()))}"
        if job.array_id and not _wants(job, "ARRAY_TASKS"):
            if job.array_id not in self._begun:
                self._begun.add(job.array_id)
                self._post(job, f"{_array(job)} {queued}")
        else:
            self._post(job, f"{_one(job)} {queued}")

    def _ended(self, event: ev.JobEnded) -> None:
        self._watched.pop(event.job, None)
        job = self._job(event.job)
        if job is None or not job.spec.mail:
            return
        failed = event.state is not JobState.COMPLETED
        ended = event.ended_at or self._engine.clock.now()
        ran = _span(event.started_at, Instant(ended)) if event.started_at else "00:00:00"
        how = f"{event.state.value}, ExitCode {event.exit_code}"
        if job.array_id and not _wants(job, "ARRAY_TASKS"):
            self._array_ended(job)
        elif failed and _wants(job, "FAIL"):
            self._post(job, f"{_one(job)} Failed, Run time {ran}, {how}")
        elif _wants(job, "END"):
            self._post(job, f"{_one(job)} Ended, Run time {ran}, {how}")

    def _array_ended(self, job: Job) -> None:
        """One letter when nothing of the array is left."""
        state = self._engine.state
        array = state.arrays.get(job.array_id)
        if array is not None and array.remaining:
            return
        phases = (
            [state.jobs[id].phase for id in state.tasks[job.array_id].by_index.values() if id in state.jobs]
            if job.array_id in state.tasks
            else [job.phase]
        )
        if not all(isinstance(phase, Ended) for phase in phases):
            return
        self._begun.discard(job.array_id)
        self._watched.pop(job.array_id, None)
        ends = [phase for phase in phases if isinstance(phase, Ended)]
        states = {phase.state for phase in ends}
        how = f"{ends[0].state.value if len(states) == 1 else 'Mixed'}, "
        how += f"MaxExitCode {max(phase.exit_code for phase in ends)}"
        failed = states != {JobState.COMPLETED}
        if failed and _wants(job, "FAIL"):
            self._post(job, f"{_array(job)} Failed, {how}")
        elif _wants(job, "END"):
            self._post(job, f"{_array(job)} Ended, {how}")

    def _requeued(self, event: ev.JobRequeued) -> None:
        job = self._job(event.job)
        if job is None:
            return
        self._watch(job.id, job.spec)
        if _wants(job, "REQUEUE"):
            self._post(job, f"{_one(job)} Requeued, {event.state.value}, ExitCode {event.exit_code}")

    def _job(self, id: JobId) -> Job | None:
        return self._engine.state.jobs.get(id)

    # -- what comes with time

    def _watch(self, id: JobId, spec: JobSpec) -> None:
        if spec.mail:
            kinds = {kind for kind in spec.mail.split(",") if kind in PERCENT or kind == "INVALID_DEPEND"}
            if kinds:
                self._watched[id] = kinds

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._look_s)
            if self._watched and not self._engine.trouble:
                self._look_once(self._engine.state, self._engine.clock.now())

    def _look_once(self, state: State, now: Instant) -> None:
        for id, kinds in list(self._watched.items()):
            waiter: Job | ArrayJob | None = state.jobs.get(id) or state.arrays.get(id)
            if waiter is None or isinstance(waiter.phase, Ended):
                del self._watched[id]
                continue
            phase = waiter.phase
            if isinstance(phase, Pending):
                if phase.never and "INVALID_DEPEND" in kinds:
                    kinds.discard("INVALID_DEPEND")
                    self._post(waiter, f"{_one(waiter)} Invalid dependency")
            elif isinstance(waiter, Job) and isinstance(phase, Active):
                reached = kinds & _passed(waiter, phase, now)
                kinds -= reached
                if reached:
                    percent = max(PERCENT[kind] for kind in reached)
                    what = "Reached time limit" if percent == 100 else f"Reached {percent}% of time limit"
                    self._post(waiter, f"{_one(waiter)} {what}, Run time {_span(phase.started_at, now)}")
            if not kinds:
                del self._watched[id]

    # -- sending

    def _post(self, waiter: Job | ArrayJob, subject: str) -> None:
        owner = waiter.owner
        letter = Letter(waiter.spec.mail_user or owner.user, subject, owner.uid, owner.gid)
        try:
            self._letters.put_nowait(letter)
        except asyncio.QueueFull:
            log.warning("mail.left_out", to=letter.to, subject=subject)

    async def _send(self) -> None:
        helper: asyncio.subprocess.Process | None = None
        try:
            while True:
                letter = await self._letters.get()
                if helper is None or helper.returncode is not None:
                    helper = await self._start_helper()
                error = await _hand_over(helper, letter)
                if error:
                    log.warning("mail.failed", program=self._program, to=letter.to, error=error)
        finally:
            if helper is not None and helper.returncode is None:
                helper.kill()

    async def _start_helper(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", mail_helper.__name__, self._program),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )


async def _hand_over(helper: asyncio.subprocess.Process, letter: Letter) -> str:
    """What went wrong, "" for nothing."""
    assert helper.stdin is not None and helper.stdout is not None
    rights = (letter.uid, letter.gid) if os.geteuid() == 0 else (-1, -1)
    try:
        helper.stdin.write(json.dumps([letter.to, letter.subject, *rights]).encode() + b"\n")
        await helper.stdin.drain()
    except OSError as error:
        return error.strerror or str(error)
    said = await helper.stdout.readline()
    return said.decode().strip() if said else "its helper has ended"


_TOLD: Final = frozenset(
    (ev.JobsSubmitted, ev.ArraySubmitted, ev.ArrayTaskSplit, ev.AttemptStarted, ev.JobEnded, ev.JobRequeued)
)


def _wants(job: Job, kind: str) -> bool:
    return kind in job.spec.mail.split(",")


def _passed(job: Job, active: Active, now: Instant) -> set[str]:
    """The kinds of mail that its run time has come to."""
    limit_us = job.spec.time_limit_s * US
    if not limit_us or not active.started_at:
        return set()
    ran = now - active.started_at - active.suspended_us
    return {kind for kind, percent in PERCENT.items() if 100 * ran >= percent * limit_us}


def _one(waiter: Job | ArrayJob) -> str:
    if isinstance(waiter, Job) and waiter.array_id:
        number = f"{waiter.array_id}_{waiter.index} ({waiter.id})"
        return f"Slurm Array Task Job_id={number} Name={waiter.spec.name}"
    return f"Slurm Job_id={waiter.id} Name={waiter.spec.name}"


def _array(job: Job) -> str:
    return f"Slurm Array Summary Job_id={job.array_id}_* ({job.array_id}) Name={job.spec.name}"


def _span(start: Instant, end: Instant) -> str:
    return format_clock(max(0, end - start) // US)
