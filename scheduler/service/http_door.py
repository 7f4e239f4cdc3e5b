"""The HTTP door: every method of the Scheduler service as `POST /packhorse.v1.Scheduler/METHOD`, in JSON.

Served on TCP (loopback, bearer token) and on the Unix socket (the kernel says who calls; socket_door.py).
How bodies are read and errors written is said in json_calls.py. Below /slurm, /slurmdb and /openapi is
Slurm's REST interface (rest/door.py), for the same callers.

WatchEvents answers with one JSON object a line (application/x-ndjson) as long as the caller listens; a line
`{"error": {"code": …, "message": …}}` is the last one where the server ends it.
`POST /packhorse.v1.Scheduler/StepTunnel`, upgraded to `packhorse-step`, leads to a step (tunnels.py).
`GET /healthz` and `GET /metrics` need no token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import structlog
from aiohttp import web

from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.service.auth import Principal
from packhorse.scheduler.service.failures import CallFailed, Code, error_body, failure_of
from packhorse.scheduler.service.joint import Local
from packhorse.scheduler.service.json_calls import JsonCalls
from packhorse.scheduler.service.rest import door as rest_door
from packhorse.scheduler.service.rpc import Method, Streaming, Unary
from packhorse.scheduler.service.tunnels import Tunnels

log = structlog.get_logger(__name__)

PREFIX = "/packhorse.v1.Scheduler/"
TUNNEL = f"{PREFIX}StepTunnel"
UPGRADE = "packhorse-step"
SWITCHING = f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {UPGRADE}\r\n\r\n".encode()
JSON = "application/json"
NDJSON = "application/x-ndjson"
MANY_PIECES = 40
"""An answer of so many pieces is sent one after the other: putting 45 MB together takes a while, too."""
KEEPALIVE_S = 75.0
"""How long an idle connection is kept (aiohttp's own default)."""

Identify = Callable[[web.BaseRequest], Principal]
"""Who sent a request; raises CallFailed(UNAUTHENTICATED)."""


class Page(NamedTuple):
    """What a GET answers."""

    status: int
    content_type: str
    body: bytes


Pages = dict[str, Callable[[], Awaitable[Page]]]


class HttpDoor:
    """Dispatches requests to methods; holds no state of its own.

    max_bytes: largest body that is read. answered: told of every call, its method and code ("ok" or an
    error's).
    """

    def __init__(
        self,
        methods: dict[str, Method],
        pages: Pages,
        rest: rest_door.Rest,
        *,
        max_bytes: int,
        identify: Identify,
        answered: Callable[[str, str], None],
        tunnels: Tunnels | None = None,
    ) -> None:
        self._calls = JsonCalls(methods, answered)
        self._by_path = {PREFIX + name: method for name, method in methods.items()}
        self._pages = pages
        self._rest = rest
        self._max_bytes = max_bytes
        self._identify = identify
        self._tunnels = tunnels

    def server(self) -> web.Server:
        """The aiohttp server of this door; a handler is cancelled when its caller hangs up."""
        max_bytes = self._max_bytes

        def make_request(
            message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]
        ) -> web.BaseRequest:
            loop = asyncio.get_running_loop()
            return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=max_bytes)

        return web.Server(
            self.handle,
            request_factory=make_request,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=KEEPALIVE_S,
        )

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request."""
        path = request.path
        try:
            method = self._by_path.get(path) if request.method == "POST" else None
            if isinstance(method, Unary):
                principal = self._identify(request)
                answer = await self._calls.unary(method, principal, await self._body(request))
                return web.Response(body=self._calls.done(method, answer).body, content_type=JSON)
            if method is not None:
                return await self._stream(request, method)
            if path == TUNNEL and request.method == "POST" and self._tunnels is not None:
                return await self._tunnel(request, self._tunnels)
            if path.startswith(rest_door.BELOW):
                return await self._slurm(request)
            page = self._pages.get(path)
            if page is not None and request.method in ("GET", "HEAD"):
                status, content_type, body = await page()
                return web.Response(status=status, body=body, headers={"Content-Type": content_type})
            raise self._unroutable(request)
        except PackhorseError as error:
            return self._failure(path, failure_of(error))
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            log.exception("call.crashed", path=path)
            return self._failure(
                path, CallFailed(Code.INTERNAL, "the scheduler failed at this call; its log says where")
            )

    async def _body(self, request: web.BaseRequest) -> bytes:
        content_type = request.headers.get("Content-Type", JSON)
        if not content_type.startswith(JSON):
            raise CallFailed(
                Code.INVALID_ARGUMENT,
                f'Content-Type "{content_type}": only {JSON} is read here; gRPC has a port',
            )
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise CallFailed(
                Code.RESOURCE_EXHAUSTED,
                f"the request is larger than {self._max_bytes >> 20} MiB (max_message_mib in [listen])",
            ) from error

    async def _slurm(self, request: web.BaseRequest) -> web.StreamResponse:
        """Slurm's REST interface."""
        asked = rest_door.Request(
            request.method, request.path, request.query, request.headers, request.remote or "unix socket"
        )
        reply = await self._rest.answer(asked, lambda: self._identify(request), lambda: self._body(request))
        if len(reply.pieces) < MANY_PIECES:
            body = b"".join(reply.pieces)
            return web.Response(status=reply.status, body=body, content_type=reply.content_type)
        response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
        await response.prepare(request)
        for piece in reply.pieces:
            await response.write(piece)
        await response.write_eof()
        return response

    async def _stream(self, request: web.BaseRequest, method: Streaming) -> web.StreamResponse:
        """One line for each message."""
        principal = self._identify(request)
        answers = await self._calls.streaming(method, principal, await self._body(request))
        response = web.StreamResponse(headers={"Content-Type": NDJSON, "Cache-Control": "no-store"})
        try:
            await response.prepare(request)
            try:
                async for answer in answers:
                    await response.write(self._calls.encode(answer) + b"\n")
            except PackhorseError as error:
                await response.write(self._calls.encode({"error": error_body(failure_of(error))}) + b"\n")
            await response.write_eof()
        finally:
            await answers.aclose()
        return response

    async def _tunnel(self, request: web.BaseRequest, tunnels: Tunnels) -> web.StreamResponse:
        """After 101 the connection belongs to a step, docs/decisions/0011-steps.md."""
        if request.headers.get("Upgrade", "").lower() != UPGRADE:
            raise CallFailed(Code.INVALID_ARGUMENT, f'{TUNNEL}: begin with the header "Upgrade: {UPGRADE}"')
        principal = self._identify(request)
        node, step = request.headers.get("Packhorse-Node", ""), request.headers.get("Packhorse-Step", "")
        async with tunnels.reach(principal, node, step) as far:
            transport = request.transport
            if transport is None:
                raise ConnectionResetError("the caller hung up")
            transport.pause_reading()
            near = Local(transport)
            try:
                await near.write(SWITCHING)
                await tunnels.carry(near, far, node=node, step=step)
            finally:
                near.close()
                transport.abort()
        return web.Response()  # to nobody

    def _unroutable(self, request: web.BaseRequest) -> CallFailed:
        path = request.path
        if path in self._by_path:
            return CallFailed(Code.UNIMPLEMENTED, f"{request.method} {path}: use POST with a JSON body")
        if path.startswith(PREFIX):
            return self._calls.unknown(path.removeprefix(PREFIX))
        return CallFailed(Code.NOT_FOUND, f"{path}: nothing here; methods are below {PREFIX}")

    def _failure(self, path: str, failure: CallFailed) -> web.Response:
        headers = {"WWW-Authenticate": "Bearer"} if failure.code is Code.UNAUTHENTICATED else None
        status, body = self._calls.failed(path.removeprefix(PREFIX), failure)
        return web.Response(status=status, body=body, content_type=JSON, headers=headers)


async def serve(server: web.Server) -> web.ServerRunner:
    """A runner for the server, set up; sites are added to it, `cleanup` ends it."""
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    return runner
