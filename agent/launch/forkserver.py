"""The fork server: `python -m packhorse.agent.launch.forkserver FD`.

It has imported all that a supervisor needs, and nothing else; each request that comes over the socket FD
costs one fork and no new interpreter. It keeps nothing in mind: when it dies the agent starts another one,
and the supervisors it forked live on. It ends when the agent's side of the socket closes.

For each request: bind the attempt's control socket, so that orders can be sent as soon as the answer is out;
fork; answer with the supervisor's pid and start time. Crash points: before_fork (nothing exists), after_fork
(a supervisor
exists that the agent has not been told of: it finds it through the attempt's directory).
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time

import msgspec

from packhorse.agent.launch import control, processes, supervisor, wire
from packhorse.agent.launch.spec import ForkAnswer, ForkRequest
from packhorse.scheduler.model.crashpoint import crash_point, register

BEFORE_FORK = register("forkserver.before_fork", "request read, no supervisor yet")
AFTER_FORK = register("forkserver.after_fork", "supervisor forked, the agent not told")

_decode = msgspec.msgpack.Decoder(ForkRequest).decode


def serve(agent: socket.socket) -> None:
    """Answers requests until the agent closes its side."""
    frames = wire.Frames()
    while data := agent.recv(1 << 18):
        for body in frames.feed(data):
            request = _decode(body)
            agent.sendall(wire.frame(_fork(request, agent)))


def _fork(request: ForkRequest, agent: socket.socket) -> ForkAnswer:
    crash_point(BEFORE_FORK)
    try:
        door = control.bind(request.spec.attempt_dir)
    except OSError as error:
        why = f'cannot use attempt directory "{request.spec.attempt_dir}": {os.strerror(error.errno or 0)}'
        return ForkAnswer(request.id, error=why)
    started_at = time.time_ns() // 1000
    try:
        pid = os.fork()
    except OSError as error:
        door.close()
        return ForkAnswer(request.id, error=f"cannot fork a supervisor: {os.strerror(error.errno or 0)}")
    if pid == 0:
        agent.close()  # or the agent would never see the fork server's end
        os.setsid()
        supervisor.supervise(request, door, started_at)
    crash_point(AFTER_FORK)
    door.close()
    os.chdir("/")  # or the spool's file system could not be unmounted
    return ForkAnswer(request.id, pid, processes.start_time(pid), started_at)


def become_forkserver() -> None:
    """What supervisors inherit: clean signals, no garbage collector at work."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            pass
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
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
        serve(agent)
    except (ConnectionError, ValueError, msgspec.DecodeError) as error:
        sys.exit(f"fork server: {error}")


if __name__ == "__main__":
    main()
