"""Orders to a running supervisor: a datagram to `control` in the attempt's directory, answered through a
descriptor.

The directory is closed to everybody but the agent's user, so whoever can send may order. The sender passes
one end of a socket pair along; the supervisor answers there. That needs no name for the sender, and nobody
can forge it.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Literal

import msgspec

from packhorse.agent.launch import attemptdir

Scope = Literal["steps", "batch", "all", "tree"]
"""batch: the first process (the batch shell) alone. steps: every process of the job but that one. all: every
process.
tree: the first process and what descends from it, without daemons that left the tree."""

OrderedCause = Literal["terminated", "time_limit", "lease", "oom"]

MAX_DATAGRAM = 8192


class Signal(msgspec.Struct, frozen=True, tag=True):
    """Send `signal` to the processes in `scope`."""

    signal: int
    scope: Scope = "steps"


class Terminate(msgspec.Struct, frozen=True, tag=True):
    """End the job: CONT and `signal` to all of it, KILL to whatever is left after `grace_s` (0: at once).

    The first order's cause stays; a later one can only shorten the grace. detail: the agent's word for why,
    kept in the exit record. notice: a line for the job's stderr, "" for none.
    """

    grace_s: float
    signal: int = 15
    cause: OrderedCause = "terminated"
    detail: str = ""
    notice: str = ""


class SetLimit(msgspec.Struct, frozen=True, tag=True):
    """The time limit is now `seconds` from the start; 0: none."""

    seconds: int


class Suspend(msgspec.Struct, frozen=True, tag=True):
    """Stop every process of the job where it is. Its time limit stands still."""


class Continue(msgspec.Struct, frozen=True, tag=True):
    """Let a suspended job go on. cpus: the processors it is bound to from now on, () for those it has."""

    cpus: tuple[int, ...] = ()


class Attach(msgspec.Struct, frozen=True, tag=True):
    """A client wants to talk to this step; its connection comes with the order. got: how many bytes of the
    step's frames it has received already, -1: it begins. early: what it sent after its first line."""

    owner: bool
    got: int = -1
    early: bytes = b""


class ControlReply(msgspec.Struct, frozen=True):
    """What came of an order. reached: processes that got a signal. error "": done. suspended: whether the job
    is, now.
    """

    reached: int = 0
    error: str = ""
    suspended: bool = False


Order = Signal | Terminate | SetLimit | Suspend | Continue | Attach

_encode = msgspec.msgpack.Encoder().encode
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_reply = msgspec.msgpack.Decoder(ControlReply).decode


def bind(directory: str) -> socket.socket:
    """The supervisor's end. Changes the working directory to `directory`: an address is at most 107 bytes
    long.
    """
    os.chdir(directory)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        door.bind(attemptdir.CONTROL)
    except OSError:
        door.close()
        raise
    door.setblocking(False)
    return door


def receive(door: socket.socket) -> tuple[bytes, int, int] | None:
    """The next order in `door`, the descriptor for its answer (-1: none wanted) and the one that came with it
    (-1: none); None if there is no order.
    """
    try:
        data, fds, _flags, _sender = socket.recv_fds(door, MAX_DATAGRAM, 2)
    except BlockingIOError:
        return None
    for fd in fds:
        os.set_inheritable(fd, False)  # recv_fds forgets it, and what is started must not get it
    return data, fds[0] if fds else -1, fds[1] if len(fds) > 1 else -1


def answer(fd: int, reply: ControlReply) -> None:
    """Answers an order; a sender that no longer listens is no trouble."""
    if fd >= 0:
        with socket.socket(fileno=fd) as back:
            back.setblocking(False)
            try:
                back.send(_encode(reply))
            except OSError:
                pass


def send(directory: str, order: Order, connection: socket.socket | None = None) -> socket.socket:
    """Sends an order to the supervisor of `directory`; one reply will be readable from the socket returned.

    connection: a client that the supervisor is to talk to, for Attach; the caller closes its own end.

    If the supervisor dies before it answers, that socket reads as closed. Raises FileNotFoundError or
    ConnectionRefusedError if no supervisor listens, BlockingIOError if it has too many orders waiting.
    """
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    near.setblocking(False)
    place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with far, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            door.setblocking(False)
            door.connect(f"/proc/self/fd/{place}/{attemptdir.CONTROL}")
            passed = [far.fileno()] if connection is None else [far.fileno(), connection.fileno()]
            socket.send_fds(door, [_encode(order)], passed)
    except BaseException:
        near.close()
        raise
    finally:
        os.close(place)
    return near


def cancel_notice(label: str, node: str, why: str = "") -> str:
    """The line Slurm leaves in the stderr of a job that is ended; `why` as in "DUE TO TIME LIMIT"."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S")
    return f"packhorse-{node}: error: *** {label} ON {node} CANCELLED AT {at}{' ' if why else ''}{why} ***"
