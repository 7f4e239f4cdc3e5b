"""The way to a step on a node: the socket at which its agent lets people attach.

On the step's own host the bytes go straight between this process and the step's supervisor. From another host
they go over the scheduler, whose socket here (or that of the agent that relays to it) is asked for a tunnel;
docs/decisions/0011-steps.md.
"""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_STREAM, socket

from packhorse.cli.transport import SERVICE, socket_path
from packhorse.cli.wire import WireError, dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONNECT_TIMEOUT_S = 10.0
_SUN_PATH = 107  # longest socket path that Linux takes
_MAX_HEAD = 65536
_PASSING = frozenset({"unavailable", "resource_exhausted", "internal"})
"""Of the scheduler's words for an error: it may be another answer a little later."""
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class DoorError(Exception):
    """The step cannot be reached; the text is one line for the user. final: asking again is of no use."""

    def __init__(self, text: str, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


class StepNode:
    """One node of a step: where it is reached, and which tasks it has, ascending."""

    __slots__ = ("boot_id", "door", "host", "name", "ranks")

    def __init__(self, name: str, host: str, boot_id: str, door: str, ranks: list[int]) -> None:
        self.name = name
        self.host = host
        self.boot_id = boot_id
        self.door = door
        self.ranks = ranks


def open_door(node: StepNode, key: str) -> tuple[socket, bytes]:
    """A connection towards the node's step door, and what has to be said there before the greeting: b"", or
    the wish for a tunnel. Raises DoorError.

    On the same host (the same boot of the same kernel, and the socket's directory is there: containers may
    not see it) it is the door's socket itself.
    """
    if not node.door:
        raise DoorError(f"{node.name}: its agent has no door for steps (is it of an older release?)", True)
    here = not node.boot_id or node.boot_id == _own_boot_id()
    if here and os.path.isdir(os.path.dirname(node.door)):
        try:
            return _connected(node.door), b""
        except OSError as error:
            raise DoorError(f"{node.name}: {node.door}: {error.strerror or error}") from error
    try:
        return _towards_scheduler(), _wish(node, key)
    except OSError as error:
        raise DoorError(
            f"{node.name} is on another host ({node.host}), and the scheduler, which leads there, is not "
            f"reached: {error.strerror or error}"
        ) from error


def _towards_scheduler() -> socket:
    """Raises OSError, DoorError."""
    server = os.environ.get("PACKHORSE_SERVER", "")
    if not server:
        return _connected(socket_path())
    raise DoorError(
        f"steps on other hosts are reached over the scheduler's socket or an agent's on this host, not over "
        f"PACKHORSE_SERVER ({server})",
        True,
    )


def _wish(node: StepNode, key: str) -> bytes:
    return (
        f"POST /{SERVICE}/StepTunnel HTTP/1.1\r\nHost: local\r\nConnection: Upgrade\r\n"
        f"Upgrade: packhorse-step\r\nPackhorse-Node: {node.name}\r\nPackhorse-Step: {key}\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode("ascii")


def granted(node: StepNode, reply: bytes) -> bool:
    """Whether the tunnel is there that was wished for; False while not all of the answer has come.

    Raises DoorError for a refusal; `final` where asking again is of no use.
    """
    head, found, body = reply.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if found and words[1:2] == [b"101"]:
        return True
    size = _length(head) if found else 0
    if len(reply) > _MAX_HEAD or size < 0:
        raise DoorError(f"{node.name}: the scheduler's socket gives no answer that is known here", True)
    if not found or len(body) < size:
        return False
    try:
        error = loads(body)
    except WireError:
        error = None
    said: dict[str, Any] = error if isinstance(error, dict) else {}
    code = str(said.get("code") or "unknown")
    raise DoorError(f"{node.name}: {said.get('message') or code}", code not in _PASSING)


def _length(head: bytes) -> int:
    """Of the body that follows, -1 where that is not said."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return -1


def _connected(target: str) -> socket:
    """Raises OSError."""
    sock = socket(AF_UNIX, SOCK_STREAM, 0)
    directory = -1
    try:
        sock.settimeout(CONNECT_TIMEOUT_S)
        if len(os.fsencode(target)) > _SUN_PATH:
            # The kernel takes 107 bytes; the directory by its descriptor is always short enough.
            directory = os.open(os.path.dirname(target), os.O_PATH)
            target = f"/proc/self/fd/{directory}/{os.path.basename(target)}"
        sock.connect(target)
    except OSError:
        sock.close()
        raise
    finally:
        if directory >= 0:
            os.close(directory)
    return sock


def greeting(key: str, role: str, got: int) -> bytes:
    """The line that a client begins with. role: "owner" or "watch"; got: bytes of frames that it received
    before, -1: it comes for the first time.
    """
    wish = {"attach": key, "as": role}
    return dumps(wish if got < 0 else {**wish, "got": got}) + b"\n"


def answer(line: bytes, node: StepNode) -> dict[str, Any]:
    """What the door said to that: `ranks`, `pids`, and `input`, how many bytes of input came so far.

    Raises DoorError for a refusal. Just after its start a step may not be known there yet, or after that of
    the agent: the door keeps whoever asks waiting, so what it says is final.
    """
    try:
        reply = loads(line)
    except WireError:
        raise DoorError(f"{node.name}: its step door answered with something else: {line[:80]!r}") from None
    if not isinstance(reply, dict) or not reply.get("ok"):
        text = str(reply.get("error") or "refused") if isinstance(reply, dict) else "refused"
        raise DoorError(f"{node.name}: {text}", True)
    return reply


def _own_boot_id() -> str:
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
