"""Calls of `srun` and `salloc` that wait: for room for a step, for nodes for an allocation.

Both look at the state, and look again when something of their job has become durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import step_of
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import AttemptKey, JobId
from packhorse.scheduler.model.job import Active, Ended, Job, Owner, Pending
from packhorse.scheduler.model.reply import RefusalCode, Refused, StepMade
from packhorse.scheduler.model.step import StepPart
from packhorse.scheduler.service import messages
from packhorse.scheduler.service.convert_steps import create_step
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.failures import CallFailed, Code, refused
from packhorse.scheduler.service.step_environment import allocation_environment
from packhorse.scheduler.store.codec import jobs_of

_TELLING: Final = frozenset(
    {
        ev.JobGranted,
        ev.AttemptStarted,
        ev.JobEnded,
        ev.JobRequeued,
        ev.JobEnding,
        ev.JobResumed,
        ev.BatchEnded,
        ev.StepPartEnded,
    }
)
"""After which somebody who waits may have an answer."""


class StepCalls:
    """All such calls of one scheduler."""

    def __init__(self, engine: Engine, *, wait_limit_s: int) -> None:
        self._engine = engine
        self._wait_limit_s = wait_limit_s
        self._waiters: dict[JobId, dict[asyncio.Event, None]] = {}
        engine.observe(self._saw)

    async def create(
        self, request: messages.CreateStepRequest, owner: Owner, admin: bool
    ) -> messages.CreateStepResponse:
        """A step of a running job. Raises CallFailed for one that cannot be."""
        call = create_step(request, owner, admin)
        job = call.input.job
        deadline = self._deadline(request.wait_s)
        with _Bell(self._waiters, job) as bell:
            while True:
                reply = await self._engine.call(call.input, call.payloads)
                if isinstance(reply, StepMade):
                    name = call.input.spec.name
                    return _made(self._engine.state, reply.key, reply.parts, name)
                if not isinstance(reply, Refused):
                    raise CallFailed(Code.INTERNAL, f"the core answered {type(reply).__name__} to this call")
                if reply.code is not RefusalCode.EXHAUSTED:
                    raise refused(reply)
                if not await bell.rung(deadline):
                    return messages.CreateStepResponse(job_id=job, busy=reply.message)

    def get(self, job: Job, step_id: int) -> messages.CreateStepResponse:
        """Where a running step of the job is. Raises CallFailed."""
        active = job.phase
        step = step_of(self._engine.state.steps, job.id, step_id)
        if step is None or not isinstance(active, Active):
            raise CallFailed(
                Code.NOT_FOUND,
                f"step {job.id}.{step_id} does not run",
                slurm="Invalid job id specified",
                refusal=RefusalCode.NOT_FOUND.value,
            )
        attempt = active.attempt
        key = AttemptKey(attempt.job, attempt.number, attempt.epoch, step.id)
        parts = [part for part in step.parts if not part.over]
        return _made(self._engine.state, key, parts, step.spec.name)

    async def await_allocation(self, id: JobId, timeout_s: int) -> messages.AwaitAllocationResponse:
        """What has become of the job, once it has nodes or has ended, or when time is up."""
        deadline = self._deadline(timeout_s)
        with _Bell(self._waiters, id) as bell:
            while True:
                answer = self._allocation(id)
                if answer.ready or answer.detail or not await bell.rung(deadline):
                    await self._engine.barrier()
                    return answer

    def _allocation(self, id: JobId) -> messages.AwaitAllocationResponse:
        """As it is now; ready: it has nodes, detail: why it will never have any."""
        state = self._engine.state
        job = state.jobs.get(id)
        if job is None:
            return messages.AwaitAllocationResponse(detail=f"job {id} is not known any more")
        match job.phase:
            case Pending():
                waits = id in state.pending_columns
                reason = state.pending_columns.reason(id).value if waits else ""
                return messages.AwaitAllocationResponse(state=job.state.value, reason=reason)
            case Active() as active:
                ready = bool(active.started_at) and active.ending is None
                return messages.AwaitAllocationResponse(
                    state=job.state.value,
                    nodes=[placement.node for placement in active.placements],
                    environment=allocation_environment(job, active, state.config.name),
                    ready=ready,
                    detail="" if active.ending is None else "it is being ended",
                )
            case Ended() as ended:
                return messages.AwaitAllocationResponse(
                    state=ended.state.value,
                    reason=ended.reason,
                    nodes=[placement.node for placement in ended.placements],
                    exit_code=ended.exit_code,
                    detail=ended.detail or f"job {id} is over: {ended.state.value}",
                )

    def _deadline(self, wait_s: int) -> float:
        limit = min(max(wait_s, 0), self._wait_limit_s)
        return asyncio.get_running_loop().time() + limit

    def _saw(self, _first: int, events: Sequence[Event]) -> None:
        """The engine's observer: these events are durable now."""
        if not self._waiters:
            return
        for event in events:
            if type(event) in _TELLING:
                for bell in self._waiters.get(jobs_of(event)[0], ()):
                    bell.set()


class _Bell:
    """Rings when something happens to a job, from `with` on."""

    def __init__(self, waiters: dict[JobId, dict[asyncio.Event, None]], job: JobId) -> None:
        self._waiters = waiters
        self._job = job
        self._event = asyncio.Event()

    def __enter__(self) -> _Bell:
        self._waiters.setdefault(self._job, {})[self._event] = None
        return self

    def __exit__(self, *exc: object) -> None:
        mine = self._waiters[self._job]
        del mine[self._event]
        if not mine:
            del self._waiters[self._job]

    async def rung(self, deadline: float) -> bool:
        """Waits for it; False when time is up first."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


def _made(state: State, key: AttemptKey, parts: Sequence[StepPart], name: str) -> messages.CreateStepResponse:
    return messages.CreateStepResponse(
        job_id=key.job,
        step_id=key.step,
        key=str(key),
        nodes=[_node(state, part) for part in parts],
        name=name,
    )


def _node(state: State, part: StepPart) -> messages.StepNode:
    node = state.nodes[part.node]
    return messages.StepNode(
        node=part.node,
        host_name=node.spec.host_name,
        boot_id=node.boot_id,
        door=node.spec.step_door,
        ranks=list(part.ranks),
    )
