"""A scheduler for tests of commands: real HTTP on a Unix socket, answers from tables."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Reply = tuple[int, dict[str, Any]]
Handler = Callable[[dict[str, Any]], Reply | dict[str, Any]]


def _unknown(body: dict[str, Any]) -> Reply:
    """As a scheduler that does not have the method."""
    return 404, {"code": "unimplemented", "message": "no such method"}


class FakeScheduler:
    """Answers each method by its handler and keeps every request. Tables are given as rows."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.raw_headers: list[str] = []
        self.handlers: dict[str, Handler] = {}
        self.mishaps: list[str] = []
        """What happens to the next connections: "drop" closes before any reply, "cut" in the middle of one,
        "chunked" sends the reply in chunks, "garbage" something that is not HTTP."""
        (home / "run").mkdir(parents=True, exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(home / "run" / "scheduler.sock"))
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.on("Ping", {"cluster": "demo", "host": "vm", "version": "0"})

    def on(self, method: str, answer: dict[str, Any] | Handler) -> None:
        """What `method` is answered with."""
        if callable(answer):
            self.handlers[method] = answer
        else:
            fixed = answer
            self.handlers[method] = lambda body: fixed

    def fail(self, method: str, code: str, message: str, slurm: str = "", status: int = 400) -> None:
        """`method` is answered with an error."""
        error = {"code": code, "message": message}
        if slurm:
            error["slurm"] = slurm
        self.handlers[method] = lambda body: (status, error)

    def table(self, method: str, rows: list[dict[str, Any]], now_s: int) -> None:
        """`method` is answered with these rows, of which only the fields asked for are sent."""
        self.handlers[method] = lambda body: table(rows, body.get("fields") or [], now_s)

    def bodies(self, method: str) -> list[dict[str, Any]]:
        """The requests to `method` so far."""
        return [body for name, body in self.requests if name == method]

    def close(self) -> None:
        """Stops serving."""
        # Closing alone would leave the thread in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._answer(connection)
                except OSError:
                    continue

    def _answer(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(65536)
            if not chunk:
                return
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length"))
        while len(body) < length:
            body += connection.recv(65536)
        method = lines[0].split(" ")[1].rpartition("/")[2]
        self.raw_headers.append(head.decode())
        self.requests.append((method, json.loads(body)))
        mishap = self.mishaps.pop(0) if self.mishaps else ""
        if mishap == "drop":
            return
        if mishap == "garbage":
            connection.sendall(b"SSH-2.0-none\r\n\r\n")
            return
        answer = self.handlers.get(method, _unknown)(json.loads(body))
        status, reply = answer if isinstance(answer, tuple) else (200, answer)
        payload = json.dumps(reply).encode()
        start = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
        if mishap == "chunked":
            middle = len(payload) // 2
            parts = b"".join(
                b"%x\r\n%s\r\n" % (len(part), part) for part in (payload[:middle], payload[middle:])
            )
            connection.sendall(start.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n")
        elif mishap == "cut":
            connection.sendall(start.encode() + b"Content-Length: %d\r\n\r\n" % len(payload) + payload[:5])
        else:
            connection.sendall(start.encode() + b"Content-Length: %d\r\n\r\n" % len(payload) + payload)


def table(rows: list[dict[str, Any]], fields: list[str], now_s: int) -> dict[str, Any]:
    """Rows as the scheduler sends them: columns, defaults left out."""
    names = fields or list(rows[0] if rows else {})
    columns: list[dict[str, Any]] = []
    for name in names:
        values = [row[name] for row in rows]
        column: dict[str, Any] = {"name": name}
        if values:
            column["ints" if isinstance(values[0], int) else "texts"] = values
        columns.append(column)
    reply: dict[str, Any] = {"columns": columns, "nowUs": str(now_s * 1_000_000)}
    if rows:
        reply["nRows"] = str(len(rows))
    return reply
