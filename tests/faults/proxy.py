"""A proxy that loses replies: what the client sends gets through, what the server answers does not."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

SWALLOW_S = 0.3
"""How long after the first lost byte the connection is cut: the server has done its work by then."""


class LossyProxy:
    """Listens at `at` (a Unix socket's path, or None for a free TCP port) and connects on to `target`.

    The first `losses` connections that get an answer lose it.
    """

    def __init__(self, target: Path | tuple[str, int], at: Path | None = None, losses: int = 1) -> None:
        self._target = target
        self._left = losses
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX if at else socket.AF_INET)
        self._listener.bind(str(at) if at else ("127.0.0.1", 0))
        self._listener.listen(64)
        self._threads: list[threading.Thread] = []
        self._over = False
        self.lost = 0

    @property
    def address(self) -> str:
        """HOST:PORT."""
        host, port = self._listener.getsockname()[:2]
        return f"{host}:{port}"

    def __enter__(self) -> LossyProxy:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=10)

    def _start(self, work: object, *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while not self._over:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX if isinstance(self._target, Path) else socket.AF_INET)
            try:
                server.connect(str(self._target) if isinstance(self._target, Path) else self._target)
            except OSError:
                client.close()
                continue
            self._start(self._requests, client, server)
            self._start(self._answers, client, server)

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(1 << 16):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := server.recv(1 << 16):
                if self._loses():
                    server.settimeout(SWALLOW_S)
                    until = time.monotonic() + SWALLOW_S
                    while time.monotonic() < until and server.recv(1 << 16):
                        pass
                    break
                client.sendall(data)
        except OSError:
            pass
        finally:
            for end in (client, server):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                end.close()

    def _loses(self) -> bool:
        with self._lock:
            if not self._left:
                return False
            self._left -= 1
            self.lost += 1
            return True
