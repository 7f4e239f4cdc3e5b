"""The relay's reader of requests: what it takes, what it refuses in words, and that nothing gets past it."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.agent.http_request import MAX_HEAD, PREFIX, Connection, Gone, Refused

START = f"POST {PREFIX}ListJobs HTTP/1.1\r\n"


async def read(*parts: bytes, close: bool = True) -> tuple[str, bytes]:
    """Method and body of a request that arrives in these parts."""
    near, far = socket.socketpair()
    far.setblocking(False)
    connection = Connection(far)
    loop = asyncio.get_running_loop()
    near.setblocking(False)

    async def send() -> None:
        for part in parts:
            await loop.sock_sendall(near, part)
            await asyncio.sleep(0)
        if close:
            near.shutdown(socket.SHUT_WR)

    sending = asyncio.create_task(send())
    try:
        head = await connection.head()
        return head.method, await connection.body(head)
    finally:
        await asyncio.gather(sending, return_exceptions=True)
        connection.close()
        near.close()


def request(headers: str = "", body: str = "{}", start: str = START, length: bool = True) -> bytes:
    counted = f"Content-Length: {len(body)}\r\n" if length else ""
    return f"{start}{headers}{counted}\r\n{body}".encode("latin-1")


@pytest.mark.parametrize(
    "headers",
    [
        "",
        "Host: local\r\nContent-Type: application/json\r\nConnection: close\r\n",
        "content-TYPE:application/json; charset=utf-8\r\nAccept: */*\r\nAccept: x\r\n",
        "Connect-Protocol-Version: 1\r\nAccept-Encoding: gzip\r\nContent-Encoding: identity\r\n",
    ],
)
async def test_requests(headers: str) -> None:
    assert await read(request(headers)) == ("ListJobs", b"{}")


async def test_requests_in_pieces() -> None:
    whole = request("Host: local\r\n", body="x" * 70_000)
    parts = [whole[at : at + 997] for at in range(0, len(whole), 997)]
    assert await read(*parts) == ("ListJobs", b"x" * 70_000)
    small = request("Host: local\r\n")
    assert await read(*[small[at : at + 1] for at in range(len(small))]) == ("ListJobs", b"{}")


async def test_no_length_is_no_body() -> None:
    assert await read(request(body="", length=False)) == ("ListJobs", b"")


async def test_callers_that_wait_are_told_to_go_on() -> None:
    near, far = socket.socketpair()
    far.setblocking(False)
    near.setblocking(False)
    connection = Connection(far)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(near, f"{START}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n".encode())
    head = await connection.head()
    body = asyncio.create_task(connection.body(head))
    assert await loop.sock_recv(near, 100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    await loop.sock_sendall(near, b"{}")
    assert await body == b"{}"
    await connection.answer(200, b"[]")
    assert (await loop.sock_recv(near, 1000)).endswith(b"\r\nConnection: close\r\n\r\n[]")
    connection.close()
    near.close()


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (request(start="GET / HTTP/1.1\r\n"), 404, "methods are below"),
        (request(start=f"GET {PREFIX}ListJobs HTTP/1.1\r\n"), 501, "use POST"),
        (request(start=f"POST {PREFIX} HTTP/1.1\r\n"), 501, "no method"),
        (request(start=f"POST {PREFIX}a/b HTTP/1.1\r\n"), 501, "no method"),
        (request(start=f"POST {PREFIX}ListJobs?x=1 HTTP/1.1\r\n"), 501, "no method"),
        (request(start=f"POST {PREFIX}{'x' * 65} HTTP/1.1\r\n"), 501, "no method"),
        (request(start=f"POST {PREFIX}ListJobs HTTP/2.0\r\n"), 400, "not an HTTP/1.1 request"),
        (request(start=f"POST  {PREFIX}ListJobs HTTP/1.1\r\n"), 400, "not an HTTP/1.1 request"),
        (request(start="\r\n"), 400, "not an HTTP/1.1 request"),
        (request(start="SSH-2.0-none\r\n"), 400, "not an HTTP/1.1 request"),
        (request("Content-Type: application/proto\r\n"), 400, "application/proto"),
        (request("Content-Encoding: gzip\r\n"), 400, "compressed"),
        (request("Transfer-Encoding: chunked\r\n"), 411, "Content-Length"),
        (request("Content-Length: 2\r\n"), 400, "twice"),
        (request("Content-Length: -2\r\n", length=False), 400, "not a number"),
        (request("Content-Length: +2\r\n", length=False), 400, "not a number"),
        (request("Content-Length: 0x2\r\n", length=False), 400, "not a number"),
        (request("Content-Length: \xb2\r\n", length=False), 400, "not a number"),
        (request("Content-Length: 1" + "0" * 15 + "\r\n", length=False), 400, "not a number"),
        (request("Content-Length : 2\r\n", length=False), 400, "NAME: VALUE"),
        (request("No colon\r\n"), 400, "NAME: VALUE"),
        (request(": value\r\n"), 400, "NAME: VALUE"),
        (request("A: 1\r\n b: folded\r\n"), 400, "NAME: VALUE"),
        (request(f"X: {'x' * MAX_HEAD}\r\n"), 431, "headers"),
        (b"x" * (MAX_HEAD + 1), 431, "headers"),
        (request() + b"x", 400, "more than one request"),
    ],
)
async def test_what_is_refused(sent: bytes, status: int, words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        await read(sent)
    assert caught.value.status == status
    assert set(json.loads(caught.value.body())) == {"code", "message"}


@pytest.mark.parametrize("sent", [b"", b"POST", request()[:-1], request(body="x" * 10)[:-5]])
async def test_callers_that_hang_up(sent: bytes) -> None:
    with pytest.raises(Gone):
        await read(sent)


PIECES = st.sampled_from(
    [
        START.encode(),
        b"POST ",
        PREFIX.encode(),
        b"HTTP/1.1\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"2",
        b"{}",
        b": ",
        b"\0",
        b"\xff",
        b" ",
    ]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=20)), max_size=12))
def test_whatever_comes_is_read_or_refused(parts: list[bytes]) -> None:
    async def one() -> None:
        try:
            method, _ = await read(*parts)
            assert method.isalnum()
        except (Refused, Gone):
            pass

    asyncio.run(one())
