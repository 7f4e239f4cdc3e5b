"""The scheduler's process: from a home and a configuration to a served cluster, and back."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import structlog
from aiohttp import web

from packhorse.scheduler.config.file import Configuration, is_loopback
from packhorse.scheduler.model.errors import ConfigError
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.pidfile import PidFile
from packhorse.scheduler.plugins import require_policy
from packhorse.scheduler.service import grpc_door, http_door, logs, socket_door, tokens
from packhorse.scheduler.service.agent_sessions import AgentSessions, SessionSettings
from packhorse.scheduler.service.auth import Directory, Principal, owner_of
from packhorse.scheduler.service.clock import SystemClock
from packhorse.scheduler.service.diagnostics import Diagnostics
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.estimating import Estimator
from packhorse.scheduler.service.failures import HTTP_STATUS, Code
from packhorse.scheduler.service.http_door import HttpDoor, Identify, Page, Pages
from packhorse.scheduler.service.mailing import Mailer
from packhorse.scheduler.service.methods import Methods
from packhorse.scheduler.service.metrics import CONTENT_TYPE, Metrics
from packhorse.scheduler.service.reconfiguring import Reconfiguring
from packhorse.scheduler.service.recording import RECORDING, Recorder
from packhorse.scheduler.service.recovery import Housekeeping
from packhorse.scheduler.service.rest.routes import Calls
from packhorse.scheduler.service.rest.service import make_rest
from packhorse.scheduler.service.series_keeping import SeriesKeeper
from packhorse.scheduler.service.shadow_view import begin_shadow
from packhorse.scheduler.service.status import About, installed_version
from packhorse.scheduler.service.teaching import Teacher
from packhorse.scheduler.service.trigger_runs import TriggerRuns
from packhorse.scheduler.store.protocol import DAY_US, MIB, Retention, Store
from packhorse.v1.agent_pb2_grpc import add_AgentsServicer_to_server

log = structlog.get_logger(__name__)

PID_FILE = "run/scheduler.pid"
ADDRESS_FILE = "run/scheduler.addr"

STOP_GRACE_S = 0.5
"""What is being answered when the scheduler stops gets this long to be over."""


class Addresses(NamedTuple):
    """Where a running scheduler can be reached: HOST:PORT, HOST:PORT, path."""

    grpc: str
    http: str
    socket: str


class Served(NamedTuple):
    """A scheduler that serves."""

    addresses: Addresses
    engine: Engine
    methods: Methods
    reconfiguring: Reconfiguring


def run_scheduler(
    home: Path, file: Path, configuration: Configuration, local_nodes: Sequence[str] = ()
) -> None:
    """Serves until SIGTERM or SIGINT; at SIGHUP reads the configuration again. file: that it came from, or
    would have. local_nodes: agents of this home, which get tokens.

    Raises PackhorseError where it cannot begin: another one runs, the store or the configuration is wrong.
    """
    for folder in ("run", "log", "store"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    pid_file = PidFile(str(home / PID_FILE))
    try:
        logs.configure(home, configuration.service.log_file, configuration.service.log_level)
        store = open_store(home, configuration)
        asyncio.run(_serve(home, file, configuration, store, local_nodes))
    finally:
        pid_file.release()


def open_store(home: Path, configuration: Configuration) -> Store:
    """The store on disk; raises StoreError with what is wrong with it."""
    from packhorse.scheduler.store.sqlite import SqliteStore

    service = configuration.service
    path = home / service.store_path
    path.parent.mkdir(parents=True, exist_ok=True)
    return SqliteStore(path, reserve=service.reserve_mib * MIB)


async def _serve(
    home: Path, file: Path, configuration: Configuration, store: Store, local_nodes: Sequence[str]
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        served = await serve(
            home, configuration, store, stack, file=file, local_nodes=local_nodes, shut_down=stop.set
        )
        loop.add_signal_handler(signal.SIGHUP, _read_again, served.reconfiguring, set())
        # What is alive now mostly stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        log.info("scheduler.serving", pid=os.getpid(), **served.addresses._asdict())
        await stop.wait()
        log.info("scheduler.stopping")


def _read_again(reconfiguring: Reconfiguring, tasks: set[asyncio.Task[None]]) -> None:
    """SIGHUP. tasks: keeps what is under way."""
    owner = owner_of(os.geteuid(), os.getegid())
    task = asyncio.get_running_loop().create_task(reconfiguring.on_signal(owner))
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def serve(
    home: Path,
    configuration: Configuration,
    store: Store,
    stack: AsyncExitStack,
    *,
    file: Path | None = None,
    local_nodes: Sequence[str] = (),
    shut_down: Callable[[], None] | None = None,
) -> Served:
    """Brings engine and doors up; leaving `stack` stops them in good order and writes a snapshot.

    file: where the configuration is read again from. shut_down: ends the process.

    The caller holds the pid file's lock.
    """
    service = configuration.service
    require_policy(configuration.cluster.policy)
    clock = SystemClock()
    diagnostics = Diagnostics(clock)
    metrics = Metrics(diagnostics.passed)
    secrets = home / "secrets"
    directory = Directory(service.admins)
    signer = tokens.Tokens(tokens.load_key(secrets), configuration.cluster.name, directory)
    _write_tokens(secrets, configuration.cluster.name, clock.now(), local_nodes)
    engine = Engine(
        store,
        configuration.cluster,
        clock=clock,
        meter=metrics,
        recorder=Recorder(home / RECORDING, service.record_limit_mib) if service.record_inputs else None,
        housekeeping=_housekeeping(configuration),
        min_cycle_gap_s=service.cycle_interval_ms / 1000,
        improver_dumps=home / "log",
        shadow_every_s=service.shadow_interval_s,
    )
    about = About(socket.gethostname(), clock.now(), installed_version())
    server = grpc_door.make_server(service)
    sessions = AgentSessions(
        engine,
        grpc_door.authenticator(signer, clock.now),
        SessionSettings(heartbeat_s=service.heartbeat_s, usage_s=service.usage_s),
    )
    add_AgentsServicer_to_server(sessions, server)
    engine.observe(diagnostics.saw)
    runs = TriggerRuns({"PACKHORSE_HOME": str(home)})
    engine.observe(runs.saw)
    stack.push_async_callback(runs.stop)
    await engine.start()
    stack.push_async_callback(engine.stop)
    teacher = Teacher(engine, service.learn_interval_s)
    teacher.start()
    stack.push_async_callback(teacher.stop)
    if service.shadow_config:
        begin_shadow(engine, home / service.shadow_config)
    estimator = Estimator(engine)
    estimator.start()
    stack.push_async_callback(estimator.stop)
    if service.mail_program:
        mailer = Mailer(engine, service.mail_program)
        mailer.start()
        stack.push_async_callback(mailer.stop)
    keeper = SeriesKeeper(engine)
    keeper.start()
    stack.push_async_callback(keeper.stop)
    metrics.watch(engine)
    reconfiguring = Reconfiguring(
        engine,
        file or Path(configuration.path),
        configuration,
        lambda new: directory.appoint(new.service.admins),
        lambda new: logs.set_level(new.service.log_level),
    )
    methods = Methods(
        engine,
        reconfiguring,
        about,
        signer,
        submitted=metrics.submitted,
        relayed=metrics.answered,
        is_admin=directory.is_admin,
        diagnostics=diagnostics,
        unsent=sessions.unsent,
        shut_down=shut_down,
    )
    table = methods.table()
    server.add_generic_rpc_handlers((grpc_door.handlers(table, signer, clock.now, metrics.answered),))
    health = grpc_door.Health(server)
    grpc_door.add_reflection(server)
    grpc_port = grpc_door.bind(server, service, home)
    await server.start()
    stack.push_async_callback(server.stop, STOP_GRACE_S)
    pages = _pages(engine, metrics)
    rest = make_rest(Calls(table, engine, about), metrics.answered)

    async def http_server(identify: Identify) -> web.ServerRunner:
        door = HttpDoor(
            table,
            pages,
            rest,
            max_bytes=service.max_message_mib * MIB,
            identify=identify,
            answered=metrics.answered,
            tunnels=sessions.tunnels,
        )
        runner = await http_door.serve(door.server())
        stack.push_async_callback(runner.cleanup)
        return runner

    http_port = await _listen_http(service.listen_http, await http_server(by_token(signer, clock)))
    local = await http_server(socket_door.by_peer(directory))
    path = home / service.socket
    await web.SockSite(local, socket_door.bind(path), backlog=socket_door.BACKLOG).start()
    stack.callback(path.unlink, missing_ok=True)
    addresses = Addresses(
        _address(service.listen_grpc, grpc_port), _address(service.listen_http, http_port), str(path)
    )
    _write_addresses(home / ADDRESS_FILE, addresses)
    stack.callback((home / ADDRESS_FILE).unlink, missing_ok=True)
    stack.callback(sessions.tunnels.close)
    await health.serving(True)
    stack.push_async_callback(health.serving, False)
    return Served(addresses, engine, methods, reconfiguring)


def by_token(signer: tokens.Tokens, clock: SystemClock) -> Identify:
    """Identifies callers over TCP by their bearer token."""

    def identify(request: web.BaseRequest) -> Principal:
        return signer.check(tokens.presented(request.headers), now=clock.now())

    return identify


async def _listen_http(address: str, runner: web.ServerRunner) -> int:
    """Opens the TCP port; raises ConfigError off loopback and for a port that is taken."""
    if not is_loopback(address):
        raise ConfigError(
            f'http = "{address}" in [listen]: not a loopback address, and this door has no TLS; listen on '
            "127.0.0.1 and put a TLS proxy before it"
        )
    host, _, port = address.rpartition(":")
    site = web.TCPSite(runner, host.strip("[]"), int(port))
    try:
        await site.start()
    except OSError as error:
        raise ConfigError(f'http = "{address}" in [listen]: cannot listen there: {error.strerror}') from error
    bound = runner.addresses[0]
    return int(bound[1])


def _pages(engine: Engine, metrics: Metrics) -> Pages:
    async def healthz() -> Page:
        trouble = engine.trouble
        status = HTTP_STATUS[Code.UNAVAILABLE] if trouble else 200
        body = {"status": "unavailable" if trouble else "serving", "store": trouble or "ok"}
        return Page(status, http_door.JSON, json.dumps(body).encode() + b"\n")

    async def metrics_page() -> Page:
        return Page(200, CONTENT_TYPE, await metrics.page())

    return {"/healthz": healthz, "/metrics": metrics_page}


def _housekeeping(configuration: Configuration) -> Housekeeping:
    service = configuration.service
    keep_us = service.retention_days * DAY_US or None
    retention = Retention(
        attempts_keep_us=keep_us,
        series_keep_us=service.usage_retention_days * DAY_US or None,
        series_max_bytes=service.usage_max_mib * MIB,
    )
    return Housekeeping(snapshot_events=service.snapshot_every_events, retention=retention)


def _write_tokens(secrets: Path, cluster: str, now: Instant, nodes: Sequence[str]) -> None:
    """Tokens of the home itself: its owner's, and those of the agents on this machine."""
    tokens.write_owner_token(secrets, cluster, now=now)
    for node in nodes:
        tokens.write_agent_token(secrets, cluster, node, now=now)


def _address(configured: str, port: int) -> str:
    return f"{configured.rpartition(':')[0]}:{port}"


def _write_addresses(path: Path, addresses: Addresses) -> None:
    """Replaces the file at once: whoever reads it sees all of it."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(addresses._asdict()) + "\n")
    scratch.replace(path)
