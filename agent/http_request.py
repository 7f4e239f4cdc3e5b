"""One HTTP request on a local connection: read strictly, within bounds and in time, and answered once.

Just enough for `POST /packhorse.v1.Scheduler/METHOD` with a JSON body of known length; whatever else HTTP can
say is refused in words. Written here because every user of the host may connect to a daemon that must go on
launching jobs: nothing is read without a bound on its size and time, and no library has to be on every node.
"""

from __future__ import annotations

import asyncio
import socket
from typing import NamedTuple

import msgspec

PREFIX = "/packhorse.v1.Scheduler/"
JSON = "application/json"
TUNNEL = "StepTunnel"
UPGRADE = "packhorse-step"

MAX_HEAD = 16 << 10
MAX_METHOD = 64
READ_WITHIN_S = 30.0
ANSWER_WITHIN_S = 60.0
LINGER_S = 5.0
"""How long a caller may go on sending a request that was refused already: it reads the answer only then."""

_CHUNK = 256 << 10
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}


class Refused(Exception):
    """A request is answered with an error. code: Connect's word for it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def body(self) -> bytes:
        return msgspec.json.encode({"code": self.code, "message": str(self)})


class Gone(Exception):
    """The caller hung up."""


class Head(NamedTuple):
    """What comes before the body. length: of the body, in bytes. waits: until it is told to go on.

    step, node: which step the connection is to lead to, where the method is TUNNEL.
    """

    method: str
    length: int
    waits: bool
    step: str = ""
    node: str = ""


class Connection:
    """An accepted socket, which must not block."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._unread = 0
        """Bytes of the body that the caller has still to send, as far as is known."""

    async def head(self) -> Head:
        """The request's head. Raises Refused, Gone."""
        end = -1
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                while (end := self._buffer.find(b"\r\n\r\n")) < 0:
                    if len(self._buffer) > MAX_HEAD:
                        raise Refused(
                            431, "invalid_argument", f"the headers are longer than {MAX_HEAD} bytes"
                        )
                    self._buffer += await self._receive()
        except TimeoutError:
            raise Refused(408, "invalid_argument", "no request came in time") from None
        if end > MAX_HEAD:
            raise Refused(431, "invalid_argument", f"the headers are longer than {MAX_HEAD} bytes")
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        headers = _headers(lines[1:])
        length = _length(headers)
        self._unread = length
        method = _method(lines[0])
        _check(headers)
        if method == TUNNEL:
            if headers.get("upgrade", "").lower() != UPGRADE or length:
                raise _bad(f'{TUNNEL} has no body and the header "Upgrade: {UPGRADE}"')
            return Head(
                method, 0, False, headers.get("packhorse-step", ""), headers.get("packhorse-node", "")
            )
        return Head(method, length, headers.get("expect", "").lower() == "100-continue")

    async def body(self, head: Head) -> bytes:
        """The request's body. Raises Refused, Gone."""
        if head.waits and len(self._buffer) < head.length:
            await self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._buffer
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                while len(body) < head.length:
                    body += await self._receive()
        except TimeoutError:
            raise Refused(408, "invalid_argument", "the request's body did not come in time") from None
        if len(body) > head.length:
            raise _bad("more than one request on a connection")
        self._unread = 0
        self._buffer = bytearray()
        return bytes(body)

    async def upgraded(self) -> socket.socket:
        """Says that what follows on the connection is no HTTP, and gives it away. Raises Refused, Gone."""
        if self._buffer:
            raise _bad("something came before the connection was upgraded")
        await self._send(
            f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {UPGRADE}\r\n\r\n".encode()
        )
        return self._sock

    async def answer(self, status: int, body: bytes) -> None:
        """Send the answer. Raises Gone."""
        reason = _REASONS.get(status, "Error" if status >= 400 else "OK")
        head = (
            f"HTTP/1.1 {status} {reason}\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._send(head.encode("ascii") + body)
        except TimeoutError:
            raise Gone from None

    async def refuse(self, refused: Refused) -> None:
        """Send an error, and let the caller finish what it sends. Raises Gone."""
        await self.answer(refused.status, refused.body())
        try:
            async with asyncio.timeout(LINGER_S):
                left = self._unread - len(self._buffer)
                while left > 0:
                    left -= len(await self._receive())
        except TimeoutError:
            raise Gone from None

    async def gone(self) -> None:
        """Returns when the caller has hung up. Whatever else it sends is not read."""
        try:
            await self._receive()
        except Gone:
            return
        await self._loop.create_future()

    def close(self) -> None:
        self._sock.close()

    async def _receive(self) -> bytes:
        try:
            data = await self._loop.sock_recv(self._sock, _CHUNK)
        except OSError:
            raise Gone from None
        if not data:
            raise Gone
        return data

    async def _send(self, data: bytes) -> None:
        try:
            await self._loop.sock_sendall(self._sock, data)
        except OSError:
            raise Gone from None


def _method(line: str) -> str:
    words = line.split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise _bad("not an HTTP/1.1 request")
    verb, path, _ = words
    name = path.removeprefix(PREFIX)
    if name == path:
        raise Refused(404, "not_found", f"{path[:200]}: nothing here; methods are below {PREFIX}")
    if verb != "POST":
        raise Refused(501, "unimplemented", f"{verb[:20]} {path[:200]}: use POST with a JSON body")
    if len(name) > MAX_METHOD or not name.isascii() or not name.isalnum():
        raise Refused(501, "unimplemented", f'no method "{name[:MAX_METHOD]}"')
    return name


def _headers(lines: list[str]) -> dict[str, str]:
    """Names in small letters. Raises Refused."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or not name.isprintable() or " " in name:
            raise _bad("a header is not NAME: VALUE")
        name = name.lower()
        if name in headers and name in ("content-length", "content-type", "transfer-encoding"):
            raise _bad(f"the header {name} is there twice")
        headers[name] = value.strip()
    return headers


def _length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise Refused(411, "invalid_argument", "a body in chunks is not read here; send Content-Length")
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise _bad("Content-Length is not a number")
    return int(text)


def _check(headers: dict[str, str]) -> None:
    content_type = headers.get("content-type", JSON)
    if not content_type.startswith(JSON):
        message = f'Content-Type "{content_type[:100]}": only {JSON} is read here'
        raise Refused(400, "invalid_argument", message)
    if headers.get("content-encoding", "identity") != "identity":
        raise Refused(400, "invalid_argument", "a compressed body is not read here")


def _bad(why: str) -> Refused:
    return Refused(400, "invalid_argument", why)
