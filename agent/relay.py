"""The scheduler's socket on a host without the scheduler: the agent passes calls on over its own connection.

Served in a home that has joined another host's scheduler, at the place where commands look for theirs
(run/scheduler.sock). The kernel says who calls (SO_PEERCRED); the scheduler decides what they may do, and
makes nobody an administrator. A call whose reply is lost gets none here either: the connection ends without a
word, as it would if the scheduler had died, and the commands ask again with the same key.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import pwd
import resource
import socket
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc
import grpc.aio
import structlog

from packhorse.agent import tunnels
from packhorse.agent.convert_relay import Call, relay
from packhorse.agent.http_request import TUNNEL, Connection, Gone, Head, Refused
from packhorse.agent.session import Line
from packhorse.scheduler.model.pidfile import AlreadyRunning, PidFile

log = structlog.get_logger()

MAX_BODY = 16 << 20
"""The default of the scheduler's own doors (max_message_mib)."""
MAX_BYTES = 128 << 20
MAX_BYTES_PER_USER = 32 << 20
"""Of requests on their way at one time."""
MAX_CALLS = 1024
"""On their way at one time, if the descriptors suffice: half of those stay for the agent's own work. One user
may have half of the calls."""
BACKLOG = 4096
"""Commands that may wait to be accepted; the kernel caps it at net.core.somaxconn."""
PAUSE_S = 1.0
"""After the kernel had no descriptor or no memory for another connection."""

_UCRED = struct.Struct("=iII")
_MAX_PATH = 107
"""Bytes of a path in sockaddr_un."""
_MAX_NAMES = 4096

_ERRORS = {
    grpc.StatusCode.INVALID_ARGUMENT: (400, "invalid_argument"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (429, "resource_exhausted"),
    grpc.StatusCode.UNAUTHENTICATED: (503, "unavailable"),
    grpc.StatusCode.PERMISSION_DENIED: (503, "unavailable"),
    grpc.StatusCode.UNIMPLEMENTED: (501, "unimplemented"),
}
"""What a call that failed on the way is to its caller; anything else is an internal error. That the scheduler
does not take this agent's token is none of the caller's doing."""


def place(home: Path) -> Path | None:
    """Where a home that has joined serves the relay; nowhere if a scheduler of its own ever ran there."""
    if (home / "run" / "scheduler.pid").exists():
        log.warning("relay.not_served", why="this home has had a scheduler of its own", home=str(home))
        return None
    return home / "run" / "scheduler.sock"


class Relay:
    """Serves at `path` until `serve` is cancelled. line: the connection to the scheduler, if there is one."""

    def __init__(self, path: Path, node: str, line: Callable[[], Line | None]) -> None:
        self._path = path
        self._node = node
        self._line = line
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._max_calls = MAX_CALLS if limit == resource.RLIM_INFINITY else min(MAX_CALLS, limit // 2)
        self._room = asyncio.Semaphore(self._max_calls)
        self._calls: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()
        self._names: dict[tuple[int, int], tuple[str, str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Listens and answers. A place that cannot be listened at is logged: jobs run without the relay."""
        try:
            lock = PidFile(str(self._path.with_name("relay.pid")))
        except (AlreadyRunning, OSError) as why:
            log.error("relay.not_served", why=str(why))
            return
        try:
            listener = bind(self._path)
        except OSError as why:
            log.error("relay.not_served", why=str(why), path=str(self._path))
            lock.release()
            return
        mine = os.stat(self._path).st_ino
        log.info("relay.serving", path=str(self._path))
        try:
            await self._accept(listener)
        except Exception:
            log.exception("relay.broken")
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            listener.close()
            with contextlib.suppress(OSError):
                if os.stat(self._path).st_ino == mine:  # and not that of a scheduler started here meanwhile
                    self._path.unlink()
            lock.release()

    async def _accept(self, listener: socket.socket) -> None:
        """Beyond max_calls nobody is accepted: they wait in the kernel's queue, without a descriptor here."""
        loop = asyncio.get_running_loop()
        while True:
            await self._room.acquire()
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as why:
                log.error("relay.not_accepting", why=str(why))
                self._room.release()
                await asyncio.sleep(PAUSE_S)
                continue
            except BaseException:
                self._room.release()
                raise
            task = loop.create_task(self._connection(sock))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connection(self, sock: socket.socket) -> None:
        connection = Connection(sock)
        _, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        self._calls[uid] += 1
        try:
            try:
                head = await self._head(connection, uid)
                if head.method == TUNNEL:
                    await self._tunnel(connection, head, uid, gid)
                    return
                status, body = await self._answer(connection, head, uid, gid)
            except Refused as refused:
                await connection.refuse(refused)
            else:
                await connection.answer(status, body)
        except (Gone, ConnectionError):
            pass
        except Exception:
            log.exception("relay.call_crashed", uid=uid)
        finally:
            connection.close()
            self._room.release()
            self._calls[uid] -= 1
            if not self._calls[uid]:
                del self._calls[uid]

    async def _head(self, connection: Connection, uid: int) -> Head:
        """Of a request that there is room for. Raises Refused, Gone."""
        head = await connection.head()
        if self._calls[uid] > self._max_calls // 2:
            raise _exhausted(f"this user has {self._max_calls // 2} calls open on this host; try again later")
        return head

    async def _tunnel(self, connection: Connection, head: Head, uid: int, gid: int) -> None:
        """Has the connection lead to a step on another host, until either end has enough. Raises Refused."""
        line = self._present_line()
        names = await self._names_of(uid, gid)
        await tunnels.relay(connection, line, tunnels.Wish(uid, gid, *names, head.node, head.step))

    async def _answer(self, connection: Connection, head: Head, uid: int, gid: int) -> tuple[int, bytes]:
        """HTTP status and body for the one request of a connection. Raises Refused, Gone."""
        if head.length > MAX_BODY:
            raise _exhausted(f"the request is larger than {MAX_BODY >> 20} MiB")
        if (
            self._bytes[uid] + head.length > MAX_BYTES_PER_USER
            or self._bytes.total() + head.length > MAX_BYTES
        ):
            raise _exhausted("too many large requests at once on this host; try again later")
        self._bytes[uid] += head.length
        try:
            body = await connection.body(head)
            user, group = await self._names_of(uid, gid)
            return await self._until_gone(connection, Call(uid, gid, user, group, head.method, body))
        finally:
            self._bytes[uid] -= head.length
            if not self._bytes[uid]:
                del self._bytes[uid]

    async def _until_gone(self, connection: Connection, call: Call) -> tuple[int, bytes]:
        """The scheduler's answer, unless the caller hangs up before it comes. Raises Refused, Gone."""
        line = self._present_line()
        answer = asyncio.create_task(_pass_on(line, call))
        hung_up = asyncio.create_task(connection.gone())
        try:
            await asyncio.wait((answer, hung_up), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise Gone
            return answer.result()
        finally:
            for task in (answer, hung_up):
                task.cancel()
            await asyncio.gather(answer, hung_up, return_exceptions=True)

    def _present_line(self) -> Line:
        """Raises Refused while there is none."""
        line = self._line()
        if line is None:
            raise Refused(
                503,
                "unavailable",
                f"the scheduler is away: the agent of {self._node} has no connection to it at the moment; "
                "jobs run on, try again later",
            )
        return line

    async def _names_of(self, uid: int, gid: int) -> tuple[str, str]:
        """Names of user and group, "" where there is none; asked in a thread, since they may take long."""
        known = self._names.get((uid, gid))
        if known is None:
            known = await asyncio.to_thread(_names, uid, gid)
            if len(self._names) >= _MAX_NAMES:
                self._names.clear()
            self._names[uid, gid] = known
        return known


async def _pass_on(line: Line, call: Call) -> tuple[int, bytes]:
    """The scheduler's answer. Raises Refused, Gone where the reply was lost."""
    try:
        return await relay(line.channel, line.metadata, call)
    except grpc.aio.AioRpcError as error:
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            raise Gone from None
        status, code = _ERRORS.get(error.code(), (500, "internal"))
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            message = "the scheduler is older than this host's agent and takes no relayed calls"
        else:
            message = f"the call was not relayed: {error.details()}"
        raise Refused(status, code, message) from None
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise
        raise Gone from None  # the channel was closed with the call on it


def bind(path: Path) -> socket.socket:
    """A listening socket at `path`, instead of what an earlier agent left there.

    Everybody may connect where root runs the agent; where somebody else does, only they can. As on the
    scheduler's host.
    """
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


def _names(uid: int, gid: int) -> tuple[str, str]:
    user = group = ""
    with contextlib.suppress(KeyError, OSError):
        user = pwd.getpwuid(uid).pw_name
    with contextlib.suppress(KeyError, OSError):
        group = grp.getgrgid(gid).gr_name
    return user, group


def _exhausted(why: str) -> Refused:
    return Refused(429, "resource_exhausted", why)
