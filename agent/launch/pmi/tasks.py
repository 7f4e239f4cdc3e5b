"""The PMI of a step on one node, as its supervisor holds it: a socket for every task."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from packhorse.agent.launch import frames
from packhorse.agent.launch.mpi import Abort, Outfit, Tell
from packhorse.agent.launch.pmi.conversation import Conversation
from packhorse.agent.launch.pmi.request import ProtocolError
from packhorse.agent.launch.pmi.space import Layout, Space
from packhorse.agent.launch.spec import StepPlan

TASK_FD = 20
"""The number of the socket in a task: past those that scripts use for themselves."""

_READ = 1 << 16


class _Line:
    """One task's socket."""

    __slots__ = ("near", "talk")

    def __init__(self, near: socket.socket, talk: Conversation) -> None:
        self.near = near
        self.talk = talk


class PmiTasks:
    """An `Mpi`. name: of the step, `12.0`; node: of this node."""

    def __init__(self, plan: StepPlan, name: str, node: str, tell: Tell, abort: Abort) -> None:
        ranks = tuple(task.rank for task in plan.tasks)
        layout = Layout(name, ranks, plan.n_tasks, plan.n_nodes, node)
        self._space = Space(layout, lambda payload: tell(frames.ALL, payload), abort)
        self._lines: dict[int, _Line] = {}  # by descriptor
        self._seen = 0

    def outfit(self, rank: int) -> Outfit:
        near, far = socket.socketpair()
        near.setblocking(False)
        self._lines[near.fileno()] = _Line(near, Conversation(self._space, rank))
        layout = self._space.layout
        environment = (
            f"PMI_FD={TASK_FD}",
            f"PMI_JOBID={layout.name}",
            f"PMI_RANK={rank}",
            f"PMI_SIZE={layout.n_tasks}",
        )
        return Outfit(environment, ((TASK_FD, far.detach()),))

    def descriptors(self) -> Iterable[int]:
        return list(self._lines)

    def readable(self, fd: int) -> bool:
        line = self._lines.get(fd)
        if line is None:
            return False
        try:
            data = line.near.recv(_READ)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if data:
            try:
                self._send(line, line.talk.feed(data))
            except ProtocolError as error:
                self._space.abort(f"task {line.talk.rank} speaks no PMI: {error}", 1)
                self._hang_up(fd)
        else:
            self._hang_up(fd)
        self._settle()
        return fd in self._lines

    def heard(self, rank: int, payload: bytes) -> None:
        try:
            self._space.heard(payload)
        except ValueError as error:
            self._space.abort(f"its owner speaks no PMI: {error}", 1)
        self._settle()

    def task_ended(self, rank: int) -> None:
        self._space.gone(rank)

    def close(self) -> None:
        for line in self._lines.values():
            line.near.close()
        self._lines.clear()

    def _settle(self) -> None:
        """Answers whoever waited for what has happened."""
        while self._seen != self._space.version:
            self._seen = self._space.version
            for line in list(self._lines.values()):
                try:
                    self._send(line, line.talk.retry())
                except ProtocolError as error:
                    self._space.abort(f"task {line.talk.rank} speaks no PMI: {error}", 1)

    def _send(self, line: _Line, data: bytes) -> None:
        """A task that does not read what it asked for, so that the kernel has no room for it, is not served
        any more: nothing is kept for it here."""
        if not data:
            return
        try:
            n = line.near.send(data)
        except OSError:
            n = 0
        if n < len(data):
            try:
                line.near.shutdown(socket.SHUT_RDWR)  # it is read as hung up next
            except OSError:
                pass  # it is already

    def _hang_up(self, fd: int) -> None:
        """That it is over is told by its end: if that ends the step, its code is known by then."""
        self._lines.pop(fd).near.close()
