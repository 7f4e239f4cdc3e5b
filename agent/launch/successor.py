"""Between fork server and a supervisor: an attempt that ended, and the one that follows it.

One socket pair each, of whole packets. A supervisor whose attempt has ended and left nothing behind sends the
exit record; it is free from then on. What follows comes with the attempt's control socket, bound already, so
that the agent can send orders as soon as it knows of the supervisor. When either end closes, the other goes
its own way.
"""

from __future__ import annotations

import array
import socket
import struct
from typing import NamedTuple

import msgspec

from packhorse.agent.launch.spec import ForkRequest

MAX_REQUEST = 1 << 16
"""A longer request, with an extraordinary environment, is not handed on but gets a supervisor of its own."""

MAX_RECORD = 1 << 16
"""A longer exit record (paths of many kilobytes) is not sent, but read from its file."""

_INT = array.array("i").itemsize
_BEGINNING = struct.Struct("<qq")
_decode = msgspec.msgpack.Decoder(ForkRequest).decode


class Beginning(NamedTuple):
    """When an attempt began, microseconds: by the machine's clock, and since boot. Both are read before there
    is a process for it, so that how long it ran fits the instants that are told of it."""

    at: int
    boot_us: int


def pair() -> tuple[socket.socket, socket.socket]:
    """The fork server's end and the supervisor's."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def tell_end(server: socket.socket, record: bytes) -> bool:
    """The attempt is over and so its record was written; False if nobody listens any more, or cannot."""
    if len(record) > MAX_RECORD:
        return False
    try:
        server.send(record)
    except OSError:
        return False
    return True


def hand_over(supervisor: socket.socket, request: bytes, door: socket.socket, began: Beginning) -> bool:
    """Gives a free supervisor its next attempt; False if it has gone, or cannot take it."""
    if len(request) > MAX_REQUEST:
        return False
    passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [door.fileno()]))]
    try:
        supervisor.sendmsg([_BEGINNING.pack(*began), request], passed)
    except OSError:
        return False
    return True


def take(server: socket.socket) -> tuple[ForkRequest, socket.socket, Beginning] | None:
    """Waits for the next attempt: its request, its control socket and when it began; None: there is none."""
    try:
        # Not recv_fds, which forgets the flags: the job must not get the descriptor too.
        packet, ancillary, _flags, _sender = server.recvmsg(
            _BEGINNING.size + MAX_REQUEST, socket.CMSG_SPACE(_INT), socket.MSG_CMSG_CLOEXEC
        )
    except OSError:
        return None
    if not packet or not ancillary:
        return None
    (fd,) = array.array("i", ancillary[0][2][:_INT])
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM, 0, fileno=fd)  # does not block, as it came
    began = Beginning(*_BEGINNING.unpack_from(packet))
    return _decode(memoryview(packet)[_BEGINNING.size :]), door, began
