"""Steps for people on other hosts: who may have a tunnel, and how the step's agent is had to dig it.

No host listens to another one. Whoever wants to attach comes to a door of theirs (the scheduler's, or that of
an agent that relays), the scheduler looks whether the step is theirs, tells the agent of the step's node to
dial back, and joins the two (joint.py). docs/decisions/0011-steps.md.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from packhorse.scheduler.core.steps.book import step_of
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import AttemptKey, NodeName
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.reply import RefusalCode
from packhorse.scheduler.service.auth import Principal, Relation, require
from packhorse.scheduler.service.convert_agents import TunnelOrder
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.joint import End, Stream, join

log = structlog.get_logger()

DIAL_S = 10.0
"""For so long an agent may take to dial back."""

MOST = 8192
MOST_PER_USER = 2048
"""Tunnels at one time: each has a connection on either side."""


class _Awaited(NamedTuple):
    node: NodeName
    dialled: asyncio.Future[Stream]


class Tunnels:
    """All of one scheduler. tell: passes an order on to a node's agent; False where it is not connected."""

    def __init__(self, engine: Engine, tell: Callable[[NodeName, TunnelOrder], bool]) -> None:
        self._engine = engine
        self._tell = tell
        self._awaited: dict[int, _Awaited] = {}
        self._open: Counter[int] = Counter()
        self._joints: set[asyncio.Task[tuple[int, int]]] = set()

    @asynccontextmanager
    async def reach(self, principal: Principal, node: str, step: str) -> AsyncIterator[Stream]:
        """The node's agent, talking for the step. node, step: as the caller wrote them.

        Raises CallFailed or BadValue: nobody's step, somebody else's, or an agent that does not come.
        """
        name = NodeName(node)
        order = self._allowed(principal, name, step)
        uid = principal.owner.uid
        if self._open[uid] >= MOST_PER_USER or self._open.total() >= MOST:
            raise CallFailed(
                Code.RESOURCE_EXHAUSTED,
                f"{self._open[uid]} tunnels of yours are open, {self._open.total()} in all (limits "
                f"{MOST_PER_USER} and {MOST}); end some of the commands that are attached to steps",
            )
        self._open[uid] += 1
        try:
            far = await self._dialled(name, order)
            try:
                yield far
            finally:
                far.over.set()
        finally:
            self._open[uid] -= 1
            if not self._open[uid]:
                del self._open[uid]

    async def carry(self, near: End, far: Stream, *, node: str, step: str) -> None:
        """Joins the two, and notes how much went through."""
        joint = asyncio.get_running_loop().create_task(join(near, far))
        self._joints.add(joint)
        try:
            told, heard = await joint
            log.info("tunnel.closed", node=node, step=step, bytes_in=told, bytes_out=heard)
        except asyncio.CancelledError:
            joint.cancel()
            await asyncio.gather(joint, return_exceptions=True)
            raise
        finally:
            self._joints.discard(joint)

    def close(self) -> None:
        """Ends them all: whoever is attached comes again."""
        for joint in self._joints:
            joint.cancel()

    async def arrived(self, node: str, id: int, stream: Stream) -> None:
        """An agent dialled back; serves its call. Raises CallFailed for an id that nobody awaits from it."""
        awaited = self._awaited.get(id)
        if awaited is None or awaited.node != node or awaited.dialled.done():
            raise CallFailed(Code.NOT_FOUND, "no tunnel with this id is waited for (any more)")
        awaited.dialled.set_result(stream)
        await stream.serve()

    def _allowed(self, principal: Principal, node: NodeName, step: str) -> TunnelOrder:
        """What the node's agent is told. Raises CallFailed, BadValue."""
        try:
            key = AttemptKey.parse(step)
        except ValueError:
            raise BadValue(f'step: "{step[:100]}" is no key of a step') from None
        state = self._engine.state
        job = state.jobs.get(key.job)
        found = step_of(state.steps, key.job, key.step) if key.step >= 0 else None
        active = None if job is None else job.phase
        if job is None or found is None or not isinstance(active, Active) or active.attempt != key.whole:
            raise _not_there(f"step {key.job}.{key.step} does not run")
        own = job.owner.uid == principal.owner.uid
        relation = Relation.OWN if own else Relation.OTHER
        require(principal, "StepTunnel", relation, f"step {key.job}.{key.step}")
        if all(part.node != node for part in found.parts):
            raise _not_there(f'step {key.job}.{key.step} has no tasks on node "{node[:100]}"')
        return TunnelOrder(secrets.randbits(64) or 1, job.owner.uid if own else 0, key)

    async def _dialled(self, node: NodeName, order: TunnelOrder) -> Stream:
        awaited = _Awaited(node, asyncio.get_running_loop().create_future())
        self._awaited[order.id] = awaited
        try:
            if not self._tell(node, order):
                raise CallFailed(Code.UNAVAILABLE, f"the agent of node {node} is not connected")
            async with asyncio.timeout(DIAL_S):
                return await awaited.dialled
        except TimeoutError:
            raise CallFailed(
                Code.UNAVAILABLE,
                f"the agent of node {node} did not dial back within {DIAL_S:g} s (an older release?)",
            ) from None
        finally:
            del self._awaited[order.id]


def _not_there(why: str) -> CallFailed:
    return CallFailed(
        Code.NOT_FOUND, why, slurm="Invalid job id specified", refusal=RefusalCode.NOT_FOUND.value
    )
