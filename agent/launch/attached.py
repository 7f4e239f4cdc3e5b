"""Who is attached to a step: its owner, who feeds and steers it, and others who watch.

What the owner is to get waits until it has taken it; of what a watcher is too slow for it is told how much it
missed. No client, whatever it does, makes the supervisor keep more than some MiB for it.
"""

from __future__ import annotations

import fcntl
import json
import select
import socket
import termios
from collections.abc import Callable, Iterable

from packhorse.agent.launch import frames
from packhorse.agent.launch.control import Attach
from packhorse.agent.launch.outflow import KEPT, Outflow

MOST_WATCHERS = 64

_READ = 1 << 17
_SEND_BUFFER = 1 << 19
_IN, _OUT, _GONE = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP | select.EPOLLERR

Tell = Callable[[Outflow], None]
"""Adds frames that say how things stand."""


class Client:
    """One connection. owner: it is the owner's. flow: what it gets. mask: what it is watched for. closed: it
    hung up, and had read all that it was sent by then.
    """

    def __init__(self, fd: int, flow: Outflow, *, owner: bool) -> None:
        self.connection = socket.socket(fileno=fd)
        self.connection.setblocking(False)
        try:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        except OSError:
            pass
        self.fd = fd
        self.flow = flow
        self.owner = owner
        self.parser = frames.Parser()
        self.mask = _IN
        self.closed = False
        self._missed = 0

    def read(self) -> list[frames.Frame] | None:
        """What it said; None when it is gone, or says what are no frames."""
        try:
            data = self.connection.recv(_READ)
            self.closed = not data
            return self.parser.feed(data) if data else None
        except BlockingIOError:
            return []
        except (OSError, ValueError):  # the kernel tells so of one that had not read everything
            return None

    def output(self, kind: int, rank: int, data: bytes) -> None:
        """To a watcher: unless it is too far behind."""
        if self._missed and self.flow.waiting < KEPT // 2:
            line = f"{self._missed} bytes of output are left out here: they were not read in time"
            self.flow.add(frames.NOTICE, frames.ALL, line.encode())
            self._missed = 0
        if self._missed or self.flow.waiting >= KEPT:
            self._missed += len(data)
        else:
            self.flow.add(kind, rank, data)

    @property
    def has_read(self) -> bool:
        """Nothing that it was sent waits for it in the kernel."""
        unread = bytearray(4)
        fcntl.ioctl(self.connection, termios.TIOCOUTQ, unread)
        return not any(unread)

    def flush(self) -> bool:
        """Sends what it takes; False if it is gone."""
        try:
            self.flow.send(self.connection)
        except OSError:
            return False
        return True

    def is_gone(self) -> bool:
        """Its other end is closed."""
        poll = select.poll()
        poll.register(self.connection, 0)
        return bool(poll.poll(0))


class Attached:
    """All clients of one step. loop: where their connections are watched; who polls it calls `happened`.

    owner: None while there is none. flow: the owner's stream, also while there is none. was_owned: there was
    one. detached: the last one said that it leaves. got_all: it hung up when it had got all that there was.
    """

    def __init__(self, loop: select.epoll) -> None:
        self.owner: Client | None = None
        self.flow = Outflow()
        self.was_owned = False
        self.detached = False
        self.got_all = False
        self._loop = loop
        self._watchers: dict[int, Client] = {}  # by descriptor

    # -- what they are told

    def say(self, kind: int, rank: int, payload: bytes = b"") -> None:
        """To all of them, whoever is slow."""
        self.flow.add(kind, rank, payload)
        for watcher in self._watchers.values():
            watcher.flow.add(kind, rank, payload)

    def output(self, kind: int, rank: int, data: bytes) -> None:
        """What a task wrote."""
        self.flow.add(kind, rank, data)
        for watcher in self._watchers.values():
            watcher.output(kind, rank, data)

    def flush(self, *, listen: bool) -> None:
        """Sends what they take. listen: the owner may be read, else it is not watched for what it says."""
        for client in self._all():
            if client.flush():
                self._watch(client, listen=listen or not client.owner)
            else:
                self._drop(client)

    def _watch(self, client: Client, *, listen: bool) -> None:
        mask = (_OUT if client.flow.waiting else 0) | (_IN if listen else 0)
        if mask != client.mask:
            client.mask = mask
            self._loop.modify(client.fd, mask)

    # -- who comes and goes

    def refuse(self, order: Attach) -> str:
        """Why this client may not attach, "" if it may."""
        if not order.owner:
            return "" if len(self._watchers) < MOST_WATCHERS else f"{MOST_WATCHERS} watch it already"
        if self.owner is not None and self.owner.is_gone():
            self._drop(self.owner)
        if self.owner is not None and order.got <= 0:
            return "its owner is attached already"
        if order.got > 0 and not self.flow.can_resume(order.got):
            return f"what follows its first {order.got} bytes is not there any more"
        return ""

    def admit(
        self, order: Attach, fd: int, first: dict[str, object], begun: Tell, ended: Tell
    ) -> tuple[Client, list[frames.Frame]]:
        """A client that may attach, and what it has said already. first: what its first line tells; begun and
        ended: say what runs, and what is over. Raises OSError; its connection is closed then.
        """
        client = Client(fd, self.flow if order.owner else Outflow(), owner=order.owner)
        try:
            client.connection.sendall(json.dumps(first).encode() + b"\n")  # a new connection takes so much
            said = client.parser.feed(order.early)
        except (OSError, ValueError) as why:
            client.connection.close()
            raise OSError(str(why)) from None
        if order.owner:
            self._own(client, order.got, begun, ended)
        else:
            begun(client.flow)
            ended(client.flow)
            self._watchers[client.fd] = client
        self._loop.register(client.fd, client.mask)
        return client, said

    def _own(self, client: Client, got: int, begun: Tell, ended: Tell) -> None:
        if self.owner is not None:  # its connection is dead, and the kernel does not know it
            self._drop(self.owner)
        # One that has received nothing is one that comes back, unless there is more than it was sent.
        if got > 0 or (got == 0 and self.was_owned and not self.detached and self.flow.can_resume(0)):
            self.flow.resume(got)
        elif self.was_owned:
            left = self.flow.leave()
            self.flow = client.flow = Outflow()
            begun(self.flow)
            self.flow.take_over(left)
            ended(self.flow)
        self.owner = client
        self.was_owned, self.detached, self.got_all = True, False, False

    def happened(self, fd: int, events: int) -> list[frames.Frame] | None:
        """What the owner said; [] for nothing, None if that is nobody's descriptor."""
        client = self.owner if self.owner is not None and fd == self.owner.fd else self._watchers.get(fd)
        if client is None:
            return None
        if not events & (_IN | _GONE):
            return []
        said = client.read()
        if said is None:
            self._drop(client)
            return []
        if client.owner:
            return said
        if any(frame.kind == frames.DETACH for frame in said):
            self._drop(client)
        return []

    def detach(self) -> None:
        """The owner said that it leaves."""
        if self.owner is not None:
            self._drop(self.owner)
        self.detached = True

    def _drop(self, client: Client) -> None:
        self._loop.unregister(client.fd)
        client.connection.close()
        if client.owner:
            self.owner = None
            self.got_all = client.closed and not client.flow.waiting
        else:
            del self._watchers[client.fd]

    def close(self) -> None:
        for client in self._all():
            client.flush()
            client.connection.close()

    def _all(self) -> list[Client]:
        owner: Iterable[Client] = [self.owner] if self.owner is not None else []
        return [*owner, *self._watchers.values()]
