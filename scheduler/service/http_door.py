"""The HTTP door: every method of the Scheduler service as `POST /packhorse.v1.Scheduler/METHOD`, in JSON.

Served on TCP (loopback, bearer token) and on the Unix socket (the kernel says who calls; socket_door.py).
Errors are Connect's: an HTTP status and `{"code": "not_found", "message": "…"}`, here with `slurm` (Slurm's
phrase) and `refusal` where they are known. 64-bit integers are written as JSON numbers; both forms are read.

WatchEvents answers with one JSON object a line (application/x-ndjson) as long as the caller listens; a line
`{"error": {"code": …, "message": …}}` is the last one where the server ends it.
`GET /healthz` and `GET /metrics` need no token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import structlog
from aiohttp import web

from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.service.auth import Principal
from packhorse.scheduler.service.convert_queries import parse_json, reader
from packhorse.scheduler.service.failures import HTTP_STATUS, CallFailed, Code, error_body, failure_of
from packhorse.scheduler.service.rpc import Method, Streaming, Unary

log = structlog.get_logger(__name__)

PREFIX = "/packhorse.v1.Scheduler/"
JSON = "application/json"
NDJSON = "application/x-ndjson"
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
        *,
        max_bytes: int,
        identify: Identify,
        answered: Callable[[str, str], None],
    ) -> None:
        self._unary: dict[str, tuple[msgspec.json.Decoder[Any], Unary]] = {}
        self._streaming: dict[str, tuple[msgspec.json.Decoder[Any], Streaming]] = {}
        for method in methods.values():
            decoder = msgspec.json.Decoder(method.request, strict=False)
            if isinstance(method, Unary):
                self._unary[PREFIX + method.name] = decoder, method
            else:
                self._streaming[PREFIX + method.name] = decoder, method
        self._encode = msgspec.json.Encoder().encode
        self._pages = pages
        self._max_bytes = max_bytes
        self._identify = identify
        self._answered = answered

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
            if request.method == "POST":
                unary = self._unary.get(path)
                if unary is not None:
                    decoder, method = unary
                    principal = self._identify(request)
                    message = decode(decoder, method.request, await self._body(request))
                    answer = await method.call(principal, message)
                    self._answered(method.name, "ok")
                    return web.Response(body=self._encode(answer), content_type=JSON)
                streaming = self._streaming.get(path)
                if streaming is not None:
                    return await self._stream(request, *streaming)
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

    async def _stream(
        self, request: web.BaseRequest, decoder: msgspec.json.Decoder[Any], method: Streaming
    ) -> web.StreamResponse:
        """One line for each message."""
        principal = self._identify(request)
        message = decode(decoder, method.request, await self._body(request))
        answers = await method.call(principal, message)
        response = web.StreamResponse(headers={"Content-Type": NDJSON, "Cache-Control": "no-store"})
        try:
            await response.prepare(request)
            try:
                async for answer in answers:
                    await response.write(self._encode(answer) + b"\n")
            except PackhorseError as error:
                await response.write(self._encode({"error": error_body(failure_of(error))}) + b"\n")
            await response.write_eof()
        finally:
            await answers.aclose()
        return response

    def _unroutable(self, request: web.BaseRequest) -> CallFailed:
        path = request.path
        if path in self._unary or path in self._streaming:
            return CallFailed(Code.UNIMPLEMENTED, f"{request.method} {path}: use POST with a JSON body")
        if path.startswith(PREFIX):
            from difflib import get_close_matches  # only when somebody made a mistake

            name = path.removeprefix(PREFIX)
            known = [route.removeprefix(PREFIX) for route in (*self._unary, *self._streaming)]
            near = get_close_matches(name, known, n=1)
            hint = f'; did you mean "{near[0]}"?' if near else f"; there are {', '.join(sorted(known))}"
            return CallFailed(Code.UNIMPLEMENTED, f'no method "{name}"{hint}')
        return CallFailed(Code.NOT_FOUND, f"{path}: nothing here; methods are below {PREFIX}")

    def _failure(self, path: str, failure: CallFailed) -> web.Response:
        if path in self._unary or path in self._streaming:
            self._answered(path.removeprefix(PREFIX), failure.code.value)
        headers = {"WWW-Authenticate": "Bearer"} if failure.code is Code.UNAUTHENTICATED else None
        return web.Response(
            status=HTTP_STATUS[failure.code],
            body=self._encode(error_body(failure)),
            content_type=JSON,
            headers=headers,
        )


def decode(decoder: msgspec.json.Decoder[Any], struct: type[msgspec.Struct], body: bytes) -> Any:
    """The message in a JSON body; raises CallFailed(INVALID_ARGUMENT) naming what is wrong and where.

    Spellings that only protobuf's own reader knows (snake_case names, enum numbers, nulls, URL-safe base64)
    are left to it.
    """
    try:
        return decoder.decode(body or b"{}")
    except msgspec.ValidationError as first:
        if str(first).startswith("Expected `object`, got") and "$" not in str(first):
            raise CallFailed(Code.INVALID_ARGUMENT, f"{struct.__name__}: {first}") from first
        try:
            return reader(struct)(parse_json(struct.__name__, body))
        except ValueError as second:
            # Of an unknown name ours may be a known one in the other spelling; of values ours says more.
            what = second if "unknown field" in str(first) else first
            raise CallFailed(Code.INVALID_ARGUMENT, f"{struct.__name__}: {what}") from second
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CallFailed(Code.INVALID_ARGUMENT, f"{struct.__name__}: not JSON: {error}") from error


async def serve(server: web.Server) -> web.ServerRunner:
    """A runner for the server, set up; sites are added to it, `cleanup` ends it."""
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    return runner
