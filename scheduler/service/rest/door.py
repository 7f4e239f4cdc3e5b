"""Requests below /slurm, /slurmdb and /openapi: finds the route, reads what came, writes what goes back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import structlog

from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.shapes.document import envelope
from packhorse.scheduler.model.shapes.shape import VERSION
from packhorse.scheduler.service.auth import Principal
from packhorse.scheduler.service.failures import HTTP_STATUS, CallFailed, Code, failure_of
from packhorse.scheduler.service.rest import openapi
from packhorse.scheduler.service.rest.errors import slurm_error
from packhorse.scheduler.service.rest.routes import Call, Listed, Route

log = structlog.get_logger(__name__)

BELOW = ("/slurm/", "/slurmdb/", "/openapi")
"""Paths that are the REST interface's begin so."""

USER_NAME = "X-SLURM-USER-NAME"

JSON = "application/json"
YAML = "application/yaml"
_YAML_NAMES = frozenset((YAML, "application/x-yaml", "text/yaml"))

METHODS = ("GET", "POST", "DELETE")

CHUNK = 50
"""Rows that are worked on before others get their turn: some milliseconds of the scheduler's time."""


class Request(NamedTuple):
    """What came. query: parameters as they were sent, each at most once. source: whence, for `meta`."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    source: str = ""


class Reply(NamedTuple):
    """What goes back, the body in pieces."""

    status: int
    content_type: str
    pieces: list[bytes]


class Rest:
    """Answers requests by a table of routes.

    answered: told of every request of a known route, its operation and code ("ok" or an error's).
    """

    def __init__(
        self, routes: list[Route], cluster: Callable[[], str], answered: Callable[[str, str], None]
    ) -> None:
        self._routes = routes
        self._cluster = cluster
        self._answered = answered
        self._plain = {(route.method, route.path): route for route in routes if "{" not in route.path}
        self._patterns = [(_pattern(route.path), route) for route in routes if "{" in route.path]
        self._encode = msgspec.json.Encoder().encode

    async def answer(self, request: Request, identify: Callable[[], Principal], read: Any) -> Reply:
        """The answer, whatever happens. identify: who calls, raises CallFailed; read: an awaitable function
        that reads the body, raises CallFailed."""
        if request.path.startswith("/openapi") and request.method in ("GET", "HEAD"):
            return await self._document(request)
        route: Route | None = None
        about: dict[str, Any] = {
            "plugin_type": "openapi/slurmdbd" if request.path.startswith("/slurmdb") else "openapi/slurmctld",
            "plugin_name": "Packhorse",
            "source": request.source,
            "cluster": self._cluster(),
        }
        try:
            route, path = self._find(request)
            principal = identify()
            about |= {"user": principal.owner.user, "group": principal.owner.group}
            _same_user(request, principal)
            body = self._body(await read()) if route.method != "GET" else {}
            if route.body is None and body:
                raise CallFailed(Code.INVALID_ARGUMENT, f"{request.method} {request.path}: it takes no body")
            call = Call(principal, path, _query(route, request.query), body)
            found = await route.call(call)
            self._answered(route.operation, "ok")
            warnings = [{"description": text, "source": route.operation} for text in found.warnings]
            whole = envelope(found.content, about, now_s=found.now_s, errors=found.errors, warnings=warnings)
            return await self._reply(request, found.status, whole)
        except PackhorseError as error:
            return await self._failed(request, route, failure_of(error), about)
        except Exception:
            log.exception("call.crashed", path=request.path)
            failure = CallFailed(Code.INTERNAL, "the scheduler failed at this call; its log says where")
            return await self._failed(request, route, failure, about)

    async def _failed(
        self, request: Request, route: Route | None, failure: CallFailed, about: dict[str, Any]
    ) -> Reply:
        if route is not None:
            self._answered(route.operation, failure.code.value)
        source = route.operation if route is not None else request.path
        whole = envelope({}, about, errors=[slurm_error(failure, source)])
        return await self._reply(request, _status(failure), whole)

    async def _document(self, request: Request) -> Reply:
        if request.path not in openapi.PATHS:
            failure = CallFailed(Code.NOT_FOUND, f"{request.path}: the document is at {openapi.PATHS[0]}")
            return await self._failed(request, None, failure, {})
        return await self._reply(request, 200, self._openapi)

    @cached_property
    def _openapi(self) -> dict[str, Any]:
        return openapi.document(self._routes)

    def _find(self, request: Request) -> tuple[Route, dict[str, str]]:
        """The route and the parameters in the path. Raises CallFailed."""
        path = request.path.rstrip("/")
        method = "GET" if request.method == "HEAD" else request.method
        route = self._plain.get((method, path))
        if route is not None:
            return route, {}
        others = [method for method in METHODS if (method, path) in self._plain]
        for pattern, route in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None and route.method == method:
                return route, match.groupdict()
            if match is not None:
                others.append(route.method)
        if others:
            raise CallFailed(Code.UNIMPLEMENTED, f"{request.method} {path}: use {' or '.join(others)}")
        version = re.match(r"/slurm(?:db)?/(v0\.0\.\d+)(/|$)", path)
        if version is not None and version[1] != VERSION:
            raise CallFailed(Code.NOT_FOUND, f"{version[1]}: only {VERSION} is spoken here")
        raise CallFailed(
            Code.NOT_FOUND, f"{path}: nothing here; {openapi.PATHS[0]} says what there is below /slurm"
        )

    def _body(self, data: bytes) -> dict[str, Any]:
        if not data.strip():
            return {}
        try:
            body = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CallFailed(Code.INVALID_ARGUMENT, f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise CallFailed(Code.INVALID_ARGUMENT, "the body is no JSON object")
        return body

    async def _reply(self, request: Request, status: int, whole: dict[str, Any]) -> Reply:
        accepted = request.headers.get("Accept", "").split(",")[0].partition(";")[0].strip().lower()
        if accepted not in _YAML_NAMES:
            return Reply(status, JSON, await self._json(whole))
        from packhorse.scheduler.model.shapes.yaml import yaml

        made = {
            key: [value.shape.of(row) for row in value.rows] if isinstance(value, Listed) else value
            for key, value in whole.items()
        }
        return Reply(status, accepted, [yaml(made).encode()])

    async def _json(self, whole: dict[str, Any]) -> list[bytes]:
        """Its JSON in pieces. Lists that are still to be made become some rows at a time, with pauses for the
        scheduler's work between them: of 10,000 jobs it is 45 MB and half a second."""
        pieces = []
        mark = b"{"
        for key, value in whole.items():
            pieces.append(mark + self._encode(key) + b":")
            mark = b","
            if isinstance(value, Listed):
                pieces += await self._list(value)
            else:
                pieces.append(self._encode(value))
        pieces.append(b"}")
        return pieces

    async def _list(self, listed: Listed) -> list[bytes]:
        shape, rows = listed
        pieces = []
        for start in range(0, len(rows), CHUNK):
            some = [shape.of(row) for row in rows[start : start + CHUNK]]
            pieces.append((b"," if start else b"[") + self._encode(some)[1:-1])
            await asyncio.sleep(0)
        return [*pieces, b"]"] if pieces else [b"[]"]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))


def _status(failure: CallFailed) -> int:
    """As slurmrestd answers: a method that a path does not have is 405."""
    if failure.code is Code.UNIMPLEMENTED and ": use " in failure.message:
        return 405
    return HTTP_STATUS[failure.code]


def _same_user(request: Request, principal: Principal) -> None:
    """Who calls is known; raises CallFailed where the request says that it is somebody else."""
    said = request.headers.get(USER_NAME, "")
    if said and said not in (principal.owner.user, str(principal.owner.uid)):
        raise CallFailed(
            Code.UNAUTHENTICATED,
            f'{USER_NAME} says "{said[:100]}", the caller is "{principal.owner.user}" by the token or the '
            "socket; leave it out or send the name that is true",
        )


def _query(route: Route, sent: Mapping[str, str]) -> dict[str, str]:
    """The parameters that were sent with something in them. Raises CallFailed for one the route has not."""
    known = {parameter.name: parameter for parameter in route.query}
    for name, value in sent.items():
        if name not in known:
            there = f"; there are {', '.join(known)}" if known else ""
            raise CallFailed(
                Code.INVALID_ARGUMENT, f'{route.path} has no query parameter "{name[:100]}"{there}'
            )
        if known[name].kind == "int" and value and not value.removeprefix("-").isdecimal():
            raise CallFailed(Code.INVALID_ARGUMENT, f'{name}: "{value[:100]}" is not a whole number')
    return {name: value for name, value in sent.items() if value}
