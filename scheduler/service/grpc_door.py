"""The gRPC door: the Scheduler service over the same methods as HTTP, agents' streams, health, reflection.

Callers show a bearer token in their metadata (`authorization: Bearer …`). Off loopback the door opens with
TLS only. An error's trailing metadata carries `packhorse-code`, `slurm` and `refusal` where they are known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

import grpc
import grpc.aio
import structlog

from packhorse.scheduler.config.file import ServiceConfig, is_loopback
from packhorse.scheduler.model.errors import ConfigError, PackhorseError
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.service.auth import Principal
from packhorse.scheduler.service.convert_queries import SERVICE, message_class, reader, writer
from packhorse.scheduler.service.failures import CallFailed, Code, failure_of
from packhorse.scheduler.service.rpc import Method, Streaming, Unary
from packhorse.scheduler.service.tokens import Tokens, bearer

log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
Authenticate = Callable[[Context], Awaitable[Principal]]

KEEPALIVE_S = 60
"""A silent connection is asked after this long whether its other end still lives."""

STATUS: dict[Code, grpc.StatusCode] = {code: grpc.StatusCode[code.name] for code in Code}

Now = Callable[[], Instant]


def authenticator(tokens: Tokens, now: Now) -> Authenticate:
    """Says who calls, or ends the call with UNAUTHENTICATED."""

    async def authenticate(context: Context) -> Principal:
        try:
            return _by_token(context, tokens, now())
        except CallFailed as failure:
            await abort(context, failure)

    return authenticate


def _by_token(context: Context, tokens: Tokens, now: Instant) -> Principal:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return tokens.check(bearer(value if isinstance(value, str) else value.decode()), now=now)
    return tokens.check(bearer(None), now=now)


async def abort(context: Context, failure: CallFailed) -> NoReturn:
    """Ends the call with the failure's status, message and trailing metadata."""
    trailing = [("packhorse-code", failure.code.value)]
    if failure.slurm:
        trailing.append(("slurm", failure.slurm))
    if failure.refusal:
        trailing.append(("refusal", failure.refusal))
    await context.abort(STATUS[failure.code], failure.message, tuple(trailing))
    raise AssertionError("abort returned")


def handlers(
    methods: dict[str, Method], tokens: Tokens, now: Now, answered: Callable[[str, str], None]
) -> grpc.GenericRpcHandler[Any, Any]:
    """The Scheduler service: requests from protobuf, answers to protobuf."""
    table: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for described in SERVICE.methods:
        method = methods[described.name]
        request_class = message_class(described.input_type.name)
        serve = (
            _unary(method, tokens, now, answered)
            if isinstance(method, Unary)
            else _streaming(method, tokens, now, answered)
        )
        make = (
            grpc.unary_stream_rpc_method_handler
            if isinstance(method, Streaming)
            else grpc.unary_unary_rpc_method_handler
        )
        table[described.name] = make(
            serve,
            request_deserializer=request_class.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
    return grpc.method_handlers_generic_handler(SERVICE.full_name, table)


def _unary(
    method: Unary, tokens: Tokens, now: Now, answered: Callable[[str, str], None]
) -> Callable[[Any, Context], Awaitable[Any]]:
    read = (lambda message: message) if method.takes_protobuf else reader(method.request)
    write = writer(method.response)

    async def serve(message: Any, context: Context) -> Any:
        try:
            principal = _by_token(context, tokens, now())
            answer = write(await method.call(principal, read(message)))
        except (PackhorseError, ValueError) as error:
            failure = _failure(method.name, error)
            answered(method.name, failure.code.value)
            await abort(context, failure)
        answered(method.name, "ok")
        return answer

    return serve


def _streaming(
    method: Streaming, tokens: Tokens, now: Now, answered: Callable[[str, str], None]
) -> Callable[[Any, Context], Awaitable[None]]:
    read, write = reader(method.request), writer(method.response)

    async def serve(message: Any, context: Context) -> None:
        answers = None
        try:
            principal = _by_token(context, tokens, now())
            answers = await method.call(principal, read(message))
            async for answer in answers:
                await context.write(write(answer))
        except (PackhorseError, ValueError) as error:
            failure = _failure(method.name, error)
            answered(method.name, failure.code.value)
            await abort(context, failure)
        finally:
            if answers is not None:
                await answers.aclose()
        answered(method.name, "ok")

    return serve


def _failure(method: str, error: PackhorseError | ValueError) -> CallFailed:
    """ValueErrors come from messages that say what no enum or number here means."""
    if isinstance(error, PackhorseError):
        return failure_of(error)
    return CallFailed(Code.INVALID_ARGUMENT, f"{method}: {error}")


def make_server(config: ServiceConfig) -> grpc.aio.Server:
    """A server without services, its limits set."""
    limit = config.max_message_mib << 20
    return grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # a second scheduler on the same port is a mistake, not load balancing
            ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # What a stream may have sent that nobody has read: tunnels are bounded, whatever the line takes.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", 256 << 10),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ]
    )


def bind(server: grpc.aio.Server, config: ServiceConfig, home: Path) -> int:
    """Opens the port, with TLS where it is configured; returns its number.

    Raises ConfigError off loopback without TLS, for unreadable certificates and for a port that is taken.
    """
    address = config.listen_grpc
    credentials = _credentials(config, home)
    if credentials is None and not is_loopback(address):
        raise ConfigError(
            f'grpc = "{address}" in [listen]: not a loopback address, and tokens would cross the network '
            "in the clear; set tls_cert and tls_key in [listen], or listen on 127.0.0.1"
        )
    try:
        port = (
            server.add_insecure_port(address)
            if credentials is None
            else server.add_secure_port(address, credentials)
        )
    except RuntimeError as error:
        raise ConfigError(f'grpc = "{address}" in [listen]: cannot listen there: {error}') from error
    if port == 0:
        raise ConfigError(f'grpc = "{address}" in [listen]: cannot listen there; is the port taken?')
    return port


def _credentials(config: ServiceConfig, home: Path) -> grpc.ServerCredentials | None:
    if not config.tls_cert or not config.tls_key:
        return None
    cert, key = _read(home, config.tls_cert), _read(home, config.tls_key)
    ca = _read(home, config.tls_client_ca) if config.tls_client_ca else None
    return grpc.ssl_server_credentials([(key, cert)], ca, require_client_auth=ca is not None)


def _read(home: Path, name: str) -> bytes:
    path = home / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


class Health:
    """grpc.health.v1 for the whole server and for the Scheduler service."""

    def __init__(self, server: grpc.aio.Server) -> None:
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc

        self._words = health_pb2.HealthCheckResponse
        self._servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def serving(self, yes: bool) -> None:
        """What is answered from now on."""
        word = self._words.SERVING if yes else self._words.NOT_SERVING
        for service in ("", SERVICE.full_name):
            await self._servicer.set(service, word)


def add_reflection(server: grpc.aio.Server) -> None:
    """Lets grpcurl and the like ask for the services and their messages."""
    from grpc_health.v1 import health
    from grpc_reflection.v1alpha import reflection

    names = (SERVICE.full_name, "packhorse.v1.Agents", health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
