"""The Unix socket: the HTTP door for callers on this machine, who are who the kernel says (SO_PEERCRED)."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

from aiohttp import web

from packhorse.scheduler.service.auth import Directory, Principal
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.http_door import Identify

_UCRED = struct.Struct("=iII")
"""struct ucred: pid, uid, gid."""

_MAX_PATH = 107
"""Bytes of a path in sockaddr_un."""

BACKLOG = 4096
"""Commands that may wait to be accepted; the kernel caps it at net.core.somaxconn."""


def by_peer(directory: Directory) -> Identify:
    """Identifies callers by their credentials at the moment they connected."""

    def identify(request: web.BaseRequest) -> Principal:
        transport = request.transport
        if transport is None:
            raise CallFailed(Code.UNAUTHENTICATED, "the connection is gone")
        connection = transport.get_extra_info("socket")
        _, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return directory.local(uid, gid)

    return identify


def bind(path: Path) -> socket.socket:
    """A listening socket at `path`, instead of what an earlier scheduler left there.

    The caller holds the lock of the pid file, so that nobody listens there now. Everybody may connect where
    root runs the scheduler (who they are is known, and what they may do is decided for each call); where
    somebody else does, only they can.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # A path too long for the address is reached through its folder.
        name = str(path) if len(os.fsencode(path)) <= _MAX_PATH else f"/proc/self/fd/{folder}/{path.name}"
        listener.bind(name)
        path.chmod(0o666 if os.geteuid() == 0 else 0o600)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener
