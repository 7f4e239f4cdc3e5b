"""The way to a step on a node: the socket at which its agent lets people attach.

The bytes go straight between this process and the step's supervisor; docs/decisions/0011-steps.md.
"""

from __future__ import annotations

import os
from _socket import AF_UNIX, SOCK_STREAM, socket

from packhorse.cli.wire import WireError, dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONNECT_TIMEOUT_S = 10.0
_SUN_PATH = 107  # longest socket path that Linux takes
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


def open_door(node: StepNode) -> socket:
    """A connection to the node's step door. Raises DoorError.

    On the same host (the same boot of the same kernel, and the socket is there) it is the socket itself.
    """
    if node.boot_id and node.boot_id != _own_boot_id():
        raise DoorError(
            f"{node.name} is on another host ({node.host}), and its steps are reached from there", True
        )
    if not node.door:
        raise DoorError(f"{node.name}: its agent has no door for steps (is it of an older release?)", True)
    sock = socket(AF_UNIX, SOCK_STREAM, 0)
    directory = -1
    try:
        sock.settimeout(CONNECT_TIMEOUT_S)
        target = node.door
        if len(os.fsencode(target)) > _SUN_PATH:
            # The kernel takes 107 bytes; the directory by its descriptor is always short enough.
            directory = os.open(os.path.dirname(target), os.O_PATH)
            target = f"/proc/self/fd/{directory}/{os.path.basename(target)}"
        sock.connect(target)
    except OSError as error:
        sock.close()
        raise DoorError(f"{node.name}: {node.door}: {error.strerror or error}") from error
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
