"""Whoever attached to a step: moves its bytes, passes signals on, and says what became of its tasks.

One loop around `poll`, one connection per node. Output is read in large pieces and written before more is
read, so a slow reader of ours slows the tasks down, and memory stays bounded. What was written is confirmed
to the step, so that after a broken connection it goes on from there.
"""

from __future__ import annotations

import os
from _signal import (  # type: ignore[import-not-found]
    SIG_IGN,
    SIGHUP,
    SIGINT,
    SIGPIPE,
    SIGQUIT,
    SIGTERM,
    SIGTSTP,
    SIGUSR1,
    SIGUSR2,
    SIGWINCH,
    set_wakeup_fd,
    signal,
)
from select import POLLIN, POLLOUT, poll
from time import monotonic

from packhorse.cli.slurm.steps import frames
from packhorse.cli.slurm.steps.connection import Connection, Scratch
from packhorse.cli.slurm.steps.door import DoorError, StepNode
from packhorse.cli.slurm.steps.tasks import Tasks, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from packhorse.cli.slurm.steps.lines import LineWriter
    from packhorse.cli.slurm.steps.pmi import Star

GRACE_S = 30.0
"""Between TERM and KILL where srun ends a step: Slurm's KillWait."""

FORCED_GRACE_S = 2.0
"""The same after a second Ctrl-C."""

BACK_WITHIN_S = 60.0
"""For so long a step waits for an owner to come back."""

ASK_AFTER_S = 2.0
"""A door that does not open for so long: is the step still there? Asked so often."""

SILENT_WAIT_S = 60
"""Without --wait: told once when so much time has passed since the first task ended."""

_PAUSES_S = (0.001, 0.25)
_CONFIRM_BYTES = 128 << 10
_INPUT_BYTES = 64 << 10
_INPUT_AHEAD = (256 << 10) - _INPUT_BYTES
"""With so much input not taken none is read: a signal behind it would have to wait."""


class Settings:
    """How a step is attended. Times in seconds; wait_s 0: for ever."""

    def __init__(self) -> None:
        self.prog = "srun"
        self.role = "owner"
        self.kill_on_bad_exit = False
        self.wait_s = 0
        self.no_kill = False
        self.disable_status = False
        self.quit_on_interrupt = False
        self.quiet = False
        self.verbose = False
        self.stdin = 0
        """The descriptor whose bytes go to the tasks, -1: none."""
        self.input_rank = -1
        """The only task that gets them, -1: all."""
        self.star: Star | None = None
        """Joins the nodes, where the tasks find each other by PMI."""
        self.window: Callable[[], tuple[int, int]] | None = None
        """Rows and columns of our terminal, where task 0 has one."""


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
        self._signals: list[int] = []
        self._writing = self._acting = False
        self._last_fed: LineWriter = out
        self._interrupted_at = -10.0
        self._ending = False
        self._forced = 0
        self._first_end_at = 0.0
        self._wait_told = False
        self._given_up = False

    # -- the loop

    def run(self) -> int:
        """Until the step is over; the code to exit with."""
        read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake = read_end
        set_wakeup_fd(write_end, warn_on_full_buffer=False)
        self._take_signals()
        self._poll.register(read_end, POLLIN)
        for connection in self._connections:
            self._open(connection)
        try:
            while not self._given_up and not all(connection.over for connection in self._connections):
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
        if self._signals:
            self._act_on_signals()
        self._act_on_time()
        for connection in self._connections:
            if connection.is_open:
                if self._set.role == "owner" and connection.got - connection.confirmed >= _CONFIRM_BYTES:
                    connection.confirmed = connection.got
                    connection.queue(frames.received_frame(connection.got))
                if connection.pending:
                    self._send(connection)

    def _deliver(self) -> None:
        """Writes what came, then says who ended."""
        self._writing = True
        try:
            self._out.flush()
            self._err.flush()
        finally:
            self._writing = False
        self.tasks.report()
        if self._out.broken and self._set.role != "owner":
            self._given_up = True
        elif self._out.broken and not self._ending:
            self._end(GRACE_S)

    def _patience_ms(self) -> int | None:
        """How long `poll` may wait."""
        deadlines = [
            connection.retry_at
            for connection in self._connections
            if not connection.is_open and not connection.over
        ]
        if self._first_end_at and not self._wait_told:
            deadlines.append(self._first_end_at + (self._set.wait_s or SILENT_WAIT_S))
        if not deadlines:
            return None
        return max(0, int((min(deadlines) - monotonic()) * 1000) + 1)

    def _finish(self) -> None:
        self._out.finish_all()
        self._err.finish_all()
        self.tasks.report()
        for connection in self._connections:
            connection.close()
        if self.tasks.signalled and not self._given_up:
            self._say(f"Force Terminated StepId={self._step}")

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
            self._say(f"error: Node failure on {connection.node.name} ({why})")
        else:
            self._say(
                f"error: Task launch for StepId={self._step} failed on node {connection.node.name}: {why}"
            )
        if not self._set.no_kill and self._set.role == "owner":
            self._end(GRACE_S)

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
            if self._set.window is not None and self._set.role == "owner":
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
            self._ended(lambda: self.tasks.ended(connection.index, rank, frames.STATUS.unpack(payload)[0]))
            if self._set.star is not None:
                self._join(self._set.star, self._set.star.task_ended(connection.index))
        elif kind == frames.TASK_NOT_STARTED:
            text = payload[4:].decode("utf-8", "replace")
            self.tasks.not_started(connection.index, text)
        elif kind == frames.INPUT_TAKEN:
            connection.taken(frames.U64.unpack(payload)[0])
        elif kind == frames.NOTICE:
            self._deliver()
            tell(payload.decode("utf-8", "replace").rstrip("\n") + "\n")
        elif kind == frames.PMI and self._set.star is not None:
            self._join(self._set.star, self._set.star.heard(connection.index, payload))
        elif kind == frames.STEP_OVER:
            connection.over = True

    def _join(self, star: Star, said: list[bytes]) -> None:
        """Tells all nodes so; ends a step that a task aborted, or that cannot go on."""
        for payload in said:
            self._to_all(frames.frame(frames.PMI_ANSWER, frames.ALL, payload))
        if self._ending or star.code < 0:
            return
        self._deliver()
        if star.stuck:
            self._say(f"error: {star.stuck}: terminating StepId={self._step}")
        self._end(0)

    def _ended(self, note: Callable[[], None]) -> None:
        """A task is over: what that means for the others."""
        before = self.tasks.first_failure
        note()
        if not self._first_end_at:
            self._first_end_at = monotonic()
        if self._set.kill_on_bad_exit and self.tasks.first_failure and not before:
            self._deliver()
            if self.tasks.left:
                self._say(f"launch/slurm: _step_signal: Terminating StepId={self._step}")
                self._end(GRACE_S)

    def _end(self, grace_s: float) -> None:
        """Tells all nodes to end the step."""
        self._ending = True
        self._to_all(frames.end_frame(grace_s))

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

    # -- signals and time

    def _take_signals(self) -> None:
        signal(SIGPIPE, SIG_IGN)
        if self._set.role != "owner":
            return
        signal(SIGTSTP, SIG_IGN)
        numbers = [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2]
        if self._set.window is not None:
            numbers.append(SIGWINCH)
        for number in numbers:
            signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        self._signals.append(number)
        if self._writing:
            # Nobody reads our output: the signal is not to wait for that.
            self._act_on_signals()

    def _act_on_signals(self) -> None:
        if self._acting:
            return  # within itself: the one outside sees to it
        self._acting = True
        while self._signals:
            number = self._signals.pop(0)
            if number == SIGWINCH:
                if self._set.window is not None:
                    self._to_all(frames.window_frame(*self._set.window()))
            elif number == SIGINT:
                self._interrupt()
            elif number == SIGQUIT:
                self._say("Quit")
                self._abort(FORCED_GRACE_S)
            elif number == SIGTERM:
                self._abort(GRACE_S)
            else:
                self._to_all(frames.signal_frame(number))
        self._acting = False

    def _interrupt(self) -> None:
        """Ctrl-C: once tells how things stand, twice within a second ends the step, then srun."""
        now = monotonic()
        again = now - self._interrupted_at <= 1.0
        self._interrupted_at = now
        if self._set.window is not None:
            self._to_all(frames.signal_frame(SIGINT))
        elif not again and not self._set.quit_on_interrupt:
            if self._set.disable_status:
                self._say(f"sending Ctrl-C to StepId={self._step}")
                self._to_all(frames.signal_frame(SIGINT))
            elif self._forced:
                self._say("interrupt (abort already in progress)")
                self.tasks.print_status()
            else:
                self._say("interrupt (one more within 1 sec to abort)")
                self.tasks.print_status()
        elif self._forced:
            self._say("job abort in progress")
            self.tasks.code = max(self.tasks.code, 128 + SIGINT)
            self._given_up = True
        else:
            self._say(f"sending Ctrl-C to StepId={self._step}")
            self._to_all(frames.signal_frame(SIGINT))
            self._abort(FORCED_GRACE_S)

    def _abort(self, grace_s: float) -> None:
        if not self._forced:
            self._say("forcing job termination")
            self._say(f"Job step aborted: Waiting up to {int(GRACE_S) + 2} seconds for job step to finish.")
        self._forced += 1
        self._end(grace_s)

    def _act_on_time(self) -> None:
        now = monotonic()
        for connection in self._connections:
            if not connection.is_open and not connection.over and now >= connection.retry_at:
                self._open(connection)
        if not self._first_end_at or self._wait_told or self._set.role != "owner":
            return
        wait_s = self._set.wait_s
        if now >= self._first_end_at + (wait_s or SILENT_WAIT_S):
            self._wait_told = True
            if wait_s:
                self._say(f"First task exited {wait_s}s ago")
                self.tasks.print_status()
                self._say(f"launch/slurm: _step_signal: Terminating StepId={self._step}")
                self._end(GRACE_S)
            else:
                self._say(f"warning: First task exited {SILENT_WAIT_S}s ago")
                self.tasks.print_status()

    def _say(self, text: str) -> None:
        if self._set.quiet and not text.startswith("error:"):
            return
        tell(f"{self._set.prog}: {text}\n")
