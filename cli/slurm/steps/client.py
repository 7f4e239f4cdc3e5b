"""Whoever attached to a step: moves its bytes, passes signals on, and says what became of its tasks.

One loop around `poll`, one connection per node. Output is read in large pieces and written before more is
read, so a slow reader of ours slows the tasks down, and memory stays bounded. What was written is confirmed
to the step, so that after a broken connection it goes on from there.
"""

from __future__ import annotations

import os
from _signal import set_wakeup_fd  # type: ignore[import-not-found]
from select import POLLIN, POLLOUT, poll
from time import monotonic

from packhorse.cli.slurm.steps import frames
from packhorse.cli.slurm.steps.connection import Connection, Scratch
from packhorse.cli.slurm.steps.door import DoorError, StepNode
from packhorse.cli.slurm.steps.steering import Settings, Steering
from packhorse.cli.slurm.steps.tasks import Tasks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from packhorse.cli.slurm.steps.lines import LineWriter
    from packhorse.cli.slurm.steps.pmi import Star

BACK_WITHIN_S = 60.0
"""For so long a step waits for an owner to come back."""

ASK_AFTER_S = 2.0
"""A door that does not open for so long: is the step still there? Asked so often."""

_PAUSES_S = (0.001, 0.25)
_CONFIRM_BYTES = 128 << 10
_INPUT_BYTES = 64 << 10
_INPUT_AHEAD = (256 << 10) - _INPUT_BYTES
"""With so much input not taken none is read: a signal behind it would have to wait."""


class StepClient:
    """One attendance of a step. key: what its doors know it by; step: `12.0`; alive: says whether the step
    still runs, as far as the scheduler knows (raises DoorError with the reason where it does not).
    """

    def __init__(
        self,
        key: str,
        step: str,
        nodes: Sequence[StepNode],
        out: LineWriter,
        err: LineWriter,
        settings: Settings,
        alive: Callable[[], None],
    ) -> None:
        self.tasks = Tasks(settings.prog, step, nodes, verbose=settings.verbose)
        self._key = key
        self._step = step
        self._out = out
        self._err = err
        self._set = settings
        self._alive = alive
        self._connections = [Connection(index, node, _PAUSES_S[0]) for index, node in enumerate(nodes)]
        self._by_fd: dict[int, Connection] = {}
        self._poll = poll()
        self._scratch = Scratch()
        self._stdin = settings.stdin
        self._stdin_polled = False
        self._last_fed: LineWriter = out
        self._steering = Steering(step, settings, self.tasks, self._to_all)

    # -- the loop

    def run(self) -> int:
        """Until the step is over; the code to exit with."""
        read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake = read_end
        set_wakeup_fd(write_end, warn_on_full_buffer=False)
        self._steering.take_signals()
        self._poll.register(read_end, POLLIN)
        for connection in self._connections:
            self._open(connection)
        try:
            while not self._steering.given_up and not all(
                connection.over for connection in self._connections
            ):
                self._turn()
        finally:
            set_wakeup_fd(-1)
        self._finish()
        if self._set.star is not None and self._set.star.code > 0:
            return self._set.star.code
        return self.tasks.code

    def _turn(self) -> None:
        self._watch_input()
        for fd, events in self._poll.poll(self._patience_ms()):
            if fd == self._wake:
                os.read(fd, 512)
            elif fd == self._stdin and self._stdin_polled:
                self._read_input()
            elif fd in self._by_fd:
                connection = self._by_fd[fd]
                if events & ~POLLOUT:
                    self._receive(connection)
        self._deliver()
        self._steering.act()
        now = monotonic()
        for connection in self._connections:
            if not connection.is_open and not connection.over and now >= connection.retry_at:
                self._open(connection)
        self._steering.act_on_time(now)
        for connection in self._connections:
            if connection.is_open:
                if self._set.owns and connection.got - connection.confirmed >= _CONFIRM_BYTES:
                    connection.confirmed = connection.got
                    connection.queue(frames.received_frame(connection.got))
                if connection.pending:
                    self._send(connection)

    def _deliver(self) -> None:
        """Writes what came, then says who ended."""
        steering = self._steering
        steering.writing = True
        try:
            self._out.flush()
            self._err.flush()
        finally:
            steering.writing = False
        self.tasks.report()
        if self._out.broken and not self._set.owns:
            steering.given_up = True
        elif self._out.broken and not steering.ending:
            steering.end()

    def _patience_ms(self) -> int | None:
        """How long `poll` may wait."""
        deadlines = [
            connection.retry_at
            for connection in self._connections
            if not connection.is_open and not connection.over
        ]
        if due := self._steering.due:
            deadlines.append(due)
        if not deadlines:
            return None
        return max(0, int((min(deadlines) - monotonic()) * 1000) + 1)

    def _finish(self) -> None:
        self._out.finish_all()
        self._err.finish_all()
        self.tasks.report()
        for connection in self._connections:
            connection.close()
        if self.tasks.signalled and not self._steering.given_up:
            self._steering.say(f"Force Terminated StepId={self._step}")

    # -- connections

    def _open(self, connection: Connection) -> None:
        """Tries to attach; where that fails, says when to try again."""
        now = monotonic()
        if not connection.lost_at:
            connection.lost_at = connection.asked_at = now
        try:
            connection.open(self._key, self._set.role)
        except DoorError as error:
            self._later(connection, error)
            return
        self._by_fd[connection.fd] = connection
        self._poll.register(connection.fd, POLLIN)
        self._send(connection)

    def _close(self, connection: Connection) -> None:
        if connection.is_open:
            self._poll.unregister(connection.fd)
            del self._by_fd[connection.fd]
            connection.close()

    def _later(self, connection: Connection, error: DoorError) -> None:
        """The door did not open: once more, unless the step is gone or it has been too long."""
        now = monotonic()
        final = error.final
        if not final and now - connection.asked_at >= ASK_AFTER_S:
            connection.asked_at = now
            try:
                self._alive()
            except DoorError as gone:
                error = gone
                final = True
        if final or (connection.attached and now - connection.lost_at > BACK_WITHIN_S):
            self._lose(connection, str(error))
            return
        connection.retry_at = now + connection.pause_s
        connection.pause_s = min(connection.pause_s * 1.5, _PAUSES_S[1])

    def _lose(self, connection: Connection, why: str) -> None:
        """Nothing more is heard of this node."""
        connection.over = True
        ranks = self.tasks.lost(connection.index)
        if not ranks and connection.attached:
            return
        if connection.attached:
            self._steering.say(f"error: Node failure on {connection.node.name} ({why})")
        else:
            self._steering.say(
                f"error: Task launch for StepId={self._step} failed on node {connection.node.name}: {why}"
            )
        if not self._set.no_kill and self._set.owns:
            self._steering.end()

    def _send(self, connection: Connection) -> None:
        """Sends as much as goes; `poll` says when more does."""
        more = connection.send()
        self._poll.modify(connection.fd, POLLIN | POLLOUT if more else POLLIN)

    def _broken(self, connection: Connection, error: DoorError | None = None) -> None:
        """The connection is gone before the step was over there."""
        if connection.greeted:
            connection.lost_at = connection.asked_at = monotonic()
            connection.pause_s = _PAUSES_S[0]
        self._close(connection)
        self._later(connection, error or DoorError(f"{connection.node.name}: the connection broke"))

    def _receive(self, connection: Connection) -> None:
        """Takes what came from a node."""
        try:
            have, reply = connection.receive(self._scratch)
        except DoorError as error:
            self._broken(connection, error)
            return
        except OSError:
            self._broken(connection)
            return
        if reply is not None and self._set.star is not None:
            for said in self._set.star.greeting():
                connection.queue(frames.frame(frames.PMI_ANSWER, frames.ALL, said))
        if reply is not None and not connection.attached:
            connection.attached = True
            for rank in reply.get("ranks") or ():
                self.tasks.started(rank)
            if self._set.window is not None and self._set.owns:
                connection.queue(frames.window_frame(*self._set.window()))
        if have:
            buffer = self._scratch.data
            connection.keep(bytes(buffer[self._frames(connection, buffer, have) : have]))
        if connection.over:
            self._close(connection)

    # -- frames from the step

    def _frames(self, connection: Connection, scratch: bytearray, have: int) -> int:
        """Acts on all whole frames; where the first that is not whole begins."""
        at = 0
        unpack = frames.HEADER.unpack_from
        size = frames.HEADER_SIZE
        while have - at >= size:
            kind, rank, length = unpack(scratch, at)
            start = at + size
            end = start + length
            if end > have:
                if length > frames.LONGEST:
                    self._lose(connection, f"a frame of {length} bytes is not one")
                    return have
                break
            at = end
            if kind <= frames.ERROR_OUTPUT:
                self._feed(self._out if kind == frames.OUTPUT else self._err, rank, bytes(scratch[start:end]))
            else:
                self._frame(connection, kind, rank, bytes(scratch[start:end]))
        return at

    def _feed(self, writer: LineWriter, rank: int, data: bytes) -> None:
        if writer is not self._last_fed:
            # Both may be one terminal: there they stand in the order in which they came.
            self._last_fed.flush()
            self._last_fed = writer
        writer.feed(rank, data)

    def _frame(self, connection: Connection, kind: int, rank: int, payload: bytes) -> None:
        """One that is not output."""
        if kind == frames.END_OF_OUTPUT:
            self._out.finish(rank)
        elif kind == frames.END_OF_ERRORS:
            self._err.finish(rank)
        elif kind == frames.TASK_STARTED:
            self.tasks.started(rank)
        elif kind == frames.TASK_ENDED:
            self._ended(connection, rank, frames.STATUS.unpack(payload)[0])
        elif kind == frames.TASK_NOT_STARTED:
            text = payload[4:].decode("utf-8", "replace")
            self.tasks.not_started(connection.index, text)
        elif kind == frames.INPUT_TAKEN:
            connection.taken(frames.U64.unpack(payload)[0])
        elif kind == frames.NOTICE:
            self._deliver()
            self._steering.noticed(payload.decode("utf-8", "replace").rstrip("\n"))
        elif kind == frames.PMI and self._set.star is not None:
            self._join(self._set.star, self._set.star.heard(connection.index, payload))
        elif kind == frames.STEP_OVER:
            connection.over = True

    def _join(self, star: Star, said: list[bytes]) -> None:
        """Tells all nodes so."""
        for payload in said:
            self._to_all(frames.frame(frames.PMI_ANSWER, frames.ALL, payload))
        if star.code >= 0:
            self._deliver()
            self._steering.joined(star)

    def _ended(self, connection: Connection, rank: int, status: int) -> None:
        """A task is over."""
        failed = self.tasks.first_failure
        self.tasks.ended(connection.index, rank, status)
        self._steering.ended()
        if self._set.kill_on_bad_exit and self.tasks.first_failure and not failed:
            self._deliver()
            self._steering.failed_first()
        if self._set.star is not None:
            self._join(self._set.star, self._set.star.task_ended(connection.index))

    def _to_all(self, data: bytes) -> None:
        for connection in self._connections:
            if not connection.over:
                connection.queue(data)
                if connection.is_open:
                    self._send(connection)

    # -- input

    def _watch_input(self) -> None:
        """Reads our input only where there is room for it."""
        wanted = self._stdin >= 0 and all(
            connection.over or connection.untaken < _INPUT_AHEAD for connection in self._connections
        )
        if wanted and self._stdin_polled is False and not self._in_background():
            try:
                self._poll.register(self._stdin, POLLIN)
            except (OSError, ValueError):
                self._stdin = -1
                return
            self._stdin_polled = True
        elif self._stdin_polled and not wanted:
            self._poll.unregister(self._stdin)
            self._stdin_polled = False

    def _in_background(self) -> bool:
        """Whether reading the terminal would stop us: another process group has it."""
        try:
            return os.isatty(self._stdin) and os.tcgetpgrp(self._stdin) != os.getpgrp()
        except OSError:
            return False

    def _read_input(self) -> None:
        try:
            data = os.read(self._stdin, _INPUT_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        rank = self._set.input_rank
        to = frames.ALL if rank < 0 else rank
        if not data:
            self._poll.unregister(self._stdin)
            self._stdin_polled = False
            self._stdin = -1
        for connection in self._connections:
            if connection.over or (rank >= 0 and rank not in connection.node.ranks):
                continue
            if data:
                connection.feed(to, data)
            else:
                connection.end_input(to)
