"""The agents' streams: one per node, dialled by its agent, open for as long as both live.

What an agent says becomes inputs of the engine; what the core commands is queued for the node and sent in
order. A node whose agent is not connected gets nothing: when it introduces itself, the core compares what
runs there with what should, and commands the difference.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import grpc
import grpc.aio
import msgspec
import structlog

from packhorse.scheduler.core.steps.book import Part
from packhorse.scheduler.core.steps.reports import find
from packhorse.scheduler.model.command import AckExit, Command, Launch
from packhorse.scheduler.model.crashpoint import crash_point, register
from packhorse.scheduler.model.errors import BadValue, PackhorseError, StoreError, StoreUnavailable
from packhorse.scheduler.model.ids import AttemptKey, Instant, NodeName
from packhorse.scheduler.model.input import RegisterNode, ReportExit, ReportSilence
from packhorse.scheduler.model.job import Active, Job
from packhorse.scheduler.model.pace import Pace
from packhorse.scheduler.model.reply import Refused
from packhorse.scheduler.service import convert_agents as wire
from packhorse.scheduler.service.auth import Principal, Relation, Role, allowed
from packhorse.scheduler.service.convert_step_launch import launch_step
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.failures import HTTP_STATUS, CallFailed, error_body, failure_of
from packhorse.scheduler.service.gpu_watch import GpuWatch
from packhorse.scheduler.service.joint import Stream
from packhorse.scheduler.service.relay import relayed_owner
from packhorse.scheduler.service.tunnels import Tunnels
from packhorse.v1 import agent_pb2_grpc

log = structlog.get_logger()

BEFORE_LAUNCH = register("agents.before_launch", "a launch is due, its node was told nothing")
AFTER_LAUNCH = register("agents.after_launch", "a launch was sent to its node")
BEFORE_ACK = register("agents.before_ack", "an exit is durable, its agent was not told")
AFTER_ACK = register("agents.after_ack", "an agent was told that an exit is durable")

Authenticate = Callable[[grpc.aio.ServicerContext[Any, Any]], Awaitable[Principal]]
"""Says who is at the other end of a call, or ends the call."""


class SessionSettings(msgspec.Struct, frozen=True):
    """heartbeat_s: an agent with nothing to say speaks that often; silent_beats missed end its stream.

    usage_s: how often agents measure. hello_s: how long a stream may take to say whose it is.
    """

    heartbeat_s: float = 5.0
    silent_beats: int = 3
    usage_s: float = 10.0
    hello_s: float = 10.0


def peer_address(peer: str) -> str:
    """The address alone of gRPC's name for a peer: `ipv4:192.0.2.7:51772`, `ipv6:%5B::1%5D:51772`."""
    _, _, rest = peer.partition(":")
    return rest.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]") or peer


class Unsent(NamedTuple):
    """Orders to connected nodes that are not sent yet: how many of each kind, and for each node that has some
    its name and the kind of the first."""

    by_kind: Counter[str]
    nodes: list[tuple[str, str]]


class AgentSessions(agent_pb2_grpc.AgentsServicer):
    """All streams of one scheduler: the gRPC service `Agents` and the engine's dispatcher."""

    def __init__(
        self,
        engine: Engine,
        authenticate: Authenticate,
        settings: SessionSettings = SessionSettings(),  # noqa: B008 - frozen
    ) -> None:
        self._engine = engine
        self._authenticate = authenticate
        self._settings = settings
        self._by_node: dict[NodeName, _Session] = {}
        self._gpus = GpuWatch(settings.usage_s)
        self.tunnels = Tunnels(engine, self._tell_to_dial)
        engine.dispatcher = self

    @property
    def connected(self) -> frozenset[NodeName]:
        """Nodes whose agents are connected now."""
        return frozenset(self._by_node)

    def unsent(self) -> Unsent:
        """What nodes are still to be told."""
        by_kind = Counter[str]()
        nodes = []
        for node, session in sorted(self._by_node.items()):
            kinds = session.queue.kinds()
            by_kind.update(kinds)
            if kinds:
                nodes.append((str(node), kinds[0]))
        return Unsent(by_kind, nodes)

    # -- the engine's dispatcher

    def dispatch(self, commands: Sequence[Command]) -> None:
        for command in commands:
            session = self._by_node.get(command.node)
            if session is not None:
                session.queue.put(command)

    def close_all(self, why: str) -> None:
        sessions, self._by_node = list(self._by_node.values()), {}
        for session in sessions:
            session.end(why, retry=True)

    # -- the service

    async def Session(  # type: ignore[override]  # grpc.aio also takes a coroutine that writes by itself
        self,
        request_iterator: AsyncIterator[wire.AgentMessage],
        context: grpc.aio.ServicerContext[wire.AgentMessage, wire.SchedulerMessage],
    ) -> None:
        """One agent's stream, from its introduction to its end."""
        try:
            await self._session(request_iterator, context)
        except asyncio.CancelledError:
            pass  # gRPC's way to say that the stream is broken or the server stops; it logs what comes back

    async def Tunnel(  # type: ignore[override]
        self,
        request_iterator: AsyncIterator[wire.TunnelBytes],
        context: grpc.aio.ServicerContext[wire.TunnelBytes, wire.TunnelBytes],
    ) -> None:
        """An agent dials back after an OpenTunnel."""
        node, first = await self._begin_tunnel("Tunnel", request_iterator, context)
        try:
            await self.tunnels.arrived(node, first.id, Stream(request_iterator, context))
        except CallFailed as failure:
            await context.abort(grpc.StatusCode.NOT_FOUND, failure.message)
        except asyncio.CancelledError:
            pass  # as for a session

    async def RelayTunnel(  # type: ignore[override]
        self,
        request_iterator: AsyncIterator[wire.TunnelBytes],
        context: grpc.aio.ServicerContext[wire.TunnelBytes, wire.TunnelBytes],
    ) -> None:
        """Somebody on an agent's host wants to talk to a step elsewhere; as a user, whoever it is."""
        _, first = await self._begin_tunnel("RelayTunnel", request_iterator, context)
        wish = first.wish
        try:
            caller = Principal(relayed_owner(wish))
            async with self.tunnels.reach(caller, wish.node, wish.step) as far:
                await context.write(wire.TunnelBytes(http_status=101))
                near = Stream(request_iterator, context)
                await self.tunnels.carry(near, far, node=wish.node, step=wish.step)
        except PackhorseError as error:
            failure = failure_of(error)
            body = msgspec.json.encode(error_body(failure))
            await context.write(wire.TunnelBytes(http_status=HTTP_STATUS[failure.code], data=body))
        except asyncio.CancelledError:
            pass  # as for a session

    async def _begin_tunnel(
        self,
        method: str,
        requests: AsyncIterator[wire.TunnelBytes],
        context: grpc.aio.ServicerContext[wire.TunnelBytes, wire.TunnelBytes],
    ) -> tuple[str, wire.TunnelBytes]:
        """Of which node the agent is that calls, and what it says first."""
        principal = await self._authenticate(context)
        if not allowed(method, principal.role, Relation.OWN):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only agents dig tunnels")
        try:
            async with asyncio.timeout(self._settings.hello_s):
                first = await anext(requests, None)
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the tunnel did not say which it is")
        if first is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a tunnel begins by saying which it is")
        return principal.node, first

    def _tell_to_dial(self, node: NodeName, order: wire.TunnelOrder) -> bool:
        session = self._by_node.get(node)
        if session is None:
            return False
        session.queue.put(order)
        return True

    async def _session(
        self,
        request_iterator: AsyncIterator[wire.AgentMessage],
        context: grpc.aio.ServicerContext[wire.AgentMessage, wire.SchedulerMessage],
    ) -> None:
        principal = await self._authenticate(context)
        try:
            async with asyncio.timeout(self._settings.hello_s):
                first = await anext(aiter(request_iterator), None)
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "no introduction came")
        try:
            register = wire.introduction(first, peer_address(context.peer())) if first is not None else None
        except BadValue as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if first is None or register is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a stream begins with an introduction")
        name = register.spec.name
        if principal.role is not Role.AGENT or principal.node != name:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED, f'this token does not speak for node "{name}"'
            )
        session = _Session(name, wire.takes_batches(first))
        await self._serve(session, register, request_iterator, context)

    async def _serve(
        self,
        session: _Session,
        register: RegisterNode,
        requests: AsyncIterator[wire.AgentMessage],
        context: grpc.aio.ServicerContext[wire.AgentMessage, wire.SchedulerMessage],
    ) -> None:
        name = session.node
        # From here on this stream is the node's: what is commanded while it registers must not go elsewhere.
        replaced = self._by_node.get(name)
        if replaced is not None:
            replaced.end("another session of this node began", retry=False)
        self._by_node[name] = session
        why = "the agent broke the stream"
        try:
            try:
                reply = await self._engine.call(register)
                epoch, cluster = self._engine.state.epoch, self._engine.state.config.name
            except StoreUnavailable as error:
                reply, epoch, cluster = None, 0, str(error)
            if reply is None or isinstance(reply, Refused):
                if self._by_node.get(name) is session:
                    del self._by_node[name]
                why = cluster if reply is None else reply.message
                await context.write(wire.goodbye(why, retry=reply is None))
                return
            log.info("node.connected", node=name, peer=register.spec.address, declared=register.spec.declared)
            beat, usage = self._settings.heartbeat_s, self._settings.usage_s
            await context.write(wire.welcome(epoch, cluster, max(1, round(beat)), max(1, round(usage))))
            why = await self._converse(session, requests, context)
        finally:  # a broken stream comes as a cancellation of this task, also while it registers
            if self._by_node.get(name) is session:
                del self._by_node[name]
                self._engine.usage.pop(name, None)
                self._gpus.silent(name)
                self._engine.post(ReportSilence(name))
            log.info("node.disconnected", node=name, why=why)
        if session.farewell is not None:
            await context.write(session.farewell)

    async def _converse(
        self,
        session: _Session,
        requests: AsyncIterator[wire.AgentMessage],
        context: grpc.aio.ServicerContext[wire.AgentMessage, wire.SchedulerMessage],
    ) -> str:
        """Read and write until either side has had enough; returns why."""
        reading = asyncio.create_task(self._read(session, requests))
        writing = asyncio.create_task(self._write(session, context))
        watching = asyncio.create_task(self._watch(session))
        tasks = (reading, writing, watching)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            error = next((error for task in done if (error := task.exception()) is not None), None)
            if error is not None:
                if not isinstance(error, grpc.RpcError | grpc.aio.AbortError | grpc.aio.UsageError):
                    log.error("session.failed", node=session.node, exc_info=error)
                return f"{type(error).__name__}: {error}"
            return next(task.result() for task in tasks if task in done)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, session: _Session, requests: AsyncIterator[wire.AgentMessage]) -> str:
        name = session.node
        clock, engine, loop = self._engine.clock, self._engine, asyncio.get_running_loop()
        async for message in requests:
            session.heard_at = loop.time()
            if self._by_node.get(name) is not session:
                continue  # on its way out: what is not acknowledged is told again on the stream that counts
            for said in wire.heard(name, message):
                match said:
                    case wire.HeardHeartbeat():
                        session.queue.put(clock.now())
                    case wire.NodeUsage():
                        engine.measured(name, said)
                        if engine.config.reclaim.enabled:
                            engine.post(wire.report_usage(name, said))
                        self._watch_gpus(name)
                    case _:
                        engine.post(said)
        return "the agent closed the stream"

    def _watch_gpus(self, node: NodeName) -> None:
        """Tell the core of jobs on the node whose GPUs do nothing."""
        engine = self._engine
        if engine.trouble:
            return
        for report in self._gpus.heard(engine.state, node, engine.usage, engine.clock.now()):
            engine.post(report)

    async def _write(
        self,
        session: _Session,
        context: grpc.aio.ServicerContext[wire.AgentMessage, wire.SchedulerMessage],
    ) -> str:
        loop = asyncio.get_running_loop()
        pace = Pace()
        while True:
            items = await session.queue.take()
            if session.takes_batches and (wait_s := pace.wait_s(loop.time())):
                await asyncio.sleep(wait_s)
                items += session.queue.take_now()
            messages: list[wire.SchedulerMessage] = []
            acked: list[AttemptKey] = []
            launches = 0
            end: _End | None = None
            for item in items:
                if isinstance(item, AckExit):
                    acked.append(item.attempt)
                elif isinstance(item, Launch):
                    launch = await self._launch(session.node, item)
                    if launch is not None:
                        launches += 1
                        messages.append(launch)
                elif isinstance(item, _End):
                    end = item
                    break
                elif isinstance(item, wire.TunnelOrder):
                    messages.append(wire.open_tunnel(item))
                elif isinstance(item, int):
                    messages.append(wire.heartbeat_reply(item))
                else:
                    messages.append(wire.order(item))
            if acked:
                crash_point(BEFORE_ACK)
                messages.append(wire.ack_exits(acked))
            if launches:
                crash_point(BEFORE_LAUNCH)
            if session.takes_batches and len(messages) > 1:
                messages = [wire.batch(messages)]
            for message in messages:
                await context.write(message)
            if launches:
                crash_point(AFTER_LAUNCH)
            if acked:
                crash_point(AFTER_ACK)
            if end is not None:
                session.farewell = wire.goodbye(end.why, retry=end.retry)
                return end.why

    async def _watch(self, session: _Session) -> str:
        """Return once nothing was heard for too long."""
        loop = asyncio.get_running_loop()
        patience = self._settings.heartbeat_s * self._settings.silent_beats
        # What arrives only notes the time: one timer for many messages, not one timer each.
        while (left := session.heard_at + patience - loop.time()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)
        return f"nothing heard for {patience:g} s"

    async def _launch(self, node: NodeName, command: Launch) -> wire.SchedulerMessage | None:
        """The launch with everything its node needs; None if the attempt is not its job's current one."""
        engine = self._engine
        found = self._current(command)
        if found is None:
            return None
        spec, step = found[0].spec, found[2]
        try:
            script = b"" if step else await engine.payloads.get(spec.script_ref)
            environment = await engine.payloads.get(step[0].spec.env_ref if step else spec.env_ref)
        except StoreError as error:
            log.error("launch.unreadable", job=command.job, why=str(error))
            script = environment = None
        found = self._current(command)  # anything may have happened while the store was read
        if found is None:
            return None
        if script is None or environment is None:
            engine.post(
                ReportExit(
                    node,
                    command.attempt,
                    Instant(0),
                    engine.clock.now(),
                    exit_code=1,
                    launch_error="its script or environment cannot be read back from the scheduler's store",
                )
            )
            return None
        job, active, step = found
        state = engine.state
        array = state.arrays.get(job.array_id) if job.array_id else None
        known = state.nodes.get(node)
        has_gpus = known is not None and any(device.kind == "gpu" for device in known.spec.devices)
        of_array = None if array is None else array.array
        if step is not None:
            return launch_step(
                job,
                active,
                *step,
                array=of_array,
                environment=environment,
                config=state.config,
                node_has_gpus=has_gpus,
            )
        return wire.launch(
            job,
            active,
            array=of_array,
            script=script,
            environment=environment,
            config=state.config,
            node_has_gpus=has_gpus,
        )

    def _current(self, command: Launch) -> tuple[Job, Active, Part | None] | None:
        """What is to be launched, if it is still wanted; of a step its part on that node."""
        try:
            state = self._engine.state
        except PackhorseError:
            return None
        if command.attempt.step >= 0:
            found = find(state, command.attempt, command.node)
            return None if found is None else (found[0], found[1], (found[2], found[3]))
        job = state.jobs.get(command.job)
        if job is None or not isinstance(job.phase, Active) or job.phase.attempt != command.attempt:
            return None
        return job, job.phase, None


class _End(msgspec.Struct, frozen=True):
    """Say goodbye and close."""

    why: str
    retry: bool


_Item = Command | Instant | wire.TunnelOrder | _End


class _Outgoing:
    """What a node is still to be told, in order. One reader."""

    def __init__(self) -> None:
        self._items: deque[_Item] = deque()
        self._filled = asyncio.Event()

    def put(self, item: _Item) -> None:
        self._items.append(item)
        self._filled.set()

    def kinds(self) -> list[str]:
        """What is in it, by name."""
        return [type(item).__name__.strip("_") for item in self._items]

    async def take(self) -> list[_Item]:
        """Everything there is, at least one."""
        await self._filled.wait()
        return self.take_now()

    def take_now(self) -> list[_Item]:
        """Everything there is."""
        self._filled.clear()
        items = list(self._items)
        self._items.clear()
        return items


class _Session:
    """One stream."""

    def __init__(self, node: NodeName, takes_batches: bool) -> None:
        self.node = node
        self.takes_batches = takes_batches
        self.heard_at = asyncio.get_running_loop().time()
        self.queue = _Outgoing()
        self.farewell: wire.SchedulerMessage | None = None

    def end(self, why: str, *, retry: bool) -> None:
        """Tell the agent to go once it has been sent what is queued."""
        self.queue.put(_End(why, retry))
