"""An agent that speaks the real protocol over a real socket, and runs nothing.

It keeps its promises as an agent must: an attempt is started once, an exit is told until it is acknowledged,
over as many streams and schedulers as that takes.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio

from packhorse.scheduler.model.ids import AttemptKey, JobId
from packhorse.v1 import agent_pb2 as pb
from packhorse.v1 import agent_pb2_grpc

NODE_METADATA = "node"
"""The tests' way to say which node a stream's token speaks for."""


Call = grpc.aio.StreamStreamCall[Any, Any]


def key_of(wire: pb.AttemptKey) -> AttemptKey:
    step = wire.step if wire.HasField("step") else -1
    return AttemptKey(JobId(wire.job_id), wire.number, wire.epoch, step)


def wire_key(key: AttemptKey) -> pb.AttemptKey:
    step = key.step if key.step >= 0 else None
    return pb.AttemptKey(job_id=key.job, number=key.number, epoch=key.epoch, step=step)


class FakeAgent:
    """One node. hold: attempts run until `finish`; otherwise they end well at once. deaf: hears no launch.

    mute: never introduces itself. token: the node its token speaks for.
    """

    def __init__(
        self,
        node: str = "n1",
        *,
        cpus: int = 4,
        mem_mib: int = 16_000,
        hold: bool = False,
        batches: bool = True,
        gpus: int = 0,
        token: str | None = None,
        deaf: bool = False,
        mute: bool = False,
    ) -> None:
        self.mute = mute
        self.deaf = deaf
        self.node = node
        self.cpus = cpus
        self.mem_mib = mem_mib
        self.hold = hold
        self.batches = batches
        self.gpus = gpus
        self.token = node if token is None else token
        self.boot_id = "boot-1"
        self.batches_heard = 0
        self.launches: list[pb.Launch] = []
        self.orders: list[pb.SchedulerMessage] = []
        self.running: set[AttemptKey] = set()
        self.unacked: dict[AttemptKey, pb.Exited] = {}
        self.settled: set[AttemptKey] = set()
        self.welcome: pb.Welcome | None = None
        self.goodbye: pb.Goodbye | None = None
        self.welcomed = asyncio.Event()
        self.left = asyncio.Event()
        self.changed = asyncio.Event()
        self._outgoing: asyncio.Queue[pb.AgentMessage | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    # -- streams

    async def connect(self, address: str) -> None:
        """Open a stream and wait until the scheduler has answered the introduction."""
        self.welcomed.clear()
        self.left.clear()
        self.welcome = self.goodbye = None
        self._outgoing = asyncio.Queue()
        self._task = asyncio.create_task(self._stream(address))
        ways = [asyncio.create_task(event.wait()) for event in (self.welcomed, self.left)]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        for way in ways:
            way.cancel()

    async def disconnect(self) -> None:
        """Break the stream, as a pulled plug would."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _stream(self, address: str) -> None:
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                stub = agent_pb2_grpc.AgentsStub(channel)
                call = stub.Session(None, metadata=((NODE_METADATA, self.token),))
                speaking = asyncio.create_task(self._speak(call))
                try:
                    while isinstance(message := await call.read(), pb.SchedulerMessage):
                        self._heard(message)
                finally:
                    speaking.cancel()
                    await asyncio.gather(speaking, return_exceptions=True)
                if await call.code() is not grpc.StatusCode.OK:
                    self.goodbye = pb.Goodbye(reason=await call.details() or "", retry=True)
        except grpc.aio.AioRpcError as error:
            self.goodbye = pb.Goodbye(reason=error.details() or "", retry=True)
        finally:
            self.left.set()
            self.changed.set()

    async def _speak(self, call: Call) -> None:
        if not self.mute:
            await call.write(self._hello())
        while (message := await self._outgoing.get()) is not None:
            await call.write(message)
        await call.done_writing()

    def _hello(self) -> pb.AgentMessage:
        return pb.AgentMessage(
            hello=pb.Hello(
                node=self.node,
                host_name=self.node,
                boot_id=self.boot_id,
                cpu_milli=self.cpus * 1000,
                mem_mib=self.mem_mib,
                devices=[pb.Device(kind="gpu", type="h200", index=i) for i in range(self.gpus)],
                offer=pb.Offer(epoch=1, cpu_milli=self.cpus * 1000, mem_mib=self.mem_mib, accepting=True),
                running=[pb.Running(attempt=wire_key(key), started_at_us=1) for key in sorted(self.running)],
                exited=[wire_key(key) for key in sorted(self.unacked)],
                takes_batches=self.batches,
            )
        )

    # -- the protocol

    def say(self, message: pb.AgentMessage) -> None:
        self._outgoing.put_nowait(message)

    def hang_up(self) -> None:
        """End the stream in good order."""
        self._outgoing.put_nowait(None)

    def _heard(self, message: pb.SchedulerMessage) -> None:
        if message.HasField("batch"):
            assert self.batches, "a batch was sent to an agent that takes none"
            self.batches_heard += 1
            for inner in message.batch.messages:
                self._heard(inner)
            return
        match message.WhichOneof("message"):
            case "welcome":
                self.welcome = message.welcome
                for exited in self.unacked.values():
                    self.say(pb.AgentMessage(exited=exited))
                self.welcomed.set()
            case "goodbye":
                self.goodbye = message.goodbye
            case "launch":
                assert self.welcomed.is_set(), "commands come after the welcome"
                self._launch(message.launch)
            case "terminate":
                self._terminate(key_of(message.terminate.attempt))
            case "ack_exits":
                for wire in message.ack_exits.attempts:
                    key = key_of(wire)
                    if self.unacked.pop(key, None) is not None:
                        self.settled.add(key)
        self.orders.append(message)
        self.changed.set()

    def _launch(self, launch: pb.Launch) -> None:
        key = key_of(launch.attempt)
        if self.deaf or key in self.running or key in self.settled or key in self.unacked:
            return
        self.launches.append(launch)
        self.running.add(key)
        self.say(pb.AgentMessage(started=pb.Running(attempt=launch.attempt, started_at_us=1)))
        if not self.hold:
            self.finish(key)

    def _terminate(self, key: AttemptKey) -> None:
        if key in self.running:
            self.finish(key, signal=15)
        elif key in self.unacked:
            self.say(pb.AgentMessage(exited=self.unacked[key]))
        else:
            self.say(
                pb.AgentMessage(exited=pb.Exited(attempt=wire_key(key), refused=True, launch_error="unknown"))
            )

    def finish(self, key: AttemptKey, code: int = 0, signal: int = 0) -> None:
        """The attempt ends now."""
        self.running.remove(key)
        exited = pb.Exited(attempt=wire_key(key), exit_code=code, exit_signal=signal, cause="exited")
        self.unacked[key] = exited
        self.say(pb.AgentMessage(exited=exited))
