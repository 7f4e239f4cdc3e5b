"""The step door: a socket of this host at which clients attach to steps that run here.

A client's first line says which step it wants; the kernel says who it is. From then on it talks to the step's
supervisor: the connection is handed over, and outlives this agent. A step that is not here yet, since the
client was quicker than its order, is waited for.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import struct
import tempfile
from collections import Counter, OrderedDict
from pathlib import Path

import msgspec
import structlog

from packhorse.agent.launch.control import Attach
from packhorse.agent.launch.launcher import Launcher, LaunchError, NotRunning, Supervised
from packhorse.scheduler.model.ids import AttemptKey

log = structlog.get_logger()

LINE_S = 10.0
"""For its first line a client has so long."""

WAIT_S = 60.0
"""So long it waits for a step that is not here."""

MAX_LINE = 4096
MOST_PER_USER = 256
"""Clients that have not been handed over yet."""

MOST_GONE = 1000
"""Steps that are over, of which it is remembered why."""

BACKLOG = 1024
PAUSE_S = 1.0
"""After the kernel had no descriptor or no memory for another connection."""

_UCRED = struct.Struct("=iII")
_MAX_PATH = 107
"""Bytes of a path in sockaddr_un."""


class Wish(msgspec.Struct, frozen=True):
    """A client's first line. attach: the step's key. got: as control.Attach."""

    attach: str
    as_: str = msgspec.field(name="as", default="owner")
    got: int = -1


class Refused(Exception):
    """What the client is told instead of being attached."""


def place(home: Path, node: str) -> Path:
    """Where the door of this node is: below the home, or where its path would be too long, beside other
    temporary files."""
    path = home / "run" / f"step-{node}.sock"
    if len(os.fsencode(path)) <= _MAX_PATH:
        return path
    tag = hashlib.sha1(os.fsencode(path), usedforsecurity=False).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"packhorse-step-{tag}.sock"


class StepDoor:
    """Of one agent. path: where it listens, once it does; "" for nowhere."""

    def __init__(self, launcher: Launcher) -> None:
        self.path = ""
        self._launcher = launcher
        self._here: dict[AttemptKey, tuple[int, Supervised]] = {}
        self._gone: OrderedDict[AttemptKey, str] = OrderedDict()
        self._changed: dict[AttemptKey, asyncio.Event] = {}
        self._listener: socket.socket | None = None
        self._clients: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what is here

    def arrived(self, key: AttemptKey, uid: int, supervised: Supervised) -> None:
        """The step runs here, as this user."""
        self._here[key] = uid, supervised
        self._tell(key)

    def gone(self, key: AttemptKey, why: str) -> None:
        """The step is over here, or was never started."""
        self._here.pop(key, None)
        self._gone[key] = why
        if len(self._gone) > MOST_GONE:
            self._gone.popitem(last=False)
        self._tell(key)

    def _tell(self, key: AttemptKey) -> None:
        if (event := self._changed.pop(key, None)) is not None:
            event.set()

    # -- clients

    def open(self, path: Path) -> None:
        """Listens at `path`, instead of an earlier agent. Where that cannot be it is logged: steps whose
        files are all on disk run without."""
        try:
            self._listener = _bind(path)
        except OSError as why:
            log.error("step_door.not_served", why=str(why), path=str(path))
            return
        self.path = str(path)

    async def serve(self) -> None:
        """Lets clients in, until cancelled."""
        listener = self._listener
        if listener is None:
            return
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    connection, _ = await loop.sock_accept(listener)
                except OSError as why:
                    log.warning("step_door.not_accepted", why=str(why))
                    await asyncio.sleep(PAUSE_S)
                    continue
                connection.setblocking(False)
                _, uid, _ = _UCRED.unpack(
                    connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
                )
                task = loop.create_task(self.admit(connection, uid))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            listener.close()

    async def admit(self, connection: socket.socket, uid: int, only: AttemptKey | None = None) -> None:
        """Reads what a client wants, who is known to be `uid`, and hands it over. Closes the connection here;
        it does not block. only: the step that it may attach to, None for any of theirs."""
        self._clients[uid] += 1
        with connection:
            try:
                if self._clients[uid] > MOST_PER_USER:
                    raise Refused("you have too many commands waiting here")
                wish, early = await self._first_line(connection)
                await self._hand_over(connection, uid, wish, early, only)
            except Refused as why:
                try:
                    connection.send(json.dumps({"error": str(why)}).encode() + b"\n")
                except OSError:
                    pass
            except (OSError, TimeoutError):
                pass  # it has gone, or says nothing
            finally:
                self._clients[uid] -= 1
                if not self._clients[uid]:
                    del self._clients[uid]

    async def _first_line(self, connection: socket.socket) -> tuple[Wish, bytes]:
        loop = asyncio.get_running_loop()
        data = b""
        async with asyncio.timeout(LINE_S):
            while b"\n" not in data:
                more = await loop.sock_recv(connection, MAX_LINE - len(data))
                if not more:
                    raise Refused("it begins with no whole line")
                data += more
        line, _, early = data.partition(b"\n")
        try:
            return msgspec.json.decode(line, type=Wish), early
        except msgspec.DecodeError as why:
            raise Refused(f"the first line is not understood: {why}") from None

    async def _hand_over(
        self, connection: socket.socket, uid: int, wish: Wish, early: bytes, only: AttemptKey | None
    ) -> None:
        try:
            key = AttemptKey.parse(wish.attach)
        except ValueError:
            raise Refused(f"{wish.attach[:100]!r} names no step") from None
        if key.step < 0 or wish.as_ not in ("owner", "watch"):
            raise Refused(
                f"{wish.attach[:100]!r} as {wish.as_[:100]!r}: only steps have an owner, or watchers"
            )
        if only is not None and key != only:
            raise Refused(f"this way leads to step {only.job}.{only.step} alone")
        owner, supervised = await self._find(key)
        if uid not in (0, owner):
            raise Refused(f"step {key.job}.{key.step} is not yours")
        try:
            await self._launcher.send(supervised, Attach(wish.as_ == "owner", wish.got, early), connection)
        except NotRunning:
            raise Refused(self._gone.get(key, f"step {key.job}.{key.step} is over here")) from None
        except (LaunchError, TimeoutError) as why:
            raise Refused(str(why) or f"step {key.job}.{key.step} does not answer") from None

    async def _find(self, key: AttemptKey) -> tuple[int, Supervised]:
        """Who may attach to the step, and its supervisor; waits for one that is not here yet."""
        try:
            async with asyncio.timeout(WAIT_S):
                while (found := self._here.get(key)) is None:
                    if (why := self._gone.get(key)) is not None:
                        raise Refused(why)
                    await self._changed.setdefault(key, asyncio.Event()).wait()
        except TimeoutError:
            raise Refused(f"step {key.job}.{key.step} is not on this node") from None
        return found


def _bind(path: Path) -> socket.socket:
    """Everybody may connect where root runs the agent; where somebody else does, only they can."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o666 if os.geteuid() == 0 else 0o600)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
