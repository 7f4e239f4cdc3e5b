"""A step door for tests of srun: a real Unix socket, frames from a script instead of from tasks."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

OUT, ERR, OUT_END, ERR_END, ENDED, OVER, NOTICE, PMI, STARTED, NOT_STARTED, TAKEN = range(1, 12)
INPUT, INPUT_END, SIGNAL, WINDOW, RECEIVED, PMI_ANSWER, DETACH, END = range(16, 24)
ALL = 0xFFFFFFFF

Frame = tuple[int, int, bytes]


class Visit:
    """One client at the door. hello: what it began with."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._file = connection.makefile("rb")
        self.hello: dict[str, Any] = json.loads(self._file.readline())

    def welcome(self, ranks: list[int], got: int = 0) -> None:
        """Lets it in. got: bytes of input that came before."""
        line = {"ok": True, "ranks": ranks, "pids": ranks, "input": got}
        self.connection.sendall(json.dumps(line).encode() + b"\n")

    def take(self, total: int) -> None:
        """So much input is with the tasks."""
        self.send(TAKEN, ALL, struct.pack("<Q", total))

    def refuse(self, text: str) -> None:
        """Turns it away."""
        self.connection.sendall(json.dumps({"error": text}).encode() + b"\n")

    def send(self, kind: int, rank: int, payload: bytes = b"") -> None:
        """One frame to the client."""
        self.connection.sendall(frame(kind, rank, payload))

    def ended(self, rank: int, code: int = 0, signal: int = 0) -> None:
        """A task is over."""
        self.send(OUT_END, rank)
        self.send(ERR_END, rank)
        self.send(ENDED, rank, struct.pack("<i", code << 8 | signal))

    def over(self) -> None:
        """Nothing more follows."""
        self.send(OVER, 0)

    def read(self) -> Frame | None:
        """The client's next frame; None when it has gone."""
        head = self._file.read(9)
        if len(head) < 9:
            return None
        kind, rank, length = struct.unpack("<BII", head)
        return kind, rank, self._file.read(length)

    def read_until(self, kind: int) -> list[Frame]:
        """Frames up to the first of this kind, which is the last of them."""
        found: list[Frame] = []
        while (one := self.read()) is not None:
            found.append(one)
            if one[0] == kind:
                return found
        raise AssertionError(f"the client left before a frame of type {kind}: {found}")


class FakeDoor:
    """Runs `script(visit)` for every client. troubles: what went wrong in a script."""

    def __init__(self, path: Path, script: Callable[[Visit], None]) -> None:
        self.path = path
        self.script = script
        self.visits: list[dict[str, Any]] = []
        self.troubles: list[BaseException] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Stops, and raises what a script ran into."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
        if self.troubles:
            raise self.troubles[0]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._attend, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _attend(self, connection: socket.socket) -> None:
        with connection:
            try:
                visit = Visit(connection)
                self.visits.append(visit.hello)
                self.script(visit)
            except (ConnectionError, json.JSONDecodeError):
                return  # the client left, as some are meant to
            except BaseException as error:
                self.troubles.append(error)


def frame(kind: int, rank: int, payload: bytes = b"") -> bytes:
    """The bytes of one frame."""
    return struct.pack("<BII", kind, rank, len(payload)) + payload


def boot_id() -> str:
    """This host's."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def step(doors: list[FakeDoor], ranks: list[list[int]], *, job: int = 12, number: int = 0) -> dict[str, Any]:
    """What the scheduler says of a step with these doors: nodes node1, node2 …"""
    nodes = [
        {"node": f"node{at}", "hostName": "vm", "bootId": boot_id(), "door": str(door.path), "ranks": its}
        for at, (door, its) in enumerate(zip(doors, ranks, strict=True), 1)
    ]
    return {"jobId": str(job), "stepId": number, "key": f"{job}.1.1.{number}", "nodes": nodes, "name": "x"}
