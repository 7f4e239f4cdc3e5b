"""The fork server: `python -m packhorse.agent.launch.forkserver FD`.

It has imported all that a supervisor needs, and nothing else; a request that comes over the socket FD costs
one fork and no new interpreter, or not even that: a supervisor whose attempt has ended takes the next one,
and goes when there is none for a while. Of attempts the fork server keeps nothing in mind: when it dies the
agent starts another one, and the supervisors it forked live on until their attempts have ended. It ends when
the agent's side of the socket closes.

For each request: bind the attempt's control socket, so that orders can be sent as soon as the answer is out;
fork or hand over; answer with the supervisor's pid and start time. When the attempt is over the agent is told
so, with the exit record. Crash points: before_fork (nothing exists), after_fork (a supervisor has the attempt
and the agent has not been told of it: it finds it through the attempt's directory).
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time

import msgspec

from packhorse.agent.launch import contact, control, durable, processes, successor, supervisor, wire
from packhorse.agent.launch.spec import AttemptOver, ForkAnswer, ForkRequest
from packhorse.agent.launch.stepsupervisor import kind_of
from packhorse.agent.launch.successor import Beginning
from packhorse.scheduler.model.crashpoint import crash_point, register

BEFORE_FORK = register("forkserver.before_fork", "request read, no supervisor yet")
AFTER_FORK = register("forkserver.after_fork", "supervisor forked, the agent not told")

IDLE_S = 1.0
"""How long a free supervisor waits for work: longer than the pauses of a busy node."""

MOST_IDLE = 128
"""A megabyte each."""

_decode = msgspec.msgpack.Decoder(ForkRequest).decode


class Worker:
    """A supervisor that lives, for jobs of user `uid` only.

    request: the number of the one it is busy with; idle_since: 0 while it is.
    """

    __slots__ = ("idle_since", "line", "pid", "request", "start_time", "uid")

    def __init__(self, pid: int, line: socket.socket, request: int, uid: int) -> None:
        self.pid = pid
        self.start_time = processes.start_time(pid)
        self.line = line
        self.request = request
        self.uid = uid
        self.idle_since = 0.0


class ForkServer:
    """Serves one agent."""

    def __init__(self, agent: socket.socket) -> None:
        self.agent = agent
        self.poll = select.epoll()
        self.workers: dict[int, Worker] = {}  # by the descriptor of their line
        self.idle: list[Worker] = []  # the longest idle first

    def serve(self) -> None:
        """Answers requests until the agent closes its side."""
        frames = wire.Frames()
        door = self.agent.fileno()
        self.poll.register(door, select.EPOLLIN)
        while True:
            ready = self.poll.poll(self._patience())
            answers = [self._heard(fd) for fd, _ in ready if fd != door]
            if answers:
                self.agent.sendall(b"".join(answers))
            if len(answers) < len(ready):
                data = self.agent.recv(1 << 18)
                if not data:
                    return
                for body in frames.feed(data):
                    self.agent.sendall(wire.frame(self._launch(body)))
            self._dismiss()

    # -- supervisors that have done their work

    def _heard(self, fd: int) -> bytes:
        """A supervisor has ended its attempt, or itself; what the agent is to be told."""
        worker = self.workers[fd]
        try:
            record = worker.line.recv(successor.MAX_RECORD)
        except OSError:
            record = b""
        if record:
            worker.idle_since = time.monotonic()
            self.idle.append(worker)
        else:
            self._forget(worker)
            if worker.idle_since:
                self.idle.remove(worker)
                return b""
        return wire.frame(AttemptOver(worker.request, record))

    def _patience(self) -> float | None:
        """Seconds until the longest idle supervisor has waited long enough; None: nobody waits."""
        if not self.idle:
            return None
        return max(0.0, self.idle[0].idle_since + IDLE_S - time.monotonic())

    def _dismiss(self) -> None:
        """Lets those go that wait in vain."""
        while self.idle and (len(self.idle) > MOST_IDLE or not self._patience()):
            self._forget(self.idle.pop(0))

    def _forget(self, worker: Worker) -> None:
        """Hangs up on a supervisor, which then ends."""
        del self.workers[worker.line.fileno()]
        self.poll.unregister(worker.line)
        worker.line.close()

    # -- attempts

    def _launch(self, body: bytes) -> ForkAnswer:
        request = _decode(body)
        crash_point(BEFORE_FORK)
        try:
            door = control.bind(request.spec.attempt_dir)
        except OSError as error:
            place = request.spec.attempt_dir
            why = f'cannot use attempt directory "{place}": {os.strerror(error.errno or 0)}'
            return ForkAnswer(request.id, error=why)
        finally:
            os.chdir("/")  # or the spool's file system could not be unmounted
        durable.keeps_order(request.spec.attempt_dir)  # remembered, so that no supervisor has to look
        began = Beginning(time.time_ns() // 1000, contact.boot_clock_us())
        with door:
            worker = self._hand_over(request, body, door, began)
            try:
                worker = worker or self._fork(request, door, began)
            except OSError as error:
                why = f"cannot fork a supervisor: {os.strerror(error.errno or 0)}"
                return ForkAnswer(request.id, error=why)
        crash_point(AFTER_FORK)
        return ForkAnswer(request.id, worker.pid, worker.start_time, began.at)

    def _hand_over(
        self, request: ForkRequest, body: bytes, door: socket.socket, began: Beginning
    ) -> Worker | None:
        """The free supervisor that takes the request, if there is one.

        It served the same user before: while it starts a job it has that user's real uid, and what his
        processes may do to it then (re-pin it, say) must not reach anybody else's job.
        """
        if len(body) > successor.MAX_REQUEST:
            return None
        for worker in [worker for worker in reversed(self.idle) if worker.uid == request.spec.uid]:
            self.idle.remove(worker)
            if successor.hand_over(worker.line, body, door, began):
                worker.request = request.id
                worker.idle_since = 0.0
                return worker
            self._forget(worker)
        return None

    def _fork(self, request: ForkRequest, door: socket.socket, began: Beginning) -> Worker:
        """A new supervisor for the request. Raises OSError."""
        line, its_line = successor.pair()
        with its_line:
            try:
                pid = os.fork()
            except OSError:
                line.close()
                raise
            if pid == 0:
                try:
                    self._let_go(line)
                    supervisor.supervise(request, door, began, its_line, kind_of)
                finally:
                    os._exit(70)  # or there would be two fork servers
        worker = Worker(pid, line, request.id, request.spec.uid)
        self.workers[line.fileno()] = worker
        self.poll.register(line, select.EPOLLIN)
        return worker

    def _let_go(self, line: socket.socket) -> None:
        """In the new process: closes what would keep others from seeing that the fork server has ended."""
        self.agent.close()
        self.poll.close()
        line.close()
        for other in self.workers.values():
            other.line.close()
        os.setsid()


def become_forkserver() -> None:
    """What supervisors inherit: clean signals, no garbage collector at work."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            pass
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # SIGXCPU: while a supervisor makes the job's first process, it has the limits of that.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXCPU, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    # The kernel reaps supervisors; the agent watches them by itself.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    processes.boot_id()  # kept, so that no supervisor has to read it
    gc.collect()
    gc.disable()
    gc.freeze()  # nothing that exists now is ever looked at again: its pages stay shared


def main() -> None:
    agent = socket.socket(fileno=int(sys.argv[1]))
    agent.set_inheritable(False)
    become_forkserver()
    try:
        ForkServer(agent).serve()
    except (ConnectionError, ValueError, msgspec.DecodeError) as error:
        sys.exit(f"fork server: {error}")


if __name__ == "__main__":
    main()
